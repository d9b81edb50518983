//! A report of what the store has.

use crate::{
    point::Tags,
    report::{Builder, Options, Report},
    store::{Payload, Range, Reader, StoreError, StoredPart},
};

/// Which parts; `None` for all.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::cli) struct Filter<'a> {
    /// Tag `log`.
    pub(in crate::cli) log: Option<&'a str>,
    /// Tag `node`.
    pub(in crate::cli) node: Option<&'a str>,
}

impl Filter<'_> {
    fn wants(&self, tags: &Tags) -> bool {
        let is = |key, wanted: Option<&str>| wanted.is_none_or(|wanted| tags.get(key) == Some(wanted));
        is("log", self.log) && is("node", self.node)
    }
}

/// Adds up the parts of the store that begin in a range. Damaged ones are left out, and counted.
pub(in crate::cli) fn from_store(
    reader: &Reader,
    range: Range,
    filter: Filter<'_>,
    options: Options,
) -> Result<Report, StoreError> {
    let mut builder = Builder::new(options);
    for part in reader.parts_in(range) {
        match part {
            Ok(part) => add(&mut builder, &part, filter),
            Err(StoreError::DamagedPart { .. }) => builder.damaged(),
            Err(error) => return Err(error),
        }
    }
    Ok(builder.finish())
}

fn add(builder: &mut Builder, part: &StoredPart, filter: Filter<'_>) {
    if !filter.wants(&part.tags) {
        return;
    }
    match &part.payload {
        Payload::Window(window) => builder.add(window, &part.tags),
        Payload::Points(points) => points.iter().for_each(|point| builder.add_point(point, &part.tags)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access_log::Class,
        report::sample::{Made, NOON, parts, tags},
        store::{Store, Stream},
    };

    fn store(folder: &tempfile::TempDir) -> (Store, std::path::PathBuf) {
        let path = folder.path().join("store.db");
        (Store::open(&path).unwrap(), path)
    }

    fn minutes(count: i64) -> Vec<Made> {
        (0..count).map(|minute| Made::new(minute * 60_000, Class::Head, "b")).collect()
    }

    fn append(store: &mut Store, node: &str, made: &[Made]) {
        let stream = Stream { name: "access".into(), tags: tags(node) };
        store.append(&stream, &parts(made)).unwrap();
    }

    #[test]
    fn everything_a_range_and_a_node() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, path) = store(&folder);
        append(&mut store, "gw1", &minutes(100));
        append(&mut store, "gw2", &minutes(50));
        let reader = Reader::open(&path).unwrap();
        let requests = |range, filter| {
            let report = from_store(&reader, range, filter, Options::default()).unwrap();
            (report.total.requests, report.buckets.total.requests)
        };
        let all = Filter::default();
        assert_eq!(requests(Range::ALL, all), (150, 150), "more than a page");
        assert_eq!(requests(Range::ALL, Filter { node: Some("gw2"), ..all }), (50, 50));
        assert_eq!(requests(Range::ALL, Filter { log: Some("other"), ..all }), (0, 0));
        let range = Range { from_ms: NOON + 60_000, until_ms: NOON + 120_000 };
        assert_eq!(requests(range, all), (2, 2));
    }

    #[test]
    fn damaged_parts_are_left_out_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, path) = store(&folder);
        append(&mut store, "gw1", &minutes(100));
        let whole =
            from_store(&Reader::open(&path).unwrap(), Range::ALL, Filter::default(), Options::default());
        assert_eq!(whole.unwrap().parts.counted, 200);
        let db = rusqlite::Connection::open(&path).unwrap();
        let damaged = db.execute("UPDATE parts SET crc = crc + 1 WHERE seq IN (1, 2, 70, 200)", []).unwrap();
        assert_eq!(damaged, 4);
        let report =
            from_store(&Reader::open(&path).unwrap(), Range::ALL, Filter::default(), Options::default())
                .unwrap();
        assert_eq!((report.parts.counted, report.parts.damaged), (196, 4));
    }
}
