//! One round: what is asked, in which order, and what is kept for the next.

use std::time::{Duration, Instant as Moment};

use tokio::time::Instant;

use super::{
    CommandError, DecodeError, Question, Runner, Settings, Snapshot, iops,
    points::{Fields, Maker, write_points},
};
use crate::point::{Field, Point, Tags, TimestampNs};

/// How long the hierarchy and the map of OSDs are taken for what they were while their epoch is the same. Metadata has no
/// epoch.
const KEEP: Duration = Duration::from_secs(3600);

/// What is asked every time.
const EVERY_ROUND: [Question; 4] = [Question::Df, Question::OsdPerf, Question::PoolStats, Question::OsdDf];

/// What is asked when the map of OSDs has changed: these commands are the longest, and their answers change the least.
const OF_THE_MAP: [Question; 4] =
    [Question::OsdTree, Question::OsdDump, Question::CrushRules, Question::OsdMetadata];

/// Left to every command that is asked at all.
const LEAST: Duration = Duration::from_millis(500);

/// Asks Ceph, and remembers the map of OSDs.
#[derive(Debug)]
pub struct Collector {
    settings: Settings,
    /// Who asks: tag `node` of points about the asking.
    node: String,
    runner: Runner,
    /// The map of OSDs: of which epoch, and since when. `None` while a piece of it is missing.
    kept: Option<(f64, Moment)>,
    snapshot: Snapshot,
}

/// What became of a round.
#[derive(Debug)]
pub struct Outcome {
    /// Its points, all of the round's time.
    pub points: Vec<Point>,
    /// What was asked, in this order.
    pub asked: Vec<Asked>,
    /// What is known of the cluster now.
    pub snapshot: Snapshot,
}

/// A question, and what became of it.
#[derive(Debug)]
pub struct Asked {
    /// The question.
    pub question: Question,
    /// How long it took.
    pub took: Duration,
    /// Bytes of the answer.
    pub answer: Result<usize, Failure>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command gave none.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// What it said is not one.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Nobody is there to answer: the command would hang.
    #[error("was not asked: no manager is active (`ceph mgr stat`), and this is for one to answer")]
    NoManager,
}

impl Outcome {
    /// Whether anything at all was answered.
    pub fn is_answered(&self) -> bool {
        self.asked.iter().any(|asked| asked.answer.is_ok())
    }

    /// Device classes for which there is no figure, with how many OSDs they have.
    pub fn classes_without_figure(&self, settings: &Settings) -> Vec<(String, usize)> {
        iops::without_figure(&self.snapshot, &settings.iops).into_iter().collect()
    }
}

impl Collector {
    /// One that has asked nothing yet.
    pub fn new(settings: Settings, node: impl Into<String>) -> Self {
        let (node, runner) = (node.into(), Runner::default());
        Self { settings, node, runner, kept: None, snapshot: Snapshot::default() }
    }

    /// How it asks.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Asks everything, one command after the other, and makes points of the time `time` of the answers. Ends by
    /// `deadline`, give or take the moment that it takes to kill a command. `missed` rounds are counted with it.
    pub async fn round(&mut self, time: TimestampNs, deadline: Instant, missed: u64) -> Outcome {
        let began = Moment::now();
        // What was measured is of this round or of none; the map of OSDs stays while nothing in it changed.
        self.snapshot = Snapshot {
            osd_tree: self.snapshot.osd_tree.take(),
            osd_dump: self.snapshot.osd_dump.take(),
            crush_rules: self.snapshot.crush_rules.take(),
            osd_metadata: self.snapshot.osd_metadata.take(),
            ..Snapshot::default()
        };
        let mut asked = vec![self.ask(Question::Status, deadline).await];
        for question in EVERY_ROUND {
            asked.push(self.ask(question, deadline).await);
        }
        let epoch = self.snapshot.status.as_ref().and_then(|status| status.osdmap.epoch);
        let is_known = self.kept.is_some_and(|(of, since)| epoch == Some(of) && since.elapsed() < KEEP);
        if self.snapshot.status.is_some() && !is_known {
            let mut whole = true;
            for question in OF_THE_MAP {
                let answer = self.ask(question, deadline).await;
                whole &= answer.answer.is_ok();
                asked.push(answer);
            }
            self.kept = epoch.filter(|_| whole).map(|epoch| (epoch, Moment::now()));
        }
        let mut points = write_points(&self.snapshot, &self.settings.iops, self.settings.per_osd, time);
        points.extend(self.about(&asked, time, began.elapsed(), missed));
        Outcome { points, asked, snapshot: self.snapshot.clone() }
    }

    async fn ask(&mut self, question: Question, deadline: Instant) -> Asked {
        let began = Moment::now();
        let answer = self.answer(question, deadline).await;
        if answer.is_err() {
            self.forget(question);
        }
        Asked { question, took: began.elapsed(), answer }
    }

    async fn answer(&mut self, question: Question, deadline: Instant) -> Result<usize, Failure> {
        let of_manager = matches!(question, Question::OsdPerf | Question::PoolStats | Question::OsdDf);
        if of_manager && self.snapshot.status.as_ref().is_some_and(|status| !status.is_fresh()) {
            return Err(Failure::NoManager);
        }
        let now = Instant::now();
        if deadline < now + LEAST {
            return Err(CommandError::NoTime.into());
        }
        let words = self.settings.arguments(question.words());
        let until = deadline.min(now + self.settings.timeout);
        let said = self.runner.run(&words, self.settings.max_output, until).await?;
        self.snapshot.take(question, &said)?;
        Ok(said.len())
    }

    /// What was known from an earlier answer is not known any more.
    fn forget(&mut self, question: Question) {
        match question {
            Question::OsdTree => self.snapshot.osd_tree = None,
            Question::OsdDump => self.snapshot.osd_dump = None,
            Question::CrushRules => self.snapshot.crush_rules = None,
            Question::OsdMetadata => self.snapshot.osd_metadata = None,
            _ => {}
        }
    }

    /// Points about the asking itself. They are of this host, so they have its name.
    fn about(&self, asked: &[Asked], time: TimestampNs, took: Duration, missed: u64) -> Vec<Point> {
        let mut maker = Maker::new(time);
        for one in asked {
            let fields = Fields::default()
                .flag("ok", Some(one.answer.is_ok()))
                .number("duration_seconds", Some(one.took.as_secs_f64()))
                .number("bytes", one.answer.as_ref().ok().map(|bytes| *bytes as f64))
                .text("error", one.answer.as_ref().err().map(ToString::to_string).as_deref());
            maker.point("ceph_collector", &[("node", &self.node), ("command", &one.question.name())], fields);
        }
        let mut points = maker.points;
        points.push(Point {
            measurement: "ceph_collector".into(),
            tags: Tags::new([("node", self.node.as_str()), ("command", "_round_")]),
            fields: vec![
                ("ok".into(), Field::Boolean(asked.iter().all(|one| one.answer.is_ok()))),
                ("duration_seconds".into(), Field::Float(took.as_secs_f64())),
                ("missed".into(), Field::Integer(missed)),
            ],
            time,
        });
        points
    }
}
