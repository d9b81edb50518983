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

/// Connections at a time; more wait in the kernel, and there are few that have any business here.
const CONNECTIONS: usize = 16;

/// For the head of a request.
const HEAD: Duration = Duration::from_secs(5);

/// For a whole connection, with as many scrapes as it likes: whoever reads slowly, or nothing at all, is cut off.
const CONNECTION: Duration = Duration::from_secs(60);

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
pub struct Server(std::net::TcpListener);

impl Server {
    /// Takes its port, so that a port that is taken is known at once.
    ///
    /// # Errors
    /// The port is taken, or not ours to take.
    pub fn bind(address: SocketAddr) -> Result<Self, ServerError> {
        let failed = |error| ServerError { address, error };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self(listener))
    }

    /// Where it listens; with port 0, where that turned out to be.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()
    }

    /// Answers `GET /metrics` with what `text` makes, for ever. Dropping the future ends all connections.
    ///
    /// # Errors
    /// There is no tokio runtime with I/O.
    pub async fn serve(self, text: impl Fn() -> String + Send + Sync + 'static) -> std::io::Result<Infallible> {
        let listener = TcpListener::from_std(self.0)?;
        let (text, permits) = (Arc::new(text), Arc::new(Semaphore::new(CONNECTIONS)));
        let mut connections = JoinSet::new();
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return std::future::pending().await;
            };
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, _)) => {
                    let text = Arc::clone(&text);
                    connections.spawn(async move {
                        let _ = tokio::time::timeout(CONNECTION, converse(stream, text)).await;
                        drop(permit);
                    });
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

/// One connection. How it ends is the client's affair.
async fn converse(stream: TcpStream, text: Arc<impl Fn() -> String + Send + Sync + 'static>) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer(&request, &*text);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MAX_HEAD);
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

fn answer(request: &Request<Incoming>, text: &impl Fn() -> String) -> Response<Either<Full<Bytes>, Empty<Bytes>>> {
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
            let answer = ask(address, &format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
            assert!(answer.ends_with(ends), "{request}: {answer}");
        }
        assert!(ask(address, "\x16\x03\x01 rubbish\r\n\r\n").await.starts_with("HTTP/1.1 400"));
        let long = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", "x".repeat(2 * MAX_HEAD));
        assert!(!ask(address, &long).await.contains("200 OK"));
    }

    /// Paused time goes on by itself when nothing else happens: no test waits for a timeout.
    #[tokio::test(start_paused = true)]
    async fn silent_clients_make_room_in_the_end() {
        let server = Server::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = server.address().unwrap();
        tokio::spawn(server.serve(|| "up 1\n".to_owned()));
        let mut silent = Vec::new();
        for _ in 0..4 * CONNECTIONS {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let answer = ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(answer.ends_with("up 1\n"), "{answer}");
    }
}
