//! Made-up requests, counted by real windows.

use crate::{
    access_log::{Class, Classified, Operation, Protocol, Record},
    point::{Tags, TimestampMs},
    stats::{Admission, Part, Request, Settings, SlowSettings, Windows},
};

/// 2026-11-21T12:00:00Z.
pub(crate) const NOON: TimestampMs = 1_795_262_400_000;

/// A request that can be told in a line of a test.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// After [`NOON`].
    pub(crate) at_ms: i64,
    pub(crate) class: Class,
    pub(crate) bucket: &'static str,
    pub(crate) status: u16,
    pub(crate) took_ms: u32,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) upstream: Option<(&'static str, u32)>,
}

impl Made {
    /// Answered 200 in 10 ms.
    pub(crate) fn new(at_ms: i64, class: Class, bucket: &'static str) -> Self {
        Self { at_ms, class, bucket, status: 200, took_ms: 10, bytes_in: 0, bytes_out: 0, upstream: None }
    }

    pub(crate) fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn took(self, took_ms: u32) -> Self {
        Self { took_ms, ..self }
    }

    pub(crate) fn bytes(self, bytes_in: u64, bytes_out: u64) -> Self {
        Self { bytes_in, bytes_out, ..self }
    }

    /// Answered by this RGW, which took so long until its first byte.
    pub(crate) fn upstream(self, name: &'static str, header_ms: u32) -> Self {
        Self { upstream: Some((name, header_ms)), ..self }
    }

    /// Counts it.
    pub(crate) fn record(&self, windows: &mut Windows) {
        let record = Record {
            time_ms: NOON + self.at_ms,
            method: b"GET",
            uri: b"/some/object?signature=secret",
            status: self.status,
            content_length: Some(self.bytes_in),
            body_bytes_sent: self.bytes_out,
            request_time_ms: Some(self.took_ms),
            remote_addr: Some(b"192.0.2.7"),
            upstream_addr: self.upstream.map(|(name, _)| name.as_bytes()),
            upstream_tries: u8::from(self.upstream.is_some()),
            upstream_response_time_ms: self.upstream.map(|(_, ms)| ms),
            upstream_header_time_ms: self.upstream.map(|(_, ms)| ms),
            ..Record::default()
        };
        let upload = self.class == Class::Upload;
        let what = Classified {
            protocol: Protocol::S3,
            operation: if upload { Operation::PutObj } else { Operation::GetObj },
            class: self.class,
            tenant: b"",
            bucket: self.bucket.as_bytes(),
            object: b"photos/2026/cat.jpg",
        };
        let mut label = Vec::new();
        let request = Request::new(&record, &what, &SlowSettings::default(), &mut label);
        windows.record(&request, format!("{self:?}").as_bytes(), None);
    }
}

/// Windows as `report` uses them for files.
pub(crate) fn windows() -> Windows {
    Windows::replay(Settings::default(), Admission::default())
}

/// The parts of these requests.
pub(crate) fn parts(made: &[Made]) -> Vec<Part> {
    let mut windows = windows();
    made.iter().for_each(|made| made.record(&mut windows));
    let mut parts = windows.close_due();
    parts.extend(windows.close_all());
    parts
}

/// Tags of a gateway's log.
pub(crate) fn tags(node: &str) -> Tags {
    Tags::new([("cluster", "ceph"), ("node", node), ("log", "access")])
}
