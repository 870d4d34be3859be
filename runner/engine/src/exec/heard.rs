//! What executors hear from their tools, in one vocabulary for all of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use testbed_model::case::{Case, CaseResult};

use super::job::{Said, StepEnd};

/// One thing that a tool made known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The cases that are to be executed.
    Collected {
        /// Cases.
        cases: Vec<Case>,
        /// Cases that an expression left out.
        deselected: u32,
    },
    /// A case began.
    Started {
        /// Case id.
        case: String,
        /// When, where its tool says so.
        at: Option<Timestamp>,
    },
    /// A case ended, after its last attempt.
    Finished(CaseResult),
    /// A line outside of any case.
    Output(String),
}

/// Turns what an agent says into what a tool made known. One a lane; pure besides what it remembers.
pub trait Decoder: Send + Sync {
    /// Takes one thing that the agent said. Whatever it is, truncated or nonsense, it must not panic.
    fn hear(&mut self, said: &Said) -> Vec<Heard>;

    /// Judges the lane when nothing more will come: why it failed beyond its cases, if it did.
    ///
    /// `ends` holds each step's end; `red` says whether a case was red, which explains many an exit code.
    fn judge(&self, ends: &BTreeMap<String, StepEnd>, red: Red) -> Option<String>;

    /// Whether a lane that was judged as failed has its environment to blame, such as an image that lacks the tool.
    fn blames_environment(&self, _ends: &BTreeMap<String, StepEnd>) -> bool {
        false
    }
}

/// Whether a lane has red cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Red {
    /// No case failed.
    None,
    /// Some did.
    Some,
}

/// A case of which only the id is known.
pub(crate) fn bare_case(id: impl Into<String>) -> Case {
    Case { id: id.into(), file: None, line: None, markers: Vec::new() }
}
