//! The texts of an event, in one piece of memory: an allocation for each of them took longer than to make them.

/// How many texts there are.
const TEXTS: usize = 6;

/// The texts of an [`Event`](super::Event), in the order of [`Texts::NAMES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    all: String,
    /// Where each ends; it begins where the one before ends.
    ends: [usize; TEXTS],
}

impl Texts {
    /// What they are.
    pub const NAMES: [&str; TEXTS] = ["bucket", "object", "method", "uri", "remote_addr", "user_agent"];
    /// Longest of them, bytes.
    const LONGEST: [usize; TEXTS] = [320, 1024, 32, 1024, 64, 256];

    /// These.
    pub fn new(texts: [&str; TEXTS]) -> Self {
        Self::collect(texts, |all, _, text| all.push_str(text))
    }

    /// These, so that they can be shown anywhere, and none is longer than it may be.
    pub(super) fn printable(texts: [&[u8]; TEXTS]) -> Self {
        Self::collect(texts, |all, at, text| push_printable(all, &text[..text.len().min(Self::LONGEST[at])]))
    }

    fn collect<T: AsRef<[u8]>>(texts: [T; TEXTS], push: impl Fn(&mut String, usize, T)) -> Self {
        let length =
            texts.iter().zip(Self::LONGEST).map(|(text, longest)| text.as_ref().len().min(longest)).sum();
        let mut made = Self { all: String::with_capacity(length), ends: [0; TEXTS] };
        for (at, text) in texts.into_iter().enumerate() {
            push(&mut made.all, at, text);
            made.ends[at] = made.all.len();
        }
        made
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut begin = 0;
        self.ends.iter().map(move |end| &self.all[std::mem::replace(&mut begin, *end)..*end])
    }

    /// The one of this name; empty if there is none.
    pub fn get(&self, name: &str) -> &str {
        Self::NAMES.iter().zip(self.iter()).find(|(known, _)| **known == name).map_or("", |(_, text)| text)
    }
}

/// Adds text, control characters and what is no UTF-8 replaced, cut at a character.
fn push_printable(all: &mut String, bytes: &[u8]) {
    // Nearly always. All bytes are looked at, many at a time, where to stop at one would be to look at each.
    let is_plain = bytes.iter().fold(true, |is_plain, byte| is_plain & matches!(byte, b' '..=b'~'));
    match str::from_utf8(bytes) {
        Ok(text) if is_plain => all.push_str(text),
        _ => {
            let text = String::from_utf8_lossy(bytes);
            all.extend(text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_are_those_that_were_put_in(texts in prop::array::uniform6(".{0,9}")) {
            let all = Texts::new(texts.each_ref().map(String::as_str));
            prop_assert!(all.iter().eq(&texts));
            prop_assert!(Texts::NAMES.iter().zip(&texts).all(|(name, text)| all.get(name) == text));
            prop_assert_eq!(all.get("verdict"), "");
        }

        #[test]
        fn printable_texts_have_no_control_characters_and_an_end(texts in prop::array::uniform6(prop::collection::vec(any::<u8>(), 0..1_100))) {
            let all = Texts::printable(texts.each_ref().map(Vec::as_slice));
            for ((shown, text), longest) in all.iter().zip(&texts).zip(Texts::LONGEST) {
                prop_assert!(!shown.chars().any(char::is_control));
                let cut = &text[..text.len().min(longest)];
                let expected = String::from_utf8_lossy(cut);
                prop_assert_eq!(shown.chars().count(), expected.chars().count());
            }
        }
    }

    #[test]
    fn plain_text_stays_and_other_text_is_shown() {
        let all = Texts::printable([b"b", b"a \xf0\x9f\x97\x83 of \xff", b"GET\0", b"/b/k", b"::1", b""]);
        let expected = ["b", "a \u{1F5C3} of \u{fffd}", "GET\u{fffd}", "/b/k", "::1", ""];
        assert!(all.iter().eq(expected), "{all:?}");
    }
}
