//! The requests of `traffic` in all formats, as they come or as lines that are hard work.
use crate::traffic::Traffic;

/// The beginning of the log: 12 August 2025.
pub(crate) const START_MS: i64 = 1_754_956_800_000;

/// A line, taken apart.
pub(crate) struct Line {
    /// In the log, from 0.
    pub(crate) number: u64,
    /// Since the beginning of the log.
    pub(crate) ms: u64,
    pub(crate) remote_addr: String,
    pub(crate) request: String,
    pub(crate) status: String,
    pub(crate) request_length: String,
    pub(crate) body_bytes_sent: String,
    pub(crate) user_agent: String,
    pub(crate) request_time: String,
    /// Written instead.
    damaged: Option<&'static str>,
}

/// How a line is written.
pub(crate) type Write = fn(&Line) -> String;

/// What is other about a line than [`Traffic`] has it.
pub(crate) type Change = fn(&mut Line);

/// What nginx escapes, in every place where a client can have it.
pub(crate) fn escaped(line: &mut Line) {
    line.request = line.request.replacen(" HTTP", "%2Fdoc\\x22s\\xC3\\xA9 HTTP", 1);
    line.user_agent.push_str(" (\\x22quoted\\x22)");
}

/// Two in three are not of the format: cut short, or something else.
pub(crate) fn damaged(line: &mut Line) {
    line.damaged = match line.number % 3 {
        0 => None,
        1 => {
            Some("10.152.20.140 - - [12/Aug/2025:00:00:00 +0000] \"GET /tenant-data-eu-00000/year=2025/mon\n")
        }
        _ => Some(
            "GET /tenant-data-eu-00000/year=2025/month=08/part-67297-2e17b8ef34ae6a8f.parquet HTTP/1.1\n",
        ),
    };
}

/// About a bucket that nobody has.
pub(crate) fn invented(line: &mut Line) {
    (line.status, line.body_bytes_sent) = ("404".into(), "250".into());
    line.request = format!("GET /invented-{:09}/key HTTP/1.1", line.number);
}

impl Line {
    /// The next request, as the line of this number.
    pub(crate) fn next(traffic: &mut Traffic, number: u64, ms: u64) -> Self {
        let line = std::str::from_utf8(traffic.line()).expect("ASCII");
        let quoted: Vec<&str> = line.split('"').collect();
        let numbers: Vec<&str> = quoted[2].split_whitespace().collect();
        Self {
            number,
            ms,
            remote_addr: quoted[0].split(' ').next().expect("an address").to_owned(),
            request: quoted[1].to_owned(),
            status: numbers[0].to_owned(),
            request_length: numbers[1].to_owned(),
            body_bytes_sent: numbers[2].to_owned(),
            user_agent: quoted[5].to_owned(),
            request_time: quoted[9].to_owned(),
            damaged: None,
        }
    }

    /// Hours, minutes, seconds.
    fn time(&self) -> String {
        let seconds = self.ms / 1000;
        format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    /// In nginx's format of this name.
    pub(crate) fn main(&self) -> String {
        let Self { remote_addr, request, status, request_length, body_bytes_sent, user_agent, .. } = self;
        let (time, request_time) = (self.time(), &self.request_time);
        self.or_damaged(format!(
            "{remote_addr} - - [12/Aug/2025:{time} +0000] \"{request}\" {status} {request_length} \
             {body_bytes_sent} \"-\" \"{user_agent}\" \"-\" \"{request_time}\"\n"
        ))
    }

    /// In nginx's format of this name.
    pub(crate) fn combined(&self) -> String {
        let Self { remote_addr, request, status, body_bytes_sent, user_agent, .. } = self;
        let time = self.time();
        self.or_damaged(format!(
            "{remote_addr} - - [12/Aug/2025:{time} +0000] \"{request}\" {status} {body_bytes_sent} \"-\" \
             \"{user_agent}\"\n"
        ))
    }

    /// In our own format, with three gateways behind nginx.
    pub(crate) fn rgwlens(&self) -> String {
        let Self { remote_addr, request, status, request_length, body_bytes_sent, user_agent, .. } = self;
        let (time, request_time) = (self.time(), &self.request_time);
        let (seconds, ms) = (START_MS as u64 / 1000 + self.ms / 1000, self.ms % 1000);
        let port = 8080 + self.number % 3;
        self.or_damaged(format!(
            "{seconds}.{ms:03} 2025-08-12T{time}+00:00 {remote_addr} {status} {request_time} {request_length} \
             {body_bytes_sent} {body_bytes_sent} \"127.0.0.1:{port}\" \"{status}\" \"0.001\" \"{request_time}\" \
             \"tx0\" \"-\" \"{request_length}\" \"s3.example.com\" \"{request}\" \"-\" \"-\" \"{user_agent}\" \"-\"\n"
        ))
    }

    fn or_damaged(&self, line: String) -> String {
        self.damaged.map_or(line, str::to_owned)
    }
}
