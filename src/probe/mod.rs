//! What users feel: a round of S3 requests as a user makes them, from outside, timed phase by phase.
//!
//! [`Probe`] makes rounds; [`points`] and [`ProbeMetrics`] say what came of them. Nothing a round creates stays:
//! its names prove that they are a probe's, so that the next round removes what one that was killed left behind, and never
//! anything else.

mod content;
mod exposition;
mod failure;
mod names;
mod observation;
mod points;
mod round;
mod s3;
mod settings;
mod sweep;
mod wire;
mod xml;

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::Arc,
    time::Instant,
};

use rusty_s3::Method;
use tokio::task::JoinSet;

pub use exposition::ProbeMetrics;
pub use failure::{Failure, FailureKind};
pub use observation::{Observation, Round, Task};
pub use points::{FIELDS, TAGS, points};
pub use settings::{Endpoint, Settings, Style};
pub use wire::Phases;

use crate::access_log::{MarkKey, ProbeMark};
use content::Content;
use names::Names;
use round::Running;
use s3::{Call, S3};
use wire::{Body, Place, Wire};

/// A probe that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// TLS cannot be set up for an endpoint.
    #[error("probe endpoint `{endpoint}`: {why}")]
    Tls {
        /// Its name.
        endpoint: String,
        /// What is wrong.
        why: String,
    },
}

/// Makes rounds.
#[derive(Clone)]
pub struct Probe(Arc<Inner>);

struct Inner {
    settings: Settings,
    places: Vec<Place>,
}

/// What is read anew for every round, so that a rotated secret needs no restart.
struct Secrets {
    access_key: String,
    secret_key: String,
    mark_key: Option<MarkKey>,
}

impl Probe {
    /// Sets up for these endpoints. Does not connect.
    ///
    /// # Errors
    /// Certificate authorities that cannot be read.
    pub fn new(settings: Settings) -> Result<Self, ProbeError> {
        let place = |endpoint: &Endpoint| {
            let tls = match endpoint.url.starts_with("https:") {
                true => Some(wire::tls(endpoint.ca_file.as_deref())),
                false => None,
            };
            let tls =
                tls.transpose().map_err(|why| ProbeError::Tls { endpoint: endpoint.name.clone(), why })?;
            Ok(Place { connect: endpoint.connect.clone(), tls, timeout: settings.connect_timeout })
        };
        let places = settings.endpoints.iter().map(place).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Inner { settings, places })))
    }

    /// What it was made for.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// One round at every endpoint, all at once; in the order of the endpoints. Takes at most
    /// [`Settings::longest_round`]. Needs a tokio runtime with I/O and time.
    ///
    /// # Panics
    /// If one of the rounds did.
    pub async fn rounds(&self) -> Vec<Round> {
        self.everywhere(|probe, at| async move { probe.round(at).await }).await
    }

    /// Lists the user's buckets at every endpoint, all at once; in the order of the endpoints. Whether a round could begin,
    /// without beginning one: nothing is made. Takes at most [`Settings::timeout`], needs what [`rounds`](Self::rounds) needs.
    ///
    /// # Panics
    /// If one of the requests did.
    pub async fn answers(&self) -> Vec<Result<(), Failure>> {
        self.everywhere(|probe, at| async move { probe.answer(at).await }).await
    }

    /// What comes of it at every endpoint, by its place in the settings.
    async fn everywhere<F>(&self, ask: impl Fn(Arc<Inner>, usize) -> F) -> Vec<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let mut running = JoinSet::new();
        for at in 0..self.0.settings.endpoints.len() {
            let asked = ask(Arc::clone(&self.0), at);
            running.spawn(async move { (at, asked.await) });
        }
        let mut answers = Vec::new();
        while let Some(ended) = running.join_next().await {
            answers.push(ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())));
        }
        answers.sort_by_key(|(at, _)| *at);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }
}

impl Inner {
    async fn round(&self, at: usize) -> Round {
        let (settings, endpoint) = (&self.settings, &self.settings.endpoints[at]);
        let deadline = Instant::now() + settings.round_timeout;
        let id = ProbeMark::round(round::now(), random());
        let secrets = match self.secrets() {
            Ok(secrets) => secrets,
            Err(failure) => return broken_setup(settings, endpoint, id, failure),
        };
        let names = Names::new(&secrets.secret_key);
        let s3 = self.client(at, &secrets, &id);
        Running::new(s3, settings, &names, Content::new(random()), deadline).run().await
    }

    async fn answer(&self, at: usize) -> Result<(), Failure> {
        let deadline = Instant::now() + self.settings.timeout;
        let (id, secrets) = (ProbeMark::round(round::now(), random()), self.secrets()?);
        let mut s3 = self.client(at, &secrets, &id);
        s3.call(round::SWEEP, Call::service(Method::Get), Body::Keep, deadline).await.result.map(drop)
    }

    /// S3 at an endpoint, for one round.
    fn client<'a>(&'a self, at: usize, secrets: &'a Secrets, round: &'a str) -> S3<'a> {
        let settings = &self.settings;
        S3 {
            endpoint: &settings.endpoints[at],
            region: &settings.region,
            access_key: &secrets.access_key,
            secret_key: &secrets.secret_key,
            mark_key: secrets.mark_key.as_ref(),
            round,
            wire: Wire::new(&self.places[at], settings.fresh_connections),
            timeout: settings.timeout,
        }
    }

    fn secrets(&self) -> Result<Secrets, Failure> {
        let read = |what: &str, secret: &crate::influx::Secret| match secret.read() {
            Ok(text) if text.is_empty() => {
                Err(Failure::new(FailureKind::Setup, format!("the {what} is empty")))
            }
            Ok(text) => Ok(text),
            Err(error) => Err(Failure::new(FailureKind::Setup, format!("cannot read the {what}: {error}"))),
        };
        let settings = &self.settings;
        let mark_key = settings.mark_key.as_ref().map(|secret| read("mark key", secret)).transpose()?;
        Ok(Secrets {
            access_key: read("access key", &settings.access_key)?,
            secret_key: read("secret key", &settings.secret_key)?,
            mark_key: mark_key.map(|secret| MarkKey::new(secret.as_bytes())),
        })
    }
}

/// A round that could not even begin: its first task failed, so that whoever watches failures sees it.
fn broken_setup(settings: &Settings, endpoint: &Endpoint, id: String, failure: Failure) -> Round {
    let (task, size) = match settings.bucket {
        Some(_) => (Task::Put, settings.sizes.first().copied()),
        None => (Task::Create, None),
    };
    let observation = Observation {
        task,
        size,
        duration: std::time::Duration::ZERO,
        phases: Phases::default(),
        requests: 0,
        status: None,
        request_id: None,
        failure: Some(failure),
    };
    Round {
        endpoint: endpoint.name.clone(),
        id,
        observations: vec![observation],
        skipped: Vec::new(),
        removed: 0,
        notes: Vec::new(),
    }
}

/// Random enough for a name that nobody guesses; secrets are not made of it.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
