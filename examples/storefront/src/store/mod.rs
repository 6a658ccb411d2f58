//! What the shop itself knows of its customers, for when nobody else can be asked: copies of good answers in memory,
//! and a database on disk.

mod cache;
mod database;
mod open;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    cache::Cache,
    database::{Database, NotInStore},
};
