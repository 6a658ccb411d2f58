//! A server that says what it is told to, for what no real one can be made to say.

use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Listens on the loopback interface, and answers each command by its upper-case name.
pub(crate) struct Fake {
    port: u16,
    accepting: JoinHandle<()>,
}

/// A string, as Redis writes it.
pub(crate) fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// What a server of that version answers to `HELLO`.
pub(crate) fn hello(version: &str) -> String {
    let parts = ["version", version, "mode", "standalone", "role", "master"];
    let text: Vec<_> = parts.iter().map(|part| bulk(part)).collect();
    format!("%3\r\n{}", text.concat())
}

impl Fake {
    pub(crate) async fn answering(
        answer: impl Fn(&[String]) -> String + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = Arc::new(answer);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let answer = Arc::clone(&answer);
                tokio::spawn(async move { converse(socket, &*answer).await });
            }
        });
        Self { port, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn converse(mut socket: TcpStream, answer: &(dyn Fn(&[String]) -> String + Send + Sync)) {
    let mut waiting = String::new();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = socket.read(&mut buffer).await {
        waiting += &String::from_utf8_lossy(&buffer[..read]);
        while let Some((command, rest)) = command(&waiting) {
            waiting = rest;
            if socket.write_all(answer(&command).as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// The first command of what was received, if it is whole, and what follows it.
fn command(received: &str) -> Option<(Vec<String>, String)> {
    let (count, mut rest) = received.strip_prefix('*')?.split_once("\r\n")?;
    let mut parts = Vec::new();
    for _ in 0..count.parse::<usize>().ok()? {
        let (length, tail) = rest.strip_prefix('$')?.split_once("\r\n")?;
        let length: usize = length.parse().ok()?;
        parts.push(tail.get(..length)?.to_owned());
        rest = tail.get(length + 2..)?;
    }
    parts.first_mut()?.make_ascii_uppercase();
    Some((parts, rest.to_owned()))
}
