//! One case in one run.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::past_run::RunKey;
use crate::case::Outcome;
use crate::record::EnvironmentId;
use crate::stack::Millis;

/// Whom a history is about: one case in one lane. The same case in another lane has another stack, and so a history of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The case's id.
    pub case: String,
    /// The lane, as it is shown: `e2e@mocker`.
    pub lane: String,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.case, self.lane)
    }
}

/// How a subject ended in one run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Observation {
    /// The run's start.
    pub at: Timestamp,
    /// The run.
    pub run: RunKey,
    /// The revision of the code under test.
    pub revision: Option<String>,
    /// The environment.
    pub environment: Option<EnvironmentId>,
    /// How it ended, after all executions.
    pub outcome: Outcome,
    /// How often it was executed to an end that says something of it.
    pub executions: u32,
    /// How many of these were red.
    pub failures: u32,
    /// Time of the last execution.
    pub duration_ms: Millis,
}

impl Observation {
    /// Whether it says something of the case.
    pub const fn counts(&self) -> bool {
        self.executions > 0
    }

    /// Whether it says that the case was red in the end.
    pub const fn is_red(&self) -> bool {
        self.counts() && self.outcome.is_red()
    }
}
