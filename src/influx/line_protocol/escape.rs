//! What may not stand in a line as it is.

use fearless_simd::{Level, dispatch, prelude::*, u8x16};

use super::{MAX_NAME_BYTES, MAX_TEXT_BYTES, buffer::Buffer};

/// Appends a measurement. `#` at the start of a line would make it a comment.
pub(super) fn measurement(out: &mut Buffer, name: &str) {
    let mut name = cut(name, MAX_NAME_BYTES);
    if let Some(rest) = name.strip_prefix('#') {
        out.extend_from_slice(b"%23");
        name = rest;
    }
    let name = name.as_bytes();
    write(out, name, IN_NAME, |out, at| match name[at] {
        b'=' => out.push(b'='),
        _ => name_byte(out, name, at),
    });
}

/// Appends a tag key, tag value or field key.
pub(super) fn name(out: &mut Buffer, name: &str) {
    let name = cut(name, MAX_NAME_BYTES).as_bytes();
    write(out, name, IN_NAME, |out, at| name_byte(out, name, at));
}

/// Appends a name with what cannot be said in it percent-encoded, but not yet escaped: by this it is compared. Says
/// whether it is as it was, and nothing of it has to be [escaped](clean) either.
pub(super) fn clean_name(out: &mut Buffer, name: &str) -> bool {
    let name = cut(name, MAX_NAME_BYTES).as_bytes();
    if are_harmless(name, IN_NAME) {
        out.extend_from_slice(name);
        return true;
    }
    write_pieces(out, name, UNSPEAKABLE, |out, at| match name[at] {
        b'%' if !is_percent_encoded(name, at) => out.push(b'%'),
        byte => percent(out, byte),
    });
    false
}

/// Appends a name that went through [`clean_name`].
pub(super) fn clean(out: &mut Buffer, name: &[u8]) {
    write(out, name, SEPARATOR, |out, at| out.extend_from_slice(&[b'\\', name[at]]));
}

/// Appends text, to stand between double quotes.
pub(super) fn text(out: &mut Buffer, text: &str) {
    let text = cut(text, MAX_TEXT_BYTES).as_bytes();
    write(out, text, IN_TEXT, |out, at| match text[at] {
        byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
        _ => out.push(b' '),
    });
}

/// Whether a name is there and stays as it is.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && are_harmless(name.as_bytes(), IN_NAME)
}

/// Copies runs of harmless bytes whole, and hands the place of every byte of these kinds to `special`.
#[inline]
fn write(out: &mut Buffer, bytes: &[u8], kinds: u8, special: impl Fn(&mut Buffer, usize)) {
    // Nearly every name and text is harmless as a whole.
    if are_harmless(bytes, kinds) {
        out.extend_from_slice(bytes);
    } else {
        write_pieces(out, bytes, kinds, special);
    }
}

/// Whether no byte is of these kinds.
#[inline]
fn are_harmless(bytes: &[u8], kinds: u8) -> bool {
    let (sixteens, rest) = bytes.as_chunks::<16>();
    let Some(last) = bytes.last_chunk() else { return kinds_of(rest) & kinds == 0 };
    // No byte of any kind is in what we name ourselves, and in most of what others do: sixteen bytes are told at once.
    // What separates names is in nearly every URI, and means nothing there.
    let is_special = |sixteen: &[u8; 16]| {
        dispatch!(Level::baseline(), simd => {
            let text = u8x16::simd_from(simd, *sixteen);
            let special = text.simd_lt(b' ') | text.simd_eq(0x7f) | text.simd_eq(b'\\') | text.simd_eq(b'"');
            match kinds {
                IN_TEXT => special,
                _ => special | text.simd_eq(b' ') | text.simd_eq(b',') | text.simd_eq(b'=') | text.simd_eq(b'%'),
            }
            .any_true()
        })
    };
    !(sixteens.iter().any(is_special) || is_special(last)) || kinds_of(bytes) & kinds == 0
}

/// All kinds that there are, told by one pass without a branch.
#[inline]
fn kinds_of(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |all, byte| all | KINDS[usize::from(*byte)])
}

#[cold]
fn write_pieces(out: &mut Buffer, bytes: &[u8], kinds: u8, special: impl Fn(&mut Buffer, usize)) {
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if is(byte, kinds) {
            out.extend_from_slice(&bytes[copied..at]);
            special(out, at);
            copied = at + 1;
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// Appends the byte of a name that stands there, cleaned and escaped.
fn name_byte(out: &mut Buffer, name: &[u8], at: usize) {
    match name[at] {
        b'%' if !is_percent_encoded(name, at) => out.push(b'%'),
        byte if is(byte, SEPARATOR) => out.extend_from_slice(&[b'\\', byte]),
        byte => percent(out, byte),
    }
}

/// What separates names: escaped with a backslash.
const SEPARATOR: u8 = 1;
/// What cannot be said in a name. `%` is among them because it may need encoding itself.
const UNSPEAKABLE: u8 = 2;
/// What cannot stand in text as it is.
const IN_TEXT: u8 = 4;
/// What cannot stand in a name as it is.
const IN_NAME: u8 = SEPARATOR | UNSPEAKABLE;

/// Of which of these kinds each byte is.
const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < kinds.len() {
        kinds[byte] = match byte as u8 {
            b',' | b' ' | b'=' => SEPARATOR,
            ..=0x1f | 0x7f | b'\\' => UNSPEAKABLE | IN_TEXT,
            b'%' => UNSPEAKABLE,
            b'"' => IN_TEXT,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};

fn is(byte: u8, kinds: u8) -> bool {
    KINDS[usize::from(byte)] & kinds != 0
}

/// Whether the `%` at this place could be taken for one that this module wrote.
fn is_percent_encoded(name: &[u8], at: usize) -> bool {
    matches!(name.get(at + 1..at + 3), Some([high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

fn percent(out: &mut Buffer, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
}

/// At most `max` bytes, cut between characters.
fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
