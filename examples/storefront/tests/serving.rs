//! Serving as people run it: starting, breaking things with plain HTTP, and stopping.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Longer than anything takes that is not held back on purpose.
const LONG: Duration = Duration::from_secs(30);

/// A running shop, ended when the test does.
struct Shop {
    process: Child,
    _stdout: BufReader<ChildStdout>,
    address: String,
    control: String,
    _data_dir: TempDir,
}

impl Shop {
    fn start() -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_storefront"))
            .args(["--port", "0", "--control-port", "0", "--log", "error"])
            .arg("--data-dir")
            .arg(data_dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let mut addresses = line
            .split("http://")
            .skip(1)
            .map(|rest| rest.split('/').next().unwrap().to_owned());
        Self {
            address: addresses
                .next()
                .expect("the first line names both addresses"),
            control: addresses
                .next()
                .expect("the first line names both addresses"),
            process,
            _stdout: stdout,
            _data_dir: data_dir,
        }
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
fn ask(address: &str, method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    send(
        address,
        &format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    )
}

fn send(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_busy_port_is_a_clear_error_with_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_storefront"))
        .args(["--port", &port, "--control-port", "0"])
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
    assert!(error.contains("--port 0"), "{error}");
}

#[test]
fn a_data_directory_that_cannot_be_used_is_a_clear_error_with_code_1() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("storefront.sqlite3");
    std::fs::write(&file, "no database ".repeat(100)).unwrap();
    for (data_dir, says) in [(directory.path(), "damaged"), (&file, "--data-dir")] {
        let output = Command::new(env!("CARGO_BIN_EXE_storefront"))
            .args(["--port", "0", "--control-port", "0", "--data-dir"])
            .arg(data_dir)
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_payment_is_taken_while_its_service_is_gone_and_made_when_it_is_back() {
    let shop = Shop::start();
    let pay = || {
        let order = r#"{"user":42,"amount_cents":1999}"#;
        let head = "POST /api/v1/payments HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\
                    idempotency-key: order-1\r\ncontent-type: application/json\r\n";
        send(
            &shop.address,
            &format!("{head}content-length: {}\r\n\r\n{order}", order.len()),
        )
    };
    let state = || ask(&shop.address, "GET", "/api/v1/payments/order-1", "");
    assert!(state().starts_with("HTTP/1.1 404"));
    ask(&shop.control, "PUT", "/payments", "closed-port");
    let taken = pay();
    assert!(taken.starts_with("HTTP/1.1 202"), "{taken}");
    assert!(taken.contains("accepted, not durable"), "{taken}");
    assert!(state().contains("\"state\":\"pending\""));

    ask(&shop.control, "PUT", "/payments", "none");
    let start = Instant::now();
    while !state().contains("\"state\":\"charged\"") {
        assert!(start.elapsed() < LONG, "{}", state());
        std::thread::yield_now();
    }
    assert!(
        pay().starts_with("HTTP/1.1 201"),
        "a repeat is no second charge"
    );
}

#[test]
fn a_person_can_break_a_service_and_mend_it_while_the_shop_runs() {
    let shop = Shop::start();
    let recommendations = || ask(&shop.address, "GET", "/api/v1/recommendations", "");
    let fault = |text: &str| ask(&shop.control, "PUT", "/recommendations", text);
    assert!(recommendations().starts_with("HTTP/1.1 200"));

    assert!(fault("closed-port").starts_with("HTTP/1.1 200"));
    let stand_in = recommendations();
    assert!(stand_in.starts_with("HTTP/1.1 200"), "{stand_in}");
    assert!(
        stand_in.contains("degraded: recommendations;tier=popular;reason="),
        "{stand_in}"
    );
    assert!(ask(&shop.control, "GET", "/", "").contains("closed-port"));
    assert!(ask(&shop.address, "GET", "/api/v1/users/1/profile", "").starts_with("HTTP/1.1 200"));
    let health = ask(&shop.address, "GET", "/health", "");
    assert!(health.ends_with("{\"status\":\"pass\"}"), "{health}");

    assert!(fault("none").starts_with("HTTP/1.1 200"));
    assert!(recommendations().contains("\"source\":\"recommendations\""));
}

#[test]
fn a_dashboard_comes_while_everything_behind_it_is_gone() {
    let shop = Shop::start();
    let dashboard = || ask(&shop.address, "GET", "/api/v1/dashboard?user_id=42", "");
    assert!(dashboard().contains("\"partial_failure\":false"));
    let services = [
        "users",
        "orders",
        "recommendations",
        "notifications",
        "balance",
    ];
    for service in services {
        let fault = ask(&shop.control, "PUT", &format!("/{service}"), "closed-port");
        assert!(fault.starts_with("HTTP/1.1 200"), "{fault}");
    }
    let page = dashboard();
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("\"partial_failure\":true"), "{page}");
    assert!(page.contains("\"balance\":null"), "{page}");
    assert!(page.contains("degraded: users;"), "{page}");

    for service in services {
        ask(&shop.control, "PUT", &format!("/{service}"), "none");
    }
    assert!(dashboard().contains("\"partial_failure\":false"));
}

#[test]
fn what_cannot_be_switched_is_told_so() {
    let shop = Shop::start();
    let wrong = ask(&shop.control, "PUT", "/users", "explode");
    assert!(wrong.starts_with("HTTP/1.1 400"), "{wrong}");
    assert!(wrong.contains("half-body"), "{wrong}");
    let unknown = ask(&shop.control, "PUT", "/payroll", "hang");
    assert!(unknown.starts_with("HTTP/1.1 404"), "{unknown}");
    assert!(
        unknown.contains("recommendations, users, payments"),
        "{unknown}"
    );
    let free_of_charge = ask(&shop.control, "PUT", "/users", "hang-after-charge");
    assert!(
        free_of_charge.starts_with("HTTP/1.1 400"),
        "{free_of_charge}"
    );
    let charges = ask(&shop.control, "PUT", "/payments", "hang-after-charge");
    assert!(charges.starts_with("HTTP/1.1 200"), "{charges}");
}

#[cfg(unix)]
#[test]
fn sigterm_lets_a_request_in_flight_finish_and_ends_with_code_0() {
    let mut shop = Shop::start();
    assert!(ask(&shop.control, "PUT", "/users", "latency 500ms").starts_with("HTTP/1.1 200"));
    let address = shop.address.clone();
    let answer = std::thread::spawn(move || ask(&address, "GET", "/api/v1/users/7/profile", ""));
    // The upstream has the call, so the shop has it too.
    while !ask(&shop.control, "GET", "/", "")
        .contains("\"name\":\"users\",\"fault\":\"latency 500ms\"")
        || !ask(&shop.control, "GET", "/", "").contains("\"calls\":1")
    {
        std::thread::yield_now();
    }
    let id = shop.process.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(sent.success());

    assert!(answer.join().unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(shop.process.wait().unwrap().code(), Some(0));
}
