//! What a given nginx.conf says about its access logs: formats, paths, `buffer=` and `flush=`.
//!
//! [`read`] does no I/O: its caller resolves `include`. It reads any configuration that nginx accepts, and says more
//! precisely than nginx where one is broken; it does not check directives that are none of its business.

use std::fmt;
use std::time::Duration;

use super::conf_lexer::{Lexer, Position, SyntaxError, Token, Word};
use super::{FormatError, LogFormat};

/// How deep files may include each other: more is a loop.
const MAX_INCLUDE_DEPTH: usize = 32;

/// All that an nginx.conf says about access logs, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NginxConf {
    /// Every `log_format` directive.
    pub formats: Vec<FormatDefinition>,
    /// Every `access_log` directive.
    pub access_logs: Vec<AccessLog>,
}

/// A `log_format` directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatDefinition {
    /// Its name.
    pub name: String,
    /// The directive as it stands in the file, `;` included.
    pub directive: String,
    /// Where it stands.
    pub place: Place,
}

impl FormatDefinition {
    /// Compiles it. Positions in the error count from the start of the directive.
    pub fn compile(&self) -> Result<LogFormat, FormatError> {
        LogFormat::compile(&self.directive)
    }
}

/// Where a directive stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the caller or its resolver named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: line {}", self.file, self.line)
    }
}

/// An `access_log` directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Where lines go.
    pub target: LogTarget,
    /// The format's name; nginx's `combined` when none is given.
    pub format: String,
    /// `buffer=`, bytes. `gzip` alone means 64 KiB.
    pub buffer: Option<u64>,
    /// `flush=`: the longest that nginx keeps a line back. Without it a buffer waits until it is full.
    pub flush: Option<Duration>,
    /// `gzip`: the file is compressed as it is written and cannot be followed.
    pub gzip: bool,
    /// `if=`: only some requests are logged.
    pub condition: Option<String>,
    /// The `server_name`s of the server block around it; `None` outside of one.
    pub server: Option<Vec<String>>,
    /// What follows `location` of the innermost location block around it.
    pub location: Option<String>,
    /// Where it stands.
    pub place: Place,
}

impl AccessLog {
    /// Takes a parameter, if nginx knows it. The first may be the format's name.
    fn take(&mut self, parameter: &str, is_first: bool) -> Option<()> {
        match parameter.split_once('=') {
            Some(("buffer", size)) => self.buffer = Some(parse_size(size)?),
            Some(("flush", time)) => self.flush = Some(parse_time(time)?),
            Some(("if", condition)) => self.condition = Some(condition.to_owned()),
            Some(("gzip", _)) => self.gzip = true,
            None if parameter == "gzip" => self.gzip = true,
            None if is_first => self.format = parameter.to_owned(),
            _ => return None,
        }
        Some(())
    }
}

/// Where an `access_log` writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// `off`.
    Off,
    /// `syslog:…`: no file to follow.
    Syslog(String),
    /// A path with variables: several files, opened by name for each line.
    Variable(String),
    /// A file; relative to nginx's prefix unless it starts with `/`.
    File(String),
}

/// Why a configuration could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NginxConfError {
    /// nginx could not read it either.
    #[error("{file}: {error}")]
    Syntax {
        /// The file.
        file: String,
        /// Where and what.
        error: SyntaxError,
    },
    /// An included file could not be had.
    #[error("{file}: line {line}: include {pattern}: {reason}")]
    Include {
        /// The file with the `include`.
        file: String,
        /// Its line.
        line: usize,
        /// What was to be included.
        pattern: String,
        /// Why it was not.
        reason: String,
    },
}

/// A file that an `include` names, or one of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Included {
    /// Its name, for messages.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// Reads a configuration and all it includes.
///
/// `include` gets the pattern of each `include` as written (relative to the folder of the main nginx.conf unless it starts
/// with `/`, wildcards and all), and gives the files it matches in order, or says why it cannot.
pub fn read(
    file: &str,
    text: &str,
    include: impl FnMut(&str) -> Result<Vec<Included>, String>,
) -> Result<NginxConf, NginxConfError> {
    let mut reader = Reader {
        include,
        conf: NginxConf::default(),
        log_servers: Vec::new(),
        servers: Vec::new(),
        blocks: Vec::new(),
    };
    reader.file(file, text, 0)?;
    Ok(reader.finish())
}

/// A block that is open.
struct Block {
    name: String,
    arguments: String,
    /// Index into the servers, for a `server` block.
    server: Option<usize>,
}

struct Reader<I> {
    include: I,
    conf: NginxConf,
    /// Which server block each access log stands in.
    log_servers: Vec<Option<usize>>,
    /// The names of each server block. They may stand after its `access_log`, so the logs get them at the end.
    servers: Vec<Vec<String>>,
    blocks: Vec<Block>,
}

impl<I: FnMut(&str) -> Result<Vec<Included>, String>> Reader<I> {
    fn file(&mut self, file: &str, text: &str, depth: usize) -> Result<(), NginxConfError> {
        let syntax = |error| NginxConfError::Syntax { file: file.to_owned(), error };
        let outside = self.blocks.len();
        let mut opened: Vec<usize> = Vec::new();
        let mut lexer = Lexer::new(text);
        let mut words: Vec<Word> = Vec::new();
        while let Some((at, token)) = lexer.next_token().map_err(syntax)? {
            match token {
                Token::Word(word) => words.push(word),
                Token::Semicolon if words.is_empty() => {
                    return lexer.error(at, "this `;` ends nothing").map_err(syntax);
                }
                Token::Semicolon => {
                    let directive = Directive { file, text, words: &words, end: lexer.offset() };
                    self.directive(&directive, depth)?;
                    words.clear();
                }
                Token::Open => {
                    self.open(&words, at, &mut lexer).map_err(syntax)?;
                    opened.push(at);
                    if words.first().is_some_and(|name| name.text.ends_with("_by_lua_block")) {
                        lexer.skip_foreign_block().map_err(syntax)?;
                        self.blocks.pop();
                        opened.pop();
                    }
                    words.clear();
                }
                Token::Close => {
                    unended(&lexer, &words).map_err(syntax)?;
                    if self.blocks.len() == outside {
                        return lexer.error(at, "this `}` closes nothing").map_err(syntax);
                    }
                    self.blocks.pop();
                    opened.pop();
                }
            }
        }
        unended(&lexer, &words).map_err(syntax)?;
        match opened.last() {
            Some(&at) => lexer.error(at, "this block is not closed: a `}` is missing").map_err(syntax),
            None => Ok(()),
        }
    }

    fn open(&mut self, words: &[Word], at: usize, lexer: &mut Lexer<'_>) -> Result<(), SyntaxError> {
        let Some((name, arguments)) = words.split_first() else {
            return lexer.error(at, "this `{` has no name before it");
        };
        if matches!(name.text.as_str(), "access_log" | "log_format" | "include" | "server_name") {
            return lexer.error(name.start, format!("`{}` is no block: its `;` is missing", name.text));
        }
        let is_server = name.text == "server" && arguments.is_empty();
        let server = is_server.then(|| {
            self.servers.push(Vec::new());
            self.servers.len() - 1
        });
        let arguments: Vec<&str> = arguments.iter().map(|word| word.text.as_str()).collect();
        self.blocks.push(Block { name: name.text.clone(), arguments: arguments.join(" "), server });
        Ok(())
    }

    fn directive(&mut self, directive: &Directive<'_>, depth: usize) -> Result<(), NginxConfError> {
        let Some((name, arguments)) = directive.words.split_first() else { return Ok(()) };
        match name.text.as_str() {
            "include" => self.include(directive, arguments, depth),
            "server_name" => {
                if let Some(server) = self.server() {
                    self.servers[server].extend(arguments.iter().map(|word| word.text.clone()));
                }
                Ok(())
            }
            // The stream module has directives of the same names, for connections that are no requests.
            "log_format" | "access_log" if self.blocks.iter().any(|block| block.name == "stream") => Ok(()),
            "log_format" => self.log_format(directive, arguments),
            "access_log" => self.access_log(directive, arguments),
            _ => Ok(()),
        }
    }

    fn include(
        &mut self,
        directive: &Directive<'_>,
        arguments: &[Word],
        depth: usize,
    ) -> Result<(), NginxConfError> {
        let [pattern] = arguments else { return directive.error("include takes one file or pattern") };
        let failed = |reason: String| NginxConfError::Include {
            file: directive.file.to_owned(),
            line: directive.place().line,
            pattern: pattern.text.clone(),
            reason,
        };
        if depth == MAX_INCLUDE_DEPTH {
            return Err(failed("files include each other without end".to_owned()));
        }
        for included in (self.include)(&pattern.text).map_err(failed)? {
            self.file(&included.name, &included.text, depth + 1)?;
        }
        Ok(())
    }

    fn log_format(&mut self, directive: &Directive<'_>, arguments: &[Word]) -> Result<(), NginxConfError> {
        let [name, _, ..] = arguments else { return directive.error("log_format takes a name and a text") };
        let text = directive.text[directive.start()..directive.end].to_owned();
        let name = name.text.clone();
        self.conf.formats.push(FormatDefinition { name, directive: text, place: directive.place() });
        Ok(())
    }

    fn access_log(&mut self, directive: &Directive<'_>, arguments: &[Word]) -> Result<(), NginxConfError> {
        let Some((path, parameters)) = arguments.split_first() else {
            return directive.error("access_log takes a path or `off`");
        };
        let mut log = AccessLog {
            target: target(&path.text),
            format: "combined".to_owned(),
            buffer: None,
            flush: None,
            gzip: false,
            condition: None,
            server: None,
            location: self.innermost(|block| block.name == "location").map(|block| block.arguments.clone()),
            place: directive.place(),
        };
        for (index, parameter) in parameters.iter().enumerate() {
            let text = parameter.text.as_str();
            if log.take(text, index == 0).is_none() {
                let before = if index == 0 { path } else { &parameters[index - 1] };
                let line = Position::of(directive.text, before.start).line;
                return directive.error_at(
                    parameter.start,
                    format!(
                        "`{text}` is no parameter of access_log: is a `;` missing at the end of line {line}?"
                    ),
                );
            }
        }
        if log.gzip && log.buffer.is_none() {
            log.buffer = Some(64 * 1024);
        }
        self.conf.access_logs.push(log);
        self.log_servers.push(self.server());
        Ok(())
    }

    fn innermost(&self, is_it: impl Fn(&Block) -> bool) -> Option<&Block> {
        self.blocks.iter().rev().find(|block| is_it(block))
    }

    fn server(&self) -> Option<usize> {
        self.innermost(|block| block.server.is_some()).and_then(|block| block.server)
    }

    fn finish(mut self) -> NginxConf {
        for (log, server) in self.conf.access_logs.iter_mut().zip(self.log_servers) {
            log.server = server.map(|server| self.servers[server].clone());
        }
        self.conf
    }
}

/// A directive that ended with `;`.
struct Directive<'a> {
    file: &'a str,
    text: &'a str,
    words: &'a [Word],
    /// After its `;`.
    end: usize,
}

impl Directive<'_> {
    fn start(&self) -> usize {
        self.words.first().map_or(self.end, |word| word.start)
    }

    fn place(&self) -> Place {
        Place { file: self.file.to_owned(), line: Position::of(self.text, self.start()).line }
    }

    fn error(&self, what: &str) -> Result<(), NginxConfError> {
        self.error_at(self.start(), what)
    }

    fn error_at(&self, offset: usize, what: impl Into<String>) -> Result<(), NginxConfError> {
        let error = SyntaxError { at: Position::of(self.text, offset), what: what.into() };
        Err(NginxConfError::Syntax { file: self.file.to_owned(), error })
    }
}

/// Words that a `}` or the end of the file cuts off.
fn unended(lexer: &Lexer<'_>, words: &[Word]) -> Result<(), SyntaxError> {
    match words.first() {
        Some(name) => {
            lexer.error(name.start, format!("the directive `{}` does not end: its `;` is missing", name.text))
        }
        None => Ok(()),
    }
}

fn target(path: &str) -> LogTarget {
    match path {
        "off" => LogTarget::Off,
        path if path.starts_with("syslog:") => LogTarget::Syslog(path.to_owned()),
        path if path.contains('$') => LogTarget::Variable(path.to_owned()),
        path => LogTarget::File(path.to_owned()),
    }
}

/// nginx's sizes: bytes, or with `k` or `m`.
fn parse_size(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1024),
        b'm' | b'M' => (&text[..text.len() - 1], 1024 * 1024),
        _ => (text, 1),
    };
    whole(digits)?.checked_mul(unit)
}

/// nginx's times: `5s`, `1m30s`, `500ms`; seconds without a unit.
fn parse_time(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let unit = after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, after) = after.split_at(unit);
        let milliseconds = match unit {
            "ms" => 1,
            "" | "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "M" => 2_592_000_000,
            "y" => 31_536_000_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(whole(number)?.checked_mul(milliseconds)?))?;
        rest = after.trim_start();
    }
    Some(total)
}

/// Digits and nothing else: `u64::from_str` would take a sign too.
fn whole(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Result<Vec<Included>, String> {
        Ok(Vec::new())
    }

    #[test]
    fn finds_formats_and_logs_where_they_stand() {
        let text = r#"
user www-data; # access_log /no;
http {
    log_format  x  escape=json  '{"a":"$msec"'   # the first half
                                ',"b":"$status"}';
    access_log /var/log/nginx/access.log;
    include conf.d/*.conf;
    server {
        listen 80;
        access_log "/var/log/with blank.log" x buffer=64k flush=1m30s if=$loggable;
        location /private { access_log off; }
        location ~ ^/a\.b$ { access_log /z.gz main gzip=5; }
        content_by_lua_block { local s = "}" -- }
            if x then { } end }
        server_name s3.example.com *.s3.example.com;
    }
    access_log syslog:server=unix:/dev/log,nohostname main;
}
stream { log_format basic '$remote_addr'; access_log /stream.log basic; }
"#;
        let mut asked = Vec::new();
        let conf = read("nginx.conf", text, |pattern| {
            asked.push(pattern.to_owned());
            Ok(vec![Included { name: "conf.d/a.conf".into(), text: "access_log logs/$host.log;\n".into() }])
        });
        let conf = conf.unwrap();
        assert_eq!(asked, ["conf.d/*.conf"]);

        let [format] = conf.formats.as_slice() else { panic!("{:?}", conf.formats) };
        assert_eq!((format.name.as_str(), format.place.to_string().as_str()), ("x", "nginx.conf: line 4"));
        assert!(format.directive.starts_with("log_format  x") && format.directive.ends_with("}';"));
        assert!(matches!(format.compile(), Err(FormatError::Lacks(_))));

        let logs: Vec<_> = conf
            .access_logs
            .iter()
            .map(|log| (&log.target, log.format.as_str(), log.buffer, log.flush, log.place.to_string()))
            .collect();
        let file = |path: &str| LogTarget::File(path.into());
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let at = |line| format!("nginx.conf: line {line}");
        assert_eq!(
            logs,
            [
                (&file("/var/log/nginx/access.log"), "combined", None, None, at(6)),
                (
                    &LogTarget::Variable("logs/$host.log".into()),
                    "combined",
                    None,
                    None,
                    "conf.d/a.conf: line 1".into()
                ),
                (&file("/var/log/with blank.log"), "x", Some(65536), seconds(90), at(10)),
                (&LogTarget::Off, "combined", None, None, at(11)),
                (&file("/z.gz"), "main", Some(65536), None, at(12)),
                (
                    &LogTarget::Syslog("syslog:server=unix:/dev/log,nohostname".into()),
                    "main",
                    None,
                    None,
                    at(17)
                ),
            ]
        );
        let [outside, _, server, private, compressed, _] = conf.access_logs.as_slice() else {
            unreachable!()
        };
        assert_eq!((&outside.server, &outside.location), (&None, &None));
        assert_eq!(server.server.as_deref(), Some(&["s3.example.com".into(), "*.s3.example.com".into()][..]));
        assert_eq!(server.condition.as_deref(), Some("$loggable"));
        assert_eq!(private.location.as_deref(), Some("/private"));
        assert_eq!(compressed.location.as_deref(), Some(r"~ ^/a\.b$"));
        assert!(compressed.gzip && !server.gzip);
    }

    #[test]
    fn says_what_is_broken_and_where() {
        let check = |text: &str, expected: &str| {
            assert_eq!(read("f", text, none).unwrap_err().to_string(), expected, "{text}");
        };
        check(
            "http {\n  access_log /a main\n}",
            "f: line 2, column 3: the directive `access_log` does not end: its `;` is missing",
        );
        check(
            "access_log /a main\nerror_log /b;",
            "f: line 2, column 1: `error_log` is no parameter of access_log: is a `;` missing at the end of line 1?",
        );
        check(
            "access_log /a\nserver { }",
            "f: line 1, column 1: `access_log` is no block: its `;` is missing",
        );
        check("http {\n server {\n }\n", "f: line 1, column 6: this block is not closed: a `}` is missing");
        check("}", "f: line 1, column 1: this `}` closes nothing");
        check("a;;", "f: line 1, column 3: this `;` ends nothing");
        check("{ }", "f: line 1, column 1: this `{` has no name before it");
        check("log_format x 'abc;\n", "f: line 1, column 14: this quote is not closed");
        check("log_format x;", "f: line 1, column 1: log_format takes a name and a text");
        check("access_log;", "f: line 1, column 1: access_log takes a path or `off`");
        check(
            "access_log /a x buffer=64q;",
            "f: line 1, column 17: `buffer=64q` is no parameter of access_log: is a `;` missing at the end of line 1?",
        );
        let failed = read("f", "\ninclude x;", |_| Err("permission denied".into())).unwrap_err();
        assert_eq!(failed.to_string(), "f: line 2: include x: permission denied");
    }

    #[test]
    fn ends_when_files_include_each_other() {
        let again = |pattern: &str| Ok(vec![Included { name: pattern.into(), text: "include b;".into() }]);
        let error = read("a", "include b;", again).unwrap_err();
        assert!(error.to_string().ends_with("files include each other without end"), "{error}");
    }

    #[test]
    fn reads_sizes_and_times_as_nginx_does() {
        for (text, expected) in
            [("512", Some(512)), ("32k", Some(32768)), ("1M", Some(1 << 20)), ("k", None), ("", None)]
        {
            assert_eq!(parse_size(text), expected, "{text}");
        }
        let ms = |milliseconds| Some(Duration::from_millis(milliseconds));
        for (text, expected) in [
            ("5", ms(5000)),
            ("5s", ms(5000)),
            ("500ms", ms(500)),
            ("1h 30m", ms(5_400_000)),
            ("5x", None),
            ("s", None),
            ("", None),
        ] {
            assert_eq!(parse_time(text), expected, "{text}");
        }
    }
}
