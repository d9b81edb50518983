//! Real lines of nginx in front of a real gateway: the same requests, logged in three formats, say the same.

use std::path::Path;

use rgwlens::access_log::{LineParser, LogFormat, Record, unescape};

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
    assert!(extended.iter().any(|record| record.upstream_tries == 2 && record.upstream_status == Some(502)));
    assert!(extended.iter().any(|record| record.has_copy_source));
    assert!(extended.iter().any(|record| record.method.is_empty() && !record.request.is_empty()));
}
