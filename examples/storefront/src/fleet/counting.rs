//! What automation makes of errors: those of all replicas are added up, and those of one are its own affair.

use std::{io::Write, time::Duration};

use tokio::time::{Instant, sleep};
use tower::BoxError;

use super::{
    FOLLOW,
    guide::{Guide, Wait, asks_the_model, leaves_the_model},
    phone::{Heard, Phone},
};
use crate::membership::Pace;

/// A way to fail in which no circuit sees a failure.
const FAULT: &str = "status 429";
/// How long it takes at most until what was counted is added up, jitter and a busy machine included.
const ADDED_UP: Duration = Duration::from_secs(2);
/// How long a flag takes to come back.
const BACK: Duration = Pace::DEGRADED_FOR.saturating_add(ADDED_UP);
/// So long nothing happens, where nothing should.
const NOTHING: Duration = Duration::from_secs(1);

impl<W: Write> Guide<'_, W> {
    /// Each replica sees too few errors to do anything by itself.
    pub(super) async fn add_up_errors(&mut self) -> Result<(), BoxError> {
        for nth in 0..self.replicas.len() {
            fail(self.phone(nth)?, 1).await?;
        }
        sleep(NOTHING).await;
        let still = self.agree(self.all(), Duration::ZERO, asks_the_model).await;
        self.hold("three errors at three replicas degrade no flag", &still);
        for nth in 0..self.replicas.len() {
            fail(self.phone(nth)?, 1).await?;
        }
        let tripped = self.agree(self.all(), ADDED_UP, degraded).await;
        self.promise(
            "six errors, two at each of three replicas, degrade the flag at all",
            ADDED_UP,
            &tripped,
        );
        self.row(
            "each replica sees two errors, one of which is too many",
            &tripped,
        )?;
        let back = self.agree(self.all(), BACK, asks_the_model).await;
        self.promise("what the fleet has degraded comes back at all", BACK, &back);
        self.row("the flag comes back by itself", &back)?;
        Ok(())
    }

    /// One replica sees more than enough, and the others none.
    pub(super) async fn err_alone(&mut self) -> Result<(), BoxError> {
        fail(self.phone(0)?, 4 * Pace::ERRORS).await?;
        let [first, others @ ..] = &self.replicas[..] else {
            return Err("a replica is missing".into());
        };
        let others: Vec<_> = others.iter().collect();
        let tripped = self.wait(vec![first], FOLLOW, degraded).await;
        // A fleet that would follow has the time to.
        let begun = Instant::now();
        let mut alone = Wait::Came(Duration::ZERO);
        while begun.elapsed() < NOTHING && matches!(alone, Wait::Came(_)) {
            alone = self
                .wait(others.clone(), Duration::ZERO, asks_the_model)
                .await;
            sleep(Duration::from_millis(50)).await;
        }
        self.promise("a replica's own errors degrade its flag", FOLLOW, &tripped);
        self.hold("the errors of one replica degrade no other's flag", &alone);
        self.row("one replica sees twenty, and no other any", &tripped)?;
        let back = self.wait(self.all(), BACK, asks_the_model).await;
        self.promise("what a replica has degraded comes back there", BACK, &back);
        self.row("its flag comes back", &back)?;
        Ok(())
    }
}

/// Breaks the model of one replica for so many requests.
async fn fail(phone: &Phone, times: u32) -> Result<(), BoxError> {
    phone.switch("recommendations", FAULT).await?;
    for _ in 0..times {
        phone.page("/api/v1/recommendations?user=42").await;
    }
    phone.switch("recommendations", "none").await
}

async fn degraded(phone: &Phone) -> (bool, Heard) {
    leaves_the_model(phone, "flag-degraded").await
}
