//! A redis-server of a test's own.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::fake::bulk;

/// A server on a free port of the loopback interface, which keeps nothing unless it is asked, and dies with its handle.
pub(crate) struct Server {
    child: Child,
    port: u16,
    folder: TempDir,
    options: Vec<String>,
}

/// All that a server held at a moment.
pub(crate) struct Backup(Vec<u8>);

/// How long a server may take to come up on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// A server with further options, such as `["--maxmemory", "2mb"]`.
    pub(crate) fn with(options: &[&str]) -> Self {
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let folder = tempfile::tempdir().expect("a folder for the server");
        // Somebody else can take a port between our looking and the server's asking for it.
        for _attempt in 0..5 {
            let port = Self::free_port();
            let mut child = spawn(port, folder.path(), &options);
            if comes_up(&mut child, port) {
                return Self {
                    child,
                    port,
                    folder,
                    options,
                };
            }
        }
        let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        panic!("redis-server does not come up with {options:?}:\n{log}");
    }

    /// One that nobody listens on, at the moment.
    pub(crate) fn free_port() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.local_addr().expect("an address").port()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sends a command, and gives the answer as the server wrote it.
    pub(crate) fn run(&self, command: &[&str]) -> String {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("connect");
        ask(&mut socket, command)
    }

    /// Stops it, as a machine does that has run out of everything; connections stay.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    pub(crate) fn go_on(&self) {
        self.signal("CONT");
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the server was alive");
        self.child.wait().expect("the server has ended");
    }

    /// Starts it on the same port, empty.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.port, self.folder.path(), &self.options);
        assert!(comes_up(&mut self.child, self.port), "it comes up again");
    }

    /// A copy of all it holds.
    pub(crate) fn copy(&self) -> Backup {
        assert_eq!(self.run(&["SAVE"]), "+OK");
        let backup = Backup(fs::read(self.dump()).expect("it has saved"));
        self.forget();
        backup
    }

    /// Starts it on the same port, with what it held when it was copied.
    pub(crate) fn restore(&mut self, backup: &Backup) {
        fs::write(self.dump(), &backup.0).expect("room for the copy");
        self.restart();
        self.forget();
    }

    /// Removes the file, from which a later life would begin.
    fn forget(&self) {
        fs::remove_file(self.dump()).expect("it was there");
    }

    fn dump(&self) -> PathBuf {
        self.folder.path().join("dump.rdb")
    }

    fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.expect("there is a shell").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed already; SIGKILL also ends one that is paused.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// What is started: `redis-server`, or the program that `BROWNOUT_REDIS_SERVER` names, so that other servers and
/// versions can be held to the same.
pub(crate) fn program() -> String {
    std::env::var("BROWNOUT_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

fn spawn(port: u16, folder: &Path, options: &[String]) -> Child {
    let spawned = Command::new(program())
        .args(["--port", &port.to_string()])
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(["--daemonize", "no", "--logfile", "log"])
        .arg("--dir")
        .arg(folder)
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => panic!(
            "these tests start servers of their own, and there is no `redis-server` on PATH: `cargo xtask test` installs \
             it on Debian; elsewhere install Redis 7 or newer"
        ),
        Err(error) => panic!("redis-server cannot be started: {error}"),
    }
}

/// Whether it answers, which one does not that has found its port taken.
fn comes_up(child: &mut Child, port: u16) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if child.try_wait().expect("it is our child").is_some() {
            return false;
        }
        if let Ok(mut socket) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            // Whatever it says, a password asked for included, it is up; while it loads it says so.
            if !ask(&mut socket, &["PING"]).contains("LOADING") {
                return true;
            }
        }
        // The server is a process of its own: there is nothing to be woken by.
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

fn ask(socket: &mut TcpStream, command: &[&str]) -> String {
    let parts: Vec<_> = command.iter().map(|part| bulk(part)).collect();
    let (count, parts) = (parts.len(), parts.concat());
    let sent = format!("*{count}\r\n{parts}*1\r\n{}", bulk("QUIT"));
    if socket.write_all(sent.as_bytes()).is_err() {
        return String::new();
    }
    let mut answer = Vec::new();
    // The server hangs up after QUIT.
    let _end = socket.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let answer = answer.strip_suffix("+OK\r\n").unwrap_or(&answer);
    answer.trim_end().to_owned()
}
