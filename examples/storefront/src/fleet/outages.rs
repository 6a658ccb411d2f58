//! What becomes of a fleet when a replica vanishes, and when Redis does.

use std::{io::Write, time::Duration};

use tokio::time::{Instant, sleep};
use tower::BoxError;

use super::{
    AGED, CONVERGED, FOLLOW, NOTICED,
    crowd::{Crowd, Noticed},
    flips::off,
    guide::{FLAG, Guide, Wait, asks_the_model, passes, warns},
    phone::{Phone, Scope},
    replica::Replica,
};
use crate::{membership::Pace, tour::table::millis};

/// A decision for a fleet whose store is away has an answer by then.
const REFUSED: Duration = Pace::TIMEOUT.saturating_mul(2).saturating_add(FOLLOW);
/// Redis is away for so long once that is known, so that its absence has an age.
const AWAY: Duration = Duration::from_millis(1_500);

impl<W: Write> Guide<'_, W> {
    /// One replica is killed.
    pub(super) async fn lose_a_replica(&mut self) -> Result<(), BoxError> {
        let lost = self.replicas.pop().ok_or("a replica is missing")?;
        let name = lost.name();
        lost.kill().await?;
        let left = self.replicas.len() as u64;
        let aged = self.agree(self.all(), AGED, async |phone: &Phone| {
            let fleet = phone.details("/fleet").await;
            let replicas = fleet.body["replicas"].as_array();
            let mut names = replicas.into_iter().flatten();
            let is_seen = names.any(|one| one["replica"].as_str() == Some(name));
            (fleet.body["live"].as_u64() == Some(left) && !is_seen, fleet)
        });
        let aged = aged.await;
        self.promise(
            "a replica that was killed ages out of the view of all",
            AGED,
            &aged,
        );
        self.row("a replica is killed, and ages out", &aged)?;
        Ok(())
    }

    /// Redis is killed, and comes back with nothing in it. Meanwhile a replica starts.
    pub(super) async fn lose_redis<F>(&mut self, open: impl FnOnce() -> F) -> Result<(), BoxError>
    where
        F: Future<Output = Result<Replica, BoxError>>,
    {
        let set = self.phone(0)?.decide(FLAG, "disabled", Scope::Fleet).await;
        self.done("a flag is switched off before Redis is killed", &set);
        let known = self.agree(self.all(), FOLLOW, off).await;
        self.hold("a flag is off at all before Redis is killed", &known);

        let crowd = Crowd::at(&self.replicas);
        self.redis.kill().await?;
        let killed = Instant::now();
        let what = "a Redis that was killed";
        let noticed = self.notice(what).await?;
        self.row("Redis is killed, which is known", &noticed)?;
        let known = self.agree(self.all(), Duration::ZERO, off).await;
        self.hold("what was decided holds while Redis is gone", &known);
        self.decide_alone(what).await?;

        self.replicas.push(open().await?);
        let newcomer: Vec<_> = self.replicas.last().into_iter().collect();
        let warned = self.agree(newcomer.clone(), NOTICED, warns).await;
        let serves = self.wait(newcomer.clone(), FOLLOW, asks_the_model).await;
        self.hold("a replica starts without Redis, and says so", &warned);
        self.hold(
            "a replica that starts without Redis goes by its defaults",
            &serves,
        );
        sleep(AWAY.saturating_sub(killed.elapsed())).await;
        self.ages(killed.elapsed()).await?;
        self.row("a replica starts without Redis", &serves)?;

        self.redis.restart().await?;
        let agreed = self.agree(self.all(), CONVERGED, async |phone: &Phone| {
            let (is_off, heard) = off(phone).await;
            if is_off {
                passes(phone).await
            } else {
                (false, heard)
            }
        });
        let agreed = agreed.await;
        self.promise(
            "all agree on what was decided once a Redis is back that has lost it, a newcomer included,",
            CONVERGED,
            &agreed,
        );
        self.undisturbed(what, &crowd.send_home());
        self.row("Redis is back, empty, and all agree", &agreed)?;

        let newcomer = self.replicas.last().ok_or("a replica is missing")?;
        let released = newcomer.phone().release(FLAG, Scope::Fleet).await;
        self.done("a newcomer can release what it did not see set", &released);
        let back = self.agree(self.all(), FOLLOW, asks_the_model).await;
        self.promise("all follow a newcomer", FOLLOW, &back);
        self.row("the newcomer releases the flag for all", &back)?;
        Ok(())
    }

    /// Redis stops in its tracks, with all connections open.
    pub(super) async fn silence_redis(&mut self) -> Result<(), BoxError> {
        let crowd = Crowd::at(&self.replicas);
        self.redis.pause().await?;
        let what = "a Redis that hangs";
        let noticed = self.notice(what).await?;
        self.row("Redis hangs, which is known", &noticed)?;
        let asked = self.agree(self.all(), Duration::ZERO, asks_the_model).await;
        self.hold("everything is as before while Redis hangs", &asked);
        self.decide_alone(what).await?;
        self.redis.go_on().await?;
        let back = self.agree(self.all(), CONVERGED, passes).await;
        self.promise(
            "all are in touch with a Redis that goes on",
            CONVERGED,
            &back,
        );
        self.undisturbed(what, &crowd.send_home());
        let undone = self.agree(self.all(), Duration::ZERO, asks_the_model).await;
        self.hold(
            "nothing that was refused happens when Redis goes on",
            &undone,
        );
        self.row("Redis goes on, and all are in touch", &back)?;

        let set = self.phone(2)?.decide(FLAG, "disabled", Scope::Fleet).await;
        self.done("overrides for the fleet can be set as before", &set);
        let followed = self.agree(self.all(), FOLLOW, off).await;
        self.promise("all follow after all that", FOLLOW, &followed);
        self.row("a flag is switched off for all", &followed)?;
        Ok(())
    }

    /// All warn that the store is gone, and serve.
    async fn notice(&mut self, what: &str) -> Result<Wait, BoxError> {
        let noticed = self.agree(self.all(), NOTICED, warns).await;
        self.promise(
            &format!("{what} is a warning in the health report, with the age of what is known,"),
            NOTICED,
            &noticed,
        );
        let ready = self.agree(self.all(), Duration::ZERO, async |phone: &Phone| {
            let ready = phone.page("/readyz").await;
            let health = phone.page("/health").await;
            let is_well = ready.is_well() && health.is_well();
            (is_well, if ready.is_well() { health } else { ready })
        });
        let ready = ready.await;
        self.hold(
            &format!("{what} leaves all replicas ready, and well enough"),
            &ready,
        );
        Ok(noticed)
    }

    /// Nobody can decide for all, and anybody for themselves.
    async fn decide_alone(&mut self, what: &str) -> Result<(), BoxError> {
        let refused = self
            .phone(0)?
            .decide("level", "minimal", Scope::Fleet)
            .await;
        let is_refused = refused
            .status
            .is_some_and(|status| status.is_server_error());
        self.promises.check(
            format!("{what} takes no decision for all, and says so within {REFUSED:?}"),
            is_refused && refused.took <= REFUSED,
            format!("{} after {}", refused.words(), millis(refused.took)),
        );
        let own = self
            .phone(1)?
            .decide(FLAG, "degraded", Scope::Replica)
            .await;
        let replica: Vec<_> = self.replicas.get(1).into_iter().collect();
        let degraded = self.wait(replica, FOLLOW, async |phone: &Phone| {
            super::guide::leaves_the_model(phone, "flag-degraded").await
        });
        let degraded = degraded.await;
        self.done(
            &format!("{what} keeps nobody from deciding for one replica"),
            &own,
        );
        self.hold(
            &format!("{what} keeps no replica from doing as it is told"),
            &degraded,
        );
        let released = self.phone(1)?.release(FLAG, Scope::Replica).await;
        self.done(
            &format!("{what} keeps nobody from taking that back"),
            &released,
        );
        Ok(())
    }

    /// The first replica knows how old its knowledge is.
    async fn ages(&mut self, gone: Duration) -> Result<(), BoxError> {
        let fleet = self.phone(0)?.details("/fleet").await;
        let age = fleet.body["sync_age_ms"]
            .as_u64()
            .map(Duration::from_millis);
        self.promises.check(
            "a replica says for how long it has not been in touch",
            age.is_some_and(|age| age >= gone.saturating_sub(Pace::PING)),
            format!("it says {age:?} after {}", millis(gone)),
        );
        Ok(())
    }

    fn undisturbed(&mut self, what: &str, noticed: &Noticed) {
        let Noticed {
            requests,
            failed,
            slowest,
            failure,
        } = noticed;
        self.promises.check(
            format!("{what} fails no customer's request"),
            *requests > 0 && *failed == 0,
            format!("{failed} of {requests} failed, the first with {failure:?}"),
        );
        self.promises.check(
            format!("{what} keeps no customer waiting, even for as long as one call of it may take: {:?}", Pace::TIMEOUT),
            *slowest < Pace::TIMEOUT,
            format!("the slowest of {requests} took {}", millis(*slowest)),
        );
    }
}
