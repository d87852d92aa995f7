//! Connections: taken one by one, each with a limit on how long a request's head may be awaited, and
//! finished when the server is told to stop.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::io::{Error, ErrorKind};
use std::time::Duration;
use tokio::net::TcpListener;

/// How long no connection is taken after the system could give none, as when files are used up.
const PAUSE: Duration = Duration::from_secs(1);

/// Answers with `router` what comes on `listener` until `told` is done, and then finishes what it
/// took. A connection whose next request has no whole head after `head` is closed: one that says
/// nothing, that says it slowly, or that is kept open between requests.
pub async fn answer(listener: TcpListener, router: Router, head: Duration, told: impl Future) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head);
    let open = GracefulShutdown::new();
    tokio::pin!(told);
    loop {
        let stream = tokio::select! {
            taken = listener.accept() => match taken {
                Ok((stream, _)) => stream,
                Err(error) if is_the_clients(&error) => continue,
                Err(error) => {
                    tracing::error!("no connection can be taken: {error}");
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => continue,
                        _ = &mut told => break,
                    }
                }
            },
            _ = &mut told => break,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = open.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection was cut: {error}");
            }
        });
    }
    // From here on new connections are refused.
    drop(listener);
    open.shutdown().await;
}

/// Whether a connection failed before it was taken, which is no failure of the server.
fn is_the_clients(error: &Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
