//! Fleet state for brownout's health registry, through Redis.

mod changes;
mod connection;
mod error;
mod format;
mod gate;
mod keys;
mod line;
mod mailbox;
mod reply;
mod scripts;
mod settings;
mod store;

pub use changes::RedisChanges;
pub use error::RedisStoreError;
pub use settings::RedisStoreBuilder;
pub use store::RedisStore;
