//! `rgwlens resend`.

use std::io::Write as _;

use anyhow::Context as _;
use chrono::{Local, Utc};

use super::{
    FAILED, OK,
    args::{GlobalArgs, PeriodArgs, ResendArgs},
    context,
};
use crate::{
    config::Config,
    influx::{
        Batch, Client, Target,
        sender::{PATIENCE, Sender},
    },
    store::{Range, Reader, StoreError},
};

/// What became of the parts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Resent {
    parts: u64,
    points: u64,
    refused: u64,
    expired: u64,
    damaged: u64,
}

pub(super) fn run(global: &GlobalArgs, args: &ResendArgs) -> anyhow::Result<u8> {
    let config = context::load(global)?;
    context::start_log(global, &config);
    let until = args.until.unwrap_or_else(|| super::TimeArg::Exact(Local::now().timestamp_millis()));
    let range = context::period(&PeriodArgs { since: Some(args.since), until: Some(until) })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut code = OK;
    for target in context::outputs(&config, args.output.as_deref())? {
        let sent = runtime.block_on(resend(&config, target, range))?;
        let mut err = anstream::stderr().lock();
        writeln!(
            err,
            "output {:?}: {} parts, {} points sent, {} refused",
            target.name, sent.parts, sent.points, sent.refused
        )?;
        if sent.expired > 0 {
            writeln!(err, "{} points are older than the output keeps", sent.expired)?;
        }
        if sent.damaged > 0 {
            writeln!(
                err,
                "{} damaged parts of the store left out: `rgwlens replay --replace` makes them anew",
                sent.damaged
            )?;
        }
        if sent.refused + sent.damaged > 0 {
            code = FAILED;
        }
    }
    Ok(code)
}

async fn resend(config: &Config, target: &Target, range: Range) -> anyhow::Result<Resent> {
    let reader = Reader::open(&config.store.path)?;
    let client = Client::new(target.clone()).with_context(|| format!("output {:?}", target.name))?;
    let mut sender = Sender::new(client);
    let mut batch = Batch::new(target, &config.settings.events.fields, Utc::now().timestamp_millis());
    let mut sent = Resent::default();
    for part in reader.parts_in(range) {
        match part {
            Ok(part) => {
                sent.parts += 1;
                batch.add(&part);
            }
            Err(StoreError::DamagedPart { .. }) => sent.damaged += 1,
            Err(error) => return Err(error.into()),
        }
        if batch.is_full() {
            flush(&mut sender, &mut batch, &mut sent).await?;
        }
    }
    flush(&mut sender, &mut batch, &mut sent).await?;
    Ok(sent)
}

async fn flush(sender: &mut Sender<Client>, batch: &mut Batch, sent: &mut Resent) -> anyhow::Result<()> {
    let report = sender.send_patiently(batch.lines(), PATIENCE).await.with_context(|| {
        let name = &sender.transport().target().name;
        format!("output {name:?} does not take points; resend is harmless to repeat")
    })?;
    sent.points += report.written;
    sent.refused += report.rejected.len() as u64;
    sent.expired += report.expired + batch.expired();
    batch.clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access_log::Class,
        report::sample::{Made, NOON, parts, tags},
        store::{Store, Stream},
    };
    use std::{
        io::{BufRead as _, BufReader, Read as _},
        net::TcpListener,
        thread,
    };

    /// Answers one request with this, and gives its body.
    fn take_one(listener: &TcpListener, answer: &[u8]) -> String {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(bytes) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = bytes.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        stream.write_all(answer).unwrap();
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn a_damaged_part_holds_up_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let made: Vec<_> = (0..5).map(|minute| Made::new(minute * 60_000, Class::Head, "b")).collect();
        let stream = Stream { name: "access".into(), tags: tags("gw1") };
        Store::open(&path).unwrap().append(&stream, &parts(&made)).unwrap();
        let db = rusqlite::Connection::open(&path).unwrap();
        assert_eq!(db.execute("UPDATE parts SET crc = crc + 1 WHERE seq = 3", []).unwrap(), 1);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let config = Config::from_toml(&format!(
            "[store]\npath = {path:?}\n[[output]]\nname = \"influx\"\nkind = \"influxdb1\"\nurl = \"http://{}\"\n\
             gzip = false\n",
            listener.local_addr().unwrap()
        ))
        .unwrap();
        // Busy for a moment: that is no reason to give up.
        let server = thread::spawn(move || {
            take_one(&listener, b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            take_one(&listener, b"HTTP/1.1 204 No Content\r\nX-Influxdb-Version: 1.8.10\r\n\r\n")
        });
        let range = Range { from_ms: NOON, until_ms: NOON + 300_000 };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let sent = runtime.block_on(resend(&config, &config.outputs[0], range)).unwrap();
        let points = server.join().unwrap().lines().count() as u64;
        assert_eq!(sent, Resent { parts: 9, points, damaged: 1, ..Resent::default() });
        assert!(points >= 9);
    }
}
