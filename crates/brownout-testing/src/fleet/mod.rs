//! Fleets in a test: a store that fails when it is told to, and the suite that every store must pass.
//!
//! [`FaultyStore`] stands before any [`FleetStore`](brownout_registry::fleet::FleetStore), the one in memory or a real
//! one, and lets a test cut it off, hang it, slow it down and deafen its subscribers, for one replica at a time.
//! [`conforms`] checks what a store promises.

mod conformance;
mod faulty;

pub use self::conformance::conforms;
pub use self::faulty::{Fault, FaultyChanges, FaultyStore, StoreFaults};
