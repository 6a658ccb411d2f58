//! The task that makes up for lost time.

use std::{fmt, time::Duration};

use tokio::{task::JoinSet, time::sleep};

use super::{Outbox, State};
use crate::{
    charge::{ChargeError, charge},
    client::Backend,
    payment::Payment,
};

/// How fast payments are made up for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplayTimes {
    /// From one to the next, so that a service that has just come back is not run over.
    pub(crate) pace: Duration,
    /// After a failure that does not say when to try again.
    pub(crate) after_failure: Duration,
}

/// Makes the payments that wait, one by one, as soon as the payment service takes them. Stops when dropped.
pub(crate) struct Replay {
    _task: JoinSet<()>,
}

impl Replay {
    /// The calls go through the circuit as all do: while it is open the service is left alone, and once it is due they
    /// are as good a probe as any, so that the circuit closes even if nobody buys anything.
    pub(crate) fn start(outbox: Outbox, payments: Backend, times: ReplayTimes) -> Self {
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let payment = outbox.next().await;
                sleep(replay(&outbox, &payments, &payment, times).await).await;
            }
        });
        Self { _task: task }
    }
}

/// Tries one, and says how long to wait before the next. The same key as ever makes it safe to try again after whatever
/// happened.
async fn replay(
    outbox: &Outbox,
    payments: &Backend,
    payment: &Payment,
    times: ReplayTimes,
) -> Duration {
    match charge(payments, payment).await {
        Ok(()) => outbox.settle(&payment.key, State::Charged),
        Err(ChargeError::Declined | ChargeError::KeyReused) => {
            tracing::error!("a payment that was accepted has been refused by the payment service");
            outbox.settle(&payment.key, State::Failed);
        }
        Err(error) => return error.retry_after().unwrap_or(times.after_failure),
    }
    times.pace
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Replay")
    }
}
