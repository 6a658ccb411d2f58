//! Servers on loopback. Each ends when its handle is dropped, together with its connections.

use std::{
    convert::Infallible,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use axum::{Router, serve::ListenerExt};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tower::{BoxError, Service};

/// Loopback, at whatever port is free.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A server on a port of its own.
pub struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves a router as its users do, over HTTP/1 and HTTP/2.
    pub async fn axum(router: Router) -> Self {
        let (listener, address) = listen().await;
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let listener = listener.tap_io(move |_| {
            counter.fetch_add(1, Relaxed);
        });
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            connections,
            task,
        }
    }

    /// Serves any HTTP service by hyper, over HTTP/1 and HTTP/2, a clone for each connection.
    pub async fn hyper<S, B>(service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        Self::hyper_at(ANY_PORT, service).await
    }

    /// The same at an address where there was a server before: what was stopped comes back.
    pub async fn hyper_at<S, B>(address: SocketAddr, service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        Self::raw_at(address, move |stream| {
            let service = TowerToHyperService::new(service.clone());
            async move {
                // A client that goes away is nothing to a server.
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        })
        .await
    }

    /// Hands each connection to a closure, which may do with it as it pleases.
    pub async fn raw<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self::raw_at(ANY_PORT, serve).await
    }

    async fn raw_at<F, Fut>(address: SocketAddr, serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (listener, address) = listen_at(address).await;
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Relaxed);
                open.spawn(serve(stream));
            }
        });
        Self {
            address,
            connections,
            task,
        }
    }

    /// Lets somebody else's server have the listener.
    pub async fn listening<Fut>(serve: impl FnOnce(TcpListener) -> Fut) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (listener, address) = listen().await;
        Self {
            address,
            connections: Arc::default(),
            task: tokio::spawn(serve(listener)),
        }
    }

    /// Accepts connections and never answers.
    pub async fn hung() -> Self {
        Self::raw(|stream| async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
        .await
    }

    /// Answers each connection's first request with these bytes, whatever they are, and closes the connection.
    pub async fn saying(answer: &'static [u8]) -> Self {
        let (server, _) = Self::switched(answer).await;
        server
    }

    /// The same with a switch: while it is off, connections are closed without an answer.
    ///
    /// Other than a server that was stopped, one that is switched off keeps its port, so that it can come back.
    pub async fn switched(answer: &'static [u8]) -> (Self, Switch) {
        let switch = Switch::default();
        let state = switch.clone();
        let server = Self::raw(move |mut stream| {
            let state = state.clone();
            async move {
                read_head(&mut stream).await;
                // A client that goes away meanwhile is nothing to a server.
                if !state.is_off() && stream.write_all(answer).await.is_ok() {
                    let _ = stream.shutdown().await;
                }
            }
        });
        (server.await, switch)
    }

    /// A URI on this server.
    pub fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has accepted, where this is known: of a [`listening`](Self::listening) one it is not.
    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// Ends the server with its connections; its port refuses new ones from now on.
    pub async fn stop(mut self) {
        self.task.abort();
        // The task is gone once its handle says so, and with it the listener.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Reads the head of a request, as far as tests are concerned: small enough to be seen whole at its end.
pub async fn read_head(stream: &mut TcpStream) {
    let mut seen = Vec::new();
    let mut piece = [0; 1024];
    while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece).await {
            Ok(read @ 1..) => seen.extend_from_slice(&piece[..read]),
            _ => return,
        }
    }
}

/// A full body, as a server's answer.
pub fn full(text: &'static str) -> http_body_util::Full<Bytes> {
    http_body_util::Full::new(Bytes::from_static(text.as_bytes()))
}

/// A good answer without a body, after which the connection is closed.
pub const FINE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Turns a server off and on; clones are the same switch.
#[derive(Clone, Debug, Default)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    /// Off: connections are closed without an answer.
    pub fn off(&self) {
        self.0.store(true, Relaxed);
    }

    /// On again.
    pub fn on(&self) {
        self.0.store(false, Relaxed);
    }

    fn is_off(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// How often a handler was reached; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Hits(Arc<AtomicUsize>);

impl Hits {
    /// Counts one.
    pub fn hit(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    listen_at(ANY_PORT).await
}

async fn listen_at(address: SocketAddr) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}
