//! A Redis of the tour's own, which can be killed.

use std::{io, net::Ipv4Addr, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};
use tower::BoxError;

/// A server on a loopback port that was free. It keeps nothing, and is killed when this is dropped, even if it is paused.
#[derive(Debug)]
pub(super) struct Redis {
    server: Child,
    port: u16,
    /// Where it would write, if it wrote.
    directory: TempDir,
}

const PROGRAM: &str = "redis-server";
const MISSING: &str = "there is no `redis-server` on PATH, over which the fleet agrees: install Redis 7 or newer, as \
                       with `apt-get install redis-server` or `brew install redis`";
/// How long it may take to come up on a busy machine.
const COMES_UP: Duration = Duration::from_secs(20);
/// How long it may take to answer.
const ANSWERS: Duration = Duration::from_secs(1);

impl Redis {
    pub(super) async fn start() -> Result<Self, BoxError> {
        let directory = tempfile::tempdir()?;
        // Somebody else can take the port between our looking for it and the server's listening.
        for _attempt in 0..5 {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let port = listener.local_addr()?.port();
            drop(listener);
            let mut server = spawn(port, &directory)?;
            if comes_up(&mut server, port).await? {
                return Ok(Self {
                    server,
                    port,
                    directory,
                });
            }
        }
        Err("redis-server does not come up; try `redis-server --port 0` to see why".into())
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// As SIGKILL does: it can say goodbye to nobody.
    pub(super) async fn kill(&mut self) -> io::Result<()> {
        self.server.kill().await
    }

    /// Starts another one in the place of the one that was killed. It knows nothing.
    pub(super) async fn restart(&mut self) -> Result<(), BoxError> {
        self.server = spawn(self.port, &self.directory)?;
        if comes_up(&mut self.server, self.port).await? {
            Ok(())
        } else {
            Err("redis-server does not come up again: its port was taken meanwhile".into())
        }
    }

    /// Stops it in its tracks. Connections stay, and nobody answers.
    pub(super) async fn pause(&self) -> Result<(), BoxError> {
        self.signal("-STOP").await
    }

    pub(super) async fn go_on(&self) -> Result<(), BoxError> {
        self.signal("-CONT").await
    }

    async fn signal(&self, signal: &str) -> Result<(), BoxError> {
        let id = self.server.id().ok_or("the redis-server has ended")?;
        let mut kill = Command::new("kill");
        let sent = kill.args([signal, &id.to_string()]).status().await?;
        if sent.success() {
            Ok(())
        } else {
            Err(format!("`kill {signal}` has failed").into())
        }
    }
}

fn spawn(port: u16, directory: &TempDir) -> Result<Child, BoxError> {
    let spawned = Command::new(PROGRAM)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
        .arg("--dir")
        .arg(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    spawned.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => MISSING.into(),
        _ => format!("redis-server cannot be started: {error}").into(),
    })
}

/// Whether it answers. One that has found its port taken ends instead.
async fn comes_up(server: &mut Child, port: u16) -> io::Result<bool> {
    let begun = Instant::now();
    while begun.elapsed() < COMES_UP {
        if server.try_wait()?.is_some() {
            return Ok(false);
        }
        if matches!(timeout(ANSWERS, answers(port)).await, Ok(Ok(true))) {
            // Whoever holds the port may be somebody else's server, while ours is about to give up.
            sleep(Duration::from_millis(50)).await;
            return Ok(server.try_wait()?.is_none());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(false)
}

async fn answers(port: u16) -> io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await?;
    Ok(&answer == b"+PONG")
}
