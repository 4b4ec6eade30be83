//! The HTTP endpoints for the operator's tools: liveness, readiness, metrics, rules in force and refused topics.
//!
//! | path | answer |
//! | --- | --- |
//! | `/healthz` | 200: the process answers |
//! | `/livez` | the same; it does not depend on readiness, so that a draining process is not restarted |
//! | `/readyz` | 200 while the server accepts sessions and the broker works; 503 before that and from SIGTERM on |
//! | `/metrics` | all metrics, as `OpenMetrics` text |
//! | `/topics` | the rules in force: topics and allowed origins, as JSON |
//! | `/refusals` | topics on which subscriptions or messages were refused, as JSON |
//!
//! They have a separate address, because the public must not reach them. Bounds: [`MAX_CONNECTIONS`] connections at once,
//! one request each, within [`CONNECTION_TIME`].

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

use crate::metrics::Metrics;

/// Maximum number of concurrent connections. Further ones wait in the kernel's accept queue.
const MAX_CONNECTIONS: usize = 32;

/// Time limit of a connection, so that clients that stop reading or writing do not occupy the connections.
const CONNECTION_TIME: Duration = Duration::from_secs(10);

/// Delay before the next attempt after `accept` failed, for example because no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Readiness of the node: its phase, and whether the broker works. Clones share the state.
#[derive(Clone, Debug)]
pub struct Readiness {
    phase: Arc<AtomicU8>,
    /// Whether the broker works. Set by the broker.
    broker: Arc<AtomicBool>,
}

/// The phases of a node, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// The node does not accept sessions yet.
    Starting,
    /// The node accepts sessions.
    Serving,
    /// The node shuts down: the grace period or the drain has begun.
    Draining,
}

impl Readiness {
    /// The phase is [`Phase::Starting`]. `broker` is set while the broker works.
    pub fn new(broker: Arc<AtomicBool>) -> Self {
        Self { phase: Arc::new(AtomicU8::new(Phase::Starting as u8)), broker }
    }

    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The current phase.
    pub fn phase(&self) -> Phase {
        let number = self.phase.load(Ordering::Relaxed);
        [Phase::Starting, Phase::Serving]
            .into_iter()
            .find(|phase| *phase as u8 == number)
            .unwrap_or(Phase::Draining)
    }

    /// Whether the broker works, so that published messages reach the sessions.
    pub fn has_broker(&self) -> bool {
        self.broker.load(Ordering::Relaxed)
    }
}

/// Serves requests until the future is dropped. `rules` holds the JSON that `/topics` returns.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    rules: watch::Receiver<String>,
) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let connection = match listener.accept().await {
            Ok((connection, _)) => connection,
            Err(error) => {
                warn!(%error, "cannot accept a connection on admin_bind");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (metrics, readiness, rules) = (Arc::clone(&metrics), readiness.clone(), rules.clone());
        tokio::spawn(async move {
            if tokio::time::timeout(CONNECTION_TIME, answer_one(connection, &metrics, &readiness, &rules))
                .await
                .is_err()
            {
                debug!("a connection on admin_bind took too long");
            }
            drop(permit);
        });
    }
}

async fn answer_one(
    connection: TcpStream,
    metrics: &Metrics,
    readiness: &Readiness,
    rules: &watch::Receiver<String>,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = answer(request.method(), request.uri().path(), metrics, readiness, rules);
        async move { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .serve_connection(TokioIo::new(connection), service)
        .await;
    if let Err(error) = served {
        debug!(%error, "a connection on admin_bind failed");
    }
}

fn answer(
    method: &Method,
    path: &str,
    metrics: &Metrics,
    readiness: &Readiness,
    rules: &watch::Receiver<String>,
) -> Response<String> {
    if method != Method::GET && method != Method::HEAD {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Use GET.\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match (path, readiness.phase()) {
        ("/healthz" | "/livez", _) => plain(StatusCode::OK, "ok\n"),
        ("/readyz", Phase::Serving) if readiness.has_broker() => plain(StatusCode::OK, "ready\n"),
        ("/readyz", Phase::Serving) => plain(StatusCode::SERVICE_UNAVAILABLE, "broker\n"),
        ("/readyz", Phase::Starting) => plain(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        ("/readyz", Phase::Draining) => plain(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        ("/metrics", _) => with_type(StatusCode::OK, OPEN_METRICS, metrics.encode()),
        ("/topics", _) => with_type(StatusCode::OK, JSON, rules.borrow().clone()),
        ("/refusals", _) => with_type(StatusCode::OK, JSON, metrics.refused_topics.describe(Instant::now())),
        _ => plain(
            StatusCode::NOT_FOUND,
            "Available paths: /healthz, /livez, /readyz, /metrics, /topics and /refusals. Browsers connect to the port of `bind`.\n",
        ),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<String> {
    with_type(status, TEXT, text.to_owned())
}

fn with_type(status: StatusCode, content_type: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::refusals::Action;

    fn working() -> Readiness {
        Readiness::new(Arc::new(AtomicBool::new(true)))
    }

    async fn start(readiness: &Readiness, metrics: &Arc<Metrics>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_, rules) = watch::channel(String::new());
        tokio::spawn(serve(listener, Arc::clone(metrics), readiness.clone(), rules));
        address
    }

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_node_is_ready_only_while_it_accepts_sessions() {
        let readiness = working();
        let address = start(&readiness, &Arc::new(Metrics::new())).await;
        assert!(ask(address, "GET /healthz").await.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(ask(address, "GET /readyz").await.starts_with("HTTP/1.1 503 "));
        readiness.enter(Phase::Serving);
        assert!(ask(address, "GET /readyz").await.starts_with("HTTP/1.1 200 OK\r\n"));
        readiness.enter(Phase::Draining);
        let answer = ask(address, "GET /readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\ndraining\n"), "{answer}");
        for path in ["/healthz", "/livez"] {
            assert!(ask(address, &format!("GET {path}")).await.starts_with("HTTP/1.1 200 OK\r\n"), "{path}");
        }
    }

    #[tokio::test]
    async fn metrics_are_served_as_openmetrics() {
        let metrics = Arc::new(Metrics::new());
        let address = start(&working(), &metrics).await;
        metrics.deliveries.inc_by(7);
        let answer = ask(address, "GET /metrics").await;
        assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0"), "{answer}");
        assert!(answer.contains("\norosync_deliveries_total 7\n"), "{answer}");
        assert!(answer.ends_with("# EOF\n"), "{answer}");
    }

    #[tokio::test]
    async fn refusals_are_listed_by_topic() {
        let metrics = Arc::new(Metrics::new());
        let address = start(&working(), &metrics).await;
        assert!(ask(address, "GET /refusals").await.ends_with(r#"{"refusals":[]}"#));
        metrics.refused_topics.count(Action::Publish, "acme/x", "undeclared", Instant::now());
        let answer = ask(address, "GET /refusals").await;
        assert!(answer.contains("content-type: application/json"), "{answer}");
        assert!(
            answer.contains(r#"[{"topic":"acme/x","action":"publish","reason":"undeclared","count":1,"#),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn unknown_paths_and_methods_are_answered_with_the_available_ones() {
        let address = start(&working(), &Arc::new(Metrics::new())).await;
        let answer = ask(address, "GET /").await;
        assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("/metrics"), "{answer}");
        let answer = ask(address, "POST /readyz").await;
        assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET, HEAD"), "{answer}");
        let answer = ask(address, "HEAD /healthz").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    }

    /// With the clock paused, time jumps to the next timer when all tasks wait.
    #[tokio::test(start_paused = true)]
    async fn silent_clients_occupy_connections_for_a_bounded_time() {
        let address = start(&working(), &Arc::new(Metrics::new())).await;
        let began = tokio::time::Instant::now();
        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        assert!(ask(address, "GET /healthz").await.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(began.elapsed() >= CONNECTION_TIME);
    }
}
