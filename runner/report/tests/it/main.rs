//! Canned runs told in every format, hostile ones included.

#![allow(clippy::unwrap_used, reason = "a test helper that fails fails its test")]

mod canned;
mod ci;
mod crowd;
mod hostile;
mod html;
mod pipeline;
mod screen;
mod told;
mod trace;
