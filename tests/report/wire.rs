//! The health paths on the wire, byte for byte: each path in each state, for strangers and for those who are known.

use std::convert::Infallible;

use axum::{Router, routing::get};
use brownout::{
    Criticality, Dependency, Registry,
    registry::{Probe, Report, Reporter, ReporterKind, Status},
    report::{HealthLayer, Lifecycle},
};
use brownout_tests::Server;

use crate::raw::{Raw, answer, exchange, send};

const PATHS: [&str; 4] = ["/livez", "/readyz", "/startupz", "/health"];
const KNOWN: &str = "x-operator: kim\r\n";

/// How a process is whose readiness needs the ledger, which is critical, and what is kept so that it stays so.
#[derive(Clone, Copy, Debug)]
enum State {
    Healthy,
    Degraded,
    Critical,
    /// There is a probe of the ledger that has never run.
    Unknown,
    Starting,
    Draining,
}

const STATES: [State; 6] = [
    State::Healthy,
    State::Degraded,
    State::Critical,
    State::Unknown,
    State::Starting,
    State::Draining,
];

impl State {
    /// The word at each path; `fail` is a 503.
    fn words(self) -> [&'static str; 4] {
        match self {
            Self::Healthy => ["pass", "pass", "pass", "pass"],
            Self::Degraded => ["pass", "warn", "pass", "warn"],
            Self::Critical => ["pass", "fail", "pass", "fail"],
            Self::Unknown => ["pass", "fail", "fail", "warn"],
            Self::Starting => ["pass", "fail", "fail", "pass"],
            Self::Draining => ["pass", "fail", "pass", "pass"],
        }
    }

    /// The lines at each path, of which the last says the whole.
    fn lines(self) -> [&'static str; 4] {
        match self {
            Self::Healthy => [
                "[+]process ok\nlivez check passed\n",
                "[+]process ok\n[+]ledger ok\nreadyz check passed\n",
                "[+]process ok\n[+]ledger ok\nstartupz check passed\n",
                "[+]ledger ok\nhealth check passed\n",
            ],
            Self::Degraded => [
                "[+]process ok\nlivez check passed\n",
                "[+]process ok\n[+]ledger degraded\nreadyz check passed\n",
                "[+]process ok\n[+]ledger ok\nstartupz check passed\n",
                "[+]ledger degraded\nhealth check passed\n",
            ],
            Self::Critical => [
                "[+]process ok\nlivez check passed\n",
                "[+]process ok\n[-]ledger failed: reason withheld\nreadyz check failed\n",
                "[+]process ok\n[+]ledger ok\nstartupz check passed\n",
                "[-]ledger failed: reason withheld\nhealth check failed\n",
            ],
            Self::Unknown => [
                "[+]process ok\nlivez check passed\n",
                "[+]process ok\n[-]ledger failed: reason withheld\nreadyz check failed\n",
                "[+]process ok\n[-]ledger failed: reason withheld\nstartupz check failed\n",
                "[+]ledger unknown\nhealth check passed\n",
            ],
            Self::Starting => [
                "[+]process ok\nlivez check passed\n",
                "[-]process failed: reason withheld\n[+]ledger ok\nreadyz check failed\n",
                "[-]process failed: reason withheld\n[+]ledger ok\nstartupz check failed\n",
                "[+]ledger ok\nhealth check passed\n",
            ],
            Self::Draining => [
                "[+]process ok\nlivez check passed\n",
                "[-]process failed: reason withheld\n[+]ledger ok\nreadyz check failed\n",
                "[+]process ok\n[+]ledger ok\nstartupz check passed\n",
                "[+]ledger ok\nhealth check passed\n",
            ],
        }
    }

    /// The ledger's `status` and `state` in the document.
    fn ledger(self) -> (&'static str, &'static str) {
        match self {
            Self::Degraded => ("warn", "degraded"),
            Self::Critical => ("fail", "unhealthy"),
            Self::Unknown => ("warn", "unknown"),
            Self::Healthy | Self::Starting | Self::Draining => ("pass", "healthy"),
        }
    }

    async fn serve(self) -> (Server, Dependency, Option<Reporter>) {
        let (registry, process) = (Registry::new(), Lifecycle::new());
        let ledger = registry
            .dependency("ledger")
            .criticality(Criticality::Critical);
        let ledger = ledger.register().unwrap();
        if !matches!(self, Self::Starting) {
            process.started();
        }
        let says = |status| {
            let reporter = ledger.reporter(ReporterKind::Code, "test");
            reporter.report(Report::new(status).message("books are closed"));
            Some(reporter)
        };
        let kept = match self {
            Self::Degraded => says(Status::Degraded),
            Self::Critical => says(Status::Unhealthy),
            Self::Unknown => {
                let check = || async { Ok::<_, Infallible>(()) };
                ledger.probe(Probe::new(check)).unwrap();
                None
            }
            Self::Draining => {
                process.stop();
                None
            }
            Self::Healthy | Self::Starting => None,
        };
        let layer = HealthLayer::new(&registry)
            .process(&process)
            .ready_when(&ledger)
            .authorise(|head| {
                head.headers
                    .get("x-operator")
                    .is_some_and(|who| who == "kim")
            });
        let app = Router::new()
            .route("/", get(|| async { "home" }))
            .layer(layer);
        (Server::axum(app).await, ledger, kept)
    }
}

/// An answer of this kind, with all of its headers.
fn of(word: &str, content_type: &str, body: &str) -> Raw {
    let status = match word {
        "fail" => "503 Service Unavailable",
        _ => "200 OK",
    };
    let headers = [
        ("content-length", &*body.len().to_string()),
        ("cache-control", "no-store"),
        ("content-type", content_type),
    ];
    answer(status, &headers, body)
}

fn of_word(word: &str) -> Raw {
    let body = format!(r#"{{"status":"{word}"}}"#);
    of(word, "application/health+json", &body)
}

fn without_body(answer: Raw) -> Raw {
    let body = String::new();
    Raw { body, ..answer }
}

#[tokio::test]
async fn strangers_are_told_one_word_at_each_path_in_each_state() {
    for state in STATES {
        let (server, _ledger, _kept) = state.serve().await;
        for (path, word) in PATHS.into_iter().zip(state.words()) {
            for query in ["", "?verbose", "?verbose=1&x", "?", "?a=b"] {
                let uri = format!("{path}{query}");
                for who in ["", "x-operator: else\r\n"] {
                    let seen = send(&server, &format!("GET {uri}"), who).await;
                    assert_eq!(seen, of_word(word), "{state:?} {uri} {who}");
                }
                let seen = send(&server, &format!("HEAD {uri}"), "").await;
                assert_eq!(seen, without_body(of_word(word)), "{state:?} HEAD {uri}");
            }
        }
        assert_eq!(send(&server, "GET /", "").await.body, "home");
    }
}

#[tokio::test]
async fn those_who_are_known_are_told_each_check_in_each_state() {
    for state in STATES {
        let (server, _ledger, _kept) = state.serve().await;
        let all = PATHS.into_iter().zip(state.words()).zip(state.lines());
        for ((path, word), lines) in all {
            let expected = of(word, "text/plain; charset=utf-8", lines);
            let seen = send(&server, &format!("GET {path}?verbose"), KNOWN).await;
            assert_eq!(seen, expected, "{state:?} {path}");
            let seen = send(&server, &format!("HEAD {path}?verbose"), KNOWN).await;
            assert_eq!(seen, without_body(expected), "{state:?} HEAD {path}");
        }
        // Without `?verbose` only the document has more than a word.
        let all = PATHS.into_iter().zip(state.words());
        for (path, word) in all.filter(|(path, _)| *path != "/health") {
            let seen = send(&server, &format!("GET {path}"), KNOWN).await;
            assert_eq!(seen, of_word(word), "{state:?} {path}");
        }
        let seen = send(&server, "GET /health", KNOWN).await;
        let word = state.words()[3];
        assert_eq!(seen, of(word, "application/health+json", &seen.body));
        let document: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
        let check = &document["checks"]["ledger"][0];
        assert_eq!(document["status"], word, "{state:?}");
        let (status, is) = state.ledger();
        assert_eq!(
            (&check["status"], &check["state"]),
            (&status.into(), &is.into())
        );
        let output = match state {
            State::Degraded | State::Critical => serde_json::Value::from("books are closed"),
            _ => serde_json::Value::Null,
        };
        assert_eq!(check["output"], output, "{state:?}");
        let head = send(&server, "HEAD /health", KNOWN).await;
        assert_eq!(head, without_body(seen), "{state:?}");
    }
}

#[tokio::test]
async fn other_methods_are_a_405_that_says_which_there_are_whoever_asks() {
    let (server, _ledger, _kept) = State::Critical.serve().await;
    let refused = answer(
        "405 Method Not Allowed",
        &[
            ("content-length", "0"),
            ("cache-control", "no-store"),
            ("allow", "GET, HEAD"),
        ],
        "",
    );
    for path in [
        "/livez",
        "/readyz",
        "/startupz",
        "/health",
        "/health?verbose",
    ] {
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            let length = "content-length: 0\r\n";
            for who in [length.to_owned(), format!("{length}{KNOWN}")] {
                let seen = send(&server, &format!("{method} {path}"), &who).await;
                assert_eq!(seen, refused, "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_query_of_nearly_64_kibibytes_is_read_and_a_longer_one_is_the_servers_to_refuse() {
    let (server, _ledger, _kept) = State::Degraded.serve().await;
    // The longest URI that the `http` crate has room for.
    let room = usize::from(u16::MAX) - 1;
    for (tail, known) in [
        ("", of_word("warn")),
        (
            "&verbose",
            of(
                "warn",
                "text/plain; charset=utf-8",
                State::Degraded.lines()[1],
            ),
        ),
    ] {
        let filling = room - "/readyz?".len() - tail.len();
        for filler in ["x", "%"] {
            let line = format!("GET /readyz?{}{tail}", filler.repeat(filling));
            assert_eq!(send(&server, &line, "").await, of_word("warn"));
            assert_eq!(send(&server, &line, KNOWN).await, known, "{filler}");
        }
    }
    let line = format!("GET /readyz?{}", "x".repeat(64 * 1024));
    let seen = send(&server, &line, "").await;
    assert_eq!(seen.status, "HTTP/1.1 414 URI Too Long");
    assert_eq!(seen.body, "");
}

#[tokio::test]
async fn a_balancer_that_speaks_http_1_0_and_names_no_host_is_answered_too() {
    let (server, _ledger, _kept) = State::Critical.serve().await;
    for (path, word) in PATHS.into_iter().zip(State::Critical.words()) {
        let expected = of_word(word);
        for method in ["GET", "HEAD"] {
            let seen = exchange(&server, &format!("{method} {path} HTTP/1.0\r\n\r\n")).await;
            let status = expected.status.replace("HTTP/1.1", "HTTP/1.0");
            assert_eq!(seen.status, status, "{method} {path}");
            assert_eq!(seen.headers["cache-control"], "no-store");
            let body = if method == "GET" { &*expected.body } else { "" };
            assert_eq!(seen.body, body, "{method} {path}");
        }
    }
    // And one that sends the whole URI, as to a proxy.
    let seen = send(&server, "GET http://10.0.0.1:8080/readyz", "").await;
    assert_eq!(seen, of_word("fail"));
}
