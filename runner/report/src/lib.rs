//! What Testbed tells: events become bytes.
//!
//! The engine never prints and a reporter never asks. So everything here can be fed from a run as it goes or from its
//! stored journal, and says the same.
//!
//! - While a run goes on: [`live::Live`] on a terminal, [`log::Log`] elsewhere, [`json::JsonLines`] for programs; each is a
//!   [`Reporter`].
//! - Afterwards, from a [`Story`]: [`summary::write`] for people, [`junit::write`] for other tools.
//! - For an error that ends the command: [`failure::render`].

pub mod axis;
#[cfg(test)]
#[path = "../tests/it/canned/mod.rs"]
#[allow(clippy::unwrap_used, reason = "shared with the tests in `tests/it`")]
mod canned;
pub mod comparison;
pub mod doctor;
pub mod document;
pub mod failure;
pub mod fit;
pub mod github;
pub mod history;
pub mod html;
pub mod json;
pub mod junit;
pub mod live;
pub mod log;
pub mod markdown;
pub mod neutral;
mod notice;
pub mod pipeline;
pub mod quantity;
pub mod reporter;
mod row;
pub mod stack_failure;
pub mod story;
pub mod style;
pub mod summary;
pub mod trace;
pub mod verdict;

pub use reporter::{ReportError, Reporter, Reporters};
pub use story::Story;
pub use style::Style;
