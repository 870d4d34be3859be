//! One run as a history keeps it.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::observation::Subject;
use crate::case::{CaseResult, Outcome};
use crate::event::Event;
use crate::exit_code::ExitCode;
use crate::lane::LaneId;
use crate::plan::{Plan, SkipReason};
use crate::record::{EnvironmentId, Manifest, Record};
use crate::stack::Millis;

/// What a run is known by: its id, or for a run of somebody else's tool `junit-` and the hash of its report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunKey(pub String);

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the knowledge of a run comes from; the better one is the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A JUnit report.
    Junit,
    /// A record.
    Record,
}

/// How one case ended in one run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PastResult {
    /// Which case, in which lane.
    pub subject: Subject,
    /// The environment that it had, where that is known.
    pub environment: Option<EnvironmentId>,
    /// How it ended, after all executions.
    pub outcome: Outcome,
    /// How often it was executed to an end that says something of it; none for what was skipped or interrupted.
    pub executions: u32,
    /// How many of these were red.
    pub failures: u32,
    /// Time of the last execution.
    pub duration_ms: Millis,
}

/// A run with its results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRun {
    /// What it is known by.
    pub key: RunKey,
    /// Start, to the millisecond.
    pub started: Timestamp,
    /// Where this is known from.
    pub source: Source,
    /// Whether it came to its end.
    pub finished: bool,
    /// Whether it was one share of several.
    pub share: bool,
    /// Its exit code, where one is known.
    pub exit_code: Option<ExitCode>,
    /// The revision of the code under test.
    pub revision: Option<String>,
    /// The shares that it stands for.
    pub replaces: BTreeSet<RunKey>,
    /// Its results, in the order of their subjects, none twice.
    pub results: Vec<PastResult>,
}

impl PastRun {
    /// Puts results into the order in which a run has them. Of two of one subject the greater one stays, so that the order in which
    /// they came decides nothing.
    #[must_use]
    pub fn normal(mut self) -> Self {
        self.results.sort_by(|a, b| b.cmp(a));
        self.results.dedup_by(|a, b| a.subject == b.subject);
        self.results.reverse();
        let millis = self.started.as_millisecond();
        self.started = Timestamp::from_millisecond(millis).unwrap_or(self.started);
        self
    }

    /// What a record tells. A run that was killed tells what it had finished.
    pub fn of_record(record: &Record) -> Self {
        let results = record.events.iter().filter_map(|stamped| match &stamped.event {
            Event::CaseFinished { lane, result, .. } => Some((lane, result)),
            _ => None,
        });
        Self::of(&record.manifest, record.plan.as_ref(), results)
    }

    /// What a run's manifest, its plan and its results tell.
    pub fn of<'r>(
        manifest: &Manifest,
        plan: Option<&Plan>,
        results: impl IntoIterator<Item = (&'r LaneId, &'r CaseResult)>,
    ) -> Self {
        let broken = manifest.exit_code == Some(ExitCode::Environment);
        let results = results.into_iter().map(|(lane, result)| {
            let environment =
                manifest.environments.iter().find(|environment| environment.lanes.contains(lane));
            let subject = Subject { lane: lane.to_string(), case: result.case.id.clone() };
            past(subject, environment.map(|environment| environment.id.clone()), result, broken)
        });
        let others = plan.into_iter().flat_map(|plan| &plan.skips);
        let mut others = others.filter(|group| matches!(group.reason, SkipReason::OtherShard { .. }));
        Self {
            key: RunKey(manifest.run.to_string()),
            started: manifest.started,
            source: Source::Record,
            finished: manifest.finished.is_some(),
            share: manifest.shares.is_empty() && others.next().is_some(),
            exit_code: manifest.exit_code,
            revision: manifest.facts.revision.clone(),
            replaces: manifest.shares.iter().map(|run| RunKey(run.to_string())).collect(),
            results: results.collect(),
        }
        .normal()
    }

    /// Which of two tellings of one run is the better one: the greater.
    pub fn rank(&self) -> (Source, bool, usize, String) {
        (self.source, self.finished, self.results.len(), self.digest())
    }

    /// The hash of all that is told: BLAKE3, the first 32 hexadecimal digits.
    pub fn digest(&self) -> String {
        // A run always has a JSON form: its maps have texts as keys.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        blake3::hash(&bytes).to_hex().chars().take(32).collect()
    }
}

fn past(
    subject: Subject,
    environment: Option<EnvironmentId>,
    result: &CaseResult,
    broken: bool,
) -> PastResult {
    // An error in a run whose environment broke says nothing of the case; a failure always does.
    let says = match result.outcome {
        Outcome::Skipped | Outcome::Interrupted => false,
        Outcome::Error => !broken,
        _ => true,
    };
    let tries = result.rounds.map_or(result.attempts, |rounds| rounds.executed);
    let executions = if says { tries.max(1) } else { 0 };
    let failures = match result.outcome {
        _ if !says => 0,
        _ if result.rounds.is_some() => result.rounds.map_or(0, |rounds| rounds.failed),
        outcome if outcome.is_red() => executions,
        _ => executions - 1,
    };
    PastResult {
        subject,
        environment,
        outcome: result.outcome,
        executions,
        failures,
        duration_ms: result.duration_ms,
    }
}
