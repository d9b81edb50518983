//! What RGW writes, and what is left of it after something went wrong.

use proptest::prelude::*;

use super::*;
use crate::access_log::GatewayParser;

/// As a Pacific gateway wrote it.
const PUT: &str = r#"{"bucket":"acme/photos","time":"2026-11-21T18:59:54.573606Z","time_local":"2026-11-21T19:59:54.573606+0100","remote_addr":"192.0.2.7","object_owner":"acme$al","user":"acme$al","operation":"put_obj","uri":"PUT /photos/a%20b HTTP/1.1","http_status":"200","error_code":"","bytes_sent":0,"bytes_received":1024,"object_size":1024,"total_time":32,"user_agent":"aws-cli/2","referrer":"http://x/{\"bucket\":","http_x_headers":[{"HTTP_X_REQUEST_ID":"d4\"}]"}],"trans_id":"tx0001","authentication_type":"Local","access_key_id":"AK","temp_url":false}"#;
const DELETE: &str = r#"{"bucket":"b","time":"2026-11-21T18:59:55.000Z","operation":"multi_object_delete","uri":"POST /b?delete HTTP/1.1","http_status":"204","total_time":1,"op_data":{"num_ok":1,"num_err":0,"objects":[{"key":"x","version_id":"","http_status":204,"error":false}]}}"#;

/// What stands on a line: the bytes of each record, and what it is.
fn parsed(log: GatewayLog, line: &str) -> Vec<(&str, Parsed<'_>)> {
    let mut all = Vec::new();
    GatewayParser::new(log).parse(line.as_bytes(), |bytes, parsed| {
        all.push((std::str::from_utf8(bytes).unwrap(), parsed));
    });
    all
}

fn one(log: GatewayLog, line: &str) -> (Record<'_>, Told<'_>) {
    match parsed(log, line).as_slice() {
        [(bytes, Parsed::Record(record, told))] => {
            assert_eq!(*bytes, line);
            (*record, *told)
        }
        other => panic!("{other:?}"),
    }
}

fn reason(log: GatewayLog, line: &str) -> (&'static str, usize) {
    match parsed(log, line).as_slice() {
        [(_, Parsed::Rejected(reject))] => {
            assert!(Reject::REASONS.contains(&reject.reason));
            (reject.reason, reject.column)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_lead_back() {
    for name in GatewayLog::NAMES {
        assert_eq!(GatewayLog::named(name).map(GatewayLog::name), Some(*name));
    }
    assert_eq!(GatewayLog::named("main"), None);
}

#[test]
fn an_entry_of_the_ops_log() {
    let (record, told) = one(GatewayLog::Ops, PUT);
    // It began at .573 and took 32 ms.
    assert_eq!(record.time_ms, 1_795_287_594_605);
    assert_eq!((record.method, record.uri), (&b"PUT"[..], &b"/photos/a%20b"[..]));
    assert_eq!((record.status, record.request_time_ms), (200, Some(32)));
    assert_eq!((record.content_length, record.body_bytes_sent), (Some(1024), 0));
    assert_eq!((record.remote_addr, record.user_agent), (Some(&b"192.0.2.7"[..]), Some(&b"aws-cli/2"[..])));
    assert_eq!(record.gateway_request_id, Some(&b"tx0001"[..]));
    assert_eq!((told.operation, told.bucket), (&b"put_obj"[..], &b"acme/photos"[..]));
    assert_eq!((told.user, told.error_code, told.object), (&b"acme$al"[..], &b""[..], &b""[..]));
}

#[test]
fn entries_of_other_releases() {
    let check = |members: &str, method: &str, uri: &str, time_ms: i64, took: Option<u32>| {
        let line = format!(r#"{{"bucket":"b",{members},"http_status":"200"}}"#);
        let (record, _) = one(GatewayLog::Ops, &line);
        assert_eq!((record.method, record.uri), (method.as_bytes(), uri.as_bytes()), "{members}");
        assert_eq!((record.time_ms, record.request_time_ms), (time_ms, took), "{members}");
    };
    const AT: i64 = 1_795_287_594_000;
    // A blank in the time; the method is the operation, and the target alone the URI.
    check(
        r#""time":"2026-11-21 18:59:54.000999Z","operation":"PUT","uri":"/b/k?acl""#,
        "PUT",
        "/b/k?acl",
        AT,
        None,
    );
    // Only a local time, which says how far from UTC it is.
    check(
        r#""time_local":"2026-11-21T20:59:54.5+0200","uri":"GET /b HTTP/1.1","total_time":"7""#,
        "GET",
        "/b",
        AT + 507,
        Some(7),
    );
    // The query twice, as some releases write it; but not what only looks like it.
    check(
        r#""time":"2026-11-21T18:59:54Z","uri":"GET /b?acl&x=1?acl&x=1 HTTP/1.1""#,
        "GET",
        "/b?acl&x=1",
        AT,
        None,
    );
    check(
        r#""time":"2026-11-21T18:59:54Z","uri":"GET /b?acl?acl2 HTTP/1.1""#,
        "GET",
        "/b?acl?acl2",
        AT,
        None,
    );
    check(r#""time":"2026-11-21T18:59:54Z","uri":"GET /b?? HTTP/1.1""#, "GET", "/b??", AT, None);
    // No URI at all; a clock that was set back.
    check(r#""time":"2026-11-21T18:59:54Z","operation":"get_obj","total_time":-4"#, "", "", AT, Some(0));
    // A status that is a number; blanks, as other writers of JSON put them; keys nobody knows.
    check(
        r#" "time" : "2026-11-21T18:59:54Z" , "new" : [ {"a":[]} , null, -1.5e3 ] , "uri":"GET /b HTTP/1.1""#,
        "GET",
        "/b",
        AT,
        None,
    );
    let jewel = PUT.replace(r#""total_time":32"#, r#""total_time":32999"#);
    let (record, _) = one(GatewayLog::OpsJewel, &jewel);
    assert_eq!((record.time_ms, record.request_time_ms), (1_795_287_594_605, Some(32)));
}

#[test]
fn what_is_no_entry_says_where() {
    let check = |line: &str, expected| assert_eq!(reason(GatewayLog::Ops, line), expected, "{line}");
    check("{}", ("number", 1));
    check(r#"{"bucket":"b","http_status":"200"}"#, ("time", 1));
    check(r#"{"bucket":"b","time":"2026-11-21T18:59:54Z"}"#, ("number", 1));
    check(r#"{"bucket":"b","time":"yesterday","http_status":"200"}"#, ("time", 1));
    check(r#"{"bucket":"b","time_local":"2026-11-21 18:59:54.5","http_status":"200"}"#, ("time", 1));
    check(r#"{"bucket":"b","time":"2026-11-21T18:59:54Z","http_status":"1000"}"#, ("number", 1));
    check(r#"{"bucket":"b","time""#, ("format", 21));
    check(r#"{"bucket":"b\"#, ("format", 14));
    check("127.0.0.1 - - [x] \"GET / HTTP/1.1\" 200 1", ("format", 1));
    check("{\"bucket\":\"b\0\",\"time\":\"2026-11-21T18:59:54Z\",\"http_status\":\"200\"}", ("nul", 1));
    assert!(matches!(parsed(GatewayLog::Ops, "").as_slice(), [("", Parsed::Skipped)]));
    assert!(matches!(parsed(GatewayLog::Ops, " [ ,").as_slice(), [(_, Parsed::Skipped)]));
}

#[test]
fn a_torn_entry_costs_itself_only() {
    // A full disk: RGW writes as much as it can, and the whole entry again when there is room.
    for at in 1..PUT.len() {
        if !PUT.is_char_boundary(at) {
            continue;
        }
        let line = format!("{DELETE}{}{PUT}{DELETE}", &PUT[..at]);
        let found = parsed(GatewayLog::Ops, &line);
        let kinds: Vec<bool> = found.iter().map(|(_, parsed)| matches!(parsed, Parsed::Record(..))).collect();
        assert_eq!(kinds, [true, false, true, true], "torn after {}", &PUT[..at]);
        assert_eq!(found.iter().map(|(bytes, _)| bytes.len()).sum::<usize>(), line.len());
    }
}

#[test]
fn torn_entries_do_not_make_a_line_slow() {
    // If each start were read to the end of the line, this would take hours.
    let line = r#"{"bucket":"#.repeat(1 << 18);
    assert_eq!(parsed(GatewayLog::Ops, &line).len(), 1 << 18);
    let line = format!(r#"{{"bucket":"b","x":{}"#, "[{".repeat(1 << 18));
    assert_eq!(parsed(GatewayLog::Ops, &line).len(), 1);
}

proptest! {
    /// Whatever RGW flushes when, and whichever way it comes, each entry is there once.
    #[test]
    fn every_entry_once_however_they_are_strung(
        entries in prop::collection::vec((0..2_usize, 0..5_usize), 1..30),
        socket: bool,
    ) {
        let mut text = String::from(if socket { "[" } else { "" });
        for (which, after) in &entries {
            text.push_str([PUT, DELETE][*which]);
            text.push_str(if socket { ",\n" } else { ["", "", "\n", "\n\n", "\r\n"][*after] });
        }
        let mut found = Vec::new();
        for line in text.lines() {
            for (bytes, parsed) in parsed(GatewayLog::Ops, line) {
                match parsed {
                    Parsed::Record(..) => found.push(bytes),
                    Parsed::Skipped => {}
                    Parsed::Rejected(reject) => prop_assert!(false, "{reject}"),
                }
            }
        }
        let expected: Vec<&str> = entries.iter().map(|(which, _)| [PUT, DELETE][*which]).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_are_taken_apart_without_a_rest(line in prop::collection::vec(any::<u8>(), 0..300)) {
        for log in [GatewayLog::Ops, GatewayLog::Civetweb, GatewayLog::Beast] {
            let mut count = 0;
            GatewayParser::new(log).parse(&line, |bytes, parsed| {
                count += 1;
                if let Parsed::Rejected(reject) = parsed {
                    assert!((1..=line.len() + 1).contains(&reject.column));
                }
                assert!(bytes.len() <= line.len());
            });
            prop_assert!(count > 0, "every line is something");
        }
    }
}

const CIVETWEB: &str = r#"2026-11-21T18:59:54.605+0000 7f92f17e26c0  1 civetweb: 0x55cb0ecd87f0: 127.0.0.1 - - [21/Nov/2026:18:59:50 +0000] "PUT /b/k"?acl HTTP/1.1" 200 161 - aws-cli/2 x"#;
const BEAST: &str = r#"2026-11-21T18:59:54.605+0000 7fc49be9a710  1 beast: 0x7fc49be9a710: 2001:db8::1 - t$al [21/Nov/2026:18:59:53.404 +0000] "GET /b/k?a=b HTTP/1.1" 206 512 "http://x/" "curl/8 \"x" bytes=0-511 latency=1.201000023s"#;

#[test]
fn an_access_line_of_civetweb() {
    let (record, told) = one(GatewayLog::Civetweb, CIVETWEB);
    assert_eq!((record.method, record.uri), (&b"PUT"[..], &b"/b/k\"?acl"[..]));
    assert_eq!((record.time_ms, record.request_time_ms), (1_795_287_594_605, None));
    assert_eq!((record.status, record.body_bytes_sent, record.bytes_sent), (200, 161, Some(161)));
    assert_eq!((record.remote_addr, record.user_agent), (Some(&b"127.0.0.1"[..]), Some(&b"aws-cli/2 x"[..])));
    assert_eq!(told, Told::default());

    // In its own file, without what radosgw puts before it.
    let bare = &CIVETWEB[CIVETWEB.find("127.").unwrap()..];
    assert_eq!(one(GatewayLog::Civetweb, bare).0.time_ms, 1_795_287_590_000);
    // A container's standard error; an old release, whose own time has no zone; the journal, which took it away.
    assert_eq!(one(GatewayLog::Civetweb, &format!("debug {CIVETWEB}")).0.time_ms, record.time_ms);
    let old = CIVETWEB.replace("2026-11-21T18:59:54.605+0000", "2026-11-21 20:59:54.605123");
    assert_eq!(one(GatewayLog::Civetweb, &old).0.time_ms, 1_795_287_590_000);
    assert_eq!(
        one(GatewayLog::Civetweb, &CIVETWEB[CIVETWEB.find("civet").unwrap()..]).0.time_ms,
        1_795_287_590_000
    );
    let user_agent = |rest: &str| {
        let line = CIVETWEB.replace("- aws-cli/2 x", rest);
        one(GatewayLog::Civetweb, &line).0.user_agent.map(|agent| String::from_utf8_lossy(agent).into_owned())
    };
    assert_eq!(user_agent("- -"), None);
    assert_eq!(user_agent("http://x/ aws-cli"), None, "where the referer ends is not known");
    assert_eq!(user_agent(r#""http://x/" "aws cli""#).as_deref(), Some("aws cli"));
}

#[test]
fn an_access_line_of_beast() {
    let (record, told) = one(GatewayLog::Beast, BEAST);
    assert_eq!((record.method, record.uri), (&b"GET"[..], &b"/b/k?a=b"[..]));
    assert_eq!((record.time_ms, record.request_time_ms), (1_795_287_594_605, Some(1201)));
    assert_eq!((record.body_bytes_sent, record.content_length), (512, None));
    assert_eq!((record.remote_addr, told.user), (Some(&b"2001:db8::1"[..]), &b"t$al"[..]));
    assert_eq!(record.user_agent, Some(&b"curl/8 \\\"x"[..]));
    let put = BEAST.replace("GET /b", "PUT /b");
    let (put, _) = one(GatewayLog::Beast, &put);
    assert_eq!((put.body_bytes_sent, put.content_length), (0, Some(512)));
    // Without the time it was logged: when it began, and how long it took.
    let text = &BEAST[BEAST.find("beast").unwrap()..];
    assert_eq!(one(GatewayLog::Beast, text).0.time_ms, 1_795_287_594_605);
    // Octopus: another time, and no latency but what a client says.
    let line = BEAST.replace("21/Nov/2026:18:59:53.404 +0000", "2026-11-21T18:59:53.404123+0000");
    assert_eq!(one(GatewayLog::Beast, &line).0.request_time_ms, None);
    let text = &line[line.find("beast").unwrap()..];
    assert_eq!(one(GatewayLog::Beast, text).0.time_ms, 1_795_287_593_404);
}

#[test]
fn other_lines_of_radosgw_are_skipped_and_cannot_be_made_to_count() {
    let quoted = format!("2026-11-21T18:59:54.605+0000 7f92f17e26c0 20 HTTP_USER_AGENT=x {}", &BEAST[45..]);
    for line in [
        "",
        "2026-11-21T18:59:54.605+0000 7f92f17e26c0  1 ====== req done req=0x7f92f17db250 op status=0 http_status=200 latency=0.032000002s ======",
        "2026-11-21T18:59:54.605+0000 7f92f17e26c0  0 framework: beast",
        "2026-11-21T18:59:54.605+0000 7f92f17e26c0",
        "   -10> 2026-11-21T18:59:54.605+0000 7f92f17e26c0  1 beast: 0x1: x",
        " ceph version 16.2.15",
        "deferred set uid:gid to 64045:64045 (ceph:ceph)",
        &quoted,
    ] {
        for log in [GatewayLog::Civetweb, GatewayLog::Beast] {
            assert!(matches!(parsed(log, line).as_slice(), [(_, Parsed::Skipped)]), "{line}");
        }
    }
    assert!(matches!(parsed(GatewayLog::Beast, CIVETWEB).as_slice(), [(_, Parsed::Skipped)]));
}

#[test]
fn access_lines_that_cannot_be_read_are_rejected() {
    // What is wrong begins at the mark.
    let check = |from: &str, to: &str, expected: &str| {
        assert!(BEAST.contains(from), "{from}");
        let line = BEAST.replace(from, to);
        let column = line.find('^').expect("a mark") + 1;
        assert_eq!(reason(GatewayLog::Beast, &line), (expected, column), "{to}");
    };
    check(" 206 512", " ^ 512", "number");
    check(" 206 512", " 206 ^", "number");
    check(" 206 512", " 206^512", "format");
    check("2001:db8::1 - t$al [21/", "^", "format");
    let cut = &CIVETWEB[..CIVETWEB.find("?acl").unwrap()];
    let column = CIVETWEB.find("PUT").unwrap() + 1;
    assert_eq!(reason(GatewayLog::Civetweb, cut), ("format", column), "civetweb cuts a line after 4 KiB");
    let line = BEAST.replace("21/Nov/2026:18:59:53.404 +0000", "2026-11-21 18:59:53.0.404123s");
    assert_eq!(reason(GatewayLog::Beast, &line[line.find("beast").unwrap()..]).0, "time");
    // Not a request, but a line like any other.
    let line = BEAST.replace("GET /b/k?a=b HTTP/1.1", "\x16\x03\x01");
    let (record, _) = one(GatewayLog::Beast, &line);
    assert_eq!((record.method, record.status), (&b""[..], 206));
}
