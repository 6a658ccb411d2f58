//! What a replica's tasks, its handles and its guard have in common.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::contact::Contact;
use super::desk::Desk;
use super::error::{StoreError, StoreErrorKind};
use super::op::StoreOp;
use super::orders::Command;
use super::settings::FleetSettings;
use super::view::Seen;
use crate::caught::caught;
use crate::meter::{Counted, Meter, Readings};
use crate::random::Random;
use crate::shared::Shared;

pub(crate) struct Link {
    pub(super) registry: Weak<Shared>,
    pub(super) settings: FleetSettings,
    pub(super) random: Random,
    pub(super) desk: Desk,
    pub(super) contact: Contact,
    /// What people have decided, on its way to the store.
    pub(super) commands: mpsc::Sender<Command>,
    /// Asks for a picture soon.
    pub(super) doubt: Notify,
    /// Asks for what the store has lost to be offered to it.
    pub(super) offer: Notify,
    /// What was last heard of the other replicas.
    seen: Mutex<Seen>,
    /// Which process this is: the upper half of the numbers of its messages to itself.
    process: u64,
    errors: [AtomicU64; StoreOp::ALL.len()],
}

/// Of the number of a message of a replica to itself, what says which process has sent it.
const PROCESS: u64 = !0 << 32;

/// How far intervals stray, so that replicas do not come in step.
const JITTER: f64 = 0.2;

impl Link {
    pub(super) fn new(
        registry: &Arc<Shared>,
        settings: FleetSettings,
        contact: Contact,
        commands: mpsc::Sender<Command>,
    ) -> Self {
        let random = registry.random.child();
        Self {
            registry: Arc::downgrade(registry),
            settings,
            process: random.next_u64() & PROCESS,
            random,
            desk: Desk::new(registry),
            contact,
            commands,
            doubt: Notify::new(),
            offer: Notify::new(),
            seen: Mutex::default(),
            errors: Default::default(),
        }
    }

    /// Runs an operation within its time, and counts it if it fails.
    pub(super) async fn run<T>(
        &self,
        op: StoreOp,
        run: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let result = match timeout(self.settings.timeout, run).await {
            Ok(result) => result,
            Err(_elapsed) => Err(self.too_late(op)),
        };
        if result.is_err() {
            self.failed(op);
        }
        result
    }

    pub(super) fn too_late(&self, op: StoreOp) -> StoreError {
        let detail = format_args!("{op}: no answer within {:?}", self.settings.timeout);
        StoreError::new(StoreErrorKind::TimedOut, detail)
    }

    pub(super) fn failed(&self, op: StoreOp) {
        self.errors[op as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The number of a message of this process to itself.
    pub(super) fn canary(&self) -> u64 {
        self.process | (self.random.next_u64() & !PROCESS)
    }

    /// Whether this process has sent the message of that number, and no other of the replica's name.
    pub(super) const fn is_own(&self, canary: u64) -> bool {
        canary & PROCESS == self.process
    }

    pub(super) fn jitter(&self, interval: Duration) -> Duration {
        self.random.jitter(interval, JITTER)
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was heard of the other replicas.
    pub(super) fn hears(&self, heard: Seen) {
        let mut seen = self.seen();
        if !self.desk.is_left() {
            *seen = heard;
        }
    }

    pub(super) fn leave(&self) {
        // What is taken back is logged. A log that panics must not keep the rest from being left.
        caught(|| self.contact.leave());
        self.desk.leave();
        // After that: what is heard from now on is forgotten at once.
        *self.seen() = Seen::default();
    }
}

impl Meter for Link {
    fn read(&self, readings: &mut Readings) {
        for (&op, errors) in StoreOp::ALL.iter().zip(&self.errors) {
            let op = op.as_str();
            readings.count(Counted::StoreErrors { op }, errors.load(Ordering::Relaxed));
        }
        if !self.desk.is_left() {
            readings.store_age(self.contact.age());
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.meters.retire(self);
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("settings", &self.settings)
            .field("contact", &self.contact)
            .finish_non_exhaustive()
    }
}
