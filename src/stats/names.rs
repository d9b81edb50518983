//! Names (buckets, upstreams) as small numbers.

use std::{
    hash::{BuildHasher as _, Hasher as _},
    sync::OnceLock,
};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Gives each distinct name a number, in the order of arrival. Names are bytes in one arena: nothing is allocated for a
/// name that is known. The hashes are keyed anew in each process, so that nobody can invent names that collide; no order
/// depends on them.
#[derive(Clone, Debug)]
pub struct Names {
    state: RandomState,
    arena: Vec<u8>,
    /// Where name `i` is in the arena.
    places: Vec<Place>,
    /// With the places once more: what is fetched to find a name should not have to say where else to look.
    table: HashTable<(Place, u32)>,
}

impl Default for Names {
    fn default() -> Self {
        static STATE: OnceLock<RandomState> = OnceLock::new();
        let state = STATE.get_or_init(RandomState::default).clone();
        Self { state, arena: Vec::new(), places: Vec::new(), table: HashTable::new() }
    }
}

impl Names {
    /// The number of a name, new or known.
    pub fn intern(&mut self, name: &[u8]) -> u32 {
        let hash = hash(&self.state, name);
        self.find(name, hash).unwrap_or_else(|| self.insert(name, hash))
    }

    /// The number of a known name, or of a new one that is welcome: `welcome` is asked with how many there are.
    #[inline]
    pub fn find_or_insert(&mut self, name: &[u8], welcome: impl FnOnce(usize) -> bool) -> Option<u32> {
        let hash = hash(&self.state, name);
        self.find(name, hash).or_else(|| welcome(self.len()).then(|| self.insert(name, hash)))
    }

    #[inline]
    fn find(&self, name: &[u8], hash: u64) -> Option<u32> {
        let arena = &self.arena;
        self.table.find(hash, |(place, _)| is_same(place.of(arena), name)).map(|(_, id)| *id)
    }

    #[cold]
    fn insert(&mut self, name: &[u8], of: u64) -> u32 {
        let id = self.places.len() as u32;
        let place = Place { begin: self.arena.len() as u32, end: (self.arena.len() + name.len()) as u32 };
        self.arena.extend_from_slice(name);
        self.places.push(place);
        let (arena, state) = (&self.arena, &self.state);
        self.table.insert_unique(of, (place, id), |(place, _)| hash(state, place.of(arena)));
        id
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

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.places.clear();
        self.table.clear();
    }
}

#[inline]
fn hash(state: &RandomState, name: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write(name);
    hasher.finish()
}

/// Whether two names are the same, without a call: most are a few words long.
#[inline]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(last_a), Some(last_b)) => {
            last_a == last_b && a.as_chunks::<8>().0.iter().eq(b.as_chunks::<8>().0)
        }
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
