//! S3 traffic that nobody made, two thousand requests a second, line by line: few buckets have most of it, names are of all
//! lengths, one key in seven has something encoded, sizes and latencies have long tails, one request in thirty fails.

use std::io::Write as _;

/// The same lines for the same numbers.
pub(crate) struct Traffic {
    random: Random,
    buckets: u64,
    number: u64,
    line: Vec<u8>,
}

/// Numbers that look random (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Requests in a second of the log.
const RATE: u64 = 2_000;

const AGENTS: [&str; 5] = [
    "aws-sdk-java/1.12.261 Linux/5.4.0-122-generic OpenJDK_64-Bit_Server_VM/11.0.15 java/11.0.15",
    "Boto3/1.34.162 md/Botocore#1.34.162 ua/2.0 os/linux#5.15.0 md/arch#x86_64 lang/python#3.11.9",
    "restic/0.16.4 minio-go/v7.0.66",
    "rclone/v1.65.2",
    "aws-cli/2.15.30 Python/3.11.8 Linux/5.15.0 exe/x86_64.debian.12 prompt/off command/s3.cp",
];

/// What the buckets' names begin with.
const SITES: [&str; 11] = [
    "logs",
    "backup-prod",
    "tenant-data-eu-central",
    "ml",
    "media-archive",
    "velero",
    "registry-storage-blue-green",
    "user-content",
    "loki-chunks",
    "cdn",
    "spark-history-and-checkpoints-of-all-teams",
];

const STATUSES: [u16; 8] = [301, 304, 403, 404, 404, 416, 499, 503];

impl Traffic {
    /// Of so many buckets.
    pub(crate) fn new(buckets: u64, seed: u64) -> Self {
        Self { random: Random(seed), buckets, number: 0, line: Vec::with_capacity(512) }
    }

    /// The next line, with its newline.
    pub(crate) fn line(&mut self) -> &[u8] {
        let random = &mut self.random;
        // Zipf: the first bucket is asked for as often as all beyond the square root of their number.
        let bucket = ((self.buckets as f64).powf(random.share()) as u64).min(self.buckets) - 1;
        let second = self.number / RATE;
        let key = random.next();
        let (method, rest, upload, answer) = match random.below(40) {
            0..=19 => ("GET", Rest::Key, false, 200),
            20..=21 => ("GET", Rest::Presigned, false, 200),
            22..=29 => ("PUT", Rest::Key, true, 200),
            30..=31 => ("PUT", Rest::Part, true, 200),
            32..=33 => ("HEAD", Rest::Key, false, 200),
            34..=35 => ("DELETE", Rest::Key, false, 204),
            36..=38 => ("GET", Rest::List, false, 200),
            _ => ("POST", Rest::Uploads, false, 200),
        };
        let status = if random.below(30) == 0 { STATUSES[random.below(8) as usize] } else { answer };
        let size = 1u64 << (8 + random.below(16) + random.below(4) * random.below(2));
        let size = size + random.below(size);
        let (came, went) = match (upload, status) {
            (true, _) => (size, 0),
            (false, 200) if method == "GET" => (0, size),
            (false, 200..300 | 304 | 499) => (0, 0),
            (false, _) => (0, 250),
        };
        // The median is 12 ms; one request in two thousand takes seconds.
        let slow = if random.below(2_000) == 0 { 2_000 + random.below(20_000) } else { 0 };
        let ms = slow + (12.0 * (-random.share().max(1e-9).ln() / 0.7).powf(1.3)) as u64;
        let agent = AGENTS[random.below(5) as usize];
        let (a, b) = (random.below(256), random.below(256));
        let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
        self.number += 1;
        self.line.clear();
        let line = &mut self.line;
        // A Vec takes whatever is written to it.
        let _ = write!(
            line,
            "10.152.{a}.{b} - - [12/Aug/2025:{hour:02}:{minute:02}:{second:02} +0000] \"{method} /{}-{bucket}",
            SITES[bucket as usize % SITES.len()]
        );
        let _ = match rest {
            Rest::Key if key.is_multiple_of(7) => {
                write!(line, "/reports/{}/Umsatz%20{key:x}%20(endg%C3%BCltig).xlsx", key % 1_000)
            }
            Rest::Key => write!(line, "/year=2025/month=08/part-{:05}-{key:016x}.parquet", key % 99_999),
            Rest::Presigned => write!(
                line,
                "/export/{key:016x}.csv?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=3600&X-Amz-Signature={key:064x}"
            ),
            Rest::Part => {
                write!(
                    line,
                    "/backup/{:08x}.tar?partNumber={}&uploadId=2~{key:016x}",
                    key >> 32,
                    key % 100 + 1
                )
            }
            Rest::List => write!(line, "?list-type=2&prefix=year%3D2025%2F&max-keys=1000"),
            Rest::Uploads => write!(line, "/backup/{key:016x}.tar?uploads"),
        };
        let _ = writeln!(
            line,
            " HTTP/1.1\" {status} {} {went} \"-\" \"{agent}\" \"-\" \"{}.{:03}\"",
            came + 600 + key % 300,
            ms / 1000,
            ms % 1000,
        );
        line
    }
}

/// What follows the bucket.
enum Rest {
    Key,
    Presigned,
    Part,
    List,
    Uploads,
}
