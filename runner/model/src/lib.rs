//! What Testbed knows: values and pure functions.
//!
//! Nothing here touches a daemon, a file, the environment, a process or the clock; everything that decides is therefore
//! a function from values to values, and is tested as one.

pub mod budget;
pub mod case;
pub mod catalog;
pub mod cdi;
pub mod changes;
pub mod check;
pub mod compose;
pub mod demand;
pub mod doctor;
pub mod document;
pub mod event;
pub mod exit_code;
pub mod facts;
pub mod fitness;
mod glob;
pub mod gpu;
pub mod grant;
pub mod hint;
pub mod history;
pub mod id;
pub mod image;
pub mod inventory;
pub mod lane;
pub mod models;
pub mod nearest;
pub mod passthrough;
pub mod pipeline;
pub mod plan;
pub mod profile;
pub mod project;
pub mod record;
pub mod schema;
pub mod selection;
pub mod shard;
pub mod span;
pub mod stack;
pub mod tier;
pub mod triage;
pub mod verdict;
pub mod version;
