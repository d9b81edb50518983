//! Removes what probes left behind, and nothing else: what has no proof in its name stays, and so does a bucket that holds
//! anything of somebody else's.

use rusty_s3::Method;

use super::{
    names::OBJECT,
    round::{Running, SWEEP, now},
    s3::Call,
    wire::Body,
    xml,
};

/// Buckets that one round looks after: it is a probe, not a cleaner.
const BUCKETS: usize = 3;

/// Objects in a bucket, or uploads, that one round removes at most.
const OBJECTS: usize = 200;

/// What a bucket holds, as far as one listing says.
struct Held {
    ours: Vec<String>,
    foreign: bool,
}

impl Running<'_> {
    /// What this round put and did not remove.
    pub(super) async fn tidy_up(&mut self) {
        let bucket = self.bucket.clone();
        let prefix = format!("{OBJECT}{}/", self.round.id);
        match self.settings.bucket {
            Some(_) => self.remove_objects(&bucket, &prefix, 0).await,
            None => self.remove_bucket(&bucket).await,
        };
    }

    /// What earlier rounds left behind: they were killed, or their gateway was away to the end.
    pub(super) async fn sweep(&mut self) {
        let before = self.settings.leftovers_after.as_secs();
        if let Some(bucket) = self.settings.bucket.clone() {
            self.round.removed += self.remove_objects(&bucket, OBJECT, before).await;
        }
        let buckets = std::mem::take(&mut self.buckets);
        let old = |bucket: &&str| {
            let made = self.names.bucket_made(bucket);
            made.is_some_and(|made| now().saturating_sub(made) >= before) && *bucket != self.bucket
        };
        let left: Vec<_> =
            xml::texts(&buckets, "Name").filter(old).take(BUCKETS).map(str::to_owned).collect();
        for bucket in left {
            self.round.removed += self.remove_bucket(&bucket).await;
        }
    }

    /// A bucket of ours with all that is in it, if all of that is ours. Gives how many things are gone.
    async fn remove_bucket(&mut self, bucket: &str) -> u32 {
        let Some(held) = self.held(bucket, "").await else { return 0 };
        if held.foreign {
            let note =
                format!("the bucket {bucket} of a probe holds objects that are not a probe's: it stays");
            self.round.notes.push(note);
            return 0;
        }
        let removed = self.remove_all(bucket, &held.ours).await + self.abort_uploads(bucket, 0).await;
        removed + u32::from(self.ask(Call::bucket(Method::Delete, bucket)).await.is_some())
    }

    /// Objects of ours, at least so many seconds old, in a bucket that may be anybody's.
    async fn remove_objects(&mut self, bucket: &str, prefix: &str, age: u64) -> u32 {
        let Some(mut held) = self.held(bucket, prefix).await else { return 0 };
        held.ours.retain(|key| self.is_old(bucket, key, age));
        let mut removed = self.remove_all(bucket, &held.ours).await;
        if self.settings.sizes.iter().any(|size| *size > self.settings.part_size) {
            removed += self.abort_uploads(bucket, age).await;
        }
        removed
    }

    fn is_old(&self, bucket: &str, key: &str, age: u64) -> bool {
        self.names.object_made(bucket, key).is_some_and(|made| now().saturating_sub(made) >= age)
    }

    async fn held(&mut self, bucket: &str, prefix: &str) -> Option<Held> {
        let call = Call::bucket(Method::Get, bucket).query(&[("list-type", "2"), ("prefix", prefix)]);
        let listing = self.ask(call).await?;
        let mut held = Held { ours: Vec::new(), foreign: false };
        for key in xml::texts(&listing, "Key") {
            match self.names.object_made(bucket, key) {
                Some(_) => held.ours.push(key.to_owned()),
                None => held.foreign = true,
            }
        }
        Some(held)
    }

    async fn remove_all(&mut self, bucket: &str, keys: &[String]) -> u32 {
        let mut removed = 0;
        for key in keys.iter().take(OBJECTS) {
            removed += u32::from(self.ask(Call::object(Method::Delete, bucket, key)).await.is_some());
        }
        removed
    }

    /// Uploads in parts that were never completed: they are in no listing of objects.
    async fn abort_uploads(&mut self, bucket: &str, age: u64) -> u32 {
        let call = Call::bucket(Method::Get, bucket).query(&[("uploads", ""), ("prefix", OBJECT)]);
        let Some(listing) = self.ask(call).await else { return 0 };
        let uploads: Vec<(&str, &str)> = xml::texts(&listing, "Upload")
            .filter_map(|upload| Some((xml::text(upload, "Key")?, xml::text(upload, "UploadId")?)))
            .filter(|(key, _)| self.is_old(bucket, key, age))
            .take(OBJECTS)
            .collect();
        let mut aborted = 0;
        for (key, upload) in uploads {
            let call = Call::object(Method::Delete, bucket, key).query(&[("uploadId", upload)]);
            aborted += u32::from(self.ask(call).await.is_some());
        }
        aborted
    }

    /// A request that is no task. What fails is tried again by the next round.
    async fn ask(&mut self, call: Call<'_>) -> Option<String> {
        if std::time::Instant::now() >= self.deadline {
            return None;
        }
        let reply = self.s3.call(SWEEP, call, Body::Keep, self.deadline).await;
        Some(String::from_utf8_lossy(&reply.result.ok()?.body).into_owned())
    }
}
