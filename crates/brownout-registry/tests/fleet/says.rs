//! A store that says what it was given to say.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brownout_registry::fleet::{
    Changes, Count, FleetStore, Message, Outcome, Picture, Quorum, ReplicaId, Replicas, Stack,
    StackEntry, StackWrite, Stamp, StoreError, StoreErrorKind, StoreTime, Summary, Version,
};
use brownout_registry::{
    DegradationLevel, FleetOverrideId, OverrideValue, Registry, SystemHealth, Target,
};
use tokio::sync::{Mutex, mpsc};

use super::common::{registry, settings, target};

/// Says what it was given to say.
pub(crate) struct Says {
    pub(crate) picture: Picture,
    pub(crate) messages: Arc<Mutex<mpsc::UnboundedReceiver<Message>>>,
    pub(crate) say: mpsc::UnboundedSender<Message>,
    /// Whether it says over and over that something is missing.
    pub(crate) floods: bool,
    /// How often it was asked for a picture.
    pub(crate) pictures: Arc<AtomicU64>,
    /// Whether each picture is of another life, in which all targets have other names.
    pub(crate) forgets: bool,
    /// It loses all after the first picture, and takes all of it back but this.
    pub(crate) refuses: Option<Target>,
    pub(crate) written: Arc<AtomicU64>,
    pub(crate) replicas: Replicas,
    /// The flag whose counts are damaged: whatever comes together with them fails.
    pub(crate) damaged: Option<&'static str>,
    /// What has been counted.
    pub(crate) counted: Arc<std::sync::Mutex<BTreeSet<Arc<str>>>>,
}

pub(crate) struct SaysChanges {
    messages: Arc<Mutex<mpsc::UnboundedReceiver<Message>>>,
    floods: bool,
}

impl Changes for SaysChanges {
    async fn next(&mut self) -> Result<Message, StoreError> {
        if self.floods {
            return Ok(Message::Missed(None));
        }
        match self.messages.lock().await.recv().await {
            Some(message) => Ok(message),
            None => std::future::pending().await,
        }
    }
}

impl FleetStore for Says {
    type Changes = SaysChanges;

    async fn subscribe(&self, _: &ReplicaId) -> Result<SaysChanges, StoreError> {
        Ok(SaysChanges {
            messages: Arc::clone(&self.messages),
            floods: self.floods,
        })
    }

    async fn picture(&self) -> Result<Picture, StoreError> {
        let asked = self.pictures.fetch_add(1, Ordering::Relaxed);
        let mut picture = self.picture.clone();
        if self.forgets {
            picture.version.epoch += asked;
            for stack in &mut picture.stacks {
                stack.target = target(&format!("{asked}-{}", stack.target.name().unwrap()));
                stack.stamp.version = picture.version;
            }
        }
        if self.refuses.is_some() && asked > 0 {
            picture.version.epoch += 1;
            picture.stacks.clear();
        }
        Ok(picture)
    }

    async fn write(&self, writes: Vec<StackWrite>) -> Result<Vec<Outcome>, StoreError> {
        let Some(refused) = &self.refuses else {
            // Fewer than it was asked for.
            return Ok(Vec::new());
        };
        let outcome = |write: StackWrite| {
            if write.target == *refused {
                return Outcome::Stale;
            }
            self.written.fetch_add(1, Ordering::Relaxed);
            Outcome::Written(Version {
                epoch: 1,
                revision: 1,
            })
        };
        Ok(writes.into_iter().map(outcome).collect())
    }

    async fn count(&self, _: &ReplicaId, _: Quorum, counts: Vec<Count>) -> Result<(), StoreError> {
        let flags = counts.iter().map(|count| &count.flag);
        if flags.clone().any(|flag| Some(&**flag) == self.damaged) {
            let detail = "its counts are of another type";
            return Err(StoreError::new(StoreErrorKind::Damaged, detail));
        }
        self.counted.lock().unwrap().extend(flags.cloned());
        Ok(())
    }

    async fn report(&self, _: Summary, _: Duration) -> Result<(), StoreError> {
        Ok(())
    }

    async fn replicas(&self) -> Result<Replicas, StoreError> {
        Ok(self.replicas.clone())
    }

    async fn ping(&self, _: &ReplicaId, canary: u64) -> Result<(), StoreError> {
        // To whoever listens.
        let _sent = self.say.send(Message::Canary(canary));
        Ok(())
    }
}

pub(crate) fn says(
    say: mpsc::UnboundedSender<Message>,
    messages: mpsc::UnboundedReceiver<Message>,
) -> Says {
    Says {
        picture: Picture::default(),
        messages: Arc::new(Mutex::new(messages)),
        say,
        floods: false,
        pictures: Arc::default(),
        forgets: false,
        refuses: None,
        written: Arc::default(),
        replicas: Replicas::default(),
        damaged: None,
        counted: Arc::default(),
    }
}

pub(crate) fn summary(n: usize) -> Summary {
    Summary {
        replica: ReplicaId::new(format!("replica-{n}")).unwrap(),
        level: DegradationLevel::Full,
        health: SystemHealth::Healthy,
        dependencies: u32::MAX,
        sick: Vec::new(),
        flags: Vec::new(),
    }
}

pub(crate) fn joined(
    picture: Picture,
    floods: bool,
) -> (
    Registry,
    brownout_registry::fleet::FleetGuard,
    mpsc::UnboundedSender<Message>,
) {
    let (say, messages) = mpsc::unbounded_channel();
    let store = Says {
        picture,
        floods,
        replicas: Replicas {
            now: StoreTime(7),
            live: u32::MAX,
            summaries: (0..1_000)
                .map(|n| (summary(n), StoreTime(u64::MAX)))
                .collect(),
            damage: None,
        },
        ..says(say.clone(), messages)
    };
    let registry = registry(1);
    let guard = registry.join_fleet(store, settings("one")).unwrap();
    (registry, guard, say)
}

pub(crate) fn entry(id: u64, value: OverrideValue) -> StackEntry {
    StackEntry {
        id: FleetOverrideId::from_u64(id),
        value,
        actor: "o\nps\u{202e}".repeat(200).into(),
        reason: "".into(),
        set_at: StoreTime(u64::MAX),
        until: StoreTime(u64::MAX),
    }
}

pub(crate) fn stack(target: Target, entries: Vec<StackEntry>) -> Stack {
    Stack {
        target,
        stamp: Stamp {
            version: Version {
                epoch: 3,
                revision: u64::MAX,
            },
            tag: 0,
        },
        entries,
        until: StoreTime(u64::MAX),
    }
}
