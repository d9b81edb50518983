//! Names (buckets, upstreams) as small numbers.

use std::{hash::BuildHasher as _, sync::OnceLock};

use foldhash::fast::RandomState;

/// Gives each distinct name a number, in the order of arrival. Names are bytes in one arena: nothing is allocated for a
/// name that is known. The hashes are keyed anew in each process, so that nobody can invent names that collide; no order
/// depends on them.
#[derive(Clone, Debug)]
pub struct Names {
    keys: Keys,
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
    fn new(hash: u64, name: &[u8]) -> Self {
        Self((hash | 1 << 16) & !(Self::LENGTH as u64) | name.len().min(Self::LENGTH) as u64)
    }
}

impl Names {
    /// The number of a name, new or known.
    pub fn intern(&mut self, name: &[u8]) -> u32 {
        self.find(name).unwrap_or_else(|| self.insert(name))
    }

    /// The number of a known name.
    #[inline(always)]
    pub fn find(&self, name: &[u8]) -> Option<u32> {
        let hash = self.keys.hash(name);
        let (mark, last) = (Mark::new(hash, name), self.slots.len().wrapping_sub(1));
        let mut at = hash as usize;
        loop {
            let slot = self.slots.get(at & last)?;
            if slot.mark == mark && self.is_at(slot, name) {
                return Some(slot.id);
            }
            if slot.mark == Mark::FREE {
                return None;
            }
            at += 1;
        }
    }

    /// Whether it is the name of a slot with its mark.
    #[inline(always)]
    fn is_at(&self, slot: &Slot, name: &[u8]) -> bool {
        let begin = slot.begin as usize;
        let is_whole = || self.get(slot.id).len() == name.len();
        self.arena.get(begin..begin + name.len()).is_some_and(|there| is_same(there, name))
            && (name.len() < Mark::LENGTH || is_whole())
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
        self.places.push(Place { begin, end: self.arena.len() as u32 });
        self.put(id);
        id
    }

    /// Puts a name into the first slot that is free.
    fn put(&mut self, id: u32) {
        let (name, begin) = (self.get(id), self.places[id as usize].begin);
        let hash = self.keys.hash(name);
        let slot = Slot { mark: Mark::new(hash, name), begin, id };
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
            *head = Head::of(&self.get(head.id)[begin..], head.id);
        }
        heads.sort_unstable_by_key(|head| (head.bytes, head.left));
        let same = |a: &Head, b: &Head| (a.bytes, a.left) == (b.bytes, b.left);
        for alike in heads.chunk_by_mut(same).filter(|alike| alike.len() > 1) {
            self.sort(alike, begin + Head::BYTES);
        }
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

    /// Sixteen bytes at a time, in place: names are a few words long, and a call takes as long as to hash them.
    #[inline(always)]
    fn hash(self, name: &[u8]) -> u64 {
        let start = self.start ^ name.len() as u64;
        if let Some(last) = name.last_chunk() {
            let hash = name.as_chunks().0.iter().fold(start, |hash, chunk| self.mix(hash, chunk));
            return self.mix(hash, last);
        }
        let mut all = [0; 16];
        if let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
            all[..8].copy_from_slice(first);
            all[8..].copy_from_slice(last);
        } else {
            all.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
        }
        self.mix(start, &all)
    }

    #[inline(always)]
    fn mix(self, hash: u64, bytes: &[u8; 16]) -> u64 {
        let bytes = u128::from_le_bytes(*bytes);
        fold(bytes as u64 ^ hash, (bytes >> 64) as u64 ^ self.factor)
    }
}

/// Both halves of the product of two numbers, one upon the other: each bit depends on all bits of both.
#[inline(always)]
pub(super) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Whether two names are the same, without a call: most are a few words long.
#[inline(always)]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if let (Some(last_a), Some(last_b)) = (a.last_chunk::<16>(), b.last_chunk::<16>()) {
        return last_a == last_b && a.as_chunks::<16>().0.iter().eq(b.as_chunks::<16>().0);
    }
    match (a.first_chunk::<8>(), b.first_chunk::<8>(), a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(first_a), Some(first_b), Some(last_a), Some(last_b)) => first_a == first_b && last_a == last_b,
        _ => a.iter().eq(b),
    }
}

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

    #[inline]
    fn of(name: &[u8], id: u32) -> Self {
        let mut bytes = [0; Self::BYTES];
        for (to, from) in bytes.iter_mut().zip(name) {
            *to = *from;
        }
        Self { bytes: u64::from_be_bytes(bytes), left: name.len().min(Self::BYTES + 1) as u32, id }
    }
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
        fn names_are_sorted_as_bytes_are(names in proptest::collection::btree_set("(bucket-)?[a-c\\x00]{0,12}", 0..60)) {
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
        let name: Vec<u8> = (0..40).collect();
        for length in 0..name.len() {
            assert!(is_same(&name[..length], &name[..length]));
            assert!(!is_same(&name[..length], &name[..=length]));
            for at in 0..length {
                let mut other = name[..length].to_vec();
                other[at] ^= 1;
                assert!(!is_same(&name[..length], &other), "{length} {at}");
            }
        }
    }
}
