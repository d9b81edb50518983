//! The round: what a user does, in the order of a user, and nothing left behind.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusty_s3::Method;

use super::{
    content::{Comparison, Content},
    failure::{Failure, FailureKind},
    names::Names,
    observation::{Observation, Round, Task},
    s3::{Call, S3},
    settings::Settings,
    wire::{Answer, Body, Phases},
    xml,
};

/// What parts are called in the user agent of a request that removes what was left behind.
pub(super) const SWEEP: &str = "sweep";

/// A round that is on its way.
pub(super) struct Running<'a> {
    pub(super) s3: S3<'a>,
    pub(super) settings: &'a Settings,
    pub(super) names: &'a Names,
    pub(super) content: Content,
    pub(super) bucket: String,
    /// No task begins after this.
    pub(super) deadline: Instant,
    pub(super) round: Round,
    /// What `list_buckets` answered.
    pub(super) buckets: String,
    /// The bucket of this round may be there still.
    untidy: bool,
}

/// A task on its way.
struct Attempt {
    observation: Observation,
    began: Instant,
}

impl<'a> Running<'a> {
    pub(super) fn new(
        s3: S3<'a>,
        settings: &'a Settings,
        names: &'a Names,
        content: Content,
        deadline: Instant,
    ) -> Self {
        let round = Round {
            endpoint: s3.endpoint.name.clone(),
            id: s3.round.to_owned(),
            observations: Vec::new(),
            skipped: Vec::new(),
            removed: 0,
            notes: Vec::new(),
        };
        let bucket = settings.bucket.clone().unwrap_or_else(|| names.bucket(&round.id));
        Self { s3, settings, names, content, bucket, deadline, round, buckets: String::new(), untidy: false }
    }

    pub(super) async fn run(mut self) -> Round {
        self.tasks().await;
        // Removing has time of its own, so that a slow gateway does not fill up with what was put there.
        self.deadline = self.deadline.max(Instant::now()) + self.settings.timeout;
        if self.untidy || self.settings.bucket.is_some() && !self.round.is_ok() {
            self.tidy_up().await;
        }
        self.sweep().await;
        self.round
    }

    async fn tasks(&mut self) {
        let settings = self.settings;
        let fixed = settings.bucket.is_some();
        let (first, others) = settings.sizes.split_first().unwrap_or((&512, &[]));
        let has_bucket = fixed || self.create().await;
        let key = self.key(0);
        let was_put = has_bucket && self.put(&key, *first).await;
        self.list_buckets().await;
        if has_bucket {
            self.list_objects(was_put.then_some(&*key)).await;
        }
        if was_put {
            self.get(&key, *first).await;
            self.delete(&key, *first).await;
        }
        if has_bucket {
            for (at, size) in others.iter().enumerate() {
                let key = self.key(1 + at);
                if self.put(&key, *size).await {
                    self.get(&key, *size).await;
                    self.delete(&key, *size).await;
                }
            }
            self.many(*first).await;
        }
        if has_bucket && !fixed {
            self.remove().await;
        }
        self.note_skipped(*first);
    }

    fn key(&self, number: usize) -> String {
        self.names.object(&self.bucket, &self.round.id, number)
    }

    async fn create(&mut self) -> bool {
        let Some(mut attempt) = self.begin(Task::Create, None) else { return false };
        let bucket = self.bucket.clone();
        let created = self.send(&mut attempt, Call::bucket(Method::Put, &bucket), Body::Keep).await.is_some();
        // A request that nobody answered may have been done all the same.
        self.untidy |= created || attempt.observation.status.is_none();
        self.end(attempt);
        created
    }

    async fn put(&mut self, key: &str, size: u64) -> bool {
        let Some(mut attempt) = self.begin(Task::Put, Some(size)) else { return false };
        let put = if size > self.settings.part_size {
            self.put_in_parts(&mut attempt, key, size).await.is_some()
        } else {
            let bytes = self.content.bytes(0, usize::try_from(size).unwrap_or(0));
            let bucket = self.bucket.clone();
            let call = Call::object(Method::Put, &bucket, key).body(bytes);
            self.send(&mut attempt, call, Body::Keep).await.is_some()
        };
        self.end(attempt);
        put
    }

    async fn put_in_parts(&mut self, attempt: &mut Attempt, key: &str, size: u64) -> Option<()> {
        let bucket = self.bucket.clone();
        let begin = Call::object(Method::Post, &bucket, key).query(&[("uploads", "")]);
        let answer = self.send(attempt, begin, Body::Keep).await?;
        let answer = String::from_utf8_lossy(&answer.body).into_owned();
        let Some(upload) = xml::text(&answer, "UploadId") else {
            fail(attempt, FailureKind::Http, "the answer has no UploadId");
            return None;
        };
        let mut etags = String::new();
        let mut from = 0;
        for number in 1u32.. {
            let length = (size - from).min(self.settings.part_size);
            let bytes = self.content.bytes(from, usize::try_from(length).unwrap_or(0));
            let part = number.to_string();
            let query = [("partNumber", part.as_str()), ("uploadId", upload)];
            let call = Call::object(Method::Put, &bucket, key).query(&query).body(bytes);
            let etag = self.send(attempt, call, Body::Keep).await?.etag.unwrap_or_default();
            etags += &format!(
                "<Part><PartNumber>{part}</PartNumber><ETag>{}</ETag></Part>",
                etag.replace('&', "&amp;")
            );
            from += length;
            if from == size {
                break;
            }
        }
        let body = format!("<CompleteMultipartUpload>{etags}</CompleteMultipartUpload>");
        let call = Call::object(Method::Post, &bucket, key).query(&[("uploadId", upload)]).body(body);
        let answer = self.send(attempt, call, Body::Keep).await?;
        // S3 may have said 200 before it knew how it would end.
        let body = String::from_utf8_lossy(&answer.body);
        if let Some(code) = xml::text(&body, "Code") {
            fail(attempt, FailureKind::Http, code);
            return None;
        }
        Some(())
    }

    async fn list_buckets(&mut self) {
        let Some(mut attempt) = self.begin(Task::ListBuckets, None) else { return };
        if let Some(answer) = self.send(&mut attempt, Call::service(Method::Get), Body::Keep).await {
            self.buckets = String::from_utf8_lossy(&answer.body).into_owned();
        }
        self.end(attempt);
    }

    /// What was put has to be in it: RGW's listings are of the moment.
    async fn list_objects(&mut self, expected: Option<&str>) {
        let Some(mut attempt) = self.begin(Task::ListObjects, None) else { return };
        if let Some(keys) = self.list(&mut attempt).await
            && let Some(expected) = expected
            && !keys.iter().any(|key| key == expected)
        {
            fail(&mut attempt, FailureKind::Content, "the listing lacks the object that was just put");
        }
        self.end(attempt);
    }

    /// Keys of this round.
    async fn list(&mut self, attempt: &mut Attempt) -> Option<Vec<String>> {
        let bucket = self.bucket.clone();
        let prefix = format!("{}{}/", super::names::OBJECT, self.round.id);
        let call = Call::bucket(Method::Get, &bucket).query(&[("list-type", "2"), ("prefix", &prefix)]);
        let answer = self.send(attempt, call, Body::Keep).await?;
        let body = String::from_utf8_lossy(&answer.body);
        Some(xml::texts(&body, "Key").map(str::to_owned).collect())
    }

    async fn get(&mut self, key: &str, size: u64) {
        let Some(mut attempt) = self.begin(Task::Get, Some(size)) else { return };
        let mut comparison = Comparison::new(self.content, size);
        let bucket = self.bucket.clone();
        let call = Call::object(Method::Get, &bucket, key);
        if self.send(&mut attempt, call, Body::Compare(&mut comparison)).await.is_some()
            && let Err(why) = comparison.finish()
        {
            fail(&mut attempt, FailureKind::Content, &why);
        }
        self.end(attempt);
    }

    async fn delete(&mut self, key: &str, size: u64) {
        let Some(mut attempt) = self.begin(Task::Delete, Some(size)) else { return };
        let bucket = self.bucket.clone();
        self.send(&mut attempt, Call::object(Method::Delete, &bucket, key), Body::Keep).await;
        self.end(attempt);
    }

    async fn many(&mut self, size: u64) {
        let first = 1 + self.settings.sizes.len();
        let mut put = Vec::new();
        for number in first..first + self.settings.objects {
            let key = self.key(number);
            if self.put(&key, size).await {
                put.push(key);
            }
        }
        if put.is_empty() {
            return;
        }
        let Some(mut attempt) = self.begin(Task::DeleteMany, None) else { return };
        if let Some(keys) = self.list(&mut attempt).await {
            if let Some(missing) = put.iter().find(|put| !keys.contains(put)) {
                fail(
                    &mut attempt,
                    FailureKind::Content,
                    &format!("the listing lacks {missing}, which was just put"),
                );
            }
            let bucket = self.bucket.clone();
            for key in keys.iter().filter(|key| self.names.object_made(&bucket, key).is_some()) {
                let call = Call::object(Method::Delete, &bucket, key);
                if self.send(&mut attempt, call, Body::Keep).await.is_none() {
                    break;
                }
            }
        }
        self.end(attempt);
    }

    async fn remove(&mut self) {
        let Some(mut attempt) = self.begin(Task::Remove, None) else { return };
        let bucket = self.bucket.clone();
        if self.send(&mut attempt, Call::bucket(Method::Delete, &bucket), Body::Keep).await.is_some() {
            // It was empty, or it could not have been removed.
            self.untidy = false;
        }
        self.end(attempt);
    }

    /// `None` when there is no time left.
    fn begin(&self, task: Task, size: Option<u64>) -> Option<Attempt> {
        let began = Instant::now();
        (began < self.deadline).then_some(())?;
        let observation = Observation {
            task,
            size,
            duration: Duration::ZERO,
            phases: Phases::default(),
            requests: 0,
            status: None,
            request_id: None,
            failure: None,
        };
        Some(Attempt { observation, began })
    }

    /// A request of a task. `None` if it failed, and the task with it.
    async fn send(&mut self, attempt: &mut Attempt, call: Call<'_>, body: Body<'_>) -> Option<Answer> {
        let observation = &mut attempt.observation;
        let reply = self.s3.call(observation.task.name(), call, body, self.deadline).await;
        observation.requests += 1;
        observation.phases.add(&reply.phases);
        observation.status = reply.status;
        observation.request_id = reply.request_id.or_else(|| observation.request_id.take());
        match reply.result {
            Ok(answer) => Some(answer),
            Err(failure) => {
                observation.failure.get_or_insert(failure);
                None
            }
        }
    }

    fn end(&mut self, mut attempt: Attempt) {
        attempt.observation.duration = attempt.began.elapsed();
        self.round.observations.push(attempt.observation);
    }

    /// Tasks of a whole round that were not even tried.
    fn note_skipped(&mut self, first: u64) {
        for task in Task::ALL {
            if self.settings.bucket.is_some() && matches!(task, Task::Create | Task::Remove)
                || self.settings.objects == 0 && task == Task::DeleteMany
            {
                continue;
            }
            let sized = matches!(task, Task::Put | Task::Get | Task::Delete);
            let sizes: Vec<Option<u64>> = match sized {
                true => self.settings.sizes.iter().copied().map(Some).collect(),
                false => vec![None],
            };
            for size in sizes {
                let done = |o: &&Observation| o.task == task && o.size == size;
                let count = self.round.observations.iter().filter(done).count();
                let wanted =
                    if task == Task::Put && size == Some(first) { 1 + self.settings.objects } else { 1 };
                if count < wanted {
                    self.round.skipped.push((task, size));
                }
            }
        }
    }
}

/// The first failure of a task is the one that is told.
fn fail(attempt: &mut Attempt, kind: FailureKind, why: &str) {
    attempt.observation.failure.get_or_insert_with(|| Failure::new(kind, why));
}

/// The clock, s since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}
