//! Real lines of nginx in front of a real gateway: the same requests, logged in three formats, say the same.

use std::path::Path;

use proptest::prelude::*;
use rgwlens::access_log::{Escape, FormatError, LineParser, LogFormat, Record, Reject, unescape};

/// What corpus/extended.log was written with.
const EXTENDED: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $request_length $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for" "$request_time" $msec "$host" "$upstream_addr" "$upstream_status" "$upstream_response_time" "$upstream_header_time" "$request_id" $bytes_sent "$http_x_amz_copy_source""#;

/// What corpus/json.log was written with.
const JSON: &str = r#"log_format json escape=json
    '{"remote_addr":"$remote_addr","remote_user":"$remote_user","time_local":"$time_local",'
    '"request":"$request","status":"$status","request_length":"$request_length",'
    '"body_bytes_sent":"$body_bytes_sent","http_referer":"$http_referer",'
    '"http_user_agent":"$http_user_agent","http_x_forwarded_for":"$http_x_forwarded_for",'
    '"request_time":"$request_time","msec":"$msec","host":"$host","upstream_addr":"$upstream_addr",'
    '"upstream_status":"$upstream_status","upstream_response_time":"$upstream_response_time",'
    '"upstream_header_time":"$upstream_header_time","request_id":"$request_id","bytes_sent":"$bytes_sent",'
    '"http_x_amz_copy_source":"$http_x_amz_copy_source"}';"#;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let (last, lines) = lines.split_last().unwrap();
    assert!(last.is_empty(), "{name} ends in the middle of a line");
    assert!(!lines.is_empty());
    lines.to_vec()
}

fn parse<'a>(parser: &mut LineParser, lines: &'a [Vec<u8>]) -> Vec<Record<'a>> {
    let parse = |(index, line): (usize, &'a Vec<u8>)| {
        parser.parse(line).unwrap_or_else(|reject| panic!("line {}: {reject}", index + 1))
    };
    lines.iter().enumerate().map(parse).collect()
}

/// All that a record says, escapes undone.
fn said(record: &Record<'_>) -> impl PartialEq + std::fmt::Debug {
    let text = |value: &[u8]| unescape(value, record.escape, &mut Vec::new()).escape_ascii().to_string();
    let texts = [record.request, record.method, record.uri].map(text);
    let optional = [record.host, record.remote_addr, record.user_agent, record.upstream_addr]
        .map(|value| value.map(text));
    let numbers = [
        record.request_length,
        record.bytes_sent,
        record.request_time_ms.map(u64::from),
        record.upstream_response_time_ms.map(u64::from),
        record.upstream_header_time_ms.map(u64::from),
        record.upstream_status.map(u64::from),
        Some(record.upstream_tries.into()),
        Some(record.status.into()),
        Some(record.body_bytes_sent),
    ];
    (record.time_ms, texts, optional, numbers, record.has_copy_source)
}

#[test]
fn three_formats_say_the_same_about_every_request() {
    let (seed, extended, json) = (corpus("seed.log"), corpus("extended.log"), corpus("json.log"));
    let parser = |format: LogFormat| LineParser::new(format);
    let main = parse(&mut parser(LogFormat::named("main").unwrap()), &seed);
    let extended = parse(&mut parser(LogFormat::compile(EXTENDED).unwrap()), &extended);
    let json = parse(&mut parser(LogFormat::compile(JSON).unwrap()), &json);
    assert_eq!((main.len(), main.len()), (extended.len(), json.len()));

    for (index, ((main, extended), json)) in main.iter().zip(&extended).zip(&json).enumerate() {
        assert_eq!(said(extended), said(json), "line {}", index + 1);
        let less = Record {
            escape: main.escape,
            time_ms: extended.time_ms / 1000 * 1000,
            request: main.request,
            method: main.method,
            uri: main.uri,
            remote_addr: main.remote_addr,
            user_agent: main.user_agent,
            ..Record {
                status: extended.status,
                request_length: extended.request_length,
                body_bytes_sent: extended.body_bytes_sent,
                request_time_ms: extended.request_time_ms,
                ..Record::default()
            }
        };
        assert_eq!(*main, less, "line {}", index + 1);
        assert_eq!(main.request, extended.request, "line {}", index + 1);
    }
    // The corpus has what makes it worth testing with.
    assert!(extended.iter().any(|record| record.upstream_tries == 0 && record.upstream_addr.is_none()));
    assert!(extended.iter().any(|record| record.upstream_response_time_ms > record.upstream_header_time_ms));
    assert!(extended.iter().any(|record| record.has_copy_source));
    assert!(extended.iter().any(|record| record.method.is_empty() && !record.request.is_empty()));
}

/// What every compiled format has.
const NEEDED: &str = r#"$msec $status $request_time $body_bytes_sent "$request""#;

fn check(format: &str, line: &str, expected: impl Fn(&Record<'_>) -> bool) {
    let mut parser =
        LineParser::new(LogFormat::compile(format).unwrap_or_else(|error| panic!("{format}: {error}")));
    let record = parser.parse(line.as_bytes()).unwrap_or_else(|reject| panic!("{line}: {reject}"));
    assert!(expected(&record), "{record:?}");
}

fn check_reject(format: &str, line: &[u8], reason: &str, column: usize) {
    let mut parser = LineParser::new(LogFormat::compile(format).unwrap());
    let reject = parser.parse(line).expect_err(&line.escape_ascii().to_string());
    assert_eq!((reject.reason, reject.column), (reason, column), "{}", line.escape_ascii());
    assert!(Reject::REASONS.contains(&reject.reason));
}

#[test]
fn a_stranger_cannot_shift_a_field() {
    let main = |user: &str, time: &str| {
        format!(r#"1.2.3.4 - {user} [{time}] "GET /b/k HTTP/1.1" 200 100 5 "-" "-" "-" "0.010""#)
    };
    let named = LogFormat::named("main").unwrap();
    let mut parser = LineParser::new(named);
    let time = "21/Nov/2026:18:59:54 +0000";
    for user in [
        "-",
        "plain user",
        "",
        " ",
        "a [01/Jan/2020:00:00:00 +0000] b",
        "[",
        "] [",
        "- [01/Jan/2020:00:00:00 +0000]",
    ] {
        let line = main(user, time);
        let record = parser.parse(line.as_bytes()).unwrap_or_else(|reject| panic!("{line}: {reject}"));
        assert_eq!((record.time_ms, record.uri), (1_795_287_594_000, &b"/b/k"[..]), "{line}");
    }
    // The last value without quotes may hold what it likes.
    check(
        &format!("{NEEDED} $http_user_agent"),
        r#"1.000 200 0.010 5 "GET / HTTP/1.1" a 200 b "c"#,
        |record| record.user_agent == Some(br#"a 200 b "c"#),
    );
    // One in the middle too, since what follows is found from the end.
    check(
        "$msec $request $status $remote_addr $request_time $body_bytes_sent",
        "1.000 GET /a 404 HTTP/1.1 200 ::1 0.010 5",
        |record| record.status == 200 && record.request == b"GET /a 404 HTTP/1.1",
    );
}

#[test]
fn reads_lists_of_upstream_servers_with_and_without_quotes() {
    let format = r#"$msec $status $request_time $body_bytes_sent $upstream_addr $upstream_status $upstream_response_time "$request""#;
    let line =
        r#"1.000 200 0.010 5 127.0.0.1:80, [::1]:81 : unix:/s 504, 502 : 200 1.000, - : 0.234 "GET /""#;
    let quoted = format!("{NEEDED} \"$upstream_addr\" \"$upstream_status\" \"$upstream_response_time\"");
    let quoted_line =
        r#"1.000 200 0.010 5 "GET /" "127.0.0.1:80, [::1]:81 : unix:/s" "504, 502 : 200" "1.000, - : 0.234""#;
    for (format, line) in [(format, line), (quoted.as_str(), quoted_line)] {
        check(format, line, |record| {
            record.upstream_addr == Some(b"127.0.0.1:80, [::1]:81 : unix:/s")
                && (record.upstream_tries, record.upstream_status) == (3, Some(200))
                && record.upstream_response_time_ms == Some(1234)
        });
    }
    check(format, r#"1.000 499 0.010 0 127.0.0.1:80 - - "GET /""#, |record| {
        (record.upstream_tries, record.upstream_status, record.upstream_response_time_ms) == (1, None, None)
    });
    check(format, r#"1.000 400 0.010 0 - - - """#, |record| record.upstream_tries == 0);
}

#[test]
fn reads_all_kinds_of_formats() {
    check(
        "$time_iso8601\t$status\t$request_time\t$bytes_sent\t$request_method\t$request_uri\t$http_host",
        "2026-11-21T20:59:54+02:00\t200\t1.500\t300\tGET\t/b/k\tx",
        |record| {
            record.time_ms == 1_795_287_594_000
                && (record.body_bytes_sent, record.bytes_sent) == (300, Some(300))
                && (record.method, record.uri, record.request) == (&b"GET"[..], &b"/b/k"[..], &b""[..])
                && record.host == Some(b"x")
        },
    );
    check("combined".parse::<LogFormat>().map(|_| r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#).unwrap(),
        r#"::1 - - [21/Nov/2026:18:59:54 +0000] "" 000 0 "-" "-""#, |record| {
        (record.status, record.request_time_ms) == (0, None) && record.remote_addr == Some(b"::1")
    });
    // Ingress controllers log their own variables, in brackets.
    check(
        r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id"#,
        r#"10.0.0.1 - - [21/Nov/2026:18:59:54 +0000] "GET / HTTP/1.1" 200 5 "-" "curl" 80 0.004 [rgw-80] [] 10.0.0.2:80, 10.0.0.3:80 0, 5 0.001, 0.003 502, 200 8a1f"#,
        |record| {
            record.upstream_status == Some(200)
                && record.upstream_response_time_ms == Some(4)
                && record.upstream_tries == 2
        },
    );
}

#[test]
fn rejects_with_a_reason_and_a_column() {
    let line = r#"1.000 200 0.010 5 "GET /""#;
    check(NEEDED, line, |_| true);
    check_reject(NEEDED, b"", "empty", 1);
    check_reject(NEEDED, b"1.000 200\0", "nul", 10);
    check_reject(NEEDED, b"1.0 200", "time", 1);
    check_reject(NEEDED, b"1.000 2x0 0.010", "number", 7);
    check_reject(NEEDED, b"1.000 200 0.01 5", "number", 13);
    check_reject(NEEDED, b"1.000 200 0.010 99999999999999999999 ", "number", 17);
    check_reject(NEEDED, b"1.000 200 0.010 5 'GET /'", "format", 18);
    check_reject(NEEDED, line.strip_suffix('"').unwrap().as_bytes(), "format", 20);
    check_reject(NEEDED, format!("{line} ").as_bytes(), "format", 26);
    check_reject(NEEDED, format!("{line}{line}").as_bytes(), "format", 26);
}

#[test]
fn says_what_a_format_lacks() {
    let error = |format: &str| LogFormat::compile(format).unwrap_err().to_string();
    assert_eq!(
        error(r#"$time_local "$request" $status"#),
        "the log format lacks what is needed; add $request_time: there are no latencies, percentiles or slow requests; \
         $body_bytes_sent: downloads have no bytes"
    );
    assert!(
        error("log_format x '$msec $status $request_time $bytes_sent $request_method';")
            .contains("$request_uri")
    );
    assert!(error(r#""$request" $status $request_time $bytes_sent"#).contains("$msec"));
    assert!(
        error(r#"$msec $status$request_time "$request" $bytes_sent"#)
            .starts_with("line 1, column 14: nothing stands between")
    );
    let shifted = error("$msec $request $http_user_agent $status $request_time $bytes_sent");
    assert!(shifted.starts_with("line 1, column 7: $request stands without quotes"), "{shifted}");

    let lacks = |format: &str| -> Vec<String> {
        let format: LogFormat = format.parse().unwrap();
        format.warnings().iter().map(|lack| lack.variable.to_string()).collect()
    };
    assert_eq!(lacks("rgwlens"), [""; 0]);
    assert!(lacks("combined").contains(&"request_time".into()));
    assert!(lacks("main").contains(&"http_host".into()) && !lacks("main").contains(&"request_time".into()));
    assert!(lacks(&format!("$http_x_a $http_x_b {NEEDED}")).contains(&"http_x_a".into()));
    assert!(LogFormat::named("main").unwrap().has("remote_user"));
    assert!(
        LogFormat::NAMES
            .iter()
            .all(|name| LogFormat::named(name).is_some_and(|format| format.name() == Some(name)))
    );
}

/// nginx's `escape=`.
fn escaped(value: &[u8], escape: Escape) -> Vec<u8> {
    let mut text = Vec::new();
    for &byte in value {
        match (escape, byte) {
            (Escape::Default, b'"' | b'\\' | 0..0x20 | 0x7f..) => {
                text.extend(format!("\\x{byte:02X}").into_bytes())
            }
            (Escape::Json, b'"' | b'\\') => text.extend([b'\\', byte]),
            (Escape::Json, b'\n') => text.extend(b"\\n"),
            (Escape::Json, 0..0x20) => text.extend(format!("\\u{byte:04X}").into_bytes()),
            _ => text.push(byte),
        }
    }
    text
}

/// A variable, quoted or not, and a value that it may have.
#[derive(Clone, Debug)]
struct Logged {
    variable: &'static str,
    quoted: bool,
    value: Vec<u8>,
}

/// What nginx itself makes, which needs no quotes.
fn measured() -> impl Strategy<Value = Vec<Logged>> {
    let logged = |variable, value: String| Logged { variable, quoted: false, value: value.into_bytes() };
    let numbers = (0..9_000_000_000u64, 0..1000u16, any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>());
    numbers.prop_map(move |(msec, status, time, body, sent, length)| {
        vec![
            logged("msec", format!("{}.{:03}", msec, msec % 1000)),
            logged("status", format!("{status:03}")),
            logged("request_time", format!("{}.{:03}", time / 1000, time % 1000)),
            logged("body_bytes_sent", body.to_string()),
            logged("bytes_sent", sent.to_string()),
            logged("request_length", length.to_string()),
            logged("remote_addr", "2001:db8::1".to_owned()),
            logged("time_local", "21/Nov/2026:18:59:54 +0000".to_owned()),
            logged(
                "upstream_response_time",
                ["-", "0.001", "1.000, - : 0.234"][(msec % 3) as usize].to_owned(),
            ),
            logged("upstream_addr", ["-", "[::1]:80", "a:1, b:2 : c:3"][(msec % 3) as usize].to_owned()),
        ]
    })
}

/// What strangers write: any bytes, and more often those that could hurt. At most one of them goes without quotes.
fn strangers() -> impl Strategy<Value = Vec<Logged>> {
    let nasty = prop::sample::select(&b"\" \\[]-,:\t\n\r\x7f\xff0123.x"[..]);
    let bytes = prop::collection::vec(prop_oneof![nasty, 1u8..], 0..24);
    let names = ["request", "http_user_agent", "remote_user", "http_x_whatever", "http_x_amz_copy_source"];
    let quotes = prop_oneof![Just(None), (0..names.len()).prop_map(Some)];
    (prop::collection::vec(bytes, names.len()), quotes).prop_map(move |(values, bare)| {
        let logged = |(index, value)| Logged { variable: names[index], quoted: bare != Some(index), value };
        values.into_iter().enumerate().map(logged).collect()
    })
}

proptest! {
    #[test]
    fn any_format_gives_back_what_nginx_was_told_to_log(
        (logged, separators) in (measured(), strangers()).prop_flat_map(|(measured, strangers)| {
            let separator = prop::sample::select(&[" ", "  ", " [", "] ", " | ", "\t", ";"][..]);
            let all = [measured, strangers].concat();
            let separators = prop::collection::vec(separator, all.len());
            (Just(all).prop_shuffle(), separators)
        }),
        json: bool,
    ) {
        let escape = if json { Escape::Json } else { Escape::Default };
        let (mut text, mut line) = (String::from("<"), b"<".to_vec());
        for (Logged { variable, quoted, value }, separator) in logged.iter().zip(separators) {
            let quote = if *quoted { "\"" } else { "" };
            text.push_str(&format!("{quote}${{{variable}}}{quote}{separator}"));
            line.extend(quote.bytes());
            line.extend(escaped(value, escape));
            line.extend(quote.bytes());
            line.extend(separator.bytes());
        }
        let text = text.replace('\\', "\\\\").replace('\'', "\\'");
        let name = if json { "json" } else { "default" };
        let format = LogFormat::compile(&format!("log_format x escape={name} '{text}';"));
        // Two lists or words may still be told apart by nothing: then it says so, and that is right.
        let format = match format {
            Err(FormatError::Ambiguous { .. }) => return Err(TestCaseError::reject("ambiguous")),
            other => other.unwrap(),
        };
        prop_assume!(format.warnings().iter().all(|lack| !lack.lost.contains("shifts")));
        let mut parser = LineParser::new(format);
        let record = match parser.parse(&line) {
            Ok(record) => record,
            Err(reject) => return Err(TestCaseError::fail(format!("{text}\n{}\n{reject}", line.escape_ascii()))),
        };
        let value = |name: &str| &logged.iter().find(|logged| logged.variable == name).unwrap().value;
        let number = |name: &str| std::str::from_utf8(value(name)).unwrap().replace('.', "").parse::<u64>().unwrap();
        let plain = |value: &[u8]| unescape(value, Some(escape), &mut Vec::new()).to_vec();
        let present = |name: &str| Some(value(name).clone()).filter(|value| !value.is_empty() && value != b"-");
        prop_assert_eq!(record.time_ms as u64, number("msec"));
        prop_assert_eq!(u64::from(record.status), number("status"));
        prop_assert_eq!(record.request_time_ms.map(u64::from), Some(number("request_time")));
        prop_assert_eq!(record.body_bytes_sent, number("body_bytes_sent"));
        prop_assert_eq!(record.bytes_sent, Some(number("bytes_sent")));
        prop_assert_eq!(record.request_length, Some(number("request_length")));
        prop_assert_eq!(record.remote_addr, Some(&b"2001:db8::1"[..]));
        prop_assert_eq!(record.upstream_addr.map(plain), present("upstream_addr"));
        prop_assert_eq!(record.user_agent.map(plain), present("http_user_agent"));
        prop_assert_eq!(plain(record.request), present("request").unwrap_or_default());
        prop_assert_eq!(record.has_copy_source, present("http_x_amz_copy_source").is_some());
    }

    #[test]
    fn no_bytes_make_it_panic(
        line in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            prop::collection::vec(prop::sample::select(&b"\"\" \\[]-,:.0129xHTTP/GET "[..]), 0..200),
        ],
        cut in 0usize..300,
        at in 0usize..300,
    ) {
        let whole: [(&str, &[u8]); 3] = [
            ("main", br#"1.2.3.4 - - [21/Nov/2026:18:59:54 +0000] "GET /b/k HTTP/1.1" 200 100 5 "-" "a" "-" "0.010""#),
            ("rgwlens", br#"1.000 2026-11-21T18:59:54+00:00 ::1 200 0.001 1 2 3 "a:1" "200" "0.001" "0.002" "t" "-" "-" "h" "GET /" "-" "-" "a" "-""#),
            ("combined", br#"1.2.3.4 - - [21/Nov/2026:18:59:54 +0000] "GET /b/k HTTP/1.1" 200 5 "-" "a""#),
        ];
        for (name, whole) in whole {
            let mut parser = LineParser::new(LogFormat::named(name).unwrap());
            assert!(parser.parse(whole).is_ok(), "{name}");
            let _ = parser.parse(&line);
            let _ = parser.parse(&whole[..cut.min(whole.len())]);
            let at = at.min(whole.len());
            let _ = parser.parse(&[&whole[..at], &line, &whole[at..]].concat());
        }
    }

    #[test]
    fn no_text_makes_the_compiler_panic(text in r#"(log_format x( escape=(json|none|default))? )?['"$\{\}a-z_ \\;#\n]*"#) {
        let _ = LogFormat::compile(&text);
        let _ = LogFormat::compile(&format!("{NEEDED} {text}"));
    }
}
