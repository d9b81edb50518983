//! The sender against a model of a server whose every fault is known.

use super::*;
use proptest::{collection::vec, prelude::*};
use std::{
    collections::BTreeSet,
    sync::Mutex,
    task::{Context, Poll, Waker},
};

/// What the model does with the good lines of a batch with a bad one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Style {
    /// Stores them, as InfluxDB 1, and counts the others.
    Partial,
    /// Stores them, and counts wrong, as InfluxDB 1 with a malformed line.
    Miscounted,
    /// Stores none of them, as InfluxDB 2 with a malformed line.
    Nothing,
    /// Stores them, and says so much about three or more that nobody reads to the end.
    Wordy,
}

/// A line's first word is what the server thinks of it: `good`, `bad` or `old`.
#[derive(Debug)]
struct Server {
    style: Style,
    max_bytes: usize,
    /// The number of the request that is answered so, and of all after it.
    fault: Option<(usize, Outcome)>,
    stored: Mutex<BTreeSet<Vec<u8>>>,
    requests: Mutex<Vec<Vec<u8>>>,
}

impl Server {
    fn new(style: Style, max_bytes: usize) -> Self {
        Self { style, max_bytes, fault: None, stored: Mutex::default(), requests: Mutex::default() }
    }

    fn requests(&self) -> usize {
        self.requests.lock().expect("no panic").len()
    }
}

impl Transport for Server {
    async fn write(&self, lines: &[u8]) -> Outcome {
        let mut requests = self.requests.lock().expect("no panic");
        requests.push(lines.to_vec());
        if let Some((first, outcome)) = &self.fault
            && requests.len() > *first
        {
            return outcome.clone();
        }
        if lines.len() > self.max_bytes {
            return Outcome::TooLarge;
        }
        let all: Vec<&[u8]> =
            lines.strip_suffix(b"\n").expect("whole lines").split(|&b| b == b'\n').collect();
        let with = |word: &[u8]| all.iter().filter(|line| line.starts_with(word)).count();
        let (bad, old) = (with(b"bad"), with(b"old"));
        if self.style != Style::Nothing || bad == 0 {
            let good = all.iter().filter(|line| line.starts_with(b"good")).map(|line| line.to_vec());
            self.stored.lock().expect("no panic").extend(good);
        }
        let counted = |number: usize| match self.style {
            Style::Partial => format!(" dropped={number}"),
            Style::Miscounted => " dropped=0".to_owned(),
            Style::Nothing | Style::Wordy => String::new(),
        };
        if bad > 2 && self.style == Style::Wordy {
            Outcome::Unclear { why: "400".to_owned() }
        } else if bad > 0 {
            Outcome::Rejected { message: format!("type conflict{}", counted(bad)) }
        } else if old > 0 {
            Outcome::Expired { message: format!("points beyond retention policy{}", counted(old)) }
        } else {
            Outcome::Written
        }
    }
}

/// Runs what never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn body(words: &[&str]) -> Vec<u8> {
    words.iter().enumerate().flat_map(|(n, word)| format!("{word} x={n}i\n").into_bytes()).collect()
}

proptest! {
    #[test]
    fn every_line_is_accounted_for_once(
        words in vec(prop_oneof![8 => Just("good"), 1 => Just("bad"), 1 => Just("old")], 0..200),
        style in prop_oneof![
            Just(Style::Partial), Just(Style::Miscounted), Just(Style::Nothing), Just(Style::Wordy)
        ],
        server_bytes in 8usize..4000, max_lines in 1usize..300, max_bytes in 1usize..4000,
    ) {
        let body = body(&words);
        let mut sender = Sender::with_limits(Server::new(style, server_bytes), max_lines, max_bytes);
        let report = now(sender.send(&body)).expect("nothing to wait for");
        let lines: Vec<_> = body.split(|&b| b == b'\n').filter(|line| !line.is_empty()).collect();
        let too_long = |line: &[u8]| line.len() + 1 > server_bytes;
        let of = |word: &'static [u8]| lines.iter().copied().filter(move |line| line.starts_with(word));
        let good: BTreeSet<_> = of(b"good").filter(|line| !too_long(line)).map(<[u8]>::to_vec).collect();
        prop_assert_eq!(report.written, good.len() as u64);
        prop_assert_eq!(report.expired, of(b"old").filter(|line| !too_long(line)).count() as u64);
        let bad: Vec<_> = lines.iter().copied().filter(|line| line.starts_with(b"bad") || too_long(line)).collect();
        let rejected: Vec<_> = report.rejected.iter().map(|line| line.line.as_slice()).collect();
        prop_assert_eq!(rejected, bad);
        let server = sender.transport();
        prop_assert_eq!(&*server.stored.lock().expect("no panic"), &good);
        for request in server.requests.lock().expect("no panic").iter() {
            let count = memchr::memchr_iter(b'\n', request).count();
            prop_assert!(count == 1 || (count <= max_lines && request.len() <= max_bytes));
        }
    }

    #[test]
    fn few_bad_lines_cost_few_requests(places in proptest::collection::btree_set(0usize..1024, 0..8)) {
        let words: Vec<_> = (0..1024).map(|n| if places.contains(&n) { "bad" } else { "good" }).collect();
        let mut sender = Sender::with_limits(Server::new(Style::Nothing, usize::MAX), 5_000, 1 << 20);
        let report = now(sender.send(&body(&words))).expect("nothing to wait for");
        prop_assert_eq!(report.rejected.len(), places.len());
        prop_assert!(sender.transport().requests() <= 1 + 2 * places.len() * 10);
    }
}

#[test]
fn a_batch_that_is_refused_whole_costs_one_request_where_the_server_says_so() {
    let mut sender = Sender::with_limits(Server::new(Style::Partial, usize::MAX), 5_000, 1 << 20);
    let report = now(sender.send(&body(&["old"; 1000]))).expect("nothing to wait for");
    assert_eq!((report.expired, sender.transport().requests()), (1000, 1));
    let report = now(sender.send(&body(&["bad"; 1000]))).expect("nothing to wait for");
    assert_eq!((report.rejected.len(), sender.transport().requests()), (1000, 2));
}

#[test]
fn a_limit_is_learned_once() {
    let mut sender = Sender::with_limits(Server::new(Style::Partial, 1000), 5_000, 1 << 20);
    let body = body(&["good"; 500]);
    now(sender.send(&body)).expect("nothing to wait for");
    let first = sender.transport().requests();
    now(sender.send(&body)).expect("nothing to wait for");
    let second = sender.transport().requests() - first;
    let refused = |request: &&Vec<u8>| request.len() > 1000;
    assert_eq!(
        sender.transport().requests.lock().expect("no panic")[first..].iter().filter(refused).count(),
        0
    );
    assert!(second < first, "{first}, then {second}");
}

#[test]
fn a_server_that_is_not_able_leaves_all_with_the_caller() {
    for (fault, kind) in [
        (Outcome::Retry { after: Some(Duration::from_secs(7)), why: "503".to_owned() }, NotNowKind::Retry),
        (Outcome::Refused { why: "401".to_owned(), mend: "mend".to_owned() }, NotNowKind::Refused),
        (Outcome::Unclear { why: "400".to_owned() }, NotNowKind::Retry),
    ] {
        let mut server = Server::new(Style::Nothing, usize::MAX);
        server.fault = Some((2, fault));
        let mut sender = Sender::with_limits(server, 10, 1 << 20);
        let body = body(&["good", "bad", "good", "good"]);
        let not_now = now(sender.send(&body)).expect_err("the third request fails");
        assert_eq!(not_now.kind, kind);
        assert_eq!(sender.transport().requests(), 3, "no request after the failure");
        sender.transport.fault = None;
        let report = now(sender.send(&body)).expect("nothing to wait for");
        assert_eq!((report.written, report.rejected.len()), (3, 1));
    }
}

#[test]
fn the_number_dropped_is_read_at_the_end_only() {
    for (message, expected) in [
        ("partial write: points beyond retention policy dropped=12", Some(12)),
        ("unable to parse 'a x=\" dropped=3\"", None),
        ("partial write: type conflict dropped=3…", None),
        ("partial write: unable to parse 'a dropped=7 x' dropped=0", Some(0)),
        (" dropped=", None),
        ("unable to parse", None),
    ] {
        assert_eq!(dropped(message), expected, "{message}");
    }
}
