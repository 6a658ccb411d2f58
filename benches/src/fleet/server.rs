//! A Redis of the bench's own.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long it may take to come up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Somebody else can take a port between our looking and the server's asking for it.
const ATTEMPTS: usize = 3;

/// A server on a free port of loopback that keeps nothing, ended when this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    port: u16,
    /// Asks the server about itself, over the same connection each time: making one would be the server's time too.
    asking: Option<BufReader<TcpStream>>,
    _folder: TempDir,
}

impl Server {
    /// One that takes so many clients.
    pub(super) fn start(clients: usize) -> Result<Self, String> {
        let mut why = String::new();
        for _ in 0..ATTEMPTS {
            let mut server = Self::spawn(clients)?;
            match server.comes_up() {
                Ok(asking) => {
                    server.asking = Some(asking);
                    return Ok(server);
                }
                Err(error) => why = error.to_string(),
            }
        }
        Err(format!("redis-server does not come up: {why}"))
    }

    fn spawn(clients: usize) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("no folder: {error}"))?;
        let port = free_port().map_err(|error| format!("no free port: {error}"))?;
        // Beside the replicas, whoever writes and whoever asks.
        let clients = (clients + 16).to_string();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .args(["--maxclients", &clients, "--logfile", "log", "--dir"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| unstarted(&error))?;
        Ok(Self {
            child,
            port,
            asking: None,
            _folder: folder,
        })
    }

    /// A connection over which it has answered, which a server does not that has found its port taken.
    fn comes_up(&mut self) -> io::Result<BufReader<TcpStream>> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("it ended with {status}")));
            }
            match answering(self.port) {
                Ok(asking) => return Ok(asking),
                Err(error) if begun.elapsed() > PATIENCE => return Err(error),
                // It is a process of its own: there is nothing to be woken by.
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// How long it has run so far, system and user, in seconds.
    pub(super) fn processor_time(&mut self) -> Result<f64, String> {
        let asking = self.asking.as_mut().ok_or("the server is not up")?;
        let info = info(asking).map_err(|error| format!("the server says nothing: {error}"))?;
        seconds_run(&info).ok_or_else(|| format!("the server does not tell its time: {info}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already is none to be ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

fn answering(port: u16) -> io::Result<BufReader<TcpStream>> {
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_nodelay(true)?;
    let mut asking = BufReader::new(socket);
    info(&mut asking)?;
    Ok(asking)
}

/// The answer is one string, with its length before it.
fn info(asking: &mut BufReader<TcpStream>) -> io::Result<String> {
    asking.get_mut().write_all(b"INFO cpu\r\n")?;
    let mut head = String::new();
    asking.read_line(&mut head)?;
    let length = head.trim_end().strip_prefix('$');
    let length: usize = length
        .and_then(|length| length.parse().ok())
        .ok_or_else(|| io::Error::other(format!("it answered `{}`", head.trim_end())))?;
    let mut text = vec![0; length + 2];
    asking.read_exact(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn seconds_run(info: &str) -> Option<f64> {
    let field = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line?.trim().parse::<f64>().ok()
    };
    Some(field("used_cpu_sys:")? + field("used_cpu_user:")?)
}

fn unstarted(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        "redis-server is not installed".to_owned()
    } else {
        format!("redis-server cannot be run: {error}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_and_user_time_are_added_and_those_of_children_are_not() {
        let info = "# CPU\r\nused_cpu_sys:1.250000\r\nused_cpu_user:0.500000\r\n\
                    used_cpu_sys_children:7.0\r\nused_cpu_user_children:7.0\r\n";
        assert_eq!(seconds_run(info), Some(1.75));
        assert_eq!(seconds_run("# CPU\r\nused_cpu_sys:1.25\r\n"), None);
    }
}
