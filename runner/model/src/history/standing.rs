//! All that a history says of one case.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::change::{self, Change};
use super::growth::Growth;
use super::observation::{Observation, Subject};
use super::past_run::RunKey;
use super::rate::Rate;
use super::rule::{self, Rule};
use crate::record::EnvironmentId;

/// What is said of a case depends on so many of its newest observations.
pub const OBSERVED: usize = 200;

/// A run in which something was first seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment {
    /// The run's start.
    pub at: Timestamp,
    /// The run.
    pub run: RunKey,
    /// The revision of the code under test.
    pub revision: Option<String>,
}

impl Moment {
    /// The moment of an observation.
    pub(super) fn of(seen: &Observation) -> Self {
        Self { at: seen.at, run: seen.run.clone(), revision: seen.revision.clone() }
    }
}

/// The rate of a case in one environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InEnvironment {
    /// The environment, where it is known.
    pub environment: Option<EnvironmentId>,
    /// How many passed there.
    pub rate: Rate,
    /// The newest run in it.
    pub last: Moment,
}

/// All that a history says of one case in one lane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The case and the lane.
    pub subject: Subject,
    /// What the rule says.
    pub rule: Rule,
    /// What statistics say.
    pub change: Change,
    /// The rate over all observations.
    pub rate: Rate,
    /// The rate in the rule's window.
    pub recent: Rate,
    /// The rate in each environment, the one that was used last first.
    pub environments: Vec<InEnvironment>,
    /// The first run in which an execution failed.
    pub first_failure: Option<Moment>,
    /// The first of the red runs after which it was never green again; none while it is green.
    pub red_since: Option<Moment>,
    /// The last run in which it was green.
    pub last_green: Option<Moment>,
    /// How much longer it takes than it did.
    pub growth: Option<Growth>,
    /// The observations, in the order of time.
    pub observations: Vec<Observation>,
}

impl Standing {
    /// What observations say, in whatever order they come; the rule's window ends at `until`. Only the newest [`OBSERVED`] count.
    pub fn of(subject: Subject, mut observations: Vec<Observation>, until: Timestamp) -> Self {
        observations.sort();
        observations.dedup_by(|a, b| a.run == b.run);
        observations.drain(..observations.len().saturating_sub(OBSERVED));
        let counted = || observations.iter().filter(|seen| seen.counts());
        let last_green = counted().rev().find(|seen| !seen.is_red());
        let red_since = counted().rev().take_while(|seen| seen.is_red()).last();
        Self {
            rule: Rule::of(&observations, until),
            change: change::of(&observations),
            rate: Rate::of(&observations),
            recent: rule::recent(&observations, until),
            environments: environments(&observations),
            first_failure: counted().find(|seen| seen.failures > 0).map(Moment::of),
            red_since: red_since.map(Moment::of),
            last_green: last_green.map(Moment::of),
            growth: Growth::of(&observations),
            subject,
            observations,
        }
    }

    /// In which order standings are told: what is worst first, then by case.
    pub fn urgency(&self) -> (Rule, &Subject) {
        (self.rule, &self.subject)
    }
}

fn environments(observations: &[Observation]) -> Vec<InEnvironment> {
    let mut by: BTreeMap<Option<&EnvironmentId>, Vec<&Observation>> = BTreeMap::new();
    for seen in observations.iter().filter(|seen| seen.counts()) {
        by.entry(seen.environment.as_ref()).or_default().push(seen);
    }
    let mut out: Vec<InEnvironment> = by
        .into_iter()
        .filter_map(|(environment, seen)| {
            let last = Moment::of(seen.last()?);
            Some(InEnvironment { environment: environment.cloned(), rate: Rate::of(seen), last })
        })
        .collect();
    out.sort_by(|a, b| b.last.cmp(&a.last).then_with(|| a.environment.cmp(&b.environment)));
    out
}
