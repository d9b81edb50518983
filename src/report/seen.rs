//! Which parts were added already. Windows follow one another without gaps nearly always, so stretches of time are
//! remembered, not parts: the memory grows with gaps.

use std::collections::BTreeMap;

use crate::{
    point::{Tags, TimestampMs},
    stats::{PartId, WindowKind},
};

/// Parts of one stream that can be told apart by their start alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lane {
    stream: usize,
    kind: WindowKind,
    length_ms: i64,
    k: u32,
}

/// Remembers parts by the tags of their stream and their identity.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Few: one for each log of each gateway.
    streams: Vec<Tags>,
    /// Stretches `[from, until)` of windows that were seen, by `from`.
    lanes: BTreeMap<Lane, BTreeMap<TimestampMs, TimestampMs>>,
}

impl Seen {
    /// Whether this part is new; it is not any more after this.
    pub(super) fn insert(&mut self, tags: &Tags, id: &PartId) -> bool {
        let stream = self.streams.iter().position(|known| known == tags).unwrap_or_else(|| {
            self.streams.push(tags.clone());
            self.streams.len() - 1
        });
        let lane = Lane { stream, kind: id.kind, length_ms: id.length_ms, k: id.k };
        insert(
            self.lanes.entry(lane).or_default(),
            id.start_ms,
            id.start_ms.saturating_add(id.length_ms.max(1)),
        )
    }
}

/// Adds a stretch to the others, and joins it with its neighbours; `false` if it is there already.
fn insert(stretches: &mut BTreeMap<TimestampMs, TimestampMs>, from: TimestampMs, until: TimestampMs) -> bool {
    let before = stretches.range(..=from).next_back().map(|(from, until)| (*from, *until));
    if before.is_some_and(|(_, end)| from < end) {
        return false;
    }
    let from = before.filter(|(_, end)| *end == from).map_or(from, |(begin, _)| begin);
    let until = stretches.remove(&until).unwrap_or(until);
    stretches.insert(from, until);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_are_one_stretch() {
        let mut stretches = BTreeMap::new();
        for start in [20, 0, 10, 40] {
            assert!(insert(&mut stretches, start, start + 10), "{start}");
        }
        assert_eq!(stretches, BTreeMap::from([(0, 30), (40, 50)]));
        assert!(!insert(&mut stretches, 10, 20));
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(starts in prop::collection::vec(0i64..60, 0..200)) {
            let (mut stretches, mut set) = (BTreeMap::new(), std::collections::BTreeSet::new());
            for start in starts {
                prop_assert_eq!(insert(&mut stretches, start * 10, start * 10 + 10), set.insert(start));
            }
        }
    }

    #[test]
    fn identity_is_stream_kind_length_and_k() {
        let mut seen = Seen::default();
        let tags = |node| Tags::new([("node", node)]);
        let id = PartId { kind: WindowKind::Node, start_ms: 0, length_ms: 10, k: 0 };
        assert!(seen.insert(&tags("a"), &id));
        assert!(!seen.insert(&tags("a"), &id));
        assert!(seen.insert(&tags("b"), &id));
        assert!(seen.insert(&tags("a"), &PartId { k: 1, ..id }));
        assert!(seen.insert(&tags("a"), &PartId { kind: WindowKind::Bucket, ..id }));
        assert!(seen.insert(&tags("a"), &PartId { start_ms: 10, ..id }));
        assert!(!seen.insert(&tags("a"), &PartId { k: 1, ..id }));
    }
}
