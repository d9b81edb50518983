//! `rgwlens status`: how far each log is read, and how far behind each output is. From the store, which it only reads.

use std::{collections::BTreeSet, io::Write as _, path::Path};

use chrono::Utc;
use serde::Serialize;

use super::{
    OK,
    args::{GlobalArgs, StatusArgs},
    context, json,
    table::{Cell, Page, Style, bytes, count, span, time},
};
use crate::{
    point::TimestampMs,
    stats::Totals,
    store::{OutputState, Reader, StoreError, StreamState},
};

pub(super) fn run(global: &GlobalArgs, args: &StatusArgs) -> anyhow::Result<u8> {
    let config = context::load(global)?;
    context::start_log(global, &config);
    let path = &config.store.path;
    let status = collect(&Reader::open(path)?, path, Utc::now().timestamp_millis())?;
    // A text first: an error of serde_json would hide a pipe that nobody reads any more.
    let text = if args.json { json::pretty(&status)? } else { render(&status, &Style::of_stdout()) };
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(OK)
}

/// How the daemon is doing. Its JSON is this, field by field.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Status {
    /// When this was.
    now_ms: TimestampMs,
    store: StoreStatus,
    streams: Vec<StreamStatus>,
    outputs: Vec<OutputState>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct StoreStatus {
    path: String,
    /// In use in the database file.
    bytes: u64,
    /// Number of the newest part; 0 before the first.
    last_part: i64,
}

/// One log.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct StreamStatus {
    name: String,
    path: String,
    /// Last look at the files.
    read_at_ms: Option<TimestampMs>,
    /// Bytes read of the newest file, uncompressed.
    offset: Option<u64>,
    /// Greatest time of a request.
    watermark_ms: Option<TimestampMs>,
    /// First time of a request, ever.
    first_ms: Option<TimestampMs>,
    /// Windows before this are pruned, and lines for them are expired; `null` as long as none is.
    floor_ms: Option<TimestampMs>,
    /// Of all time.
    totals: Totals,
    /// lines = counted + rejected + expired.
    conserved: bool,
    /// Windows that have requests and have not closed.
    open_windows: usize,
    /// Start of the oldest of them.
    oldest_open_ms: Option<TimestampMs>,
    /// Buckets that are series of their own now.
    admitted_buckets: usize,
}

/// Reads the store.
pub(crate) fn collect(reader: &Reader, path: &Path, now_ms: TimestampMs) -> Result<Status, StoreError> {
    let mut streams = Vec::new();
    for name in reader.streams()? {
        streams.extend(reader.stream(&name)?.map(stream_status));
    }
    let (_, last_part) = reader.bounds()?;
    Ok(Status {
        now_ms,
        store: StoreStatus { path: path.display().to_string(), bytes: reader.used_bytes()?, last_part },
        streams,
        outputs: reader.outputs()?,
    })
}

fn stream_status(stream: StreamState) -> StreamStatus {
    let totals = stream.windows.as_ref().map(|windows| windows.totals).unwrap_or_default();
    // A window has a fragment for each commit since it opened.
    let open: BTreeSet<_> = stream.fragments.iter().map(|fragment| fragment.window).collect();
    let position = stream.position.as_ref();
    StreamStatus {
        read_at_ms: position.map(|position| position.read_at_ms).filter(|ms| *ms > 0),
        offset: position.and_then(|position| Some(position.files.last()?.offset)),
        watermark_ms: stream.windows.as_ref().and_then(|windows| windows.watermark_ms),
        first_ms: stream.windows.as_ref().and_then(|windows| windows.first_ms),
        floor_ms: Some(stream.floor_ms).filter(|ms| *ms > TimestampMs::MIN),
        totals,
        conserved: totals.conserved(),
        open_windows: open.len(),
        oldest_open_ms: open.iter().map(|window| window.start_ms).min(),
        admitted_buckets: stream.admitted.len(),
        name: stream.name,
        path: stream.path,
    }
}

/// A status as text.
pub(crate) fn render(status: &Status, style: &Style) -> String {
    let mut page = Page::new(style);
    page.heading(&format!("Store {}", status.store.path), "");
    page.paragraph(&format!(
        "{} in use; {} parts written since it was made",
        bytes(status.store.bytes),
        count(u64::try_from(status.store.last_part).unwrap_or(0))
    ));
    if status.streams.is_empty() {
        page.paragraph("No log was read yet: is the daemon running? `systemctl status rgwlens` says.");
    }
    for stream in &status.streams {
        stream_page(&mut page, stream, status.now_ms);
    }
    outputs_page(&mut page, &status.outputs);
    page.finish()
}

fn stream_page(page: &mut Page, stream: &StreamStatus, now_ms: TimestampMs) {
    page.heading(&format!("Log {} ({})", stream.name, stream.path), "");
    let when = |ms: Option<TimestampMs>, none: &str| {
        ms.map_or_else(
            || none.to_owned(),
            |ms| {
                let ago = now_ms.saturating_sub(ms) as f64 / 1000.0;
                let ago =
                    if ago < 0.0 { format!("{} ahead", span(-ago)) } else { format!("{} ago", span(ago)) };
                format!("{} UTC ({ago})", time(ms))
            },
        )
    };
    let totals = &stream.totals;
    let mut rows: Vec<(&str, Cell)> = vec![
        ("last read", when(stream.read_at_ms, "never").into()),
        ("newest request", when(stream.watermark_ms, "none").into()),
        ("first request", when(stream.first_ms, "none").into()),
        ("lines read", count(totals.lines).into()),
        ("  counted", format!("{} ({} of them late)", count(totals.counted), count(totals.late)).into()),
        ("  rejected", Cell::from(count(totals.rejected)).warn_if(totals.rejected > 0)),
        ("  expired", Cell::from(count(totals.expired)).warn_if(totals.expired > 0)),
        ("adds up", Cell::from(if stream.conserved { "yes" } else { "NO" }).bad_if(!stream.conserved)),
        ("open windows", count(stream.open_windows as u64).into()),
        ("own buckets", count(stream.admitted_buckets as u64).into()),
        ("pruned before", when(stream.floor_ms, "nothing yet").into()),
    ];
    if totals.skipped > 0 {
        rows.insert(7, ("about no request", count(totals.skipped).into()));
    }
    page.table(&["", " "], rows.into_iter().map(|(name, cell)| vec![name.into(), cell]));
    if !stream.conserved {
        page.warning("Lines do not add up: please report this as a bug.");
    }
    if totals.rejected > 0 && totals.counted == 0 {
        page.warning("No line fits the log format: `rgwlens explain` shows why.");
    }
}

fn outputs_page(page: &mut Page, outputs: &[OutputState]) {
    page.heading("Outputs", "");
    if outputs.is_empty() {
        page.paragraph("None: what is counted stays in the store. `rgwlens report` shows it.");
        return;
    }
    page.table(
        &["output", "kind ", "unsent parts", "refused points", "expired points", "gaps"],
        outputs.iter().map(|output| {
            vec![
                output.name.as_str().into(),
                if output.required { "required" } else { "optional" }.into(),
                Cell::from(count(output.unsent_parts)).good_if(output.unsent_parts == 0),
                Cell::from(count(output.rejected)).bad_if(output.quarantined > 0),
                Cell::from(count(output.expired)).warn_if(output.expired > 0),
                Cell::from(count(output.gaps)).bad_if(output.gaps > 0),
            ]
        }),
    );
    for output in outputs.iter().filter(|output| !output.trouble.is_empty()) {
        page.warning(&format!("{}: {}", output.name, output.trouble));
    }
    for output in outputs.iter().filter(|output| !output.other.is_empty()) {
        page.warning(&format!("{}: {}", output.name, output.other));
    }
    let quarantined: u64 = outputs.iter().map(|output| output.quarantined).sum();
    if quarantined > 0 {
        page.note(&format!(
            "refused points: {} of them are kept; `rgwlens quarantine list`.",
            count(quarantined)
        ));
    }
    if outputs.iter().any(|output| output.gaps > 0) {
        page.note("gaps: parts that were pruned before an optional output had them; it never gets them.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access_log::Class,
        report::sample::{Made, NOON, tags, windows},
        store::{Acknowledgement, Commit, Store, Stream},
    };

    const PLAIN: Style = Style { colour: false, width: Some(80) };

    fn status(fill: impl FnOnce(&mut Store)) -> Status {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let mut store = Store::open(&path).unwrap();
        fill(&mut store);
        let status = collect(&Reader::open(&path).unwrap(), Path::new("/var/lib/store.db"), NOON + 100_000);
        status.unwrap()
    }

    fn fill(store: &mut Store) {
        let stream = Stream { name: "access".into(), tags: tags("gw1") };
        store.bind(&stream, "/var/log/nginx/access.log").unwrap();
        for (output, required) in [("influx", true), ("spare", false)] {
            store.add_output(output, required).unwrap();
        }
        let mut windows = windows();
        for at_ms in [0, 1_000, 61_000, 90_000] {
            Made::new(at_ms, Class::Head, "b").record(&mut windows);
        }
        windows.reject("quotes");
        let parts = windows.close_due();
        assert_eq!(parts.len(), 3, "two of node totals, one of buckets");
        let commit = Commit {
            parts,
            fragments: windows.fragments(),
            open: windows.open(),
            windows: windows.state(),
            admitted: windows.admission().take_changes(),
            ..Commit::default()
        };
        let ack =
            Acknowledgement { seq: 1, trouble: "503: \x1b[31mgone".into(), ..Acknowledgement::default() };
        store.commit(&stream, &commit, &[("influx".into(), ack)]).unwrap();
    }

    #[test]
    fn what_the_store_says() {
        let status = status(fill);
        let [stream] = &status.streams[..] else { panic!("{status:?}") };
        let totals = &stream.totals;
        assert_eq!((totals.lines, totals.counted, totals.rejected, totals.expired), (5, 4, 1, 0));
        assert!(stream.conserved);
        assert_eq!(stream.watermark_ms, Some(NOON + 90_000));
        assert_eq!((stream.open_windows, stream.oldest_open_ms), (2, Some(NOON + 60_000)));
        assert_eq!((stream.floor_ms, stream.admitted_buckets), (None, 1));
        let unsent: Vec<_> = status.outputs.iter().map(|o| (o.name.as_str(), o.unsent_parts)).collect();
        assert_eq!(unsent, [("influx", 2), ("spare", 3)]);
        assert!(status.store.bytes > 0);
        assert_eq!(status.store.last_part, 3);
    }

    #[test]
    fn the_page() {
        let text = render(&status(fill), &PLAIN);
        for expected in [
            "/var/log/nginx/access.log",
            "2026-11-21 12:01:30 UTC (10 s ago)",
            "4 (0 of them late)",
            "nothing yet",
            "influx",
            "optional",
            "[31mgone",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert_eq!(text.chars().find(|c| c.is_control() && *c != '\n'), None);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn before_the_first_line() {
        let text = render(&status(|_| {}), &PLAIN);
        assert!(text.contains("systemctl status rgwlens") && text.contains("rgwlens report"), "{text}");
    }

    #[test]
    fn the_shape_of_the_json() {
        let json = serde_json::to_value(status(fill)).unwrap();
        let keys = |value: &serde_json::Value| {
            value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(keys(&json), "now_ms outputs store streams");
        assert_eq!(
            keys(&json["streams"][0]),
            "admitted_buckets conserved first_ms floor_ms name offset oldest_open_ms open_windows path read_at_ms totals \
             watermark_ms"
        );
        assert_eq!(
            keys(&json["outputs"][0]),
            "expired gaps name other quarantined rejected required seq trouble unsent_parts"
        );
    }
}
