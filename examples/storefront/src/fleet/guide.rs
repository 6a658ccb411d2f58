//! Who leads through the tour: looks at replicas until they are as promised, and prints a row for each step.

use std::{
    io::{self, Write},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tower::BoxError;

use super::{
    phone::{Heard, Phone},
    redis::Redis,
    replica::Replica,
};
use crate::{
    membership::Pace,
    settings::Safeguards,
    tour::{
        Verdict,
        promises::{Promises, Tally},
        table::millis,
    },
};

pub(super) const FLAG: &str = "flag:ml_recommendations";
pub(super) const USERS: &str = "status:users";

#[derive(Debug)]
pub(super) struct Guide<'a, W> {
    out: &'a mut W,
    pub(super) redis: Redis,
    pub(super) replicas: Vec<Replica>,
    pub(super) promises: Promises,
    /// Whether the replicas have met. Where they have not, it is of no use to wait for them to agree.
    have_met: bool,
}

/// How long it took until it was so of all, or of whom it was not so, and what was heard of them.
#[derive(Debug)]
pub(super) enum Wait {
    Came(Duration),
    Never(String),
}

/// How often it is looked.
const PAUSE: Duration = Duration::from_millis(10);
const WIDTHS: [usize; 3] = [62, 10, 8];

impl<'a, W: Write> Guide<'a, W> {
    pub(super) fn new(
        out: &'a mut W,
        redis: Redis,
        replicas: Vec<Replica>,
        safeguards: &Safeguards,
    ) -> io::Result<Self> {
        writeln!(
            out,
            "Three replicas of the shop run in processes of their own, and agree through a Redis that is killed.\n\
             So that healing shows, the times here are short: nothing may take longer than {:?} of Redis, which is\n\
             pinged every {:?} and compared with every {:?} ± 50 %. A flag degrades by {} errors for {:?}.",
            Pace::TIMEOUT,
            Pace::PING,
            Pace::REPAIR,
            Pace::ERRORS,
            Pace::DEGRADED_FOR,
        )?;
        if let Some(left_out) = safeguards.left_out() {
            writeln!(out, "WITHOUT: {left_out}")?;
        }
        writeln!(out)?;
        let mut guide = Self {
            out,
            redis,
            replicas,
            promises: Promises::default(),
            have_met: false,
        };
        guide.line(["step", "took", "promises"].map(str::to_owned))?;
        guide.line(WIDTHS.map(|width| "-".repeat(width)))?;
        Ok(guide)
    }

    /// All replicas see each other.
    pub(super) async fn meet(&mut self) -> io::Result<()> {
        let all = self.replicas.len() as u64;
        let begun = Instant::now();
        let met = loop {
            let met = self.wait(self.all(), Duration::ZERO, async |phone| {
                let fleet = phone.details("/fleet").await;
                (fleet.body["live"].as_u64() == Some(all), fleet)
            });
            match met.await {
                Wait::Never(_) if begun.elapsed() < super::AGED && self.is_in_fleet().await => {
                    sleep(PAUSE).await;
                }
                Wait::Never(seen) => break Wait::Never(seen),
                Wait::Came(_) => break Wait::Came(begun.elapsed()),
            }
        };
        self.have_met = matches!(met, Wait::Came(_));
        self.promise(
            "replicas that have opened see each other",
            super::AGED,
            &met,
        );
        self.row("three replicas open and meet", &met)
    }

    async fn is_in_fleet(&self) -> bool {
        match self.replicas.first() {
            Some(first) => first.phone().details("/fleet").await.is_well(),
            None => false,
        }
    }

    pub(super) fn phone(&self, replica: usize) -> Result<&Phone, BoxError> {
        let found = self.replicas.get(replica).map(Replica::phone);
        found.ok_or_else(|| "a replica is missing".into())
    }

    pub(super) fn all(&self) -> Vec<&Replica> {
        self.replicas.iter().collect()
    }

    /// Waits until these agree. Replicas that have never met are looked at once.
    pub(super) async fn agree(
        &self,
        replicas: Vec<&Replica>,
        within: Duration,
        so: impl AsyncFn(&Phone) -> (bool, Heard),
    ) -> Wait {
        let within = if self.have_met {
            within
        } else {
            Duration::ZERO
        };
        self.wait(replicas, within, so).await
    }

    /// Waits until it is so of all of these. Whoever answers otherwise is asked again.
    pub(super) async fn wait(
        &self,
        replicas: Vec<&Replica>,
        within: Duration,
        so: impl AsyncFn(&Phone) -> (bool, Heard),
    ) -> Wait {
        let begun = Instant::now();
        let mut left = replicas;
        loop {
            let mut seen = Vec::new();
            for replica in std::mem::take(&mut left) {
                let (is_so, heard) = so(replica.phone()).await;
                if !is_so {
                    seen.push(format!("{}: {}", replica.name(), heard.words()));
                    left.push(replica);
                }
            }
            if left.is_empty() {
                return Wait::Came(begun.elapsed());
            }
            if begun.elapsed() >= within {
                return Wait::Never(seen.join("; "));
            }
            sleep(PAUSE).await;
        }
    }

    /// Checks that something came to be in time.
    pub(super) fn promise(&mut self, promise: &str, within: Duration, wait: &Wait) {
        let (kept, seen) = match wait {
            Wait::Came(took) => (*took <= within, format!("it took {}", millis(*took))),
            Wait::Never(seen) => (false, format!("it was not so of {seen}")),
        };
        let promise = format!("{promise} within {} ms", within.as_millis());
        self.promises.check(promise, kept, seen);
    }

    /// Checks that something is so, and stays so, which needs no time.
    pub(super) fn hold(&mut self, promise: &str, wait: &Wait) {
        let (kept, seen) = match wait {
            Wait::Came(_) => (true, String::new()),
            Wait::Never(seen) => (false, format!("it was not so of {seen}")),
        };
        self.promises.check(promise, kept, seen);
    }

    /// Checks that what was asked for was done.
    pub(super) fn done(&mut self, promise: &str, heard: &Heard) {
        self.promises.check(promise, heard.is_well(), heard.words());
    }

    pub(super) fn row(&mut self, step: &str, wait: &Wait) -> io::Result<()> {
        let took = match wait {
            Wait::Came(took) => millis(*took),
            Wait::Never(_) => "never".to_owned(),
        };
        let promises: Tally = self.promises.tally();
        self.line([step.to_owned(), took, promises.to_string()])
    }

    pub(super) fn conclude(self, took: Duration) -> Result<Verdict, BoxError> {
        writeln!(self.out, "\nThat took {} s.\n", took.as_secs())?;
        self.promises.conclude(self.out)
    }

    fn line(&mut self, cells: [String; 3]) -> io::Result<()> {
        let [step, took, promises] = cells;
        let [first, second, _] = WIDTHS;
        writeln!(self.out, "{step:first$}  {took:>second$}  {promises}")?;
        // A step takes a while; its row should not wait for the next one.
        self.out.flush()
    }
}

/// Whether the model is asked.
pub(super) async fn asks_the_model(phone: &Phone) -> (bool, Heard) {
    let heard = phone.page("/api/v1/recommendations?user=42").await;
    (heard.is_whole(), heard)
}

/// Whether somebody stands in for the model, because its flag is so.
pub(super) async fn leaves_the_model(phone: &Phone, reason: &str) -> (bool, Heard) {
    let heard = phone.page("/api/v1/recommendations?user=42").await;
    (heard.stands_in(reason), heard)
}

/// Whether the health report has nothing to say of the store.
pub(super) async fn passes(phone: &Phone) -> (bool, Heard) {
    let heard = phone.details("/health").await;
    let status = heard.body["checks"]["fleet-store"][0]["status"].as_str();
    (status == Some("pass"), heard)
}

/// Whether the health report warns that the store is gone, and since when.
pub(super) async fn warns(phone: &Phone) -> (bool, Heard) {
    let heard = phone.details("/health").await;
    let check = &heard.body["checks"]["fleet-store"][0];
    let warns = check["status"].as_str() == Some("warn");
    let output = check["output"].as_str().unwrap_or_default();
    (warns && output.contains("not synchronised for"), heard)
}
