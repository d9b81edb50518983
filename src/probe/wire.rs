//! Connections of a round, and the phases of each request on them.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Response,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{ETAG, HeaderMap, HeaderName},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_rustls::TlsConnector;

use super::{
    content::Comparison,
    failure::{Failure, FailureKind, printable},
};

/// The most that is kept of an answer, bytes: a listing of a thousand objects.
const MAX_ANSWER: usize = 1 << 20;

/// How long each phase of a request took; `None` for one that it did not have, since its connection was there already, or
/// did not reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Looking up the address.
    pub dns: Option<Duration>,
    /// TCP's handshake.
    pub connect: Option<Duration>,
    /// TLS's handshake.
    pub tls: Option<Duration>,
    /// From the connection to the answer's head: the request's body goes out in this time.
    pub first_byte: Option<Duration>,
    /// From the answer's head to its end.
    pub body: Option<Duration>,
}

impl Phases {
    /// Names of the phases, in their order.
    pub const NAMES: [&str; 5] = ["dns", "connect", "tls", "first_byte", "body"];

    /// Adds those of another request of the same task.
    pub(super) fn add(&mut self, other: &Self) {
        let add = |mine: &mut Option<Duration>, theirs: Option<Duration>| {
            *mine = mine.iter().copied().chain(theirs).reduce(|a, b| a + b);
        };
        add(&mut self.dns, other.dns);
        add(&mut self.connect, other.connect);
        add(&mut self.tls, other.tls);
        add(&mut self.first_byte, other.first_byte);
        add(&mut self.body, other.body);
    }

    /// The durations, in the same order.
    pub fn all(&self) -> [Option<Duration>; 5] {
        [self.dns, self.connect, self.tls, self.first_byte, self.body]
    }
}

/// An answer with its head and, if it was to be kept, its body.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) request_id: Option<String>,
    pub(super) etag: Option<String>,
    pub(super) body: Vec<u8>,
}

/// What becomes of the body of an answer that is a success.
pub(super) enum Body<'a> {
    Keep,
    Compare(&'a mut Comparison),
}

/// Where connections go.
pub(super) struct Place {
    /// `host:port` to connect to instead of the URL's.
    pub(super) connect: Option<String>,
    pub(super) tls: Option<TlsConnector>,
    pub(super) timeout: Duration,
}

struct Connection {
    /// `host:port` of the URLs it is for.
    authority: String,
    sender: SendRequest<Full<Bytes>>,
    _driver: Driver,
}

/// Moves the bytes of a connection; ends with it.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The connection of a round to an endpoint, kept from request to request as clients do.
pub(super) struct Wire<'a> {
    place: &'a Place,
    fresh: bool,
    open: Option<Connection>,
}

impl<'a> Wire<'a> {
    pub(super) fn new(place: &'a Place, fresh: bool) -> Self {
        Self { place, fresh, open: None }
    }

    /// One request, and its whole answer. `phases` says how far it came, also if it is not waited for to the end.
    pub(super) async fn exchange(
        &mut self,
        request: &hyper::Request<Full<Bytes>>,
        url: &reqwest::Url,
        body: Body<'_>,
        phases: &mut Phases,
    ) -> Result<Answer, Failure> {
        let host = url.host_str().unwrap_or_default();
        let authority = format!("{host}:{}", url.port_or_known_default().unwrap_or(80));
        let reused =
            self.open.take_if(|open| open.authority == authority && !self.fresh && !open.sender.is_closed());
        let started = Instant::now();
        if let Some(mut connection) = reused {
            // What moves the connection's bytes may not have seen the end of the last answer yet.
            let sent = match connection.sender.ready().await {
                Ok(()) => connection.sender.send_request(request.clone()).await,
                Err(error) => Err(error),
            };
            match sent {
                Ok(response) => {
                    phases.first_byte = Some(started.elapsed());
                    return self.finish(connection, response, body, phases).await;
                }
                // The server closed it between two requests, as it may at any time: that is no failure yet.
                Err(error) if error.is_canceled() || error.is_closed() || error.is_incomplete_message() => {}
                Err(error) => return Err(broken(&error)),
            }
        }
        let mut connection = self.connect(host, authority, phases).await?;
        let started = Instant::now();
        let response =
            connection.sender.send_request(request.clone()).await.map_err(|error| broken(&error))?;
        phases.first_byte = Some(started.elapsed());
        self.finish(connection, response, body, phases).await
    }

    async fn finish(
        &mut self,
        connection: Connection,
        response: Response<Incoming>,
        body: Body<'_>,
        phases: &mut Phases,
    ) -> Result<Answer, Failure> {
        let started = Instant::now();
        let mut answer = head(&response);
        let mut incoming = response.into_body();
        let mut comparison = match body {
            Body::Compare(comparison) if (200..300).contains(&answer.status) => Some(comparison),
            _ => None,
        };
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| broken(&error))?;
            let Some(piece) = frame.data_ref() else { continue };
            let wanted = match &mut comparison {
                Some(comparison) => comparison.add(piece),
                None => {
                    let room = MAX_ANSWER - answer.body.len();
                    answer.body.extend_from_slice(&piece[..piece.len().min(room)]);
                    piece.len() <= room
                }
            };
            if !wanted {
                // What is left of it would be the next answer's: the connection is of no more use.
                phases.body = Some(started.elapsed());
                return Ok(answer);
            }
        }
        phases.body = Some(started.elapsed());
        self.open = Some(connection);
        Ok(answer)
    }

    async fn connect(
        &self,
        host: &str,
        authority: String,
        phases: &mut Phases,
    ) -> Result<Connection, Failure> {
        let place = self.place;
        let connecting = async {
            let target = place.connect.as_deref().unwrap_or(&authority);
            let stream = dial(target, place.timeout, phases).await?;
            let (sender, driver) = match &place.tls {
                None => handshake(TokioIo::new(stream)).await?,
                Some(connector) => {
                    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
                        .map_err(|error| Failure::new(FailureKind::Tls, format!("{host}: {error}")))?;
                    let started = Instant::now();
                    let stream = connector
                        .connect(name, stream)
                        .await
                        .map_err(|error| Failure::new(FailureKind::Tls, format!("{target}: {error}")))?;
                    phases.tls = Some(started.elapsed());
                    handshake(TokioIo::new(stream)).await?
                }
            };
            Ok((sender, driver))
        };
        let connected = tokio::time::timeout(place.timeout, connecting).await;
        let (sender, driver) = connected.unwrap_or_else(|_| {
            Err(Failure::new(
                FailureKind::Timeout,
                format!("no connection to {authority} within {:?}", place.timeout),
            ))
        })?;
        Ok(Connection { authority, sender, _driver: driver })
    }
}

/// The first address that takes a connection. A silent one may not take all the time that there is.
async fn dial(target: &str, timeout: Duration, phases: &mut Phases) -> Result<TcpStream, Failure> {
    let started = Instant::now();
    let addresses: Vec<_> = tokio::net::lookup_host(target)
        .await
        .map_err(|error| Failure::new(FailureKind::Dns, format!("{target}: {error}")))?
        .collect();
    phases.dns = Some(started.elapsed());
    let started = Instant::now();
    let mut failure = Failure::new(FailureKind::Dns, format!("{target} has no address"));
    let each = timeout / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    for address in addresses {
        let connected = tokio::time::timeout(each, TcpStream::connect(address)).await;
        match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                phases.connect = Some(started.elapsed());
                // Small requests must not wait for the acknowledgement of what was sent before.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => {
                let kind = match error.kind() {
                    io::ErrorKind::ConnectionRefused => FailureKind::Refused,
                    io::ErrorKind::TimedOut => FailureKind::Timeout,
                    _ => FailureKind::Unreachable,
                };
                failure = Failure::new(kind, format!("{address}: {error}"));
            }
        }
    }
    Err(failure)
}

async fn handshake<T>(io: T) -> Result<(SendRequest<Full<Bytes>>, Driver), Failure>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(io).await.map_err(|error| broken(&error))?;
    // How a connection ends is told by the request on it.
    let driver = tokio::spawn(async move { drop(connection.await) });
    Ok((sender, Driver(driver)))
}

fn head(response: &Response<Incoming>) -> Answer {
    let headers = response.headers();
    Answer {
        status: response.status().as_u16(),
        request_id: header(headers, HeaderName::from_static("x-amz-request-id")),
        etag: header(headers, ETAG),
        body: Vec::new(),
    }
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name).map(|value| printable(&String::from_utf8_lossy(value.as_bytes()), 128))
}

fn broken(error: &hyper::Error) -> Failure {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Failure::new(FailureKind::Broken, format!("{error}{cause}"))
}

/// How servers are trusted: by these authorities, else by the system's.
pub(super) fn tls(ca_file: Option<&std::path::Path>) -> Result<TlsConnector, String> {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    use rustls_platform_verifier::BuilderVerifierExt as _;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = match ca_file {
        None => builder.with_platform_verifier().map_err(|error| error.to_string())?.with_no_client_auth(),
        Some(path) => {
            let why =
                |why: String| format!("cannot use {} as certificate authorities: {why}", path.display());
            let mut authorities = rustls::RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| why(error.to_string()))? {
                let certificate = certificate.map_err(|error| why(error.to_string()))?;
                authorities.add(certificate).map_err(|error| why(error.to_string()))?;
            }
            if authorities.is_empty() {
                return Err(why("it holds no certificate in PEM form".to_owned()));
            }
            builder.with_root_certificates(authorities).with_no_client_auth()
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}
