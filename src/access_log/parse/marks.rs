//! Where a block of lines has bytes that decide: found in bulk, so that no value has to be searched for its end.
//!
//! To search each value on its own costs more than everything else that is done with it: a call, a loop that is left
//! after a few bytes, a branch that nobody can predict. Sixteen bytes are compared at once instead, all of the block
//! in one go, and what matches is written down.

use fearless_simd::{Level, Simd, dispatch, mask8x64, prelude::*, u8x64};

use crate::access_log::scan::Set;

/// Positions of all marks in a block of whole lines, ascending. A mark is a quote, a backslash, a newline or a byte 0. So
/// between two marks is text that nginx did not have to escape and that ends no line, and a line whose marks are the
/// quotes of its format and its newline says its values as they are.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    /// What this processor can do.
    level: Level,
    /// More than there are; what stands behind them means nothing.
    at: Vec<u32>,
}

impl Default for Marks {
    fn default() -> Self {
        Self { level: Level::new(), at: Vec::new() }
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
    pub(super) fn find(&mut self, block: &[u8]) -> &[u32] {
        self.make_room(block.len() + STRIDE);
        let found = dispatch!(self.level, simd => find(simd, block, &mut self.at));
        &self.at[..found]
    }

    /// Room for as many marks. Memory that nobody has written to yet costs nothing, so all bytes of a block may be marks.
    fn make_room(&mut self, marks: usize) {
        if self.at.len() < marks {
            self.at = vec![0; marks.next_power_of_two()];
        }
    }
}

/// Writes down the marks of a block, and gives how many there are.
#[inline(always)]
fn find<S: Simd>(simd: S, block: &[u8], at: &mut [u32]) -> usize {
    let room = at.len();
    let mut free = at;
    let (strides, rest) = block.as_chunks::<STRIDE>();
    let mut base = 0;
    for stride in strides {
        free = note(simd, free, base, stride);
        base += STRIDE as u32;
    }
    if !rest.is_empty() {
        let mut last = [b' '; STRIDE];
        last[..rest.len()].copy_from_slice(rest);
        free = note(simd, free, base, &last);
    }
    room - free.len()
}

/// Writes down the marks of a stride that begins at `base`. Gives what is still free after them.
#[inline(always)]
fn note<'a, S: Simd>(simd: S, free: &'a mut [u32], base: u32, stride: &[u8; STRIDE]) -> &'a mut [u32] {
    let marked = marked(simd, stride);
    let mut bits = marked.to_bitmask();
    let count = bits.count_ones() as usize;
    let Some(slots) = free.first_chunk_mut::<STRIDE>() else { return free };
    if can_compress(simd.level()) && count <= COMPRESSED {
        let places: [u8; STRIDE] = u8x64::simd_from(simd, PLACES).compress(marked).into();
        for (slot, place) in slots[..COMPRESSED].iter_mut().zip(places) {
            *slot = base + u32::from(place);
        }
    } else {
        let mut put = |slots: &mut [u32; AT_ONCE]| {
            for slot in slots {
                *slot = base + bits.trailing_zeros();
                bits &= bits.wrapping_sub(1);
            }
        };
        // A few more than there are cost less than a loop that ends at another place each time.
        let (slots, _) = slots.as_chunks_mut::<AT_ONCE>();
        put(&mut slots[0]);
        if count > AT_ONCE {
            slots[1..count.div_ceil(AT_ONCE)].iter_mut().for_each(put);
        }
    }
    &mut free[count..]
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

/// Which bytes of the stride are marks.
#[inline(always)]
fn marked<S: Simd>(simd: S, stride: &[u8; STRIDE]) -> mask8x64<S> {
    const MARKS: Set = Set::of(b"\0\n\"\\");
    MARKS.among(simd, stride)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_mark(byte: u8) -> bool {
        matches!(byte, b'"' | b'\\' | b'\n' | 0)
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
            let expected: Vec<u32> = (0..block.len() as u32).filter(|at| is_mark(block[*at as usize])).collect();
            prop_assert_eq!(marks.find(&block), expected);
        }
    }
}
