//! Fleet state for brownout's health registry, through Redis 7 or Valkey.
//!
//! Replicas of one service share people's overrides, what automation has made of flags, counted outcomes, and a summary of
//! each replica's health. [`RedisStore`] is where: an implementation of the registry's one store trait,
//! [`FleetStore`](brownout_registry::fleet::FleetStore). What replicas make of it is the registry's affair, and said in
//! [`brownout_registry::fleet`].
//!
//! ```no_run
//! use brownout_redis::RedisStore;
//! use brownout_registry::Registry;
//! use brownout_registry::fleet::{FleetSettings, ReplicaId};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::new();
//! let store = RedisStore::builder("redis://localhost").namespace("shop").build()?;
//! let _fleet = registry.join_fleet(store, FleetSettings::new(ReplicaId::new("shop-7d4f")?))?;
//! # Ok(()) }
//! ```
//!
//! `brownout_registry` is what the crate `brownout` has as `brownout::registry`; a service that has that needs no other.
//! Joining succeeds whether the server is there or not. A customised one, for a user of its own, behind Sentinels, over TLS:
//!
//! ```
//! use std::time::Duration;
//! use brownout_redis::RedisStore;
//!
//! # fn main() -> Result<(), brownout_redis::RedisStoreError> {
//! # if cfg!(feature = "tls") {
//! let store = RedisStore::builder("rediss://shop:secret@main/2")
//!     .sentinels(["rediss://10.0.0.1:26379", "rediss://10.0.0.2:26379", "rediss://10.0.0.3:26379"])
//!     .namespace("shop")
//!     .timeout(Duration::from_secs(1))
//!     .build()?;
//! # }
//! # Ok(()) }
//! ```
//!
//! # When the server is gone
//!
//! No call of the service notices: what calls read is local memory, and every operation on the store runs in the
//! registry's background tasks. The replica goes on with what it last knew, which ages by its own ends; the registry's
//! dependency `fleet-store` turns `Degraded` and says since when. For that it is this crate's part to fail soon, say why,
//! and be there again:
//!
//! - **Every operation ends** within [`timeout`](RedisStoreBuilder::timeout), connecting included, whatever the server
//!   and the network do.
//! - **A subscription that hears nothing ends.** It has a connection of its own. It believes itself subscribed only when a
//!   message to itself has come back over that connection, and after 5 s of [silence](RedisStoreBuilder::silence) it sends
//!   another. One that does not come back in time is an error, and whoever wants more subscribes anew.
//! - **Connections are tried in moderation**: by one store one at a time for its commands, and one for each subscription
//!   that is asked for; after a failure only when a wait is over that grows from 250 ms to 3 s, each ± 50 %. In between
//!   operations fail at once, with the error of the last attempt. A server that lets us in and hangs up within 5 s counts
//!   as a failure.
//! - **A connection without answers is replaced**, even if every caller leaves before the timeout. One that was closed
//!   meanwhile is replaced before it is used.
//! - **Nothing is done twice, and nothing happens late.** Each command carries the latest moment, by the server's clock, at
//!   which it may still run. What lay in the socket of a server that stood still is refused when it goes on. Each answer
//!   tells the server's time anew, so clocks may drift, disagree and be set.
//! - **A server that comes back empty**, was flushed, or has lost its state to an eviction, has another epoch. Values of
//!   the lost one count no more; the registry writes people's overrides again.
//! - **A server that goes back**, restored from a backup or taking over without all of its primary's writes, keeps its epoch
//!   and gives some revisions again. What it has is used, what people have decided and it has lost is written again, and
//!   nobody's lost stack passes for the one that has its revision now: each has a random tag.
//!
//! # Defaults
//!
//! | setting | default | why |
//! |---|---|---|
//! | [`namespace`](RedisStoreBuilder::namespace) | none; it must be named | two services that both forgot it would share their flags |
//! | [`timeout`](RedisStoreBuilder::timeout) | 1.5 s | below the 2 s after which a fleet gives up, so that the error says what was not answered |
//! | [`silence`](RedisStoreBuilder::silence) | 5 s | a deaf subscription is found out within 6.5 s; a fleet's own pings mostly come before it |
//!
//! # Keys
//!
//! Every key and channel begins with the hash tag `{namespace}`, so that a namespace is in one slot of a cluster and in
//! one pattern of an access rule. All keys end by themselves.
//!
//! | key | type | what | ends |
//! |---|---|---|---|
//! | `{shop}:meta` | hash | format, epoch and revision, and when a replica last fell silent | 30 days after the last write or report |
//! | `{shop}:o:<target>` | string | a target's stack of overrides, at most 8 of them, 16 KiB | with the last override in it |
//! | `{shop}:t:<flag>` | string | a flag's trip | after the flag's time to live |
//! | `{shop}:index` | sorted set | which of those two there are, at most 10,000, and until when | with the last of them |
//! | `{shop}:w:<flag>:<ms>:<n>` | hash | outcomes in one of the twelve sub-buckets of a flag's window; `<ms>` is its length, `<n>` its number; and the replicas with failures, hardly more than the quorum | after 13 times its length |
//! | `{shop}:r:<replica>` | string | a replica's summary, at most 16 KiB | when it is not renewed |
//! | `{shop}:replicas` | sorted set | which replicas live, at most 100,000, and until when | with the last of them |
//!
//! | channel | who listens | what |
//! |---|---|---|
//! | `{shop}:changes` | all replicas | each write, with its values whole |
//! | `{shop}:canary:<replica>` | that replica | its messages to itself |
//!
//! Values are text that `redis-cli` shows legibly. They are written by scripts only, which read the server's clock (`TIME`),
//! compare, set the value with its end (`PX`), take the next revision and publish, all in one step. Do not change them by
//! hand: a plain `SET` removes the end. To take an override back, release it through the fleet.
//!
//! Whatever in there is not ours, damaged, of another type, or of a format to come, is named in an error and neither
//! overwritten nor deleted; the rest is used.
//!
//! # Access rules
//!
//! For a user of its own these rules suffice, and each is needed (a test takes them away one by one):
//!
//! ```text
//! ACL SETUSER shop on >secret \
//!     ~{shop}:* &{shop}:* \
//!     +eval +evalsha +publish +subscribe +time \
//!     +del +getrange +set +pexpire +pttl \
//!     +hgetall +hincrby +hlen +hmget +hset \
//!     +zadd +zcard +zcount +zrangebyscore +zremrangebyscore +zscore
//! ```
//!
//! A database other than 0 needs `+select` as well. Where rules are forgotten, errors name the server, the user and the
//! right, as far as the server says: of a script it says only that something was not allowed in there, and `ACL LOG` says
//! what. [`RedisStore::check`] shows before a service starts what subscribing and reading lacks; what only writes, counts
//! and summaries need shows in the log when they come.
//!
//! # TLS
//!
//! With the feature `tls`, `rediss://` URLs (and `valkeys://`) are encrypted through rustls, TLS 1.2 or 1.3. The server's
//! certificate must be valid for the host in the URL and signed by an authority that the system trusts, or by that of
//! `RedisStoreBuilder::root_certificate`. There is no way to turn that off: a URL with `#insecure` is refused. If the
//! program has not chosen a rustls provider, `ring` becomes its default. A server that asks clients for certificates, as
//! Redis does unless it is told `tls-auth-clients no`, cannot be used.
//!
//! # Servers
//!
//! Redis 7.0 and newer, Valkey 7.2 and newer. An older server is refused by its version, as scripts rely on what came with
//! 7.0. Standalone; behind [Sentinels](RedisStoreBuilder::sentinels), which are asked at each connection; or a cluster,
//! any node of which may be named, since a namespace is in one slot. A node that is a replica is refused, and one that
//! becomes one is left at the next write.
//!
//! After a failover to a copy that lacked the last writes, revisions are given anew. Replicas notice with the next message
//! or picture, and whoever still holds an override that was lost writes it again.
//!
//! # What it costs
//!
//! Two connections a replica, and nothing on the path of calls. On the server, at the intervals that a fleet has by
//! default: from each replica one `PUBLISH` about every 5 s, two scripts about every 10 s (its summary, and those of the
//! others), one picture about every 30 s, which is a command for each value; and one script about every second from those
//! that have something to count, four commands a flag where all went well and 16 more where something failed. A write is
//! published once, and the server sends it to each replica.
//!
//! Unread messages wait in 4 MiB at most; what has no room is reported as missed, and repaired by a picture.

mod builder;
mod changes;
mod connection;
mod error;
mod format;
mod gate;
mod keys;
mod line;
mod mailbox;
mod peer;
mod places;
mod reply;
mod scripts;
mod server;
mod settings;
mod store;

pub use builder::RedisStoreBuilder;
pub use changes::RedisChanges;
pub use error::RedisStoreError;
pub use store::RedisStore;
