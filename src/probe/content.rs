//! What objects hold: bytes that no cache can guess and that nobody has to keep to compare them.

/// Endless bytes from a seed; any stretch of them can be made by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content {
    seed: u64,
}

impl Content {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Eight bytes of it: SplitMix64, which gives the number at any place.
    fn word(self, at: u64) -> [u8; 8] {
        let mut z = self.seed.wrapping_add(at.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31).to_le_bytes()
    }

    /// The bytes from `from` on, without end.
    fn from(self, from: u64) -> impl Iterator<Item = u8> {
        (from / 8..).flat_map(move |at| self.word(at)).skip((from % 8) as usize)
    }

    /// A stretch of it.
    pub(super) fn bytes(self, from: u64, length: usize) -> Vec<u8> {
        self.from(from).take(length).collect()
    }
}

/// Compares what comes, piece by piece.
#[derive(Debug)]
pub(super) struct Comparison {
    content: Content,
    length: u64,
    seen: u64,
    differs_at: Option<u64>,
}

impl Comparison {
    pub(super) fn new(content: Content, length: u64) -> Self {
        Self { content, length, seen: 0, differs_at: None }
    }

    /// The next piece. `false` when there is no use in reading on.
    pub(super) fn add(&mut self, piece: &[u8]) -> bool {
        let differs = self.content.from(self.seen).zip(piece).position(|(expected, got)| expected != *got);
        let over = (self.length.saturating_sub(self.seen) < piece.len() as u64).then_some(self.length);
        let differs = differs.map(|at| self.seen + at as u64);
        self.differs_at = differs.into_iter().chain(over).min();
        self.seen += piece.len() as u64;
        self.differs_at.is_none()
    }

    /// Why it is not the same.
    pub(super) fn finish(&self) -> Result<(), String> {
        match self.differs_at {
            Some(at) if at >= self.length => {
                Err(format!("more came than the {} bytes that were put", self.length))
            }
            Some(at) => Err(format!("byte {at} of {} is not the one that was put", self.length)),
            None if self.seen < self.length => {
                Err(format!("{} of the {} bytes that were put came back", self.seen, self.length))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_stretch_is_the_same_wherever_it_begins() {
        let content = Content::new(7);
        let whole = content.bytes(0, 100);
        for from in 0..50 {
            assert_eq!(content.bytes(from, 50), whole[from as usize..][..50]);
        }
        assert_ne!(whole, Content::new(8).bytes(0, 100));
    }

    #[test]
    fn every_difference_is_seen_however_it_comes() {
        let content = Content::new(7);
        let check = |bytes: &[u8], expected: Result<(), &str>| {
            for piece in [1, 7, 64, 1000] {
                let mut comparison = Comparison::new(content, 100);
                let _ = bytes.chunks(piece).all(|piece| comparison.add(piece));
                match (comparison.finish(), expected) {
                    (Ok(()), Ok(())) => {}
                    (Err(why), Err(expected)) => assert!(why.contains(expected), "{why}, not {expected}"),
                    (got, _) => panic!("{got:?}, not {expected:?}"),
                }
            }
        };
        let right = content.bytes(0, 100);
        check(&right, Ok(()));
        check(&right[..99], Err("99 of the 100"));
        check(b"", Err("0 of the 100"));
        check(&content.bytes(0, 101), Err("more came"));
        for at in [0, 50, 99] {
            let mut wrong = right.clone();
            wrong[at] ^= 1;
            check(&wrong, Err(&format!("byte {at} of")));
        }
    }
}
