//! Where a block of lines has bytes that decide: found in bulk, so that no value has to be searched for its end.
//!
//! To search each value on its own costs more than everything else that is done with it: a call, a loop that is left
//! after a few bytes, a branch that nobody can predict. Sixteen bytes are compared at once instead, all of the block
//! in one go, and what matches is written down.

use fearless_simd::{Level, Simd, dispatch, mask8x64, prelude::*, u8x64};

/// Positions of all marks in a block of whole lines, ascending. A mark is a quote, a backslash or a control character. So
/// between two marks is text that nginx did not have to escape and that ends no line, and a line whose marks are the
/// quotes of its format and its newline says its values as they are.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    /// What this processor can do.
    level: Level,
    at: Vec<u32>,
    len: usize,
}

impl Default for Marks {
    fn default() -> Self {
        Self { level: Level::new(), at: Vec::new(), len: 0 }
    }
}

/// Bytes looked at before marks are written down.
const STRIDE: usize = 64;
/// Marks written down at once: nearly always all of a stride.
const AT_ONCE: usize = 4;
/// The same where a processor can put positions side by side.
const COMPRESSED: usize = 16;

impl Marks {
    /// Finds the marks of a block.
    pub(super) fn find(&mut self, block: &[u8]) {
        self.len = 0;
        dispatch!(self.level, simd => self.find_with(simd, block));
    }

    #[inline(always)]
    fn find_with<S: Simd>(&mut self, simd: S, block: &[u8]) {
        // In a register, where it is not if it stays a field.
        let mut len = 0;
        let (strides, rest) = block.as_chunks::<STRIDE>();
        for (number, stride) in strides.iter().enumerate() {
            len += note(simd, &mut self.at, len, number * STRIDE, stride);
        }
        if !rest.is_empty() {
            let mut last = [b' '; STRIDE];
            last[..rest.len()].copy_from_slice(rest);
            len += note(simd, &mut self.at, len, strides.len() * STRIDE, &last);
        }
        self.len = len;
    }

    /// The positions.
    #[inline]
    pub(super) fn as_slice(&self) -> &[u32] {
        &self.at[..self.len]
    }
}

/// Writes down, from `len` on, the marks of a stride that begins at `base`. Gives how many there are.
#[inline(always)]
fn note<S: Simd>(simd: S, at: &mut Vec<u32>, len: usize, base: usize, stride: &[u8; STRIDE]) -> usize {
    let marked = marked(simd, stride);
    let mut bits = marked.to_bitmask();
    let count = bits.count_ones() as usize;
    if at.len() < len + STRIDE {
        grow(at, len + STRIDE);
    }
    let Some(slots) = at.get_mut(len..).and_then(|rest| rest.first_chunk_mut::<STRIDE>()) else { return 0 };
    if can_compress(simd.level()) && count <= COMPRESSED {
        let places: [u8; STRIDE] = u8x64::simd_from(simd, PLACES).compress(marked).into();
        for (slot, place) in slots[..COMPRESSED].iter_mut().zip(places) {
            *slot = base as u32 + u32::from(place);
        }
        return count;
    }
    // A few more than there are cost less than a loop that ends at another place each time.
    for slots in slots.as_chunks_mut::<AT_ONCE>().0 {
        for slot in slots {
            *slot = base as u32 + bits.trailing_zeros();
            bits &= bits.wrapping_sub(1);
        }
        if bits == 0 {
            break;
        }
    }
    count
}

/// The places in a stride.
const PLACES: [u8; STRIDE] = {
    let mut places = [0; STRIDE];
    let mut at = 0;
    while at < STRIDE {
        places[at] = at as u8;
        at += 1;
    }
    places
};

/// Whether a processor puts what is marked side by side in one go: elsewhere that is a detour.
#[inline(always)]
fn can_compress(level: Level) -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return matches!(level, Level::Avx512(_));
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    return false;
}

#[cold]
#[inline(never)]
fn grow(at: &mut Vec<u32>, needed: usize) {
    at.resize(needed.max(2 * at.len()), 0);
}

/// Which bytes of the stride are marks.
#[inline(always)]
fn marked<S: Simd>(simd: S, stride: &[u8; STRIDE]) -> mask8x64<S> {
    let text = u8x64::simd_from(simd, *stride);
    text.simd_eq(b'"') | text.simd_eq(b'\\') | text.simd_lt(b' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_mark(byte: u8) -> bool {
        matches!(byte, b'"' | b'\\' | ..=0x1f)
    }

    #[test]
    fn every_byte_in_every_place_is_a_mark_or_not() {
        for byte in 0..=u8::MAX {
            for place in 0..STRIDE {
                let mut stride = [b'a'; STRIDE];
                stride[place] = byte;
                let bits = dispatch!(Level::new(), simd => marked(simd, &stride).to_bitmask());
                assert_eq!(bits, u64::from(is_mark(byte)) << place, "{byte:#x} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn finds_all_marks_and_nothing_else(
            block in prop::collection::vec(prop_oneof![8 => 0x20u8..0x7f, 2 => prop::sample::select(b"\"\\\n\0\x1f \x7f\x80\xff".as_slice())], 0..700),
            before in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut marks = Marks::default();
            marks.find(&before);
            marks.find(&block);
            let expected: Vec<u32> = (0..block.len() as u32).filter(|at| is_mark(block[*at as usize])).collect();
            prop_assert_eq!(marks.as_slice(), expected);
        }
    }
}
