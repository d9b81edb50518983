//! One round: what is asked, in which order, and what is kept for the next.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant as Moment},
};

use tokio::time::Instant;

use super::{
    CommandError, DecodeError, Question, Runner, Settings, Snapshot, iops,
    points::{Fields, Maker, write_points},
};
use crate::point::{Field, Point, Tags, TimestampNs};

/// How long pieces of the map of OSDs are taken for what they were while their epoch is the same; and metadata, which have
/// none, while no OSD is up that they do not know.
const KEEP: Duration = Duration::from_secs(3600);

/// What is asked every time.
const EVERY_ROUND: [Question; 4] = [Question::Df, Question::OsdPerf, Question::PoolStats, Question::OsdDf];

/// What is asked when the map of OSDs has changed: these answers are the longest, and change the least.
const OF_THE_MAP: [Question; 3] = [Question::OsdTree, Question::OsdDump, Question::CrushRules];

/// Left to every command that is asked at all.
const LEAST: Duration = Duration::from_millis(500);

/// Asks Ceph, and remembers the map of OSDs.
#[derive(Debug)]
pub struct Collector {
    settings: Settings,
    /// Who asks: tag `node` of points about the asking.
    node: String,
    runner: Runner,
    /// What is known from earlier rounds: of which epoch of the map, and since when.
    kept: BTreeMap<Question, (f64, Moment)>,
    /// What the last round had no time for: it is asked first.
    starved: Vec<Question>,
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
        Self {
            settings,
            node,
            runner,
            kept: BTreeMap::new(),
            starved: Vec::new(),
            snapshot: Snapshot::default(),
        }
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
        for question in self.wanted() {
            asked.push(self.ask(question, deadline).await);
        }
        // Which OSDs are up was learnt just now.
        if self.lacks_metadata() && !asked.iter().any(|asked| asked.question == Question::OsdMetadata) {
            asked.push(self.ask(Question::OsdMetadata, deadline).await);
        }
        let no_time = |asked: &&Asked| matches!(asked.answer, Err(Failure::Command(CommandError::NoTime)));
        self.starved = asked.iter().filter(no_time).map(|asked| asked.question).collect();
        let mut points = write_points(&self.snapshot, &self.settings.iops, self.settings.per_osd, time);
        points.extend(self.about(&asked, time, began.elapsed(), missed));
        Outcome { points, asked, snapshot: self.snapshot.clone() }
    }

    /// What to ask after the status: what is of now, and what of the map is of an older epoch.
    fn wanted(&self) -> Vec<Question> {
        let mut wanted = EVERY_ROUND.to_vec();
        if let Some(status) = &self.snapshot.status {
            let epoch = status.osdmap.epoch;
            let is_known = |question: &Question| {
                self.kept
                    .get(question)
                    .is_some_and(|(of, since)| epoch == Some(*of) && since.elapsed() < KEEP)
            };
            wanted.extend(OF_THE_MAP.into_iter().filter(|question| !is_known(question)));
        }
        // A round too short for all of them has each of them now and then.
        if self.starved.contains(&Question::OsdMetadata) && self.lacks_metadata() {
            wanted.push(Question::OsdMetadata);
        }
        wanted.sort_by_key(|question| !self.starved.contains(question));
        wanted
    }

    fn lacks_metadata(&self) -> bool {
        let Some(tree) = self.snapshot.osd_tree.as_ref().filter(|_| self.snapshot.status.is_some()) else {
            return false;
        };
        let Some(metadata) = &self.snapshot.osd_metadata else { return true };
        let is_old = self.kept.get(&Question::OsdMetadata).is_none_or(|(_, since)| since.elapsed() >= KEEP);
        let known: BTreeSet<i64> = metadata.iter().map(|store| store.id).collect();
        is_old || tree.nodes.iter().any(|node| node.up && !known.contains(&node.id))
    }

    async fn ask(&mut self, question: Question, deadline: Instant) -> Asked {
        let began = Moment::now();
        let answer = self.answer(question, deadline).await;
        match (&answer, self.snapshot.status.as_ref().and_then(|status| status.osdmap.epoch)) {
            (Ok(_), Some(epoch)) => drop(self.kept.insert(question, (epoch, Moment::now()))),
            _ => self.forget(question),
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
        self.kept.remove(&question);
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
