//! The record: what a run leaves behind for people and machines. Every report can be made from it again.

pub mod compare;
pub mod critical;
pub mod environment;
pub mod headline;
pub mod journal;
pub mod merge;
pub mod sample;
mod series;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::environment::{EnvironmentId, RecordedEnvironment};
pub use self::series::{Series, Unit};
use crate::case::Counts;
use crate::event::Stamped;
use crate::exit_code::ExitCode;
use crate::facts::Facts;
use crate::id::RunId;
use crate::lane::LaneId;
use crate::plan::{Plan, PlanId};
use crate::stack::Millis;
use crate::tier::Tier;

/// The version of the record's format: of its manifest, and of all that lies beside it.
pub const SCHEMA: u32 = 2;

/// `manifest.json`: what decided the run's result, and what it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub schema: u32,
    /// Run.
    pub run: RunId,
    /// Testbed's version.
    pub testbed: String,
    /// The command line, with the program's name as first element.
    pub arguments: Vec<String>,
    /// Tier.
    pub tier: Option<Tier>,
    /// Plan.
    pub plan: Option<PlanId>,
    /// Image name to its reference and content id.
    pub images: BTreeMap<String, RecordedImage>,
    /// The environments of the lanes, with all their parts; none before the images are known.
    pub environments: Vec<RecordedEnvironment>,
    /// Facts of the host, the daemon and the project.
    pub facts: Facts,
    /// What the checkout had besides its revision; none where nothing differed, or nobody could tell.
    pub changes: Option<RecordedChanges>,
    /// Seed of everything random: `PYTHONHASHSEED` and the order of cases.
    pub seed: u64,
    /// How long the tier may take; none where the project sets no budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_ms: Option<Millis>,
    /// The shares that this record was put together from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<RunId>,
    /// Start.
    pub started: Timestamp,
    /// End; none while the run goes on, and for ever if it was killed.
    pub finished: Option<Timestamp>,
    /// Counts.
    pub counts: Option<Counts>,
    /// Exit code.
    pub exit_code: Option<ExitCode>,
}

/// An image as a run used it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedImage {
    /// Reference.
    pub reference: String,
    /// Content id.
    pub id: String,
}

/// Changes that were not committed, kept as a patch over the revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedChanges {
    /// The patch's file in the record, for `git apply`; none where it was too large to keep.
    pub file: Option<String>,
    /// The patch's size in bytes, or that of the files that are too large for one.
    pub bytes: u64,
    /// How many files it touches.
    pub files: usize,
}

/// What a run left behind, read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What decided its result. Without an end where the run was killed.
    pub manifest: Manifest,
    /// Its plan, if it had one.
    pub plan: Option<Plan>,
    /// Its events, all that were written whole.
    pub events: Vec<Stamped>,
    /// Lines of the journal that are no events: torn when the run was killed or the disk was full, or changed later.
    pub damaged: usize,
}

impl Record {
    /// The environment of a lane.
    pub fn environment(&self, lane: &LaneId) -> Option<&RecordedEnvironment> {
        self.manifest.environments.iter().find(|environment| environment.lanes.contains(lane))
    }
}

/// A line of a service or a tool, with the time of its arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// What, without its end.
    pub text: String,
}

impl LogLine {
    /// The line as a log file has it: RFC 3339 with milliseconds, a space, the text.
    pub fn encode(at: Timestamp, text: &str) -> String {
        format!("{at:.3} {text}")
    }

    /// Reads a line of a log file; none where it has no time.
    pub fn decode(line: &str) -> Option<Self> {
        let (at, text) = line.split_once(' ').unwrap_or((line, ""));
        Some(Self { at: at.parse().ok()?, text: text.to_owned() })
    }
}

/// The log of one service, or of one lane's tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedLog {
    /// Who: profile and service, or none and the lane.
    pub stack: Option<String>,
    /// Service, or lane.
    pub name: String,
    /// What it said.
    pub lines: Vec<LogLine>,
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::LogLine;

    #[test]
    fn a_line_of_a_log_says_when_and_what() {
        let at: Timestamp = "2026-11-21T14:30:05.123456Z".parse().unwrap();
        for text in ["ready", "", "  indented", "two  spaces"] {
            let line = LogLine::encode(at, text);
            assert!(line.starts_with("2026-11-21T14:30:05.123Z "), "{line}");
            let read = LogLine::decode(&line).unwrap();
            assert_eq!((read.at.as_millisecond(), read.text.as_str()), (at.as_millisecond(), text));
        }
        assert_eq!(LogLine::decode("Traceback (most recent call last):"), None);
        assert_eq!(LogLine::decode(""), None);
    }
}
