//! Recorded requests and what RGW says of each (see tests/corpus/README.md).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The format of `extended.log`, as nginx was told it.
pub const EXTENDED: &str = r#"log_format extended '$remote_addr - $remote_user [$time_local] "$request" '
    '$status $request_length $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for" '
    '"$request_time" $msec "$host" "$upstream_addr" "$upstream_status" "$upstream_response_time" '
    '"$upstream_header_time" "$request_id" $bytes_sent "$http_x_amz_copy_source"';"#;

/// Where the log does not show what RGW knew, and which part of the answer differs for it. Each of them is explained in
/// docs/classification.md.
const UNSEEN: &[(&str, &str, &[usize])] = &[
    (
        "Swift's X-Copy-From header ($http_x_copy_from)",
        "operation",
        &[768, 777, 786, 795, 804, 813, 822, 831],
    ),
    ("Swift's form upload: the request's Content-Type ($content_type)", "operation", &[873]),
    ("the user's own tenant (no variable)", "bucket", &[716, 717, 718, 735]),
    ("the account in Swift's URL, which this gateway does not expect", "operation", &[868]),
    ("the account in Swift's URL, which this gateway does not expect", "bucket", &[868]),
    ("the account in Swift's URL, which this gateway does not expect", "object", &[868]),
    (
        "Swift's Destination header of a COPY ($http_destination)",
        "object",
        &[767, 776, 785, 794, 803, 812, 821, 830, 900, 961],
    ),
];

/// The same by line and part (`operation`, `bucket` or `object`), with the reason.
pub fn unseen() -> BTreeMap<(usize, &'static str), &'static str> {
    let each = |(reason, part, lines): &(&'static str, &'static str, &'static [usize])| {
        let (reason, part) = (*reason, *part);
        lines.iter().map(move |line| ((*line, part), reason))
    };
    UNSEEN.iter().flat_map(each).collect()
}

/// A file of the corpus.
pub fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A compressed one.
pub fn read_zst(name: &str) -> Vec<u8> {
    zstd::decode_all(read(name).as_slice()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Lines, without their ends.
pub fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.strip_suffix(b"\n").unwrap_or(file).split(|&byte| byte == b'\n')
}

/// The escapes of truth.tsv.
pub fn text(field: &[u8]) -> String {
    let field = String::from_utf8_lossy(field);
    field.replace("\\t", "\t").replace("\\n", "\n").replace("\\r", "\r").replace("\\\\", "\\")
}
