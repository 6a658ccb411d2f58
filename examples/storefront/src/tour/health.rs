//! What the shop says of itself, and what it promises of that.

use axum::http::StatusCode;

use super::{
    answers::Answer,
    details::Details,
    machine::Machine,
    outages::{Outage, Patient, Service},
    promises::Promises,
    visitor::{Visitor, Wish},
};

/// Paths that answer 200 as long as the process runs, whatever is down behind it.
const PROCESS: [&str; 3] = ["/livez", "/readyz", "/startupz"];
pub(super) const HEALTH: &str = "/health";

/// What the health paths said at one time.
#[derive(Debug)]
pub(super) struct Health {
    process: [Answer; 3],
    /// `/health`, as anybody sees it.
    word: Answer,
    /// What only operators are told.
    pub(super) details: Details,
    /// The same for machines: the whole, and what is about the process.
    whole: String,
    process_by_grpc: [String; 2],
}

/// How `/health` answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word {
    Pass,
    Warn,
    Fail,
}

impl Health {
    pub(super) async fn ask(visitor: &Visitor, operator: &Visitor, machine: &Machine) -> Self {
        let page = async |path| visitor.ask(Wish::Page(path)).await;
        let details = operator.ask(Wish::Page(HEALTH)).await;
        Self {
            word: page(HEALTH).await,
            process: tokio::join!(page(PROCESS[0]), page(PROCESS[1]), page(PROCESS[2])).into(),
            details: Details::read(&details),
            whole: machine.check("").await,
            process_by_grpc: [
                machine.check("liveness").await,
                machine.check("readiness").await,
            ],
        }
    }

    /// Whether all that anybody is told at `/health` is this word.
    fn is(&self, word: Word) -> bool {
        self.word.status == Some(word.status()) && self.word.body == word.body()
    }

    fn seen(&self) -> String {
        let body = String::from_utf8_lossy(&self.word.body);
        match self.word.status {
            Some(status) => format!("it answered {} {}", status.as_u16(), body),
            None => "it did not answer".to_owned(),
        }
    }
}

impl Word {
    /// While all of that is known to be down.
    fn during(outage: &Outage) -> Self {
        if outage.breaks(Service::Payments) {
            Self::Fail
        } else {
            Self::Warn
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Pass | Self::Warn => StatusCode::OK,
            Self::Fail => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn by_grpc(self) -> &'static str {
        match self {
            Self::Pass | Self::Warn => "SERVING",
            Self::Fail => "NOT_SERVING",
        }
    }

    fn body(self) -> &'static [u8] {
        match self {
            Self::Pass => br#"{"status":"pass"}"#,
            Self::Warn => br#"{"status":"warn"}"#,
            Self::Fail => br#"{"status":"fail"}"#,
        }
    }
}

impl Promises {
    /// What a request says of itself is not what the shop says of its answer.
    pub(super) fn not_forged(&mut self, when: &str, answer: &Answer) {
        self.check(
            format!("{when}, a request's own Degraded header comes back to nobody"),
            answer.status == Some(StatusCode::OK) && answer.degraded.is_none(),
            format!(
                "the answer says {}",
                answer.degraded.as_deref().unwrap_or("nothing")
            ),
        );
    }

    /// Whoever restarts processes, or sends requests to them, is told that all is well whatever is down; people are told
    /// how it is.
    pub(super) fn health(&mut self, when: &str, seen: &Health, word: Word) {
        for (path, answer) in PROCESS.into_iter().zip(&seen.process) {
            self.check(
                format!("{when}, {path} answers 200"),
                answer.status == Some(StatusCode::OK),
                match answer.status {
                    Some(status) => format!("it answered {}", status.as_u16()),
                    None => "it did not answer".to_owned(),
                },
            );
        }
        let (status, body) = (word.status().as_u16(), String::from_utf8_lossy(word.body()));
        self.check(
            format!("{when}, {HEALTH} answers {status} {body}, and strangers no more"),
            seen.is(word),
            seen.seen(),
        );
        let whole = word.by_grpc();
        self.check(
            format!("{when}, gRPC health is {whole}, and SERVING of liveness and readiness"),
            seen.whole == whole && seen.process_by_grpc.iter().all(|said| said == "SERVING"),
            format!(
                "it was {}, and {}",
                seen.whole,
                seen.process_by_grpc.join(" and ")
            ),
        );
    }

    pub(super) fn health_while_open(&mut self, who: &Patient, outage: &Outage, seen: &Health) {
        let when = format!("while the circuit of {who} is open");
        self.health(&when, seen, Word::during(outage));
        self.check(
            format!("{when}, the level is {}", outage.level()),
            seen.details.level == outage.level(),
            format!("it was {}", seen.details.level),
        );
    }
}
