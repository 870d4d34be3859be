//! The record: what a run leaves behind for people and machines.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::case::Counts;
use crate::exit_code::ExitCode;
use crate::facts::Facts;
use crate::id::RunId;
use crate::plan::PlanId;
use crate::tier::Tier;

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
    /// Facts of the host, the daemon and the project.
    pub facts: Facts,
    /// Seed of everything random: `PYTHONHASHSEED` and the order of cases.
    pub seed: u64,
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
