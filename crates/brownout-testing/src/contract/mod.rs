//! The laws every layer must keep, checked in one call.
//!
//! [`check_layer_contract`] builds the layer under test over a [`ProbeService`], again and again, and does to it what
//! production does: clones it, calls it from many places, drops its futures at each await point, lets the inner service
//! hang, fail, panic and lose its readiness. It knows nothing of the layer's pattern; [`Law`] lists what it checks.
//!
//! The layer must, in the configuration given here,
//!
//! - pass requests and answers on unchanged while its inner service is well (map them back where it doesn't), and
//! - still do so after a handful of failures: give a circuit breaker thresholds of more than ten (more than a hundred,
//!   where a dropped call counts as a failure) and a retry no endless attempts, and share no state between two calls of
//!   the closure.
//!
//! A layer that breaks a law on purpose is checked for the others with [`Contract::except`]: a fallback answers where
//! the inner service's readiness fails ([`Law::ReadinessErrorSurfaces`]).
//!
//! Waiting is on tokio's clock. Under a paused one the whole suite takes milliseconds.
//!
//! # Examples
//!
//! ```
//! use brownout_testing::contract::{Contract, ContractProbe, Law, check_layer_contract};
//! use tower::limit::ConcurrencyLimit;
//! use tower::buffer::Buffer;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! check_layer_contract(|inner: ContractProbe| ConcurrencyLimit::new(inner, 2)).await;
//!
//! // A buffer's worker dies of the first readiness error, and it lets a panic below end its worker too.
//! Contract::new(|inner: ContractProbe| Buffer::new(inner, 64))
//!     .except(Law::ReadinessErrorStaysLocal)
//!     .except(Law::SurvivesPanic)
//!     .check()
//!     .await
//!     .unwrap();
//! # }
//! ```

mod calls;
mod faults;
mod handover;
mod law;
mod readiness;
mod rig;
mod sharing;
mod wakes;

use std::fmt;
use std::time::Duration;

use tower_service::Service;

pub use self::law::{Breach, Law};
use self::rig::Rig;
use crate::error::{BoxError, TestError};
use crate::probe_service::ProbeService;

/// The probe below the layer under test. Its errors are made of a [`TestError`], and are [`BoxError`]s unless you say
/// otherwise.
pub type ContractProbe<E = BoxError> = ProbeService<u32, u32, E>;

/// The check suite for one layer, with the laws it is excepted from.
#[derive(Clone)]
pub struct Contract<B> {
    build: B,
    excepted: Vec<Law>,
    patience: Duration,
}

/// Checks that the layer which this closure builds keeps every [`Law`].
///
/// # Panics
///
/// At the first law that is broken, with a sentence that names it and what was seen. [`Contract::check`] returns it
/// instead.
pub async fn check_layer_contract<B, S, E>(build: B)
where
    B: Fn(ContractProbe<E>) -> S,
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
    E: From<TestError> + 'static,
{
    if let Err(breach) = Contract::new(build).check().await {
        panic!("{breach}");
    }
}

impl<B> Contract<B> {
    /// Makes the suite for the layer that this closure builds over a probe.
    pub fn new<S, E>(build: B) -> Self
    where
        B: Fn(ContractProbe<E>) -> S,
    {
        Self {
            build,
            excepted: Vec::new(),
            patience: Duration::new(60, 0),
        }
    }

    /// Leaves out one law, which this layer breaks on purpose. Say why where you write it.
    pub fn except(mut self, law: Law) -> Self {
        self.excepted.push(law);
        self
    }

    /// How long, by tokio's clock, an answer may take before the service counts as stuck. Default: 60 s.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs all checks, in a fixed order.
    ///
    /// # Errors
    ///
    /// The first [`Breach`] of a law that isn't excepted.
    pub async fn check<S, E>(&self) -> Result<(), Breach>
    where
        B: Fn(ContractProbe<E>) -> S,
        S: Service<u32, Response = u32> + Clone,
        S::Error: fmt::Debug,
        E: From<TestError> + 'static,
    {
        self.run(calls::each_request_gets_its_answer).await?;
        self.run(readiness::a_clone_copies_none).await?;
        self.run(readiness::it_may_be_polled_again).await?;
        self.run(readiness::it_may_be_dropped_unused).await?;
        self.run(readiness::the_wait_for_it_may_be_given_up).await?;
        self.run(readiness::its_error_surfaces).await?;
        self.run(readiness::its_error_stays_local).await?;
        self.run(calls::an_error_ends_the_call).await?;
        self.run(faults::a_dropped_call_releases_everything).await?;
        self.run(faults::a_dropped_hanging_call_releases_everything)
            .await?;
        self.run(faults::a_panic_in_call_is_survived).await?;
        self.run(faults::a_panic_in_a_poll_is_survived).await?;
        self.run(wakes::every_waiter_is_woken).await?;
        self.run(wakes::the_last_poller_of_readiness_is_woken)
            .await?;
        self.run(wakes::the_last_poller_of_a_future_is_woken)
            .await?;
        self.run(handover::a_dropped_waiter_passes_on_its_wake_up)
            .await?;
        self.run(wakes::nothing_polls_busily).await?;
        self.run(sharing::many_clones_work_at_once).await?;
        self.run(sharing::one_task_may_call_and_others_poll).await
    }

    /// Runs one check over a fresh service. What the probe has seen weighs more than what the check has seen: a service
    /// that panics is stuck or silent only because of that.
    async fn run<S, E>(
        &self,
        check: impl AsyncFn(&mut Rig<S, E>) -> Result<(), Breach>,
    ) -> Result<(), Breach>
    where
        B: Fn(ContractProbe<E>) -> S,
        E: 'static,
    {
        let (mut rig, probe) = Rig::new(&self.build, self.patience);
        let mut outcome = check(&mut rig).await;
        if let Some(violation) = probe.violations().into_iter().next() {
            outcome = Err(rig::breach_of(&violation, outcome.as_ref().err()));
        }
        drop(rig);
        if outcome.is_ok() {
            outcome = rig::nothing_is_left(&probe).await;
        }
        match outcome {
            Err(breach) if !self.excepted.contains(&breach.law()) => Err(breach),
            _ => Ok(()),
        }
    }
}

impl<B> fmt::Debug for Contract<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contract")
            .field("excepted", &self.excepted)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
