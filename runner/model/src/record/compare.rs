//! Two records side by side: what differs between a green run and a red one, in environment, code, selection and outcomes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Record;
use crate::case::{CaseResult, Outcome};
use crate::event::Event;
use crate::exit_code::ExitCode;
use crate::lane::LaneId;
use crate::plan::{Moved, Setting, diff};

/// What differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What the two are called.
    pub runs: [String; 2],
    /// Their exit codes; none for a run without an end.
    pub verdicts: [Option<ExitCode>; 2],
    /// Whether every lane that both have ran in the same environment.
    pub same_environment: bool,
    /// Parts of environments, and facts of the host, that differ.
    pub environment: Vec<Difference>,
    /// Revision, uncommitted changes, arguments and seed, where they differ.
    pub code: Vec<Difference>,
    /// Settings of the plans that differ; images are told with the environment.
    pub settings: Vec<Setting>,
    /// Cases of which the plans decide something else.
    pub selection: Vec<Moved>,
    /// Cases that both executed, with another outcome.
    pub outcomes: Vec<Changed>,
    /// Cases that both executed, with the same outcome.
    pub unchanged: usize,
}

/// Something that differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// What, such as `image dynamo`.
    pub what: String,
    /// In which lanes, where it is of lanes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<String>,
    /// In the first; none where it is not there.
    pub before: Option<String>,
    /// In the second.
    pub after: Option<String>,
}

/// A case with another outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Lane.
    pub lane: LaneId,
    /// Case.
    pub case: String,
    /// In the first.
    pub before: Outcome,
    /// In the second.
    pub after: Outcome,
    /// What the red one of the two said.
    pub message: Option<String>,
}

/// Compares two records.
pub fn compare(before: &Record, after: &Record) -> Comparison {
    let plans = before.plan.as_ref().zip(after.plan.as_ref()).map(|(a, b)| diff(a, b)).unwrap_or_default();
    let (outcomes, unchanged) = outcomes(before, after);
    let environment = environment(before, after);
    Comparison {
        runs: [before, after].map(|record| record.manifest.run.to_string()),
        verdicts: [before, after].map(|record| record.manifest.exit_code),
        same_environment: environment.iter().all(|difference| difference.lanes.is_empty()),
        environment,
        code: code(before, after),
        settings: plans.settings.into_iter().filter(|setting| !setting.path.starts_with("images.")).collect(),
        selection: plans.cases,
        outcomes,
        unchanged,
    }
}

impl Comparison {
    /// Whether the two differ in nothing that is compared.
    pub fn is_empty(&self) -> bool {
        self.verdicts[0] == self.verdicts[1]
            && self.environment.is_empty()
            && self.code.is_empty()
            && self.settings.is_empty()
            && self.selection.is_empty()
            && self.outcomes.is_empty()
    }
}

fn environment(before: &Record, after: &Record) -> Vec<Difference> {
    let mut by_part: BTreeMap<(String, Option<String>, Option<String>), BTreeSet<String>> = BTreeMap::new();
    let lanes: BTreeSet<&LaneId> =
        before.manifest.environments.iter().flat_map(|environment| &environment.lanes).collect();
    for lane in lanes {
        let (Some(old), Some(new)) = (before.environment(lane), after.environment(lane)) else { continue };
        for part in old.parts.keys().chain(new.parts.keys()) {
            let (from, to) = (old.parts.get(part), new.parts.get(part));
            if from != to {
                let key = (part.clone(), from.cloned(), to.cloned());
                by_part.entry(key).or_default().insert(lane.to_string());
            }
        }
    }
    let of_lanes = by_part.into_iter().map(|((what, before, after), lanes)| Difference {
        what,
        lanes: lanes.into_iter().collect(),
        before,
        after,
    });
    of_lanes.chain(host(before, after)).collect()
}

/// What of the hosts differs without being part of an environment: it may explain, and is not meant to decide.
fn host(before: &Record, after: &Record) -> Vec<Difference> {
    let told = |record: &Record| {
        let facts = &record.manifest.facts;
        let daemon = facts.daemon.as_ref();
        let mut told = vec![
            ("host cores".to_owned(), facts.cores.to_string()),
            ("host memory".to_owned(), format!("{} MiB", facts.memory_bytes >> 20)),
            ("host gpus".to_owned(), facts.gpus.to_string()),
            ("host kernel".to_owned(), facts.kernel.clone()),
        ];
        told.extend(
            daemon.map(|daemon| ("engine".to_owned(), format!("{} {}", daemon.name, daemon.version))),
        );
        told.extend(daemon.map(|daemon| ("engine storage".to_owned(), daemon.storage_driver.clone())));
        told.extend(facts.tools.iter().map(|(tool, version)| (format!("tool {tool}"), version.clone())));
        told
    };
    differences(told(before), told(after))
}

fn code(before: &Record, after: &Record) -> Vec<Difference> {
    let told = |record: &Record| {
        let manifest = &record.manifest;
        let mut told = vec![
            ("seed".to_owned(), manifest.seed.to_string()),
            (
                "arguments".to_owned(),
                manifest.arguments.iter().skip(1).cloned().collect::<Vec<_>>().join(" "),
            ),
        ];
        told.extend(manifest.facts.revision.clone().map(|revision| ("revision".to_owned(), revision)));
        told.extend(manifest.changes.as_ref().map(|changes| {
            ("uncommitted".to_owned(), format!("{} files, {} bytes", changes.files, changes.bytes))
        }));
        told
    };
    differences(told(before), told(after))
}

fn differences(before: Vec<(String, String)>, after: Vec<(String, String)>) -> Vec<Difference> {
    let (before, after): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (before.into_iter().collect(), after.into_iter().collect());
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    differing
        .map(|name| Difference {
            what: name.clone(),
            lanes: Vec::new(),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
        })
        .collect()
}

fn outcomes(before: &Record, after: &Record) -> (Vec<Changed>, usize) {
    let new = results(after);
    let (mut changed, mut unchanged) = (Vec::new(), 0);
    for ((lane, case), old) in results(before) {
        match new.get(&(lane, case)) {
            None => {}
            Some(new) if new.outcome == old.outcome => unchanged += 1,
            Some(new) => {
                let red = if new.outcome.is_red() { *new } else { old };
                changed.push(Changed {
                    lane: lane.clone(),
                    case: case.to_owned(),
                    before: old.outcome,
                    after: new.outcome,
                    message: red.message.clone(),
                });
            }
        }
    }
    (changed, unchanged)
}

fn results(record: &Record) -> BTreeMap<(&LaneId, &str), &CaseResult> {
    let events = record.events.iter();
    events
        .filter_map(|stamped| match &stamped.event {
            Event::CaseFinished { lane, result, .. } => Some(((lane, result.case.id.as_str()), result)),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
