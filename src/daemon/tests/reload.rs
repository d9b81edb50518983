//! A configuration that is not good changes nothing.

use std::sync::Arc;

use super::super::Daemon;
use crate::{
    config::Config,
    follow::{Clock, SystemClock},
    store::{Acknowledgement, Reader, Store},
};

/// A configuration in this folder with one log and one output, where nobody answers.
fn config(folder: &std::path::Path, log: &str, output: &str) -> Config {
    let folder = folder.display();
    let text = format!(
        "node = \"gw1\"\n[store]\npath = \"{folder}/store.db\"\n[[log]]\npath = \"{folder}/{log}\"\n\
         [[output]]\nname = \"{output}\"\nkind = \"influxdb1\"\nurl = \"http://127.0.0.1:9\"\ndatabase = \"rgw\"\n"
    );
    Config::from_toml(&text).unwrap()
}

#[test]
fn a_configuration_that_does_not_start_takes_no_output_away() {
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let good = config(folder.path(), "access.log", "old");
    let mut store =
        Daemon::start(&good, Store::open(&good.store.path).unwrap(), &clock).unwrap().stop().unwrap();
    let seen = Acknowledgement { seq: 7, ..Acknowledgement::default() };
    store.acknowledge(&[("old".into(), seen)]).unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let bad = config(folder.path(), "folder", "new");
    assert!(Daemon::start(&bad, store, &clock).is_err());
    let cursors = |path| -> Vec<(String, i64)> {
        let outputs = Reader::open(path).unwrap().outputs().unwrap();
        outputs.into_iter().filter(|o| o.name != "new").map(|o| (o.name, o.seq)).collect()
    };
    assert_eq!(cursors(&good.store.path), [("old".to_owned(), 7)]);
}
