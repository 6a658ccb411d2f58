//! Listening, serving and stopping in good order.

#[cfg(test)]
mod tests;

use std::{fmt, io, net::Ipv4Addr, pin::pin, time::Duration};

use axum::{Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

/// How long requests in flight may take once the server was told to stop.
const GRACE: Duration = Duration::from_secs(5);
/// How long a client may take to send a request's head, the time before it begins included.
const MAX_SILENCE: Duration = Duration::from_secs(10);
/// More connections than that wait in the system's queue. Each is an open file, of which a process may often have 1,024,
/// and the calls that are made for it are others.
const MAX_CONNECTIONS: usize = 400;

/// A port that could not be listened on.
#[derive(Debug)]
pub(crate) struct ListenError {
    port: u16,
    option: &'static str,
    cause: io::Error,
}

/// Listens on a port of 127.0.0.1; 0 takes any that is free. `option` is what the user can change it by.
pub(crate) async fn listen(port: u16, option: &'static str) -> Result<TcpListener, ListenError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|cause| ListenError {
            port,
            option,
            cause,
        })
}

/// Serves until `stop`. Then requests in flight have some seconds to finish, and nobody new is waited for.
///
/// Until they have, the port stays open, for one request a connection: who asks whether this server wants more of them
/// should hear that it does not.
///
/// `axum::serve` would do, but for clients who connect and then say nothing: it lets them stay, and as many as come.
pub(crate) async fn serve_until(
    mut listener: TcpListener,
    app: Router,
    stop: impl Future<Output = ()>,
) {
    let (mut usual, mut late) = (JoinSet::new(), JoinSet::new());
    let (close, closing) = watch::channel(());
    let serving = |stream| connection(stream, app.clone(), true, closing.clone());
    serve(&mut listener, &mut usual, serving, stop).await;
    drop(close);

    let (close, closing) = watch::channel(());
    let draining = |stream| connection(stream, app.clone(), false, closing.clone());
    let finished = timeout(GRACE, async {
        let drained = all_ended(&mut usual);
        serve(&mut listener, &mut late, draining, drained).await;
        drop((listener, close));
        all_ended(&mut late).await;
    });
    if finished.await.is_err() {
        tracing::warn!("some requests did not finish within {GRACE:?} and are cut off");
    }
}

/// Lets connections in until `stop`.
async fn serve<F>(
    listener: &mut TcpListener,
    connections: &mut JoinSet<()>,
    connection: impl Fn(TcpStream) -> F,
    stop: impl Future<Output = ()>,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            // Who comes after that is for somebody else to let in.
            biased;
            () = &mut stop => return,
            (stream, _) = Listener::accept(listener), if connections.len() < MAX_CONNECTIONS => {
                connections.spawn(connection(stream));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn all_ended(connections: &mut JoinSet<()>) {
    while connections.join_next().await.is_some() {}
}

/// Serves a connection, until its client has had enough or has said nothing for too long. Once `closing` is closed it ends
/// with the request in flight, and if it is not kept alive, with the first.
async fn connection(
    stream: TcpStream,
    app: Router,
    keep_alive: bool,
    mut closing: watch::Receiver<()>,
) {
    let mut connection = pin!(
        http1::Builder::new()
            .keep_alive(keep_alive)
            .timer(TokioTimer::new())
            .header_read_timeout(MAX_SILENCE)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
    );
    let ended = tokio::select! {
        ended = &mut connection => ended,
        _ = closing.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Waits for Ctrl-C, or for SIGTERM where there is such a thing.
pub(crate) async fn told_to_stop() {
    let interrupted = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "Ctrl-C cannot be heard; end the process by other means");
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupted => {}
        () = terminated() => {}
    }
    tracing::info!("told to stop; requests in flight may finish");
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};

    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(error) => {
            tracing::error!(%error, "SIGTERM cannot be heard and ends the process at once");
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending::<()>().await;
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            port,
            option,
            cause,
        } = self;
        if cause.kind() == io::ErrorKind::AddrInUse {
            write!(
                f,
                "cannot listen on 127.0.0.1:{port}: another program does. Stop it, or choose another port with \
                 `{option} PORT` ({option} 0 takes any that is free)"
            )
        } else {
            write!(
                f,
                "cannot listen on 127.0.0.1:{port}: {cause}. Choose another port with `{option} PORT`"
            )
        }
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}
