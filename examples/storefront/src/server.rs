//! Listening, serving and stopping in good order.

use std::{fmt, io, net::Ipv4Addr, pin::pin, time::Duration};

use axum::Router;
use tokio::{net::TcpListener, sync::oneshot, time::timeout};

/// How long requests in flight may take once the server was told to stop.
const GRACE: Duration = Duration::from_secs(5);

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

/// Serves until `stop`. Then nobody new is let in, and requests in flight have some seconds to finish.
pub(crate) async fn serve_until(
    listener: TcpListener,
    app: Router,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (close, closing) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        // Nothing is ever sent: the other end is dropped.
        let _ = closing.await;
    });
    let mut server = pin!(server.into_future());
    tokio::select! {
        ended = &mut server => return ended,
        () = stop => drop(close),
    }
    if let Ok(ended) = timeout(GRACE, server).await {
        return ended;
    }
    tracing::warn!("some requests did not finish within {GRACE:?} and are cut off");
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::{
        body::Body,
        http::{Request, StatusCode},
        routing::get,
    };
    use tokio::{net::TcpStream, sync::Notify};

    use super::*;
    use crate::client::http_client;

    #[tokio::test]
    async fn a_busy_port_is_an_error_that_says_what_to_do() {
        let first = listen(0, "--port").await.unwrap();
        let port = first.local_addr().unwrap().port();
        let error = listen(port, "--port").await.unwrap_err().to_string();
        assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
        assert!(error.contains("--port 0"), "{error}");
    }

    #[tokio::test]
    async fn a_request_in_flight_finishes_when_the_server_is_told_to_stop() {
        let listener = listen(0, "--port").await.unwrap();
        let address = listener.local_addr().unwrap();
        let request = Request::get(format!("http://{address}/")).body(Body::empty());
        let (arrived, released, stop) = <(Arc<Notify>, Arc<Notify>, Arc<Notify>)>::default();
        let app = {
            let (arrived, released) = (Arc::clone(&arrived), Arc::clone(&released));
            let handler = async move || {
                arrived.notify_one();
                released.notified().await;
            };
            Router::new().route("/", get(handler))
        };
        let server = serve_until(listener, app, stop.notified());
        let closing = async {
            arrived.notified().await;
            stop.notify_one();
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
            released.notify_one();
        };
        let client = http_client();
        let answer = client.request(request.unwrap());
        let (ended, answer, ()) = tokio::join!(server, answer, closing);
        ended.unwrap();
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
    }
}
