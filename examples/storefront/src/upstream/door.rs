//! A server whose port can be closed for good measure and opened again, with all its connections in one task.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use axum::{Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
};

/// More connections than that wait in the system's queue.
const MAX_CONNECTIONS: usize = 1_000;
const QUEUE: u32 = 1_024;

/// A port, open or closed.
#[derive(Debug)]
pub(super) struct Door {
    address: SocketAddr,
    state: State,
}

#[derive(Debug)]
enum State {
    Open(TcpListener),
    /// Bound, so that nobody else gets the port, but not listening: connecting to it is refused.
    Closed(TcpSocket),
    /// Neither worked, and the next order tries again.
    Lost,
}

/// Opens or closes the door, and says when it is done.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) open: bool,
    pub(super) done: oneshot::Sender<io::Result<()>>,
}

impl Door {
    /// Opens on a free port.
    pub(super) async fn open_anywhere() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self {
            address: listener.local_addr()?,
            state: State::Open(listener),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `app`, and obeys orders for as long as there is somebody to give them.
    pub(super) async fn serve(mut self, app: Router, mut orders: mpsc::Receiver<Order>) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                order = orders.recv() => {
                    let Some(order) = order else { return };
                    if !order.open {
                        // As when a process dies: who is connected is cut off too.
                        connections.shutdown().await;
                    }
                    let outcome = if order.open { self.open() } else { self.close() };
                    // Who gave the order may have stopped waiting.
                    let _ = order.done.send(outcome);
                }
                stream = self.accept(), if connections.len() < MAX_CONNECTIONS => {
                    connections.spawn(connection(stream, app.clone()));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    /// The next connection; none while the door is closed.
    async fn accept(&mut self) -> TcpStream {
        match &mut self.state {
            State::Open(listener) => Listener::accept(listener).await.0,
            State::Closed(_) | State::Lost => std::future::pending().await,
        }
    }

    fn open(&mut self) -> io::Result<()> {
        let socket = match std::mem::replace(&mut self.state, State::Lost) {
            State::Open(listener) => {
                self.state = State::Open(listener);
                return Ok(());
            }
            State::Closed(socket) => socket,
            State::Lost => self.bind()?,
        };
        self.state = State::Open(socket.listen(QUEUE)?);
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        if matches!(self.state, State::Closed(_)) {
            return Ok(());
        }
        // The listener goes first: two sockets cannot share a port on which one listens.
        self.state = State::Lost;
        self.state = State::Closed(self.bind()?);
        Ok(())
    }

    fn bind(&self) -> io::Result<TcpSocket> {
        let socket = TcpSocket::new_v4()?;
        // Connections that were just cut still linger on the port.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        Ok(socket)
    }
}

async fn connection(stream: TcpStream, app: Router) {
    let service = TowerToHyperService::new(app);
    if let Err(error) = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        tracing::debug!(%error, "a connection to a service broke");
    }
}
