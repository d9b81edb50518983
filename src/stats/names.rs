//! Names (buckets, upstreams) as small numbers.

use std::{hash::BuildHasher as _, hint::black_box, sync::OnceLock};

use foldhash::fast::RandomState;

/// Gives each distinct name a number, in the order of arrival. Names are bytes in one arena: nothing is allocated for a
/// name that is known. The hashes are keyed anew in each process, so that nobody can invent names that collide; no order
/// depends on them.
#[derive(Clone, Debug)]
pub struct Names {
    keys: Keys,
    /// With zeros after each name: a short one can be looked at as a whole, and any eight bytes at once.
    arena: Vec<u8>,
    /// Where name `i` is in the arena.
    places: Vec<Place>,
    /// A power of two, or none; at most half of them are taken. A name is in the first one that was free, from where its hash
    /// leads on. Every line asks for a name, and of all that hash tables can do it needs only this: in two
    /// thirds of the instructions that a general one takes.
    slots: Vec<Slot>,
}

impl Default for Names {
    fn default() -> Self {
        static KEYS: OnceLock<Keys> = OnceLock::new();
        Self { keys: *KEYS.get_or_init(Keys::new), arena: Vec::new(), places: Vec::new(), slots: Vec::new() }
    }
}

/// A name in the table.
#[derive(Clone, Copy, Debug)]
struct Slot {
    mark: Mark,
    /// Where the name begins in the arena, once more: what is fetched to find it should not have to say where else to look.
    begin: u32,
    id: u32,
}

impl Slot {
    const FREE: Self = Self { mark: Mark::FREE, begin: 0, id: 0 };
}

/// What nearly always differs between names: their lengths, and most bits of their hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark(u64);

impl Mark {
    /// Of no name: there is none without a bit of a hash.
    const FREE: Self = Self(0);
    /// The bits for the length.
    const LENGTH: usize = 0xffff;

    #[inline(always)]
    fn new(hash: u64, length: usize) -> Self {
        Self((hash | 1 << 16) & !(Self::LENGTH as u64) | length.min(Self::LENGTH) as u64)
    }
}

impl Names {
    /// The number of a name, new or known.
    pub fn intern(&mut self, name: &[u8]) -> u32 {
        self.find(name).unwrap_or_else(|| self.insert(name))
    }

    /// The number of a known name.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<u32> {
        match Short::new(name) {
            Some(short) => self.find_short(self.hash_short(&short), &short),
            None => {
                self.find_by(self.keys.hash(name), name.len(), |begin| self.arena[begin..].starts_with(name))
            }
        }
    }

    /// The same of a short one with this hash: nothing depends on how long it is, which nobody can predict.
    #[inline(always)]
    pub(super) fn find_short(&self, hash: u64, name: &Short) -> Option<u32> {
        self.find_by(hash, name.length, |begin| {
            self.arena.get(begin..).and_then(|there| there.first_chunk()) == Some(&name.padded)
        })
    }

    /// The hash of a short name.
    #[inline(always)]
    pub(super) fn hash_short(&self, name: &Short) -> u64 {
        self.keys.hash_short(name)
    }

    /// Looks where a name with this hash is looked for first, and says where in the arena one may stand. What is looked at for
    /// many names one right after the other, the processor fetches side by side, which it could not while it does more
    /// with each: with 20,000 buckets, a tenth of the time that a line takes.
    #[inline(always)]
    pub(super) fn fetch_slot(&self, hash: u64) -> u32 {
        self.slots.get(hash as usize & self.slots.len().wrapping_sub(1)).map_or(0, |slot| slot.begin)
    }

    /// Looks at names that stand there.
    #[inline(always)]
    pub(super) fn fetch(&self, begins: &[u32]) {
        let first = |begin: &u32| self.arena.get(*begin as usize).copied().unwrap_or(0);
        black_box(begins.iter().fold(0, |seen, begin| seen ^ first(begin)));
    }

    /// The number of the name with this hash and length that stands in the arena as it should.
    #[inline(always)]
    fn find_by(&self, hash: u64, length: usize, is_at: impl Fn(usize) -> bool) -> Option<u32> {
        let (mark, last) = (Mark::new(hash, length), self.slots.len().wrapping_sub(1));
        let mut at = hash as usize;
        loop {
            let slot = self.slots.get(at & last)?;
            let is_whole = || length < Mark::LENGTH || self.get(slot.id).len() == length;
            if slot.mark == mark && is_at(slot.begin as usize) && is_whole() {
                return Some(slot.id);
            }
            if slot.mark == Mark::FREE {
                return None;
            }
            at += 1;
        }
    }

    /// Gives a name that is [not known](Self::find) a number.
    #[cold]
    #[inline(never)]
    pub(super) fn insert(&mut self, name: &[u8]) -> u32 {
        if 2 * (self.len() + 1) > self.slots.len() {
            self.grow();
        }
        let (id, begin) = (self.places.len() as u32, self.arena.len() as u32);
        self.arena.extend_from_slice(name);
        let length = name.len().max(Short::LONGEST).next_multiple_of(Head::BYTES);
        self.arena.resize(begin as usize + length, 0);
        self.places.push(Place { begin, end: begin + name.len() as u32 });
        self.put(id);
        id
    }

    /// Puts a name into the first slot that is free.
    fn put(&mut self, id: u32) {
        let (name, begin) = (self.get(id), self.places[id as usize].begin);
        let hash = self.keys.hash(name);
        let slot = Slot { mark: Mark::new(hash, name.len()), begin, id };
        let last = self.slots.len() - 1;
        let mut at = hash as usize;
        while self.slots[at & last].mark != Mark::FREE {
            at += 1;
        }
        self.slots[at & last] = slot;
    }

    fn grow(&mut self) {
        let slots = (2 * self.slots.len()).max(16);
        self.slots.clear();
        self.slots.resize(slots, Slot::FREE);
        (0..self.places.len() as u32).for_each(|id| self.put(id));
    }

    /// The name of a number that [`intern`](Self::intern) gave.
    pub fn get(&self, id: u32) -> &[u8] {
        self.places[id as usize].of(&self.arena)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All of them, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.places.len() as u32).map(|id| self.get(id))
    }

    /// The numbers of all of them, in the order of the names.
    pub fn sorted(&self) -> Vec<u32> {
        let mut heads: Vec<Head> = (0..self.len() as u32).map(|id| Head { id, ..Head::default() }).collect();
        self.sort(&mut heads, 0);
        heads.into_iter().map(|head| head.id).collect()
    }

    /// Sorts names that are the same up to `begin`. Names of one site begin alike: they are sorted by eight bytes at a time,
    /// which stand beside each other, where the names themselves are all over the arena.
    fn sort(&self, heads: &mut [Head], begin: usize) {
        for head in &mut *heads {
            *head = self.head(head.id, begin);
        }
        heads.sort_unstable_by_key(|head| (head.bytes, head.left));
        let same = |a: &Head, b: &Head| (a.bytes, a.left) == (b.bytes, b.left);
        for alike in heads.chunk_by_mut(same).filter(|alike| alike.len() > 1) {
            self.sort(alike, begin + Head::BYTES);
        }
    }

    /// What comes after `begin` bytes of a name.
    #[inline]
    fn head(&self, id: u32, begin: usize) -> Head {
        let Place { begin: at, end } = self.places[id as usize];
        let left = (end - at) as usize - begin;
        let bytes = self.arena.get(at as usize + begin..).and_then(|rest| rest.first_chunk());
        let bytes = bytes.filter(|_| left > 0).map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Head { bytes, left: left.min(Head::BYTES + 1) as u32, id }
    }

    /// Forgets all, keeps the memory that as many need again.
    pub fn clear(&mut self) {
        self.slots.truncate((4 * self.len()).next_power_of_two());
        self.slots.fill(Slot::FREE);
        self.arena.clear();
        self.places.clear();
    }
}

/// What hashes are keyed with.
#[derive(Clone, Copy, Debug)]
struct Keys {
    start: u64,
    factor: u64,
}

impl Keys {
    fn new() -> Self {
        let state = RandomState::default();
        Self { start: state.hash_one(0), factor: state.hash_one(1) }
    }

    /// Of any name: sixteen bytes at a time; of one that is not short, the last ones with some before them.
    fn hash(self, name: &[u8]) -> u64 {
        if let Some(short) = Short::new(name) {
            return self.hash_short(&short);
        }
        let start = self.start ^ name.len() as u64;
        let chunks = name.as_chunks().0.iter().chain(name.last_chunk());
        chunks.fold(start, |hash, chunk| self.mix(hash, chunk))
    }

    /// Of a short one.
    #[inline(always)]
    fn hash_short(self, name: &Short) -> u64 {
        let start = self.start ^ name.length as u64;
        name.padded.as_chunks().0.iter().fold(start, |hash, chunk| self.mix(hash, chunk))
    }

    #[inline(always)]
    fn mix(self, hash: u64, bytes: &[u8; 16]) -> u64 {
        let bytes = u128::from_le_bytes(*bytes);
        fold(bytes as u64 ^ hash, (bytes >> 64) as u64 ^ self.factor)
    }
}

/// Both halves of the product of two numbers, one upon the other: each bit depends on all bits of both.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// A name of at most [`LONGEST`](Self::LONGEST) bytes, with zeros after it: as nearly all are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Short {
    pub(super) padded: [u8; Self::LONGEST],
    pub(super) length: usize,
}

impl Short {
    pub(super) const LONGEST: usize = 32;

    /// The name of this length at the start of a text.
    #[inline(always)]
    pub(super) fn within(text: &[u8; Self::LONGEST], length: usize) -> Self {
        let mut padded = *text;
        for (byte, kept) in padded.iter_mut().zip(KEPT[length.min(Self::LONGEST)]) {
            *byte &= kept;
        }
        Self { padded, length }
    }

    /// The name, if it is short.
    #[inline]
    pub(super) fn new(name: &[u8]) -> Option<Self> {
        const HALF: usize = Short::LONGEST / 2;
        let mut padded = [0; Self::LONGEST];
        // As few copies of known length as there can be: one of any length is a call.
        if let (Some(first), Some(last)) = (name.first_chunk::<HALF>(), name.last_chunk::<HALF>()) {
            padded[..HALF].copy_from_slice(first);
            padded.get_mut(name.len() - HALF..name.len())?.copy_from_slice(last);
        } else if let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
            padded[..8].copy_from_slice(first);
            padded[name.len() - 8..name.len()].copy_from_slice(last);
        } else {
            padded.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
        }
        Some(Self { padded, length: name.len() })
    }
}

/// By the length of a name, all bits of its bytes.
static KEPT: [[u8; Short::LONGEST]; Short::LONGEST + 1] = {
    let mut kept = [[0; Short::LONGEST]; Short::LONGEST + 1];
    let (mut length, mut at) = (0, 0);
    while length <= Short::LONGEST {
        while at < length {
            kept[length][at] = u8::MAX;
            at += 1;
        }
        (length, at) = (length + 1, 0);
    }
    kept
};

/// The next eight bytes of a name that is being sorted.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    /// As a number that sorts as they do; zeros where there are none.
    bytes: u64,
    /// How many bytes there are, more than eight as nine: of two that begin alike the shorter comes first, and no two
    /// names are the same that end within eight bytes.
    left: u32,
    id: u32,
}

impl Head {
    const BYTES: usize = 8;
}

/// Where a name is in the arena.
#[derive(Clone, Copy, Debug)]
struct Place {
    begin: u32,
    end: u32,
}

impl Place {
    #[inline]
    fn of(self, arena: &[u8]) -> &[u8] {
        &arena[self.begin as usize..self.end as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number() {
        let mut names = Names::default();
        let ids: Vec<u32> = (0..1000).map(|i| names.intern(format!("b{i}").as_bytes())).collect();
        assert_eq!(names.intern(b"b17"), ids[17]);
        assert_eq!(names.intern(b""), 1000);
        assert_eq!(names.get(ids[999]), b"b999");
        assert_eq!(names.iter().count(), names.len());
    }

    proptest::proptest! {
        #[test]
        fn names_are_sorted_as_bytes_are(names in proptest::collection::btree_set("(bucket-)?(that-has-a-long-name-)?[a-c\\x00]{0,12}", 0..60)) {
            let mut shuffled: Vec<&String> = names.iter().collect();
            shuffled.sort_by_key(|name| std::cmp::Reverse(name.bytes().rev().collect::<Vec<u8>>()));
            let mut numbered = Names::default();
            for name in shuffled {
                numbered.intern(name.as_bytes());
            }
            let sorted: Vec<&[u8]> = numbered.sorted().into_iter().map(|id| numbered.get(id)).collect();
            proptest::prop_assert_eq!(sorted, names.iter().map(|name| name.as_bytes()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn names_are_the_same_if_all_of_them_is() {
        let name: Vec<u8> = (0..80).collect();
        for length in 0..name.len() {
            let mut names = Names::default();
            let known = names.intern(&name[..length]);
            assert_eq!(names.find(&name[..length]), Some(known));
            assert_eq!(names.find(&name[..=length]), None);
            for at in 0..length {
                let mut other = name[..length].to_vec();
                other[at] ^= 1;
                assert_eq!(names.find(&other), None, "{length} {at}");
            }
        }
    }
}
