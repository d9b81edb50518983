//! What an operator can set about windows, classes of size, slowness, buckets and events.

use crate::point::TimestampMs;

/// All of it, validated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Window lengths and lateness.
    pub windows: WindowSettings,
    /// When a request is small, and when it is slow.
    pub slow: SlowSettings,
    /// Which buckets become series.
    pub admission: AdmissionSettings,
    /// Which requests are kept as events.
    pub events: EventSettings,
}

/// Window lengths, aligned to the epoch. Invariant: `bucket_ms` is a multiple of `node_ms`, both whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSettings {
    /// Length of the windows of node totals, ms.
    pub node_ms: i64,
    /// Length of the windows of buckets and operations, ms.
    pub bucket_ms: i64,
    /// How long after its end a window waits for lines written late (nginx's `flush=`), ms.
    pub lateness_ms: i64,
}

impl WindowSettings {
    /// Windows of buckets that begin no later than this have closed before one that begins at `start_ms` opens.
    pub(super) fn settled_before(&self, start_ms: TimestampMs) -> TimestampMs {
        start_ms.saturating_sub(self.bucket_ms).saturating_sub(self.lateness_ms)
    }
}

impl Default for WindowSettings {
    fn default() -> Self {
        Self { node_ms: 10_000, bucket_ms: 60_000, lateness_ms: 15_000 }
    }
}

/// When a request is small, and when it is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowSettings {
    /// A body of at most this is `small`, bytes.
    pub small_bytes: u64,
    /// A small request that takes longer than this is slow, ms.
    pub small_ms: u32,
    /// A large request with a lower transfer rate than this is slow, bytes per second. More than 2 GiB counts as that.
    pub large_bytes_per_second: u64,
}

impl Default for SlowSettings {
    fn default() -> Self {
        Self { small_bytes: 1 << 20, small_ms: 1000, large_bytes_per_second: 1 << 20 }
    }
}

/// Which buckets become series of their own. The rest is `_unknown_` or `_other_`, exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionSettings {
    /// Buckets (`bucket` or `tenant/bucket`) that always are.
    pub always: Vec<String>,
    /// How many a window may have.
    pub per_window: usize,
    /// How many may be admitted at a time.
    pub admitted: usize,
    /// How many names not yet admitted a window keeps as candidates.
    pub candidates: usize,
    /// How long after its last success a bucket stays admitted, ms.
    pub keep_ms: i64,
}

impl Default for AdmissionSettings {
    fn default() -> Self {
        Self {
            always: Vec::new(),
            per_window: 2_000,
            admitted: 10_000,
            candidates: 20_000,
            keep_ms: 86_400_000,
        }
    }
}

/// Which requests are kept as events (`rgw_event`), each kind capped per window of node totals.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSettings {
    /// Any at all.
    pub enabled: bool,
    /// Slow requests kept per window.
    pub slow: usize,
    /// 5xx kept per window.
    pub errors_5xx: usize,
    /// 4xx kept per window.
    pub errors_4xx: usize,
    /// 404 counts as a 4xx event.
    pub not_found: bool,
    /// Share of all other requests kept, 0.0 to 1.0, decided by a hash of what it says in numbers.
    pub sample: f64,
    /// Sampled requests kept per window.
    pub sampled: usize,
    /// Fields written; empty for all.
    pub fields: Vec<String>,
}

impl EventSettings {
    /// Every field an event can have.
    pub const FIELDS: &[&str] = &[
        "bucket",
        "object",
        "method",
        "uri",
        "operation",
        "status",
        "bytes_in",
        "bytes_out",
        "request_time_ms",
        "upstream_time_ms",
        "remote_addr",
        "user_agent",
        "verdict",
    ];
}

impl Default for EventSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            slow: 50,
            errors_5xx: 50,
            errors_4xx: 20,
            not_found: false,
            sample: 0.001,
            sampled: 10,
            fields: Vec::new(),
        }
    }
}
