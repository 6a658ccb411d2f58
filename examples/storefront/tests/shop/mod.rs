//! A shop as people run it, and its answers as they come over the wire.

#![allow(dead_code, reason = "each test takes what it needs")]

pub(crate) mod redis;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Longer than anything takes that is not held back on purpose.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A running shop, ended when the test does.
pub(crate) struct Shop {
    pub(crate) process: Child,
    _stdout: BufReader<ChildStdout>,
    pub(crate) address: String,
    pub(crate) control: String,
    pub(crate) grpc: String,
    _data_dir: TempDir,
}

impl Shop {
    /// Opens on ports that are free.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_storefront"))
            .args(["--port", "0", "--control-port", "0", "--grpc-port", "0"])
            .args(["--log", "warn", "--data-dir"])
            .arg(data_dir.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut addresses = Vec::new();
        while addresses.len() < 5 {
            let mut line = String::new();
            assert!(
                stdout.read_line(&mut line).unwrap() > 0,
                "it says where it is: {addresses:?}"
            );
            let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || ".:".contains(c)));
            let ports = words.filter(|word| word.starts_with("127.0.0.1:"));
            addresses.extend(ports.map(|word| word.trim_end_matches('.').to_owned()));
        }
        Self {
            address: addresses[0].clone(),
            control: addresses[1].clone(),
            grpc: addresses[4].clone(),
            process,
            _stdout: stdout,
            _data_dir: data_dir,
        }
    }

    /// As Ctrl-C does, and an orchestrator.
    #[cfg(unix)]
    pub(crate) fn terminate(&self) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Its code and its log, when it has ended.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let code = self.process.wait().unwrap().code();
        let mut log = String::new();
        let mut stderr = self.process.stderr.take().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        (code, log)
    }

    /// What a payment by that key is answered.
    pub(crate) fn pay(&self, key: &str) -> String {
        let order = r#"{"user":42,"amount_cents":1999}"#;
        let head = format!(
            "POST /api/v1/payments HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\
             idempotency-key: {key}\r\ncontent-type: application/json\r\n"
        );
        send(
            &self.address,
            &format!("{head}content-length: {}\r\n\r\n{order}", order.len()),
        )
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The whole of an answer: head and body.
pub(crate) fn ask(address: &str, method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    send(
        address,
        &format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    )
}

pub(crate) fn get(address: &str, path: &str) -> String {
    ask(address, "GET", path, "")
}

pub(crate) fn send(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The answer, as soon as it has this in it.
pub(crate) fn until(text: &str, ask: impl Fn() -> String) -> String {
    let start = Instant::now();
    loop {
        let answer = ask();
        if answer.contains(text) {
            return answer;
        }
        assert!(start.elapsed() < LONG, "no {text:?} in {answer}");
        // The shop is a process of its own: there is nothing to be woken by.
        std::thread::sleep(Duration::from_millis(20));
    }
}
