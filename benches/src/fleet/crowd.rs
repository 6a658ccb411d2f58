//! The replicas that listen, and the flag of which they hear.

use std::sync::Arc;
use std::time::Duration;

use brownout_redis::RedisChanges;
use brownout_redis::RedisStore;
use brownout_registry::fleet::{
    Changes as _, FleetStore as _, Message, Outcome, ReplicaId, StackEntry, StackWrite, Stamp,
    StoreError, StoreTime, Version,
};
use brownout_registry::{FeatureState, FleetOverrideId, OverrideValue, Target};
use tokio::task::JoinSet;

use super::board::Board;
use super::store;

/// So many connect at a time: all at once would wait for the server longer than a store does.
const TOGETHER: usize = 64;

/// All flips have the same tag: nobody else writes here.
const TAG: u64 = 1;

/// How long a flip is in force, longer than anything here takes.
const KEEP: Duration = Duration::from_mins(10);

/// Replicas that listen until this is dropped.
#[derive(Debug)]
pub(super) struct Crowd {
    board: Arc<Board>,
    _listening: JoinSet<()>,
}

/// A flag that is flipped through a store of its own.
#[derive(Debug)]
pub(super) struct Flag {
    store: RedisStore,
    now: StoreTime,
    version: Option<Version>,
    state: FeatureState,
}

impl Crowd {
    /// Subscribes so many, each with a store and a connection of its own.
    pub(super) async fn gather(url: &str, replicas: usize) -> Result<Self, String> {
        let board = Arc::new(Board::new(replicas));
        let mut listening = JoinSet::new();
        let mut opening = JoinSet::new();
        let mut asked = 0;
        while listening.len() < replicas {
            while asked < replicas && opening.len() < TOGETHER {
                opening.spawn(open(url.to_owned(), asked));
                asked += 1;
            }
            let Some(opened) = opening.join_next().await else {
                break;
            };
            let (number, changes) = opened.map_err(|error| error.to_string())??;
            listening.spawn(listen(changes, number, Arc::clone(&board)));
        }
        Ok(Self {
            board,
            _listening: listening,
        })
    }

    pub(super) fn board(&self) -> &Board {
        &self.board
    }
}

async fn open(url: String, number: usize) -> Result<(usize, RedisChanges), String> {
    let id = ReplicaId::new(format!("replica-{number}")).map_err(|error| error.to_string())?;
    let subscribed = store(&url)?.subscribe(&id).await;
    let changes = subscribed
        .map_err(|error| format!("replica {number} cannot subscribe: {}", said(&error)))?;
    Ok((number, changes))
}

async fn listen(mut changes: RedisChanges, number: usize, board: Arc<Board>) {
    loop {
        match changes.next().await {
            Ok(Message::Changed { .. }) => board.heard(number),
            Ok(Message::Canary(_)) => {}
            Ok(Message::Missed(reason)) => {
                board
                    .lost(reason.map_or_else(|| "it has missed messages".to_owned(), |e| said(&e)));
            }
            Err(error) => return board.lost(said(&error)),
        }
    }
}

/// The server is ours, so what only operators should read is for whoever reads this.
fn said(error: &StoreError) -> String {
    error.private_detail().to_owned()
}

impl Flag {
    pub(super) async fn new(store: RedisStore) -> Result<Self, String> {
        let picture = store.picture().await.map_err(|error| said(&error))?;
        Ok(Self {
            store,
            now: picture.now,
            version: None,
            state: FeatureState::Enabled,
        })
    }

    /// Writes the other state, as a person's decision is written.
    pub(super) async fn flip(&mut self) -> Result<(), String> {
        self.state = match self.state {
            FeatureState::Enabled => FeatureState::Disabled,
            _ => FeatureState::Enabled,
        };
        let entry = StackEntry {
            id: FleetOverrideId::from_u64(1),
            value: OverrideValue::Flag(self.state),
            actor: "ops".into(),
            reason: "the recommendations are slow".into(),
            set_at: self.now,
            until: self.now.after(KEEP),
        };
        let write = StackWrite {
            target: Target::Flag("recommendations".into()),
            expected: self.version.map(|version| Stamp { version, tag: TAG }),
            tag: TAG,
            entries: vec![entry],
            keep: KEEP,
        };
        let outcomes = self.store.write(vec![write]).await;
        match outcomes.map_err(|error| said(&error))?[..] {
            [Outcome::Written(version)] => {
                self.version = Some(version);
                Ok(())
            }
            ref other => Err(format!("a flip came to {other:?}")),
        }
    }
}
