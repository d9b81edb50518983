//! Names (buckets, upstreams) as small numbers.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::OnceLock,
};

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Gives each distinct name a number, in the order of arrival. Names are bytes in one arena: nothing is allocated for a
/// name that is known. The hashes are keyed anew in each process, so that nobody can invent names that collide; no order
/// depends on them.
#[derive(Clone, Debug)]
pub struct Names {
    seed: u64,
    arena: Vec<u8>,
    /// `ends[i]` is where name `i` ends in the arena; it begins where the one before ends.
    ends: Vec<u32>,
    table: HashTable<u32>,
}

impl Default for Names {
    fn default() -> Self {
        static SEED: OnceLock<u64> = OnceLock::new();
        let seed = *SEED.get_or_init(|| RandomState::new().hash_one(0));
        Self { seed, arena: Vec::new(), ends: Vec::new(), table: HashTable::new() }
    }
}

impl Names {
    /// The number of a name, new or known.
    pub fn intern(&mut self, name: &[u8]) -> u32 {
        let hash = xxh3_64_with_seed(name, self.seed);
        self.find(name, hash).unwrap_or_else(|| self.insert(name, hash))
    }

    /// The number of a known name, or of a new one that is welcome: `welcome` is asked with how many there are.
    #[inline]
    pub fn find_or_insert(&mut self, name: &[u8], welcome: impl FnOnce(usize) -> bool) -> Option<u32> {
        let hash = xxh3_64_with_seed(name, self.seed);
        self.find(name, hash).or_else(|| welcome(self.len()).then(|| self.insert(name, hash)))
    }

    #[inline]
    fn find(&self, name: &[u8], hash: u64) -> Option<u32> {
        let (arena, ends) = (&self.arena, &self.ends);
        self.table.find(hash, |id| slice(arena, ends, *id) == name).copied()
    }

    #[cold]
    fn insert(&mut self, name: &[u8], hash: u64) -> u32 {
        let id = self.ends.len() as u32;
        self.arena.extend_from_slice(name);
        self.ends.push(self.arena.len() as u32);
        let (arena, ends, seed) = (&self.arena, &self.ends, self.seed);
        self.table.insert_unique(hash, id, |id| xxh3_64_with_seed(slice(arena, ends, *id), seed));
        id
    }

    /// The name of a number that [`intern`](Self::intern) gave.
    pub fn get(&self, id: u32) -> &[u8] {
        slice(&self.arena, &self.ends, id)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All of them, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len() as u32).map(|id| self.get(id))
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.ends.clear();
        self.table.clear();
    }
}

fn slice<'a>(arena: &'a [u8], ends: &[u32], id: u32) -> &'a [u8] {
    let begin = id.checked_sub(1).map_or(0, |before| ends[before as usize]);
    &arena[begin as usize..ends[id as usize] as usize]
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
}
