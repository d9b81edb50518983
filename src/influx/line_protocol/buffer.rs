//! What lines are written to.

/// Bytes with room behind them that was made before it is needed: what is written there as copies of a fixed length, of
/// which only the beginning counts, takes no call and no loop.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    /// What lies beyond `length` means nothing.
    bytes: Vec<u8>,
    length: usize,
}

impl Buffer {
    const GROWTH: usize = 1 << 10;

    /// Room for at least so many bytes more. They are there once they are [added](Self::add).
    #[inline]
    pub(super) fn room(&mut self, bytes: usize) -> &mut [u8] {
        if self.bytes.len() - self.length < bytes {
            self.grow(bytes);
        }
        &mut self.bytes[self.length..]
    }

    /// Little by little: the vector has more in reserve each time, and what is not touched is no memory yet.
    #[cold]
    fn grow(&mut self, bytes: usize) {
        self.bytes.resize(self.length + bytes.max(Self::GROWTH), 0);
    }

    /// So many bytes were written to the [room](Self::room).
    #[inline]
    pub(super) fn add(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.bytes.len() - self.length, "more than there is room for");
        self.length += bytes;
    }

    #[inline]
    pub(super) fn push(&mut self, byte: u8) {
        self.room(1)[0] = byte;
        self.add(1);
    }

    #[inline]
    pub(super) fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.add(bytes.len());
    }

    /// The same of a text that is padded.
    #[inline]
    pub(super) fn extend_from_padded(&mut self, text: &Padded) {
        let room = self.room(text.chunks.len() * Padded::CHUNK);
        for (to, from) in room.as_chunks_mut().0.iter_mut().zip(&text.chunks) {
            *to = *from;
        }
        self.add(text.length);
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Forgets all after so many bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// What was written, leaving an empty buffer of the same size behind.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let next = vec![0; self.bytes.len()];
        let mut taken = std::mem::replace(&mut self.bytes, next);
        taken.truncate(std::mem::take(&mut self.length));
        taken
    }
}

/// Text that is copied again and again, in pieces of a fixed length.
#[derive(Debug, Default)]
pub(super) struct Padded {
    chunks: Vec<[u8; Self::CHUNK]>,
    length: usize,
}

impl Padded {
    const CHUNK: usize = 32;

    pub(super) fn new(text: &[u8]) -> Self {
        let mut new = Self::default();
        new.set(text);
        new
    }

    /// Another text in its place.
    pub(super) fn set(&mut self, text: &[u8]) {
        let padded = |piece: &[u8]| {
            let mut chunk = [0; Self::CHUNK];
            chunk[..piece.len()].copy_from_slice(piece);
            chunk
        };
        self.chunks.clear();
        self.chunks.extend(text.chunks(Self::CHUNK).map(padded));
        self.length = text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_that_is_written_is_there(texts in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..100), 0..5), 0..20)) {
            let (mut buffer, mut expected) = (Buffer::default(), Vec::new());
            for (text, how) in texts {
                match how {
                    0 => buffer.extend_from_slice(&text),
                    1 => buffer.extend_from_padded(&Padded::new(&text)),
                    2 => text.iter().for_each(|byte| buffer.push(*byte)),
                    3 => {
                        buffer.room(text.len())[..text.len()].copy_from_slice(&text);
                        buffer.add(text.len());
                    }
                    _ => {
                        buffer.truncate(text.len());
                        expected.truncate(text.len());
                        continue;
                    }
                }
                expected.extend(text);
                prop_assert_eq!(buffer.as_slice(), expected.as_slice());
            }
            prop_assert_eq!(buffer.take(), expected);
            prop_assert_eq!(buffer.as_slice(), b"");
        }
    }
}
