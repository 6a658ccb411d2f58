//! The server under load: a process of its own, so that it can be given one core and the load the other.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::wrk::end;

/// Serves `app` on a free port of loopback, tells its address on standard output, and ends with standard input: the
/// server never outlives whoever started it, however that one ended.
pub fn serve(app: Router) -> io::Result<()> {
    let (ended, end) = oneshot::channel::<()>();
    thread::spawn(move || {
        // Whether it was closed or cannot be read, nobody is there any more.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        drop(ended);
    });
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut out = io::stdout();
        writeln!(out, "http://{}/", listener.local_addr()?)?;
        out.flush()?;
        tokio::select! {
            served = axum::serve(listener, app) => served,
            _ = end => Ok(()),
        }
    })
}

/// A server in a child process, ended when this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    uri: String,
}

impl Server {
    /// Runs `program`, which must call [`serve`] when it is given `--serve <name>`.
    pub(super) fn start(program: &Path, name: &str) -> Result<Self, String> {
        let child = Command::new(program)
            .args(["--serve", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} cannot be run: {error}", program.display()))?;
        // Made first, so that a server which says nothing is ended as well.
        let mut server = Self {
            child,
            uri: String::new(),
        };
        if let Some(out) = &mut server.child.stdout {
            BufReader::new(out)
                .read_line(&mut server.uri)
                .map_err(|error| format!("the server's address cannot be read: {error}"))?;
        }
        server.uri.truncate(server.uri.trim_end().len());
        if server.uri.is_empty() {
            return Err(format!("the server `{name}` ended before it listened"));
        }
        Ok(server)
    }

    /// How long its one thread has run so far, in seconds; only Linux tells.
    pub(super) fn processor_time(&self) -> Result<f64, String> {
        let file = format!("/proc/{}/schedstat", self.child.id());
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
        seconds_run(&text).ok_or_else(|| format!("{file} says `{}`", text.trim()))
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// The first of three figures, in nanoseconds (the kernel's documentation, `scheduler/sched-stats`).
fn seconds_run(schedstat: &str) -> Option<f64> {
    let nanoseconds = schedstat.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_a_thread_has_run_is_the_first_figure() {
        assert_eq!(seconds_run("2500000000 1200 77\n"), Some(2.5));
    }

    #[test]
    fn a_kernel_that_tells_something_else_tells_nothing() {
        for garbage in ["", "\n", "-1 2 3", "2.5 0 0", "cpu0"] {
            assert_eq!(seconds_run(garbage), None, "{garbage:?}");
        }
    }
}
