//! From a model to a server that runs until it is told to stop.

use crate::connections::answer;
use crate::options::ServeOptions;
use crate::routes::router;
use crate::state::App;
use hgad_experiment::Predictor;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// How much longer than the longest request the end may take.
const DRAIN: std::time::Duration = std::time::Duration::from_secs(2);

/// Why a server could not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}; choose another with --bind")]
    Bind {
        /// As given.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// It failed while it ran.
    #[error("the server stopped: {0}")]
    Run(std::io::Error),
}

/// Serves `predictor` on `address` until SIGINT or SIGTERM, and then finishes what it took. `ready`
/// is told the address once requests are welcome: port 0 takes a free one.
///
/// # Errors
/// An address that cannot be had; a failure of the system.
pub fn serve(
    predictor: Predictor,
    address: SocketAddr,
    options: ServeOptions,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), ServeError> {
    let taken = |source| ServeError::Bind { address, source };
    let listener = TcpListener::bind(address).map_err(taken)?;
    listener.set_nonblocking(true).map_err(ServeError::Run)?;
    let local = listener.local_addr().map_err(ServeError::Run)?;
    // They wait and copy; what computes has threads of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(ServeError::Run)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(ServeError::Run)?;
        let app = App::new(Arc::new(predictor), options);
        let told = stop_signal().map_err(ServeError::Run)?;
        // Past what a request may take, only connections that never sent one whole are left.
        let drain = app.options.limits.time + DRAIN;
        let (routes, head) = (router(app.clone()), app.options.limits.head);
        ready(local);
        let (stopping, stopped) = tokio::sync::oneshot::channel();
        let until = async move {
            told.await;
            app.retire();
            tracing::info!("stopping: requests that were taken are finished");
            let _ = stopping.send(());
        };
        let enough = async move {
            let _ = stopped.await;
            // Asked for only now: the first signal must not count twice.
            match stop_signal() {
                Ok(told_again) => tokio::select! {
                    () = tokio::time::sleep(drain) => {}
                    () = told_again => {}
                },
                Err(_) => tokio::time::sleep(drain).await,
            }
        };
        tokio::select! {
            () = answer(listener, routes, head, until) => {}
            () = enough => {}
        }
        Ok(())
    })
}

/// Waits for the next SIGINT or SIGTERM; whoever calls it gets them from then on.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    #[cfg(unix)]
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}
