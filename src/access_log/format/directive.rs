//! What an operator pastes: a `log_format` directive as it stands in nginx.conf, its quoted pieces, or just the text.

use super::FormatError;
use crate::access_log::Escape;
use crate::access_log::conf_lexer::{Lexer, Position, SyntaxError, Token, Word};

/// A format, taken apart but not yet understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) name: Option<String>,
    pub(super) escape: Escape,
    pub(super) pieces: Vec<Piece>,
}

/// Text that stands in every line, or a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(Vec<u8>),
    Variable { name: String, at: Position },
}

impl Directive {
    pub(super) fn parse(source: &str) -> Result<Self, FormatError> {
        let trimmed = source.trim_start();
        let is_directive = trimmed.starts_with("log_format") || trimmed.starts_with('#');
        if is_directive || trimmed.starts_with("escape=") || trimmed.starts_with('\'') {
            return Self::from_words(source, words(source)?);
        }
        let text = source.trim_end_matches(['\r', '\n']);
        let word = Word { text: text.to_owned(), start: 0, offsets: (0..text.len()).collect() };
        Self::from_pieces(source, None, Escape::Default, &[word])
    }

    /// Whether both write the same lines.
    pub(super) fn same_text(&self, other: &Self) -> bool {
        let same = |pair: (&Piece, &Piece)| match pair {
            (Piece::Literal(text), Piece::Literal(other)) => text == other,
            (Piece::Variable { name, .. }, Piece::Variable { name: other, .. }) => name == other,
            _ => false,
        };
        self.escape == other.escape
            && self.pieces.len() == other.pieces.len()
            && self.pieces.iter().zip(&other.pieces).all(same)
    }

    /// `[log_format name] [escape=…] piece…`
    fn from_words(source: &str, words: Vec<Word>) -> Result<Self, FormatError> {
        let mut words = words.as_slice();
        let mut name = None;
        if let Some((directive, rest)) = words.split_first()
            && directive.text == "log_format"
        {
            let Some((word, rest)) = rest.split_first() else { return Err(FormatError::Empty) };
            name = Some(word.text.clone());
            words = rest;
        }
        let mut escape = Escape::Default;
        if let Some((word, rest)) = words.split_first()
            && let Some(value) = word.text.strip_prefix("escape=")
        {
            let at = Position::of(source, word.start);
            escape = match value {
                "default" => Escape::Default,
                "json" => Escape::Json,
                "none" => return Err(FormatError::EscapeNone { at }),
                other => return Err(FormatError::UnknownEscape { at, value: other.to_owned() }),
            };
            words = rest;
        }
        Self::from_pieces(source, name, escape, words)
    }

    /// As `ngx_http_log_compile_format`: each word by itself, so a variable's name ends with its word.
    fn from_pieces(
        source: &str,
        name: Option<String>,
        escape: Escape,
        words: &[Word],
    ) -> Result<Self, FormatError> {
        let mut pieces = Vec::new();
        for word in words {
            split_variables(source, word, &mut pieces)?;
        }
        if pieces.is_empty() {
            return Err(FormatError::Empty);
        }
        Ok(Self { name, escape, pieces })
    }
}

/// The words of the one directive in this text; its `;` may be missing.
fn words(source: &str) -> Result<Vec<Word>, SyntaxError> {
    let mut lexer = Lexer::new(source);
    let mut words = Vec::new();
    loop {
        match lexer.next_token()? {
            Some((_, Token::Word(word))) => words.push(word),
            Some((_, Token::Semicolon)) => break,
            Some((at, Token::Open | Token::Close)) => {
                return lexer.error(at, "a brace without quotes cannot stand in a log_format");
            }
            None => return Ok(words),
        }
    }
    match lexer.next_token()? {
        None => Ok(words),
        Some((at, _)) => {
            lexer.error(at, "something follows the end of the directive: give one log_format alone")
        }
    }
}

fn split_variables(source: &str, word: &Word, pieces: &mut Vec<Piece>) -> Result<(), FormatError> {
    let bytes = word.text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'$' {
            let end = memchr::memchr(b'$', &bytes[at..]).map_or(bytes.len(), |found| at + found);
            match pieces.last_mut() {
                Some(Piece::Literal(text)) => text.extend_from_slice(&bytes[at..end]),
                _ => pieces.push(Piece::Literal(bytes[at..end].to_vec())),
            }
            at = end;
            continue;
        }
        let position = Position::of(source, word.offsets[at]);
        let error = |what: &str| Err(SyntaxError { at: position, what: what.to_owned() }.into());
        let bracket = bytes.get(at + 1) == Some(&b'{');
        let start = at + 1 + usize::from(bracket);
        let length =
            bytes[start..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        let end = start + length;
        if bracket && bytes.get(end) != Some(&b'}') {
            return error("the closing `}` of this variable is missing");
        }
        if length == 0 {
            return error("a variable's name has to follow `$`");
        }
        pieces.push(Piece::Variable { name: word.text[start..end].to_owned(), at: position });
        at = end + usize::from(bracket);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces as text, variables in angle brackets.
    fn shown(source: &str) -> String {
        let directive = Directive::parse(source).unwrap();
        let pieces: Vec<String> = directive
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Literal(text) => String::from_utf8_lossy(text).into_owned(),
                Piece::Variable { name, .. } => format!("<{name}>"),
            })
            .collect();
        format!("{:?} {:?} {}", directive.name.as_deref().unwrap_or("-"), directive.escape, pieces.concat())
    }

    #[test]
    fn takes_the_directive_as_it_stands() {
        let cases = [
            ("log_format main '$a $b' ' $c';", r#""main" Default <a> <b> <c>"#),
            (
                "# ours\n\tlog_format x escape=json # why\n  '{\"a\":\"$a\"'\n  # more\n  ',\"b\":$b}';\n",
                r#""x" Json {"a":"<a>","b":<b>}"#,
            ),
            (r#"log_format q "\"$a\" it's \\ $b";"#, r#""q" Default "<a>" it's \ <b>"#),
            ("log_format u $a ' ' ${b}c;", r#""u" Default <a> <b>c"#),
            ("log_format j '$a''';".trim_end_matches("'';"), r#""j" Default <a>"#),
            ("log_format k '$foo' 'bar'", r#""k" Default <foo>bar"#),
            ("log_format t '$a\\t$b';", "\"t\" Default <a>\t<b>"),
            ("'$a ' '$b'", r#""-" Default <a> <b>"#),
            ("escape=json '$a ' '$b'", r#""-" Json <a> <b>"#),
            ("escape=default '$a'", r#""-" Default <a>"#),
            ("$a - \"$b\" '$c'\n", r#""-" Default <a> - "<b>" '<c>'"#),
            ("{\"a\":\"$a\"}", r#""-" Default {"a":"<a>"}"#),
        ];
        for (source, expected) in cases {
            assert_eq!(shown(source), expected, "{source}");
        }
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let cases = [
            ("log_format x '$a' '$';", "line 1, column 20: a variable's name has to follow `$`"),
            ("log_format x '$a'\n '${b';", "line 2, column 3: the closing `}` of this variable is missing"),
            ("log_format x '$a;", "line 1, column 14: this quote is not closed"),
            (
                "log_format x '$a'; log_format y '$b';",
                "line 1, column 20: something follows the end of the directive: give one log_format alone",
            ),
            ("log_format x {$a};", "line 1, column 14: a brace without quotes cannot stand in a log_format"),
        ];
        for (source, expected) in cases {
            assert_eq!(Directive::parse(source).unwrap_err().to_string(), expected, "{source}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_read() {
        let at = Position { line: 1, column: 14 };
        assert_eq!(Directive::parse("log_format x escape=none '$a';"), Err(FormatError::EscapeNone { at }));
        assert_eq!(
            Directive::parse("log_format x escape=xml '$a';"),
            Err(FormatError::UnknownEscape { at, value: "xml".into() })
        );
        for empty in ["", "\n", "log_format", "log_format x", "log_format x escape=json;"] {
            assert_eq!(Directive::parse(empty), Err(FormatError::Empty), "{empty:?}");
        }
    }
}
