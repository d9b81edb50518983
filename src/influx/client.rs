//! One request to a target, and its answer. Knows of HTTP, TLS, secrets and compression; not of what is sent.

use super::{
    Kind, Secret, Target,
    answer::{Answer, End, Outcome, quotable},
    mend,
};
use base64::Engine as _;
use flate2::{Compression, write::GzEncoder};
use reqwest::{Method, Url, header};
use std::{
    fmt,
    io::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

/// The most that is read of an answer to a write, bytes: it may quote lines, and one of them always fits.
const MAX_ANSWER: usize = 1 << 20;

/// Shortest secret that is looked for in what a server says: shorter ones would blot out words.
const MIN_REDACTED: usize = 4;

/// Speaks to one target. Keeps its connection between requests, and resolves the name anew for each new one.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    target: Target,
    /// What the secret's file held when it was last read.
    secret: Mutex<Option<String>>,
    /// The server does not take gzip.
    plain: AtomicBool,
}

/// A target that cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL is not one, or has what it must not have.
    #[error("output `{output}`: the URL {why}")]
    Url {
        /// The output's name.
        output: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file with certificate authorities cannot be read, or holds none.
    #[error("output `{output}`: cannot use {path} as certificate authorities: {why}")]
    Authorities {
        /// The output's name.
        output: String,
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// TLS or HTTP could not be set up.
    #[error("output `{output}`: cannot set up HTTP: {why}")]
    Setup {
        /// The output's name.
        output: String,
        /// What is wrong.
        why: String,
    },
}

/// A request that got no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Name, connection, TLS, time: may be better next time.
    Network(String),
    /// The request cannot be made: the secret cannot be read or sent.
    Secret(String),
}

impl Failure {
    pub(super) fn outcome(self, target: &Target) -> Outcome {
        match self {
            Self::Network(why) => Outcome::Retry { after: None, why },
            Self::Secret(why) => Outcome::Refused { why, mend: mend::credentials(target) },
        }
    }
}

/// A request, without what is the same in all.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    /// Segments behind the base URL.
    pub(super) path: &'a [&'a str],
    pub(super) query: &'a [(&'a str, &'a str)],
    /// Body and its type.
    pub(super) body: Option<(Vec<u8>, &'static str)>,
    pub(super) gzip: bool,
    pub(super) accept: Option<&'static str>,
    /// The most that is read of the answer, bytes.
    pub(super) max_answer: usize,
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self {
            method: Method::GET,
            path: &[],
            query: &[],
            body: None,
            gzip: false,
            accept: None,
            max_answer: MAX_ANSWER,
        }
    }
}

impl Client {
    /// Sets up for this target. Does not connect, so a target that is away is no error.
    pub fn new(target: Target) -> Result<Self, ClientError> {
        let output = || target.name.clone();
        let base = base_url(&target.url).map_err(|why| ClientError::Url { output: output(), why })?;
        // reqwest takes the process's provider. If there is one already, that is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("rgwlens/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(target.connect_timeout)
            .timeout(target.timeout);
        if let Some(path) = &target.ca_file {
            let why =
                |why| ClientError::Authorities { output: output(), path: path.display().to_string(), why };
            let pem = std::fs::read(path).map_err(|error| why(error.to_string()))?;
            let authorities =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| why(chain(&error)))?;
            if authorities.is_empty() {
                return Err(why("it holds no certificate in PEM form".to_owned()));
            }
            builder = builder.tls_certs_only(authorities);
        } else if base.scheme() == "http" {
            // Without this, a host that has no certificate authorities could not even speak plain HTTP.
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let http =
            builder.build().map_err(|error| ClientError::Setup { output: output(), why: chain(&error) })?;
        Ok(Self { http, base, target, secret: Mutex::new(None), plain: AtomicBool::new(false) })
    }

    /// What it was made for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Sends whole lines of line protocol in one request. The lines must be encoded in the target's
    /// [dialect](Target::dialect). To send the same lines again is harmless.
    pub async fn write(&self, lines: &[u8]) -> Outcome {
        let precision = self.target.dialect().precision.parameter();
        let mut query = vec![("precision", precision)];
        let path: &[&str] = match &self.target.kind {
            Kind::Influx1 { database, retention_policy, .. } => {
                query.push(("db", database));
                query.extend(retention_policy.as_deref().map(|policy| ("rp", policy)));
                &["write"]
            }
            Kind::Influx2 { org, bucket, .. } => {
                query.extend([("org", org.as_str()), ("bucket", bucket)]);
                &["api", "v2", "write"]
            }
            Kind::VictoriaMetrics { .. } => &["api", "v2", "write"],
        };
        loop {
            let gzip = self.target.gzip && !self.plain.load(Ordering::Relaxed);
            let body = if gzip { compress(lines) } else { lines.to_vec() };
            let request = Request {
                method: Method::POST,
                path,
                query: &query,
                body: Some((body, "text/plain; charset=utf-8")),
                gzip,
                ..Request::default()
            };
            match self.send(&request).await {
                Ok(answer) if answer.status == 415 && gzip => self.plain.store(true, Ordering::Relaxed),
                // Which of the meanings of 400 it is stands in the part that is missing.
                Ok(answer) if answer.end != End::Whole && matches!(answer.status, 400 | 422) => {
                    let why = answer.why(&self.target);
                    return match answer.end {
                        End::TooLong => Outcome::Unclear { why: format!("{why} (and so on)") },
                        _ => Outcome::Retry { after: None, why: format!("{why} (the answer broke off)") },
                    };
                }
                Ok(answer) => return answer.meaning(&self.target, SystemTime::now()),
                Err(failure) => return failure.outcome(&self.target),
            }
        }
    }

    /// Sends a request; once more, with the secret read anew, if the one at hand is refused and its file has another.
    pub(super) async fn send(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let used = self.secret()?;
        let answer = self.send_with(request, used.as_deref()).await?;
        if answer.status == 401 {
            *self.secret.lock().unwrap_or_else(PoisonError::into_inner) = None;
            let fresh = self.secret()?;
            if fresh != used {
                return self.send_with(request, fresh.as_deref()).await;
            }
        }
        Ok(answer)
    }

    async fn send_with(&self, request: &Request<'_>, secret: Option<&str>) -> Result<Answer, Failure> {
        let mut builder = self.http.request(request.method.clone(), self.url(request.path, request.query));
        let mut hidden = Vec::new();
        if let Some(secret) = secret {
            let credentials = match &self.target.kind {
                Kind::Influx1 { login, .. } | Kind::VictoriaMetrics { login } => {
                    let user = login.as_ref().map_or("", |(user, _)| user);
                    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{secret}"));
                    let credentials = format!("Basic {pair}");
                    hidden.push(pair);
                    credentials
                }
                Kind::Influx2 { .. } => format!("Token {secret}"),
            };
            hidden.push(secret.to_owned());
            let mut credentials = header::HeaderValue::try_from(credentials).map_err(|_| {
                Failure::Secret(format!(
                    "the secret of the output `{}` has characters that cannot be sent",
                    self.target.name
                ))
            })?;
            credentials.set_sensitive(true);
            builder = builder.header(header::AUTHORIZATION, credentials);
        }
        if request.gzip {
            builder = builder.header(header::CONTENT_ENCODING, "gzip");
        }
        if let Some(accept) = request.accept {
            builder = builder.header(header::ACCEPT, accept);
        }
        if let Some((body, content_type)) = &request.body {
            builder = builder.header(header::CONTENT_TYPE, *content_type).body(body.clone());
        }
        let mut response = builder.send().await.map_err(|error| Failure::Network(self.describe(error)))?;
        let text = |name: header::HeaderName, headers: &header::HeaderMap| {
            headers.get(name).map(|value| redact(&String::from_utf8_lossy(value.as_bytes()), &hidden))
        };
        let mut answer = Answer {
            status: response.status().as_u16(),
            retry_after: text(header::RETRY_AFTER, response.headers()),
            date: text(header::DATE, response.headers()),
            location: text(header::LOCATION, response.headers()),
            version: text(header::HeaderName::from_static("x-influxdb-version"), response.headers()),
            body: Vec::new(),
            end: End::Whole,
        };
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    let room = request.max_answer - answer.body.len();
                    answer.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    if chunk.len() > room {
                        answer.end = End::TooLong;
                        break;
                    }
                }
                Ok(None) => break,
                // The status is here, and most often says enough.
                Err(_) => {
                    answer.end = End::BrokenOff;
                    break;
                }
            }
        }
        if answer.status >= 300 {
            answer.body = redact(&String::from_utf8_lossy(&answer.body), &hidden).into_bytes();
        }
        Ok(answer)
    }

    /// Behind the base URL, whose own path is kept.
    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// The secret, if this target has one: from memory, or else from where it is kept.
    fn secret(&self) -> Result<Option<String>, Failure> {
        let secret = match &self.target.kind {
            Kind::Influx1 { login, .. } | Kind::VictoriaMetrics { login } => {
                login.as_ref().map(|(_, password)| password)
            }
            Kind::Influx2 { token, .. } => token.as_ref(),
        };
        let Some(secret) = secret else { return Ok(None) };
        let mut known = self.secret.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            let text = secret.read().map_err(|error| {
                let place = match secret {
                    Secret::File(path) => path.display().to_string(),
                    Secret::Value(_) => "the configuration".to_owned(),
                };
                Failure::Secret(format!(
                    "cannot read the secret of the output `{}` from {place}: {error}",
                    self.target.name
                ))
            })?;
            *known = Some(text);
        }
        Ok(known.clone())
    }

    fn describe(&self, error: reqwest::Error) -> String {
        let url = &self.target.url;
        if error.is_timeout() {
            if error.is_connect() {
                return format!("cannot connect to {url} within {:?}", self.target.connect_timeout);
            }
            return format!("no answer from {url} within {:?}", self.target.timeout);
        }
        let doing = if error.is_connect() { "cannot connect to" } else { "request broke off:" };
        format!("{doing} {url}: {}", chain(&error.without_url()))
    }
}

impl fmt::Debug for Client {
    /// Without the secret that was read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("target", &self.target).finish_non_exhaustive()
    }
}

fn base_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not one: it should look like `http://influx.example:8086`")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with `http://` or `https://`");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or password: they have settings of their own");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must end before `?` or `#`");
    }
    Ok(url)
}

/// A proxy of the environment is never meant for this very host.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Lines repeat each other so much that more effort than the least gains little.
fn compress(lines: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(lines.len() / 8), Compression::fast());
    gzip.write_all(lines).and_then(|()| gzip.finish()).expect("a Vec takes every write")
}

/// An error with its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    quotable(&text)
}

fn redact(text: &str, hidden: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in hidden.iter().filter(|secret| secret.len() >= MIN_REDACTED) {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), "[redacted]");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_cannot_be_meant_are_refused_without_repeating_them() {
        for (url, expected) in [
            ("http://influx:8086", Ok(())),
            ("https://influx/base/path/", Ok(())),
            ("influx:8086", Err("must begin")),
            ("", Err("is not one")),
            ("http://", Err("is not one")),
            ("ftp://influx", Err("must begin")),
            ("http://user:pass@influx", Err("must not hold a user")),
            ("http://influx/?db=x", Err("must end before")),
        ] {
            match (base_url(url), expected) {
                (Ok(_), Ok(())) => {}
                (Err(why), Err(expected)) if why.starts_with(expected) => {}
                (got, expected) => panic!("{url}: {got:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn a_secret_that_a_server_repeats_is_not_passed_on() {
        let hidden = ["tok-123".to_owned(), "x".to_owned()];
        assert_eq!(redact("bad token tok-123 (x)", &hidden), "bad token [redacted] (x)");
    }
}
