//! A Redis over which shops make a fleet.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::LONG;

/// A server on a loopback port that was free, which keeps nothing and is killed when this is dropped.
pub(crate) struct Redis {
    server: Child,
    port: u16,
    _directory: TempDir,
}

impl Redis {
    pub(crate) fn start() -> Self {
        // Somebody else can take the port between our looking for it and the server's listening.
        (0..5)
            .find_map(|_attempt| Self::try_start())
            .expect("a redis-server comes up")
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn try_start() -> Option<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let directory = tempfile::tempdir().unwrap();
        let server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .arg("--dir")
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a redis-server on PATH");
        let mut redis = Self {
            server,
            port,
            _directory: directory,
        };
        redis.comes_up().then_some(redis)
    }

    /// Whether it answers. One that has found its port taken ends instead.
    fn comes_up(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < LONG {
            if self.server.try_wait().unwrap().is_some() {
                return false;
            }
            if answers(self.port) {
                return true;
            }
            // It is a process of its own: there is nothing to be woken by.
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
        return false;
    };
    let mut answer = [0; 5];
    stream.write_all(b"PING\r\n").is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && &answer == b"+PONG"
}
