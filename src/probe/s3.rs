//! One request of S3: signed, marked, sent, and its answer understood.

use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::{
    body::Bytes,
    header::{HOST, USER_AGENT},
};
use reqwest::Url;
use rusty_s3::{Bucket, Method, UrlStyle};

use super::{
    failure::{Failure, FailureKind, printable},
    settings::{Endpoint, Style},
    wire::{Answer, Body, Phases, Wire},
    xml,
};
use crate::access_log::{MarkKey, ProbeMark};

/// How long a signature is good: what S3 allows clocks to differ.
const SIGNATURE: u64 = 15 * 60;

/// What is asked.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) bucket: Option<&'a str>,
    pub(super) key: Option<&'a str>,
    pub(super) query: Vec<(&'a str, &'a str)>,
    pub(super) body: Bytes,
}

impl<'a> Call<'a> {
    /// About the account itself.
    pub(super) fn service(method: Method) -> Self {
        Self { method, bucket: None, key: None, query: Vec::new(), body: Bytes::new() }
    }

    pub(super) fn bucket(method: Method, bucket: &'a str) -> Self {
        Self { bucket: Some(bucket), ..Self::service(method) }
    }

    pub(super) fn object(method: Method, bucket: &'a str, key: &'a str) -> Self {
        Self { key: Some(key), ..Self::bucket(method, bucket) }
    }

    pub(super) fn query(self, query: &[(&'a str, &'a str)]) -> Self {
        Self { query: query.to_vec(), ..self }
    }

    pub(super) fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }
}

/// What came of it.
pub(super) struct Reply {
    pub(super) phases: Phases,
    pub(super) status: Option<u16>,
    pub(super) request_id: Option<String>,
    pub(super) result: Result<Answer, Failure>,
}

/// S3 at one endpoint, for one round.
pub(super) struct S3<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) region: &'a str,
    pub(super) access_key: &'a str,
    pub(super) secret_key: &'a str,
    pub(super) mark_key: Option<&'a MarkKey>,
    pub(super) round: &'a str,
    pub(super) wire: Wire<'a>,
    /// For a whole request.
    pub(super) timeout: Duration,
}

impl S3<'_> {
    /// Asks, and waits for the whole answer, but not longer than until `deadline`.
    pub(super) async fn call(
        &mut self,
        task: &str,
        call: Call<'_>,
        body: Body<'_>,
        deadline: Instant,
    ) -> Reply {
        let mut phases = Phases::default();
        let deadline = deadline.min(Instant::now() + self.timeout);
        let allowed = deadline.saturating_duration_since(Instant::now());
        let result = match self.request(task, call) {
            Ok((request, url)) => {
                let exchange = self.wire.exchange(&request, &url, body, &mut phases);
                tokio::time::timeout_at(deadline.into(), exchange).await.unwrap_or_else(|_| {
                    let seconds = allowed.as_secs_f64();
                    Err(Failure::new(FailureKind::Timeout, format!("no whole answer within {seconds:.1} s")))
                })
            }
            Err(failure) => Err(failure),
        };
        let (status, request_id) = match &result {
            Ok(answer) => (Some(answer.status), answer.request_id.clone()),
            Err(_) => (None, None),
        };
        Reply { phases, status, request_id, result: result.and_then(success) }
    }

    fn request(&self, task: &str, call: Call<'_>) -> Result<(hyper::Request<Full<Bytes>>, Url), Failure> {
        let setup = |why: String| Failure::new(FailureKind::Setup, why);
        let url = self.url(call.bucket, call.key).map_err(setup)?;
        let url = rusty_s3::signing::sign(
            &jiff::Timestamp::now(),
            call.method,
            url,
            self.access_key,
            self.secret_key,
            None,
            self.region,
            SIGNATURE,
            call.query.iter().copied(),
            std::iter::empty(),
        );
        let method = match call.method {
            Method::Head => hyper::Method::HEAD,
            Method::Get => hyper::Method::GET,
            Method::Post => hyper::Method::POST,
            Method::Put => hyper::Method::PUT,
            Method::Delete => hyper::Method::DELETE,
        };
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let target =
            url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let request = hyper::Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, host)
            .header(USER_AGENT, ProbeMark::user_agent(self.round, task, self.mark_key))
            .body(Full::new(call.body))
            .map_err(|error| setup(error.to_string()))?;
        Ok((request, url))
    }

    fn url(&self, bucket: Option<&str>, key: Option<&str>) -> Result<Url, String> {
        let base =
            Url::parse(&self.endpoint.url).map_err(|error| format!("{}: {error}", self.endpoint.url))?;
        let Some(bucket) = bucket else { return Ok(base) };
        let style = match self.endpoint.style {
            Style::Path => UrlStyle::Path,
            Style::VirtualHost => UrlStyle::VirtualHost,
        };
        let at = Bucket::new(base, style, bucket.to_owned(), self.region.to_owned())
            .map_err(|error| format!("{bucket} at {}: {error}", self.endpoint.url))?;
        Ok(key.map_or_else(|| at.base_url().clone(), |key| at.object_url(key)))
    }
}

/// An answer that is none of success is a failure, with S3's own code for it.
fn success(answer: Answer) -> Result<Answer, Failure> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    let body = String::from_utf8_lossy(&answer.body);
    let code = xml::text(&body, "Code").map(|code| printable(code, 64));
    let said = match &code {
        Some(code) => format!("{} {code}", answer.status),
        None => answer.status.to_string(),
    };
    Err(Failure { code, ..Failure::new(FailureKind::Http, said) })
}
