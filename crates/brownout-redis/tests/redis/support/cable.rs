//! A cable between the store and a server, that can be cut, or made to carry nothing without being cut.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How bytes fare on a cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    /// Nothing comes through, and nobody is told: a router that has forgotten the connection.
    Dead,
    /// Nothing comes back; what goes to the server does.
    Mute,
}

/// A TCP proxy before a server.
pub(crate) struct Cable {
    port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    server: u16,
    state: watch::Sender<State>,
    /// Connections up to this one have been cut.
    cut: watch::Sender<u64>,
    accepted: AtomicU64,
    /// So many bytes more come back from the server before the connection is cut.
    answer_left: watch::Sender<Option<usize>>,
}

impl Cable {
    pub(crate) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server,
            state: watch::Sender::new(State::Whole),
            cut: watch::Sender::new(0),
            accepted: AtomicU64::new(0),
            answer_left: watch::Sender::new(None),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            port,
            shared,
            accepting,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// How many connections were made so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Closes all connections that there are.
    pub(crate) fn cut(&self) {
        self.shared.cut.send_replace(self.accepted());
    }

    /// From now on nothing comes through, in either direction, on new connections neither.
    pub(crate) fn die(&self) {
        self.shared.state.send_replace(State::Dead);
    }

    /// From now on answers and messages do not come through, while commands do.
    pub(crate) fn mute(&self) {
        self.shared.state.send_replace(State::Mute);
    }

    /// Bytes come through again, those that waited first.
    pub(crate) fn mend(&self) {
        self.shared.state.send_replace(State::Whole);
    }

    /// Cuts the connections in the middle of the server's next answer, after so many bytes.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.shared.answer_left.send_replace(Some(bytes));
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.shared.cut.send_replace(u64::MAX);
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let number = shared.accepted.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::spawn(carry(client, number, Arc::clone(&shared)));
    }
}

async fn carry(client: TcpStream, number: u64, shared: Arc<Shared>) {
    let mut cut = shared.cut.subscribe();
    let both = async {
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.server)).await else {
            return;
        };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        // Either end's end is that of both.
        tokio::select! {
            () = copy(from_client, to_server, &shared, false) => {}
            () = copy(from_server, to_client, &shared, true) => {}
        }
    };
    tokio::select! {
        () = both => {}
        _ = cut.wait_for(|cut| *cut >= number) => {}
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    shared: &Shared,
    answers: bool,
) {
    let mut state = shared.state.subscribe();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(mut read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let carries = |state: &State| match state {
            State::Whole => true,
            State::Dead => false,
            State::Mute => !answers,
        };
        if state.wait_for(carries).await.is_err() {
            return;
        }
        let left = *shared.answer_left.borrow();
        if answers && let Some(left) = left {
            read = read.min(left);
            shared.answer_left.send_replace(Some(left - read));
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        if answers && left.is_some_and(|left| left == read) {
            shared.answer_left.send_replace(None);
            return;
        }
    }
}
