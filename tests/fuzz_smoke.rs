//! The bodies of the fuzz targets (`fuzz/`), for a moment: on what was found once, on real inputs, and on a few thousand
//! inputs made of these.

mod fuzz;

use std::fs;
use std::path::Path;

use fuzz::BODIES;

/// Inputs made for each body.
const MADE: usize = 3_000;

/// A line in the format `rgwlens`, with all it has.
const RGWLENS: &str = "1795287594.607 2026-11-21T18:59:54+00:00 192.0.2.1 200 0.031 758 0 400 \
    \"127.0.0.1:8080, 127.0.0.2:8080\" \"502, 200\" \"-, 0.030\" \"0.001, 0.031\" \"tx1\" \"-\" \"5\" \"b.s3.example.com\" \
    \"PUT /a\\x22b?partNumber=1&uploadId=2~x HTTP/1.1\" \"-\" \"-\" \"aws-cli/2\" \"2001:db8::1\"";

/// A line of beast's.
const BEAST: &str = "2026-11-21T18:59:54.605+0000 7fc49be9a710  1 beast: 0x7fc49be9a710: 2001:db8::1 - t$al \
    [21/Nov/2026:18:59:53.404 +0000] \"GET /b/k?a=b HTTP/1.1\" 206 512 \"http://x/\" \"curl/8\" bytes=0-511 latency=1.201000023s";

/// Numbers that look random (SplitMix64), the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % end.max(1) as u64) as usize
    }
}

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What libFuzzer found once, and small things that are as they should be.
fn kept(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz-finds").join(name);
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    entries.map(|entry| read(entry.expect("an entry").path())).collect()
}

/// Real inputs of a body.
fn real(name: &str) -> Vec<Vec<u8>> {
    let lines =
        |path: &str| read(path).split(|byte| *byte == b'\n').step_by(23).map(<[u8]>::to_vec).collect();
    let request = |line: Vec<u8>| {
        let request = line.split(|byte| *byte == b'"').nth(1).unwrap_or_default();
        let parts: Vec<&[u8]> = request.split(|byte| *byte == b' ').collect();
        [&[7, 200, 0, 0][..], &parts.join(&0xFF), b"\xFFs3.example.com\xFF192.0.2.1\xFFcurl/8"].concat()
    };
    match name {
        "line" => {
            let mut lines: Vec<_> = lines("tests/corpus/seed.log");
            lines.push(RGWLENS.as_bytes().to_vec());
            lines
        }
        "gateway_log" => {
            let decode = |path: &str| zstd::decode_all(read(path).as_slice()).expect("a corpus");
            let (ops, others) = (decode("tests/corpus/ops.log.zst"), decode("tests/corpus/radosgw.log.zst"));
            let glued = |lines: &[&[u8]]| lines.concat();
            let ops: Vec<&[u8]> = ops.split(|byte| *byte == b'\n').step_by(9).collect();
            let mut all: Vec<Vec<u8>> = ops.chunks(3).map(glued).collect();
            all.extend(others.split(|byte| *byte == b'\n').step_by(23).map(<[u8]>::to_vec));
            all.push(BEAST.as_bytes().to_vec());
            all
        }
        "request" => lines("tests/corpus/seed.log").into_iter().map(request).collect(),
        "log_format" => vec![
            read("nginx/log_format.conf").split(|byte| *byte == b';').next().unwrap_or_default().to_vec(),
            b"log_format a escape=json '{\"time\":\"$msec\",\"r\":\"$request\",\"s\":\"$status\",'\n\
              '\"b\":$body_bytes_sent,\"t\":$request_time}';\xFF{\"time\":\"1.000\",\"r\":\"GET / HTTP/1.1\",\"s\":\"200\",\
              \"b\":1,\"t\":0.001}"
                .to_vec(),
        ],
        "nginx_conf" => vec![
            read("nginx/rgw.conf"),
            read("nginx/log_format.conf"),
            b"http { include x/*.conf; map $a $b { default 1; } server { access_log a.log main; } }\xFFlog_format main '$msec';"
                .to_vec(),
        ],
        "times" => [
            &b"1795287594.607"[..],
            b"21/Nov/2026:18:59:54 +0000",
            b"29/Feb/2028:23:59:59 -1130",
            b"2026-11-21T18:59:54+05:45",
        ]
        .map(<[u8]>::to_vec)
        .to_vec(),
        "line_protocol" => vec![
            b"\x01\0\0\0\0\0\0\0bucket\xFFa b,c=d\\\xFFother\xFFv\xFFtext \"\\\n\xFFfield\xFF1.5".to_vec(),
            b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7Fk\xFF%0A%zz\xFFk\xFF\xE2\x82\xAC\xFF\xFF\xFFNaN".to_vec(),
        ],
        "position" => vec![
            br#"{"files":[{"offset":9,"head":{"len":9,"hash":"00ff"},"anchor":{"len":9,"hash":"1"},"dev":1,"ino":2,"born_ns":null,"modified_ns":3}],"read_at_ms":4}"#
                .to_vec(),
        ],
        "config" => vec![read("examples/rgwlens.toml"), read("tests/bad-config/ranges.toml")],
        "contents" => stored(),
        "ceph" => ["luminous", "pacific-degraded"].map(cluster).to_vec(),
        _ => panic!("what does {name} read?"),
    }
}

/// What a cluster answered to each question, with the question's number in front.
fn cluster(state: &str) -> Vec<u8> {
    let questions = [
        "status",
        "df",
        "osd-perf",
        "osd-pool-stats",
        "osd-df",
        "osd-tree",
        "osd-dump",
        "osd-crush-rule-dump",
        "osd-metadata",
    ];
    let answer = |(number, name): (usize, &&str)| {
        [&[number as u8][..], &read(format!("tests/ceph-json/{state}/{name}.json"))].concat()
    };
    questions.iter().enumerate().map(answer).collect::<Vec<_>>().join(&0xFF)
}

/// Contents as the store has them: those of windows over the corpus.
fn stored() -> Vec<Vec<u8>> {
    use rgwlens::access_log::{ClassifierSettings, LogFormat};
    use rgwlens::follow::Lines;
    use rgwlens::pipeline::Counter;
    use rgwlens::stats::{Admission, EventSettings, Settings, Windows};
    let settings =
        Settings { events: EventSettings { sample: 0.1, ..EventSettings::default() }, ..Settings::default() };
    let windows = Windows::replay(settings.clone(), Admission::new(settings.admission.clone(), 1));
    let format = LogFormat::named("main").expect("a format that we ship");
    let mut counter = Counter::new(format, ClassifierSettings::default(), settings.slow, windows);
    counter.count(Lines { bytes: &read("tests/corpus/seed.log"), now_ms: None });
    let mut stored = vec![b"\x01\0\0\0".to_vec()];
    for part in counter.windows.close_all() {
        let mut bytes = Vec::new();
        part.contents.encode(&mut bytes);
        stored.push(bytes);
    }
    stored
}

/// One input made of others, as a fuzzer does: bytes changed, taken out, put in, and ends joined.
fn made(random: &mut Random, of: &[Vec<u8>]) -> Vec<u8> {
    let mut input = of[random.below(of.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(input.len() + 1);
        let end = (at + random.below(40)).min(input.len());
        match random.below(6) {
            0 => drop(input.drain(at..end)),
            1 => {
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            2 => {
                let other = &of[random.below(of.len())];
                input.truncate(at);
                input.extend_from_slice(&other[random.below(other.len() + 1)..]);
            }
            3 => input.insert(at, b"\0\x01\x7F\x80\xFF\n \"\\%'$;{}[]=,-+.:9"[random.below(23)]),
            _ if at < input.len() => input[at] ^= 1 << random.below(8),
            _ => {}
        }
    }
    input
}

#[test]
fn any_input_is_read_or_refused() {
    std::thread::scope(|scope| {
        for (number, (name, body)) in BODIES.iter().enumerate() {
            scope.spawn(move || {
                let mut random = Random(number as u64);
                let mut inputs = real(name);
                inputs.extend(kept(name));
                inputs.push(Vec::new());
                inputs.push((0..300).map(|_| random.below(256) as u8).collect());
                let check = |input: &[u8]| {
                    let held = std::panic::catch_unwind(|| body(input)).is_ok();
                    assert!(held, "{name} does not hold for b\"{}\"", input.escape_ascii());
                };
                inputs.iter().for_each(|input| check(input));
                for _ in 0..MADE {
                    check(&made(&mut random, &inputs));
                }
            });
        }
    });
}

/// The seeds of the fuzz targets: what is real, as files for libFuzzer.
#[test]
#[ignore = "writes files: scripts/fuzz"]
fn write_seeds() {
    let folder = std::env::var("SEEDS").expect("SEEDS names a folder");
    for (name, _) in BODIES {
        let folder = Path::new(&folder).join(name);
        fs::create_dir_all(&folder).expect("a folder");
        for (number, input) in real(name).into_iter().chain(kept(name)).enumerate() {
            fs::write(folder.join(format!("seed-{number}")), input).expect("write");
        }
    }
}
