//! Serves one text over HTTP, to a few clients at a time, none of which can hold it up.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::{Either, Empty, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE as TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

use super::CONTENT_TYPE;

/// What no client can go beyond.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Connections at a time; more wait in the kernel, and there are few that have any business here.
    connections: usize,
    /// For the head of a request.
    head: Duration,
    /// For a whole connection, with as many scrapes as it likes: whoever reads slowly, or nothing at all, is cut off.
    connection: Duration,
}

const LIMITS: Limits =
    Limits { connections: 16, head: Duration::from_secs(5), connection: Duration::from_secs(60) };

/// The largest head of a request, bytes.
const MAX_HEAD: usize = 16 << 10;

/// Between two tries to take a connection when there are no more file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// It cannot listen there.
#[derive(Debug, thiserror::Error)]
#[error("metrics: cannot listen on {address}: {error}")]
pub struct ServerError {
    address: SocketAddr,
    error: std::io::Error,
}

/// Listens.
#[derive(Debug)]
pub struct Server {
    listener: std::net::TcpListener,
    limits: Limits,
}

impl Server {
    /// Takes its port, so that a port that is taken is known at once.
    ///
    /// # Errors
    /// The port is taken, or not ours to take.
    pub fn bind(address: SocketAddr) -> Result<Self, ServerError> {
        let failed = |error| ServerError { address, error };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener, limits: LIMITS })
    }

    /// Where it listens; with port 0, where that turned out to be.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Answers `GET /metrics` with what `text` makes, for ever. Dropping the future ends all connections.
    ///
    /// # Errors
    /// There is no tokio runtime with I/O.
    pub async fn serve(
        self,
        text: impl Fn() -> String + Send + Sync + 'static,
    ) -> std::io::Result<Infallible> {
        let listener = TcpListener::from_std(self.listener)?;
        let (text, permits) = (Arc::new(text), Arc::new(Semaphore::new(self.limits.connections)));
        let mut connections = JoinSet::new();
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return std::future::pending().await;
            };
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, _)) => {
                    let text = Arc::clone(&text);
                    let limits = self.limits;
                    connections.spawn(async move {
                        let conversation = converse(stream, limits.head, text);
                        let _ = tokio::time::timeout(limits.connection, conversation).await;
                        drop(permit);
                    });
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

/// One connection. How it ends is the client's affair.
async fn converse(stream: TcpStream, head: Duration, text: Arc<impl Fn() -> String + Send + Sync + 'static>) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer(&request, &*text);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head).max_buf_size(MAX_HEAD);
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

fn answer(
    request: &Request<Incoming>,
    text: &impl Fn() -> String,
) -> Response<Either<Full<Bytes>, Empty<Bytes>>> {
    let mut response = Response::new(Either::Right(Empty::new()));
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            *response.body_mut() = Either::Left(Full::new(text().into()));
            response.headers_mut().insert(TYPE, HeaderValue::from_static(CONTENT_TYPE));
        }
        (_, "/metrics") => {
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        _ => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn one_path_is_served_and_nothing_else() {
        let server = Server::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = server.address().unwrap();
        tokio::spawn(server.serve(|| "up 1\n".to_owned()));
        for (request, status, ends) in [
            ("GET /metrics", "200 OK", "up 1\n"),
            ("HEAD /metrics", "200 OK", "\r\n\r\n"),
            ("GET /metrics?x=y", "200 OK", "up 1\n"),
            ("POST /metrics", "405 Method Not Allowed", "\r\n\r\n"),
            ("GET /", "404 Not Found", "\r\n\r\n"),
            ("GET /../../etc/passwd", "404 Not Found", "\r\n\r\n"),
        ] {
            let answer =
                ask(address, &format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
            assert!(answer.ends_with(ends), "{request}: {answer}");
        }
        assert!(ask(address, "\x16\x03\x01 rubbish\r\n\r\n").await.starts_with("HTTP/1.1 400"));
        let long = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", "x".repeat(2 * MAX_HEAD));
        assert!(!ask(address, &long).await.contains("200 OK"));
    }

    /// Those that say nothing, and those that ask and do not read the answer.
    #[tokio::test]
    async fn idle_clients_make_room_in_the_end() {
        let mut server = Server::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let short = Duration::from_millis(50);
        server.limits = Limits { connections: 2, head: short, connection: 2 * short };
        let address = server.address().unwrap();
        // More than the kernel's buffers hold.
        tokio::spawn(server.serve(|| "x".repeat(32 << 20)));
        let mut idle = Vec::new();
        for number in 0..8 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            if number % 2 == 0 {
                stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            }
            idle.push(stream);
        }
        let answer = ask(address, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }
}
