//! What only a real daemon can show of the command: whole runs, from their first event to the last object that is gone.
//!
//! Every test has projects of its own and asks the daemon itself, past the command, what is left of its runs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stderr, reason = "a test says why it is skipped")]
#![allow(clippy::disallowed_methods, reason = "a test stands outside of the house")]

#[path = "daemon/again.rs"]
mod again;
#[path = "daemon/at_once.rs"]
mod at_once;
#[path = "daemon/broken.rs"]
mod broken;
#[path = "daemon/cases.rs"]
mod cases;
#[path = "daemon/catalog.rs"]
mod catalog;
#[path = "daemon/disk.rs"]
mod disk;
#[path = "daemon/dynamo.rs"]
mod dynamo;
#[path = "daemon/engine.rs"]
mod engine;
#[path = "daemon/fault.rs"]
mod fault;
#[path = "daemon/ground.rs"]
mod ground;
#[path = "daemon/interrupted.rs"]
mod interrupted;
#[path = "daemon/kept.rs"]
mod kept;
#[path = "daemon/killed.rs"]
mod killed;
#[path = "daemon/own_image.rs"]
mod own_image;
#[path = "daemon/plan_file.rs"]
mod plan_file;
#[path = "daemon/record.rs"]
mod record;
#[path = "daemon/repository.rs"]
mod repository;
#[path = "daemon/running.rs"]
mod running;
#[path = "daemon/screen.rs"]
mod screen;
#[path = "daemon/selection.rs"]
mod selection;
#[path = "site/mod.rs"]
mod site;
#[path = "daemon/surroundings.rs"]
mod surroundings;
#[path = "daemon/upright.rs"]
mod upright;
