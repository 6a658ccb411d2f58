//! The store: each operation of the trait as a script or a message.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brownout_registry::fleet::{
    Change, Count, FleetStore, Outcome, Picture, Quorum, ReplicaId, Replicas, Rule, StackWrite,
    StoreError, StoreTime, Summary, Version, limits,
};

use crate::builder::RedisStoreBuilder;
use crate::changes::RedisChanges;
use crate::connection::Connection;
use crate::error::RedisStoreError;
use crate::format::{self, Canary, MAX_VALUE};
use crate::keys::Namespace;
use crate::line::Line;
use crate::reply::Reply;
use crate::scripts::{self, Script};
use crate::settings::Settings;

/// A fleet's store in Redis: one replica's access to one namespace. Clones share their connection.
///
/// The [crate's documentation](crate) says what it needs, and what happens without the server.
#[derive(Clone)]
pub struct RedisStore {
    line: Arc<Line>,
}

/// How long the state of a namespace is kept without any replica: longer than anything in it lasts by default.
const STATE_KEPT: Duration = Duration::from_hours(30 * 24);

/// Replicas that may live at once.
const REPLICAS: usize = 100_000;

/// Sub-buckets of a window, as the count script has them.
const BUCKETS: u128 = 12;

/// Redis lets no key live longer, in milliseconds.
const LONGEST: u128 = 1 << 50;

/// More than this, scripts could not count exactly.
const EXACT: u64 = 1 << 53;

impl RedisStore {
    /// Describes a store at that URL: `redis://user:password@host:port/database`, where only the host is needed, or
    /// `rediss://` for TLS (feature `tls`), or `unix:///path/of/socket`.
    pub fn builder(url: impl Into<String>) -> RedisStoreBuilder {
        RedisStoreBuilder::new(url.into())
    }

    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            line: Arc::new(Line::new(settings)),
        }
    }

    /// The namespace's name.
    pub fn namespace(&self) -> &str {
        self.names().as_str()
    }

    /// Connects, subscribes, hears itself, reads all values and writes none; then gives the server's version.
    ///
    /// For start-up checks and tests of a deployment. A fleet does not need it: it joins whether the server is there or
    /// not. It begins the namespace's state where there is none, and leaves everything else as it is.
    pub async fn check(&self) -> Result<String, RedisStoreError> {
        let replica = ReplicaId::new("check").map_err(|error| RedisStoreError::Other {
            address: String::new(),
            detail: error.to_string(),
        })?;
        RedisChanges::open(&self.line, &replica).await?;
        self.read_picture().await?;
        self.write_stacks(&[]).await?;
        self.line
            .run("version", async |connection| {
                Ok(connection.server.version.clone())
            })
            .await
    }

    fn names(&self) -> &Namespace {
        &self.line.settings.namespace
    }

    /// Runs a script over the connection.
    async fn script(
        &self,
        doing: &'static str,
        script: &Script,
        arguments: &[String],
    ) -> Result<Reply, RedisStoreError> {
        let run = async |connection: &Connection| self.begun(connection, script, arguments).await;
        self.line.run(doing, run).await
    }

    /// Runs a script, and before that begins an epoch where there is none.
    async fn begun(
        &self,
        connection: &Connection,
        script: &Script,
        arguments: &[String],
    ) -> Result<Reply, RedisStoreError> {
        let (names, within) = (self.names(), self.line.settings.timeout);
        let run = async |script, arguments: &[String]| {
            connection.run(script, names, within, arguments).await
        };
        let reply = run(script, arguments).await?;
        if !reply.is_none {
            return Ok(reply);
        }
        run(&scripts::BEGIN, &[millis(STATE_KEPT)]).await?;
        let reply = run(script, arguments).await?;
        if reply.is_none {
            let detail = "it loses what was written a moment ago; check its eviction policy";
            return Err(connection.peer.is_unsupported(detail));
        }
        Ok(reply)
    }

    async fn read_picture(&self) -> Result<Picture, RedisStoreError> {
        let arguments = [limits::VALUES.to_string(), MAX_VALUE.to_string()];
        let mut reply = self
            .script("picture", &scripts::PICTURE, &arguments)
            .await?;
        let mut picture = Picture {
            now: StoreTime(reply.now),
            version: Version {
                epoch: reply.number()?,
                revision: reply.number()?,
            },
            ..Picture::default()
        };
        let mut damage = damage(&mut reply)?;
        while !reply.is_over() {
            let (member, text) = (reply.text()?, reply.text()?);
            match format::value(&member, &text) {
                // Of an epoch that the store has lost; nobody else sees it either.
                Ok((epoch, _)) if epoch != picture.version.epoch => {}
                Ok((_, Change::Stack(stack))) => picture.stacks.push(stack),
                Ok((_, Change::Trip(trip))) => picture.trips.push(trip),
                Err(fault) => {
                    damage.get_or_insert_with(|| fault.of(self.names().value(&member)));
                }
            }
        }
        picture.damage = damage.map(StoreError::from);
        Ok(picture)
    }

    async fn write_stacks(&self, writes: &[StackWrite]) -> Result<Vec<Outcome>, RedisStoreError> {
        let mut arguments = vec![millis(STATE_KEPT), limits::VALUES.to_string()];
        for write in writes {
            arguments.extend([
                write.target.to_string(),
                write.expected.map(format::stamp).unwrap_or_default(),
                millis(write.keep),
                format::payload(write),
            ]);
        }
        let mut reply = self.script("write", &scripts::WRITE, &arguments).await?;
        let version = Version {
            epoch: reply.number()?,
            revision: reply.number()?,
        };
        let outcome = |written| match written {
            0 => Outcome::Stale,
            _ => Outcome::Written(version),
        };
        writes
            .iter()
            .map(|_| Ok(outcome(reply.number()?)))
            .collect()
    }

    async fn add_up(
        &self,
        replica: &ReplicaId,
        quorum: Quorum,
        counts: &[Count],
    ) -> Result<(), RedisStoreError> {
        let mut arguments = vec![
            millis(STATE_KEPT),
            limits::VALUES.to_string(),
            replica.to_string(),
            quorum.replicas.to_string(),
            quorum.fewer_after.as_millis().min(LONGEST).to_string(),
        ];
        for count in counts {
            let rule = &count.rule;
            arguments.extend([
                count.flag.to_string(),
                count.successes.min(EXACT).to_string(),
                count.failures.min(EXACT).to_string(),
                rule.errors.to_string(),
                bucket(rule).to_string(),
                rule.min_ratio_ppb.to_string(),
                millis(rule.ttl),
            ]);
        }
        let counted = self.script("count", &scripts::COUNT, &arguments).await;
        counted.map(drop)
    }

    async fn keep_summary(&self, summary: &Summary, ttl: Duration) -> Result<(), RedisStoreError> {
        let arguments = [
            millis(STATE_KEPT),
            REPLICAS.to_string(),
            summary.replica.to_string(),
            millis(ttl),
            format::summary_text(summary),
        ];
        let kept = self.script("report", &scripts::REPORT, &arguments).await;
        kept.map(drop)
    }

    async fn read_replicas(&self) -> Result<Replicas, RedisStoreError> {
        let arguments = [limits::SUMMARIES.to_string(), MAX_VALUE.to_string()];
        let mut reply = self
            .script("replicas", &scripts::REPLICAS, &arguments)
            .await?;
        let live = reply.number()?;
        let mut replicas = Replicas {
            now: StoreTime(reply.now),
            live: u32::try_from(live).unwrap_or(u32::MAX),
            ..Replicas::default()
        };
        let mut damage = damage(&mut reply)?;
        while !reply.is_over() {
            let (replica, text) = (reply.text()?, reply.text()?);
            match format::summary(&replica, &text) {
                Ok(summary) => replicas.summaries.push(summary),
                Err(fault) => {
                    damage.get_or_insert_with(|| fault.of(self.names().summary(&replica)));
                }
            }
        }
        replicas.damage = damage.map(StoreError::from);
        Ok(replicas)
    }

    async fn publish(&self, channel: &str, text: &str) -> Result<(), RedisStoreError> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(channel).arg(text);
        let send = async |connection: &Connection| connection.send(&command).await;
        self.line.run("ping", send).await.map(drop)
    }
}

impl FleetStore for RedisStore {
    type Changes = RedisChanges;

    async fn subscribe(&self, replica: &ReplicaId) -> Result<RedisChanges, StoreError> {
        Ok(RedisChanges::open(&self.line, replica).await?)
    }

    async fn picture(&self) -> Result<Picture, StoreError> {
        Ok(self.read_picture().await?)
    }

    async fn write(&self, mut writes: Vec<StackWrite>) -> Result<Vec<Outcome>, StoreError> {
        writes.truncate(limits::WRITES);
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.write_stacks(&writes).await?)
    }

    async fn count(
        &self,
        replica: &ReplicaId,
        quorum: Quorum,
        mut counts: Vec<Count>,
    ) -> Result<(), StoreError> {
        counts.truncate(limits::COUNTS);
        if counts.is_empty() {
            return Ok(());
        }
        Ok(self.add_up(replica, quorum, &counts).await?)
    }

    async fn report(&self, summary: Summary, ttl: Duration) -> Result<(), StoreError> {
        Ok(self.keep_summary(&summary, ttl).await?)
    }

    async fn replicas(&self) -> Result<Replicas, StoreError> {
        Ok(self.read_replicas().await?)
    }

    async fn ping(&self, replica: &ReplicaId, canary: u64) -> Result<(), StoreError> {
        let channel = self.names().canary(replica);
        Ok(self.publish(&channel, &Canary::Ping(canary).text()).await?)
    }
}

/// What a script found damaged, if anything.
fn damage(reply: &mut Reply) -> Result<Option<RedisStoreError>, RedisStoreError> {
    let (key, fault) = (reply.text()?, reply.text()?);
    Ok((!key.is_empty()).then_some(RedisStoreError::Damaged { key, fault }))
}

/// Milliseconds, rounded up and at least one, and no more than Redis lets a key live.
fn millis(duration: Duration) -> String {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    millis.clamp(1, LONGEST).to_string()
}

/// The length of a sub-bucket in milliseconds.
fn bucket(rule: &Rule) -> u128 {
    const MOST: u128 = 1 << 40;
    (rule.window.as_millis() / BUCKETS).clamp(1, MOST)
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("line", &self.line)
            .finish()
    }
}
