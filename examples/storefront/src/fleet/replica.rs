//! A replica of the shop, in a process of its own.

use std::{env, io, path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};
use tower::BoxError;

use super::phone::Phone;
use crate::{notice::Notice, settings::Safeguards};

/// Killed when this is dropped.
#[derive(Debug)]
pub(super) struct Replica {
    name: &'static str,
    process: Child,
    phone: Phone,
    /// Kept open, so that the shop can print what it likes.
    _said: Lines<BufReader<ChildStdout>>,
}

/// How long a shop may take to open on a busy machine.
const OPENS: Duration = Duration::from_secs(30);

impl Replica {
    /// Runs this program once more, on ports that are free.
    pub(super) async fn open(
        name: &'static str,
        redis: &str,
        data: &Path,
        safeguards: &Safeguards,
    ) -> Result<Self, BoxError> {
        let mut process = Command::new(env::current_exe()?)
            .args(["--port", "0", "--control-port", "0", "--grpc-port", "0"])
            .args(["--redis", redis, "--namespace", "tour", "--replica", name])
            .args(["--short-times", "--log", "error", "--data-dir"])
            .arg(data.join(name))
            .args(safeguards.as_options())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("a replica cannot be started: {error}"))?;
        let stdout = process
            .stdout
            .take()
            .ok_or("a replica has no standard output")?;
        let mut said = BufReader::new(stdout).lines();
        let addresses = timeout(OPENS, opened(&mut said))
            .await
            .map_err(|_| format!("{name} has not opened within {OPENS:?}"))??;
        Ok(Self {
            name,
            process,
            phone: Phone::new(addresses),
            _said: said,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn phone(&self) -> &Phone {
        &self.phone
    }

    /// As SIGKILL does: it can say goodbye to nobody.
    pub(super) async fn kill(mut self) -> io::Result<()> {
        self.process.kill().await
    }
}

/// Reads until the shop says where it is. One that cannot open ends, having said why on stderr.
async fn opened(said: &mut Lines<BufReader<ChildStdout>>) -> Result<Notice, BoxError> {
    while let Some(line) = said.next_line().await? {
        if let Some(notice) = Notice::read(&line) {
            return Ok(notice);
        }
    }
    Err("a replica has ended without opening".into())
}
