//! The accept loop: timeouts that fire, and an end that waits for requests in flight.
//!
//! `axum::serve` gives hyper no timer, so none of hyper's own timeouts would ever fire.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_io_timeout::TimeoutStream;
use tower::{Layer as _, ServiceExt as _};
use tower_http::normalize_path::{NormalizePath, NormalizePathLayer};

use crate::config::Timeouts;
use crate::edge::{Asked, Peer};
use crate::metrics::Metrics;

/// Streams of one HTTP/2 connection that may be open at once.
const STREAMS: u32 = 128;

/// How long to wait when no connection can be accepted (out of file descriptors, for instance).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves with `answer`, which is given the client's address, until `stop` says so; then waits for what is in flight.
pub(crate) async fn serve<F: Future<Output = Response> + Send + 'static>(
    listener: TcpListener,
    answer: impl Fn(SocketAddr, hyper::Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    timeouts: Timeouts,
    metrics: impl Fn() -> crate::metrics::Connected + Send + 'static,
    mut stop: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let builder = builder(timeouts);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told_to_stop(&mut stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let answer = answer.clone();
        let service = service_fn(move |request| {
            let answered = answer(peer, request);
            async { Ok::<_, Infallible>(answered.await) }
        });
        let connection = builder.serve_connection_with_upgrades(io(stream, timeouts), service);
        let connection = graceful.watch(connection.into_owned());
        let connected = metrics();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "connection ended");
            }
            drop(connected);
        });
    }
    drop(listener);
    if tokio::time::timeout(timeouts.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were still busy at the end of the drain time");
    }
}

/// Waits until the server is told to stop.
pub(crate) async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could tell: that is an end, too.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn builder(timeouts: Timeouts) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(timeouts.header);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(timeouts.header)
        .keep_alive_timeout(timeouts.header)
        .max_concurrent_streams(STREAMS);
    builder
}

type Io = TokioIo<std::pin::Pin<Box<TimeoutStream<TcpStream>>>>;

/// The stream gives up between two bytes, too: hyper's own timers do not cover the first bytes, by which
/// the protocol is told, nor a client that stops reading.
fn io(stream: TcpStream, timeouts: Timeouts) -> Io {
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_read_timeout(Some(timeouts.idle));
    stream.set_write_timeout(Some(timeouts.idle));
    TokioIo::new(Box::pin(stream))
}

/// A router that takes a trailing slash.
pub(crate) type Routes = NormalizePath<Router>;

/// Makes a router take a trailing slash.
pub(crate) fn routes(router: Router) -> Routes {
    NormalizePathLayer::trim_trailing_slash().layer(router)
}

/// Has a router answer.
pub(crate) async fn route(routes: Routes, peer: SocketAddr, request: hyper::Request<Incoming>) -> Response {
    let mut request: Request = request.map(Body::new);
    let asked = Asked(request.uri().clone());
    request.extensions_mut().insert(asked);
    request.extensions_mut().insert(Peer(peer));
    routes.oneshot(request).await.unwrap_or_else(|never| match never {})
}

/// Counts connections for `metrics` of a shared state.
pub(crate) fn counted(app: crate::state::App) -> impl Fn() -> crate::metrics::Connected + Send + 'static {
    move || Metrics::connected(&app.metrics)
}
