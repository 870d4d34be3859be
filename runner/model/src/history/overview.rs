//! How much a history knows.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How much a history knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// Runs.
    pub runs: usize,
    /// Cases, one in each lane.
    pub cases: usize,
    /// Start of the oldest run.
    pub first: Option<Timestamp>,
    /// Start of the newest run: the end of the rule's window.
    pub last: Option<Timestamp>,
}
