//! As much JSON as RGW's ops log needs, without a copy: texts as they stand, escapes and all.

use super::START;

/// A place in a text that should be JSON.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json<'a> {
    text: &'a [u8],
    pub(super) at: usize,
}

/// A value, not looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Between its quotes, escaped.
    Text(&'a [u8]),
    /// A number, or `true`, `false`, `null`.
    Word(&'a [u8]),
    /// An object or a list.
    Nested,
}

impl<'a> Value<'a> {
    /// The text, or the word: RGW writes the status, a number, as a text.
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) | Self::Word(text) => text,
            Self::Nested => b"",
        }
    }
}

impl<'a> Json<'a> {
    pub(super) fn new(text: &'a [u8], at: usize) -> Self {
        Self { text, at }
    }

    /// Takes this byte, after blanks, if it is there.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> Option<()> {
        if self.peek()? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// The next byte that is no blank.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// A text, without its quotes.
    #[inline]
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            let found = self.at + memchr::memchr2(b'"', b'\\', self.text.get(self.at..)?)?;
            if self.text[found] == b'"' {
                self.at = found + 1;
                return Some(&self.text[start..found]);
            }
            self.at = found + 2;
        }
    }

    /// Any value.
    #[inline]
    pub(super) fn value(&mut self) -> Option<Value<'a>> {
        match self.peek()? {
            b'"' => self.text().map(Value::Text),
            b'{' | b'[' => self.nested().map(|()| Value::Nested),
            _ => self.word().map(Value::Word),
        }
    }

    fn word(&mut self) -> Option<&'a [u8]> {
        let rest = &self.text[self.at..];
        let length =
            rest.iter().take_while(|byte| matches!(byte, b'-' | b'+' | b'.') || byte.is_ascii_alphanumeric());
        let (word, _) = rest.split_at(length.count());
        self.at += word.len();
        (!word.is_empty()).then_some(word)
    }

    /// Over an object or a list, however deep, without a stack: all that counts is where it ends. Not over the start of
    /// another entry, which shows that this one was torn.
    fn nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.text.get(self.at)? {
                b'"' => {
                    self.text()?;
                    continue;
                }
                b'{' if self.text[self.at..].starts_with(START) => return None,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }
}
