//! What people decide: for all replicas, or for one.

use std::io::Write;

use tower::BoxError;

use super::{
    FOLLOW,
    guide::{FLAG, Guide, USERS, asks_the_model, leaves_the_model},
    phone::{Heard, Phone, Scope},
};

impl<W: Write> Guide<'_, W> {
    /// A flag is switched off at one replica, for all.
    pub(super) async fn flip_a_flag(&mut self) -> Result<(), BoxError> {
        let set = self.phone(0)?.decide(FLAG, "disabled", Scope::Fleet).await;
        self.done("an override for the fleet can be set at any replica", &set);
        let followed = self.agree(self.all(), FOLLOW, off).await;
        self.promise(
            "a flag that is switched off at one replica is off at all",
            FOLLOW,
            &followed,
        );
        self.row("a flag is switched off for all, at one of them", &followed)?;
        Ok(())
    }

    /// One replica has an override of its own, which counts before the fleet's.
    pub(super) async fn differ(&mut self) -> Result<(), BoxError> {
        let set = self.phone(1)?.decide(FLAG, "enabled", Scope::Replica).await;
        self.done("an override for one replica can be set there", &set);
        let [first, second, third] = &self.replicas[..] else {
            return Err("a replica is missing".into());
        };
        let differs = self.wait(vec![second], FOLLOW, asks_the_model).await;
        let others = self.wait(vec![first, third], FOLLOW, off).await;
        self.promise(
            "a replica's own override beats the fleet's",
            FOLLOW,
            &differs,
        );
        self.hold("a replica's own override is nobody else's", &others);
        self.row("one of them switches it on for itself alone", &differs)?;

        let released = self.phone(1)?.release(FLAG, Scope::Replica).await;
        self.done("a replica's own override can be released", &released);
        let [_, second, _] = &self.replicas[..] else {
            return Err("a replica is missing".into());
        };
        let follows = self.agree(vec![second], FOLLOW, off).await;
        self.promise(
            "a replica that has none of its own follows the fleet's override again",
            FOLLOW,
            &follows,
        );
        self.row("and takes that back", &follows)?;

        let released = self.phone(2)?.release(FLAG, Scope::Fleet).await;
        self.done(
            "an override of the fleet can be released at another replica than it was set at",
            &released,
        );
        let back = self.agree(self.all(), FOLLOW, asks_the_model).await;
        self.promise(
            "a flag that is released at one replica is on at all",
            FOLLOW,
            &back,
        );
        self.row("the flag is released for all, at another", &back)?;
        Ok(())
    }

    /// A service that works is declared to be down.
    pub(super) async fn override_a_dependency(&mut self) -> Result<(), BoxError> {
        let set = self
            .phone(1)?
            .decide(USERS, "unhealthy", Scope::Fleet)
            .await;
        self.done("a dependency's status can be set for the fleet", &set);
        let down = self.agree(self.all(), FOLLOW, spares_users).await;
        self.promise(
            "a dependency that is declared down at one replica is asked by none",
            FOLLOW,
            &down,
        );
        let level = self.agree(self.all(), FOLLOW, async |phone: &Phone| {
            let health = phone.details("/health").await;
            (health.body["level"].as_str() == Some("reduced"), health)
        });
        let level = level.await;
        self.promise(
            "a dependency that is declared down reduces the level at all",
            FOLLOW,
            &level,
        );
        self.row("a dependency is declared down for all", &down)?;

        let released = self.phone(0)?.release(USERS, Scope::Fleet).await;
        self.done("a dependency's status can be released", &released);
        let back = self.agree(self.all(), FOLLOW, async |phone: &Phone| {
            let heard = phone.page("/api/v1/users/42/profile").await;
            (heard.is_whole(), heard)
        });
        let back = back.await;
        self.promise(
            "a dependency that is released is asked by all",
            FOLLOW,
            &back,
        );
        self.row("and released", &back)?;
        Ok(())
    }
}

/// Whether the model is left alone because its flag is off.
pub(super) async fn off(phone: &Phone) -> (bool, Heard) {
    leaves_the_model(phone, "flag-disabled").await
}

async fn spares_users(phone: &Phone) -> (bool, Heard) {
    let heard = phone.page("/api/v1/users/42/profile").await;
    (heard.stands_in("unhealthy"), heard)
}
