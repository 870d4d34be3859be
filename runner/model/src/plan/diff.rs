//! What differs between two plans: settings by their path, and cases by what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::{Plan, SkipReason};

/// A message shows so many cases of a kind, and counts the rest.
const SHOWN: usize = 5;

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PlanDiff {
    /// Settings, by path.
    pub settings: Vec<Setting>,
    /// Cases of which something else became.
    pub cases: Vec<Moved>,
}

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Where: `stacks.mocker.services.nats.image`.
    pub path: String,
    /// In the first plan; none where it is not there.
    pub before: Option<String>,
    /// In the second plan.
    pub after: Option<String>,
}

/// Cases of one suite that went the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// Suite.
    pub suite: String,
    /// What the first plan says of them: lanes, a reason, or that it does not know them.
    pub before: String,
    /// What the second says.
    pub after: String,
    /// Which.
    pub cases: Vec<String>,
}

/// Compares two plans.
pub fn diff(before: &Plan, after: &Plan) -> PlanDiff {
    let mut settings = Vec::new();
    let (old, new) = (settings_of(before), settings_of(after));
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for path in paths {
        let (old, new) = (old.get(path), new.get(path));
        if old != new {
            settings.push(Setting { path: path.clone(), before: old.cloned(), after: new.cloned() });
        }
    }
    let (old, new) = (verdicts_of(before), verdicts_of(after));
    let mut moved: BTreeMap<(&str, String, String), Vec<String>> = BTreeMap::new();
    let cases: BTreeSet<&(&str, &str)> = old.keys().chain(new.keys()).collect();
    for case in cases {
        let words = |verdicts: &BTreeMap<(&str, &str), String>| {
            verdicts.get(case).cloned().unwrap_or_else(|| "not known".to_owned())
        };
        let (from, to) = (words(&old), words(&new));
        if from != to {
            moved.entry((case.0, from, to)).or_default().push(case.1.to_owned());
        }
    }
    let cases = moved
        .into_iter()
        .map(|((suite, before, after), cases)| Moved { suite: suite.to_owned(), before, after, cases })
        .collect();
    PlanDiff { settings, cases }
}

impl PlanDiff {
    /// Whether the plans say the same.
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.cases.is_empty()
    }

    /// The difference for a person: `-` is the first plan's, `+` the second's.
    pub fn readable(&self) -> String {
        let mut out = String::new();
        for Setting { path, before, after } in &self.settings {
            let _ = writeln!(out, "{path}");
            for (sign, value) in
                before.iter().map(|value| ('-', value)).chain(after.iter().map(|value| ('+', value)))
            {
                let _ = writeln!(out, "  {sign} {value}");
            }
        }
        for Moved { suite, before, after, cases } in &self.cases {
            let noun = if cases.len() == 1 { "case" } else { "cases" };
            let _ = writeln!(out, "{} {noun} of {suite}\n  - {before}\n  + {after}", cases.len());
            for case in cases.iter().take(SHOWN) {
                let _ = writeln!(out, "      {case}");
            }
            if cases.len() > SHOWN {
                let _ = writeln!(out, "      and {} more", cases.len() - SHOWN);
            }
        }
        out
    }
}

/// Every setting of a plan by its path; what cases become is told apart.
fn settings_of(plan: &Plan) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::from([
        ("tier".to_owned(), plan.tier.to_string()),
        ("project".to_owned(), plan.project.clone()),
    ]);
    for (name, reference) in &plan.images {
        settings.insert(format!("images.{name}"), reference.clone());
    }
    for stack in &plan.stacks {
        flatten(&format!("stacks.{}", stack.profile), &value_of(stack), &mut settings);
    }
    for lane in &plan.lanes {
        let mut value = value_of(lane);
        if let Value::Object(fields) = &mut value {
            fields.retain(|name, _| name != "cases" && name != "id");
        }
        flatten(&format!("lanes.{}", lane.id), &value, &mut settings);
    }
    for skipped in &plan.skipped {
        settings.insert(format!("skipped.{}", skipped.lane), skipped.reason.clone());
    }
    settings
}

fn value_of(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn flatten(path: &str, value: &Value, settings: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| flatten(&format!("{path}.{name}"), value, settings));
        }
        Value::Null => {}
        Value::String(text) => drop(settings.insert(path.to_owned(), text.clone())),
        other => drop(settings.insert(path.to_owned(), other.to_string())),
    }
}

/// What becomes of each case of each suite, in words.
fn verdicts_of(plan: &Plan) -> BTreeMap<(&str, &str), String> {
    let mut verdicts: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for lane in &plan.lanes {
        for id in lane.cases.iter().flat_map(|cases| &cases.ids) {
            let words = verdicts.entry((lane.id.suite.as_str(), id.as_str())).or_default();
            words.push_str(if words.is_empty() { "run in " } else { ", " });
            words.push_str(&lane.id.to_string());
        }
    }
    for group in &plan.skips {
        for id in &group.cases {
            let words = |reason: &SkipReason| format!("skip: {reason}");
            verdicts.entry((&group.suite, id)).or_insert_with(|| words(&group.reason));
        }
    }
    verdicts
}
