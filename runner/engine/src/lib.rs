//! What Testbed does: every side effect, each behind one door.
//!
//! `host` is the only door to the operating system and the clock, `docker` the only importer of the engine's client.
//! Nothing here prints: what happens goes out as [`events::Events`].

pub mod agent;
pub mod bundle;
pub mod catalog;
pub mod configuration;
pub mod docker;
pub mod durations;
pub mod events;
pub mod exec;
pub mod history;
pub mod host;
pub mod image;
pub mod models;
pub mod schedule;
pub mod stack;
pub mod store;
