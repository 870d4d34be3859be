//! The command line as its users meet it, on fixture projects, without a daemon.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "a test stands outside of the house")]
#![allow(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "what a fixture's text costs matters to nobody"
)]

#[path = "../../../engine/tests/faults/fake.rs"]
#[allow(dead_code, reason = "the engine's tests use all of it")]
mod fake;
#[path = "../site/mod.rs"]
mod site;

mod check;
mod command_line;
mod compose_file;
mod daemon_address;
mod doctor;
mod folders;
mod history;
mod hosts;
mod image_lock;
mod models;
mod nvml;
mod output;
mod pipelines;
mod plan;
mod profile;
mod project_file;
mod schema;
mod simulated;
