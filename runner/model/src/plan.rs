//! The plan: the whole decision as a value, made before anything starts.

mod deal;
mod decide;
mod diff;
mod distribute;
mod environment;
mod equip;
mod error;
mod expression;
mod filter;
mod harden;
mod judge;
mod lower;
mod names;
mod narrow;
pub mod requirement;
mod verdict;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::lane::{Lane, LaneId};
use crate::models::ModelContent;
use crate::stack::Stack;
use crate::tier::Tier;

pub use decide::{Explained, Inputs, choose, collectable, explain, plan};
pub use diff::{Moved, PlanDiff, Setting, diff};
pub use environment::{Choice, Environment};
pub use error::PlanError;
pub use expression::tier_expression;
pub use filter::Filter;
pub use judge::Step;
pub use lower::{Places, placed, placed_stack, plan_stack, rooted};
pub use narrow::{Kept, narrowed};
pub use verdict::{Asker, SkipCount, SkipGroup, SkipReason, Verdict};

/// The version of the plan's format.
pub const SCHEMA: u32 = 1;

/// What a run will do. The same inputs give the same bytes of canonical JSON, hence the same [`PlanId`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this format.
    pub schema: u32,
    /// The tier that was asked for.
    pub tier: Tier,
    /// The project under test, as `testbed.toml` names it.
    pub project: String,
    /// Images that stacks and lanes need: name in the lock to the reference that the daemon knows.
    pub images: BTreeMap<String, String>,
    /// Models that stacks and lanes mount: name in `models.toml` to the hash of its files.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, ModelContent>,
    /// Stacks, in the order in which their lanes come.
    pub stacks: Vec<Stack>,
    /// Lanes, in the order of execution.
    pub lanes: Vec<Lane>,
    /// Suites and profiles that do not take part, with the reason.
    pub skipped: Vec<SkippedLane>,
    /// Cases that are not executed, by suite and reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skips: Vec<SkipGroup>,
    /// The plan of the whole, where this one is a share of it: whoever puts the shares together needs no other file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<Box<Plan>>,
}

/// Something that the plan leaves out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedLane {
    /// What.
    pub lane: LaneId,
    /// Why, as a sentence without final dot.
    pub reason: String,
}

/// The hash of a plan: BLAKE3 over its canonical JSON, the first 16 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanId(pub String);

impl Plan {
    /// Canonical bytes: compact JSON; every map in it is ordered.
    pub fn canonical_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// The hash of the canonical bytes.
    pub fn id(&self) -> Result<PlanId, serde_json::Error> {
        let hash = blake3::hash(&self.canonical_json()?).to_hex();
        Ok(PlanId(hash.chars().take(16).collect()))
    }

    /// How many cases are left out, by suite and reason. What was asked for and is withheld is not among them where a lane of the
    /// suite tells of each.
    pub fn left_out(&self) -> Vec<SkipCount> {
        let told = |group: &SkipGroup| {
            let of_suite = |lane: &&Lane| lane.id.suite == group.suite && lane.cases.is_some();
            group.reason.is_withheld() && self.lanes.iter().any(|lane| of_suite(&lane))
        };
        let count = |group: &SkipGroup| SkipCount {
            suite: group.suite.clone(),
            reason: group.reason.to_string(),
            cases: u32::try_from(group.cases.len()).unwrap_or(u32::MAX),
        };
        self.skips.iter().filter(|group| !told(group)).map(count).collect()
    }

    /// The stack of a profile.
    pub fn stack(&self, profile: &str) -> Option<&Stack> {
        self.stacks.iter().find(|stack| stack.profile == profile)
    }
}

#[cfg(test)]
pub(crate) mod tests;
