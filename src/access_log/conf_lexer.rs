//! nginx's rules for words, quotes and comments in its configuration, as `ngx_conf_read_token` has them.

use std::fmt;

/// Where in a text: line and column from 1, columns in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Byte in the line, from 1.
    pub column: usize,
}

impl Position {
    /// The position of the byte at `offset` of `text`.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        Self { line: memchr::memchr_iter(b'\n', before).count() + 1, column: before.len() - line_start + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What nginx could not read either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct SyntaxError {
    /// Where.
    pub at: Position,
    /// What is wrong there.
    pub what: String,
}

/// A word of a directive, quotes and backslashes taken off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// Where it starts in the source, its quote included.
    pub(super) start: usize,
    /// For each byte of `text`, where it came from.
    pub(super) offsets: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    Semicolon,
    Open,
    Close,
}

/// Takes a configuration text apart into tokens.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Where the next token will be looked for.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    pub(super) fn error<T>(&self, offset: usize, what: impl Into<String>) -> Result<T, SyntaxError> {
        Err(SyntaxError { at: Position::of(self.text, offset), what: what.into() })
    }

    /// The next token and where it starts; `None` at the end.
    pub(super) fn next_token(&mut self) -> Result<Option<(usize, Token)>, SyntaxError> {
        self.skip_blanks_and_comments();
        let start = self.at;
        let token = match self.peek() {
            None => return Ok(None),
            Some(b';') => Token::Semicolon,
            Some(b'{') => Token::Open,
            Some(b'}') => Token::Close,
            Some(quote @ (b'\'' | b'"')) => {
                return self.quoted_word(quote).map(|w| Some((start, Token::Word(w))));
            }
            Some(_) => return Ok(Some((start, Token::Word(self.bare_word())))),
        };
        self.at += 1;
        Ok(Some((start, token)))
    }

    /// Skips a block whose opening brace was just read and whose inside is not nginx's language (Lua).
    pub(super) fn skip_foreign_block(&mut self) -> Result<(), SyntaxError> {
        let open = self.at;
        let mut depth = 1;
        while depth > 0 {
            match self.peek() {
                None => return self.error(open, "this block is not closed"),
                Some(b'{') => depth += 1,
                Some(b'}') => depth -= 1,
                Some(quote @ (b'\'' | b'"')) => {
                    self.at = self.closing_quote(quote).map_or(self.text.len(), |end| end);
                }
                Some(b'-') if self.text.as_bytes()[self.at..].starts_with(b"--") => self.skip_line(),
                Some(_) => {}
            }
            self.at += 1;
        }
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_line(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    }

    fn skip_blanks_and_comments(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b'#' => self.skip_line(),
                _ => break,
            }
        }
    }

    /// Where the quote that opens at the current position closes.
    fn closing_quote(&self, quote: u8) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = self.at + 1;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'\\' => at += 2,
                byte if byte == quote => return Some(at),
                _ => at += 1,
            }
        }
        None
    }

    fn quoted_word(&mut self, quote: u8) -> Result<Word, SyntaxError> {
        let start = self.at;
        let Some(end) = self.closing_quote(quote) else {
            return self.error(start, "this quote is not closed");
        };
        self.at = end + 1;
        // nginx wants a blank after a closing quote; `'a''b'` is its error, and what it would have meant is a guess.
        match self.peek() {
            None | Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'{' | b')') => {}
            Some(_) => return self.error(self.at, "a blank or `;` has to follow the closing quote"),
        }
        Ok(self.word(start, start + 1, end))
    }

    /// A word without quotes: up to a blank, `;` or `{`, but `${` and what follows a backslash belong to it.
    fn bare_word(&mut self) -> Word {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut previous = 0;
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'\\' => self.at += 1,
                b' ' | b'\t' | b'\r' | b'\n' | b';' => break,
                b'{' if previous != b'$' => break,
                _ => {}
            }
            previous = byte;
            self.at += 1;
        }
        self.at = self.at.min(bytes.len());
        self.word(start, start, self.at)
    }

    /// Undoes the backslashes of the source text from `from` to `to`: only these five mean something to nginx.
    fn word(&self, start: usize, from: usize, to: usize) -> Word {
        let mut word = Word { start, ..Word::default() };
        let mut rest = self.text[from..to].char_indices().peekable();
        while let Some((offset, character)) = rest.next() {
            let next = rest.peek().map(|&(_, next)| next);
            let meant = match (character, next) {
                ('\\', Some(next @ ('"' | '\'' | '\\'))) => next,
                ('\\', Some('t')) => '\t',
                ('\\', Some('r')) => '\r',
                ('\\', Some('n')) => '\n',
                _ => {
                    word.push(character, from + offset);
                    continue;
                }
            };
            rest.next();
            word.push(meant, from + offset);
        }
        word
    }
}

impl Word {
    fn push(&mut self, character: char, offset: usize) {
        self.text.push(character);
        self.offsets.extend((0..character.len_utf8()).map(|byte| offset + byte));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Vec<String>, SyntaxError> {
        let mut lexer = Lexer::new(text);
        let mut words = Vec::new();
        while let Some((_, token)) = lexer.next_token()? {
            words.push(match token {
                Token::Word(word) => word.text,
                Token::Semicolon => ";".into(),
                Token::Open => "{".into(),
                Token::Close => "}".into(),
            });
        }
        Ok(words)
    }

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(words(text).unwrap(), expected, "{text}");
    }

    #[test]
    fn reads_words_as_nginx_does() {
        check("a b;c", &["a", "b", ";", "c"]);
        check("server{listen 80;}", &["server", "{", "listen", "80", ";", "}"]);
        check("a # comment ; {\nb", &["a", "b"]);
        check("a#b", &["a#b"]);
        check(r#"'it''s'"#.replace("''", r"\'").as_str(), &["it's"]);
        check(r#""a \"b\" \t\d" 'c"d'"#, &["a \"b\" \t\\d", "c\"d"]);
        check("${var}x $a{", &["${var}x", "$a", "{"]);
        check(r"a\ b\;c", &[r"a\ b\;c"]);
        check("a\\", &["a\\"]);
    }

    #[test]
    fn says_where_a_quote_is_open() {
        let error = words("a;\n  'b").unwrap_err();
        assert_eq!(error.at, Position { line: 2, column: 3 });
        assert_eq!(words("'a''b'").unwrap_err().at, Position { line: 1, column: 4 });
    }
}
