//! Names in one piece of memory: of thousands of buckets each window has a list of its own.

/// Names by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NameList {
    /// One after the other.
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl NameList {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The name of a number, if there is one.
    #[inline]
    pub(super) fn get(&self, number: usize) -> Option<&[u8]> {
        let end = *self.ends.get(number)?;
        let begin = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[begin..end])
    }

    /// All of them, by number.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        let mut begin = 0;
        self.ends.iter().map(move |end| &self.bytes[std::mem::replace(&mut begin, *end)..*end])
    }

    /// Gives the next number to a name.
    pub(super) fn push(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.ends.push(self.bytes.len());
    }
}

impl<'a> FromIterator<&'a [u8]> for NameList {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(names: I) -> Self {
        let mut list = Self::default();
        names.into_iter().for_each(|name| list.push(name));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_list_is_what_was_put_into_it(names in prop::collection::vec("[a-c]{0,5}", 0..20)) {
            let names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
            let list: NameList = names.iter().copied().collect();
            prop_assert_eq!(list.len(), names.len());
            prop_assert!(list.iter().eq(names.iter().copied()));
            prop_assert!((0..=names.len()).all(|number| list.get(number) == names.get(number).copied()));
        }
    }
}
