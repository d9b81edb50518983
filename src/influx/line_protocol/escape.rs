//! What may not stand in a line as it is.

use super::{MAX_NAME_BYTES, MAX_TEXT_BYTES};

/// Appends a measurement. `#` at the start of a line would make it a comment.
pub(super) fn measurement(out: &mut Vec<u8>, name: &str) {
    let mut name = cut(name, MAX_NAME_BYTES);
    if let Some(rest) = name.strip_prefix('#') {
        out.extend_from_slice(b"%23");
        name = rest;
    }
    let name = name.as_bytes();
    write(out, name, |byte| is_special_in_name(byte) && byte != b'=', |out, at| name_byte(out, name, at));
}

/// Appends a tag key, tag value or field key.
pub(super) fn name(out: &mut Vec<u8>, name: &str) {
    let name = cut(name, MAX_NAME_BYTES).as_bytes();
    write(out, name, is_special_in_name, |out, at| name_byte(out, name, at));
}

/// Appends a name with what cannot be said in it percent-encoded, but not yet escaped: by this it is compared.
pub(super) fn clean_name(out: &mut Vec<u8>, name: &str) {
    let name = cut(name, MAX_NAME_BYTES).as_bytes();
    write(out, name, is_unspeakable, |out, at| match name[at] {
        b'%' if !is_percent_encoded(name, at) => out.push(b'%'),
        byte => percent(out, byte),
    });
}

/// Appends a name that went through [`clean_name`].
pub(super) fn clean(out: &mut Vec<u8>, name: &[u8]) {
    write(out, name, is_separator, |out, at| out.extend_from_slice(&[b'\\', name[at]]));
}

/// Appends text, to stand between double quotes.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    let text = cut(text, MAX_TEXT_BYTES).as_bytes();
    let is_special = |byte: u8| is_control(byte) || byte == b'"' || byte == b'\\';
    write(out, text, is_special, |out, at| match text[at] {
        byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
        _ => out.push(b' '),
    });
}

/// Copies runs of harmless bytes whole, and hands the place of every other byte to `special`.
fn write(
    out: &mut Vec<u8>,
    bytes: &[u8],
    is_special: impl Fn(u8) -> bool,
    special: impl Fn(&mut Vec<u8>, usize),
) {
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if is_special(byte) {
            out.extend_from_slice(&bytes[copied..at]);
            special(out, at);
            copied = at + 1;
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// Appends the byte of a name that stands there, cleaned and escaped.
fn name_byte(out: &mut Vec<u8>, name: &[u8], at: usize) {
    match name[at] {
        b'%' if !is_percent_encoded(name, at) => out.push(b'%'),
        byte if is_separator(byte) => out.extend_from_slice(&[b'\\', byte]),
        byte => percent(out, byte),
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b',' | b' ' | b'=')
}

fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

/// `%` is among them because it may need encoding itself.
fn is_unspeakable(byte: u8) -> bool {
    is_control(byte) || byte == b'\\' || byte == b'%'
}

fn is_special_in_name(byte: u8) -> bool {
    is_separator(byte) || is_unspeakable(byte)
}

/// Whether the `%` at this place could be taken for one that this module wrote.
fn is_percent_encoded(name: &[u8], at: usize) -> bool {
    matches!(name.get(at + 1..at + 3), Some([high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

fn percent(out: &mut Vec<u8>, byte: u8) {
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
