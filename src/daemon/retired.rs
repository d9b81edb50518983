//! Logs that are not configured any more: nothing will be added to their windows, so what these counted is final.

use tracing::warn;

use super::ingest;
use crate::{
    config::Config,
    point::Tags,
    stats::{Admission, Windows},
    store::{Commit, Reader, Store, StoreError, Stream},
};

/// Closes the windows that such logs left open. Where they are configured again, they go on with late parts.
pub(super) fn close(config: &Config, store: &mut Store) -> Result<(), StoreError> {
    let reader = Reader::open(store.path())?;
    for name in reader.streams()? {
        if config.logs.iter().any(|log| log.name == name) {
            continue;
        }
        let Some(mut stored) = reader.stream(&name)?.filter(|stored| !stored.fragments.is_empty()) else {
            continue;
        };
        let tags = Tags::new(config.node_tags().iter().chain([("log", name.as_str())]));
        let stream = Stream { tags, name };
        let position = stored.position.take().unwrap_or_default();
        let admission = Admission::new(config.settings.admission.clone(), stream.seed());
        let mut windows = Windows::live(config.settings.clone(), admission, store.instance());
        ingest::restore(&mut windows, stored, &stream.name);
        let commit = Commit {
            parts: windows.close_all(),
            position,
            windows: windows.state(),
            admitted: windows.admission().take_changes(),
            late_numbers: windows.take_changed_k(),
            ..Commit::default()
        };
        store.commit(&stream, &commit, &[])?;
        warn!(log = %stream.name, "is not configured any more: its open windows are closed with what they have");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access_log::{Class, Operation, Protocol, Record},
        stats::{Outcome, Request, Size},
        store::Range,
    };

    #[test]
    fn what_a_log_that_is_gone_counted_last_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("node = \"gw1\"\n[store]\npath = {:?}\n", folder.path().join("store.db"));
        let config = Config::from_toml(&text).unwrap();
        let tags = Tags::new([("cluster", "ceph"), ("node", "gw1"), ("log", "old")]);
        let stream = Stream { name: "old".into(), tags };
        let mut store = Store::open(&config.store.path).unwrap();
        store.bind(&stream, "/var/log/nginx/old.log").unwrap();
        let admission = Admission::new(config.settings.admission.clone(), stream.seed());
        let mut windows = Windows::live(config.settings.clone(), admission, store.instance());
        for time_ms in 1_000_000..1_000_003 {
            let request = Request {
                record: &Record { time_ms, ..Record::default() },
                class: Class::Head,
                protocol: Protocol::S3,
                operation: Operation::GetObj,
                bucket: b"b",
                object: b"o",
                outcome: Outcome::Ok,
                size: Size::Small,
                slow: false,
                bytes_in: 0,
                bytes_out: 0,
            };
            windows.record(&request, b"line", Some(time_ms));
        }
        let commit = Commit {
            fragments: windows.fragments(),
            open: windows.open(),
            windows: windows.state(),
            ..Commit::default()
        };
        store.commit(&stream, &commit, &[]).unwrap();
        let reader = Reader::open(&config.store.path).unwrap();
        let lines = || -> u64 { reader.lines_by_window(&stream, Range::ALL, 1000).unwrap().values().sum() };
        assert_eq!(lines(), 0, "the windows are open");
        // Twice: a start must find nothing to do that an earlier one has done.
        for _ in 0..2 {
            close(&config, &mut store).unwrap();
            assert_eq!((lines(), reader.bounds().unwrap()), (3, (0, 2)));
        }
        let totals = reader.stream("old").unwrap().unwrap().windows.unwrap().totals;
        assert_eq!((totals.counted, totals.closed), (3, 3));
    }
}
