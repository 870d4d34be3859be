//! Rules about executing: cases that never run, and cases without a limit.

use std::collections::BTreeSet;

use super::vocabulary::meant;
use super::{Finding, Group, Inputs, Rule, grouped};
use crate::catalog::{Entry, SuiteCatalog};
use crate::document::duration_text;
use crate::lane::SuiteKind;
use crate::plan::tier_expression;
use crate::project::{Suite, Vocabulary};
use crate::selection::{Expression, Mark, Marks, complete};
use crate::stack::Millis;
use crate::tier::{TestType, Tier};

/// A case that took longer needs a limit.
const LONG_MS: Millis = 10_000;

/// What Dynamo's guide gives a case: two to three times the observed time.
const GENEROSITY: u64 = 3;

/// Markers of cases that may take long.
const LENGTHY_MARKERS: [&str; 4] = ["slow", "e2e", "stress", "benchmark"];

/// The cases that some suite lets through: two suites may collect the same files and divide them by their expressions.
pub(super) fn running<'c>(inputs: &Inputs<'c>) -> BTreeSet<&'c str> {
    let mut running = BTreeSet::new();
    for suite in inputs.suites.iter().filter(|suite| suite.kind == SuiteKind::Pytest) {
        let Some(catalog) = inputs.catalog.suites.get(&suite.name) else { continue };
        let shut = Gate::new(inputs, suite).shut_by_set(catalog, inputs.vocabulary);
        let passes = |entry: &Entry<'_>| of_entry(&shut, entry).is_none_or(Option::is_none);
        running.extend(catalog.entries().filter(passes).map(|entry| entry.row.id.as_str()));
    }
    running
}

/// `settled` are the cases of which nothing more is to be told: those that run, and those that were told never to.
pub(super) fn check<'c>(
    inputs: &Inputs<'c>,
    suite: &Suite,
    catalog: &'c SuiteCatalog,
    settled: &mut BTreeSet<&'c str>,
    findings: &mut Vec<Finding>,
) {
    let shut = Gate::new(inputs, suite).shut_by_set(catalog, inputs.vocabulary);
    let shut_of = |entry: &Entry<'_>| of_entry(&shut, entry).copied().flatten();
    let unknown = unknown_paths(inputs);
    let never = |entry: &Entry<'_>| {
        let open = |_: &Shut| {
            !settled.contains(entry.row.id.as_str())
                && !entry.file.is_some_and(|file| is_below(file, &unknown))
        };
        shut_of(entry).filter(open)
    };
    let told = grouped(catalog, never);
    for ((_, shut), group) in &told {
        findings.push(never_run(suite, group, *shut));
        settled.extend(group.cases.iter().map(|entry| entry.row.id.as_str()));
    }
    let unlimited = |entry: &Entry<'_>| {
        if shut_of(entry).is_some() { None } else { unlimited(inputs, suite, entry) }
    };
    for ((_, why), group) in &grouped(catalog, unlimited) {
        findings.push(no_timeout(inputs, suite, group, why));
    }
}

/// The paths of suites whose cases are not known: such a suite may execute what another one does not.
fn unknown_paths<'a>(inputs: &Inputs<'a>) -> Vec<&'a str> {
    let unknown =
        |suite: &&Suite| suite.kind == SuiteKind::Pytest && !inputs.catalog.suites.contains_key(&suite.name);
    inputs.suites.iter().filter(unknown).flat_map(|suite| &suite.paths).map(String::as_str).collect()
}

fn is_below(file: &str, paths: &[&str]) -> bool {
    let starts =
        |path: &str| file.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    paths.iter().any(|path| *path == "." || starts(path))
}

/// What holds for the set of markers of a case.
fn of_entry<'s, T>(by_set: &'s [T], entry: &Entry<'_>) -> Option<&'s T> {
    by_set.get(usize::try_from(entry.row.marks).ok()?)
}

/// What a case must pass to be executed at all. Tiers are cumulative, so the last one lets through what any lets through.
struct Gate<'a> {
    tier: Option<Expression>,
    own: Option<Expression>,
    lanes: Vec<Option<&'a Expression>>,
}

/// What does not let a case through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shut {
    Tiers,
    Suite,
    Lanes,
}

impl<'a> Gate<'a> {
    fn new(inputs: &Inputs<'a>, suite: &Suite) -> Self {
        let tier = tier_expression(Tier::Release, suite.tier, &[]);
        let lanes = inputs.lanes.iter().filter(|lane| lane.suite == suite.name);
        Self {
            tier: Expression::parse(&tier).ok(),
            // An expression that cannot be read is told where it is read.
            own: suite.expression.as_deref().and_then(|own| Expression::parse(own).ok()),
            lanes: lanes.map(|lane| lane.expression.as_ref()).collect(),
        }
    }

    /// For each set of markers of a catalog: what does not let its cases through.
    fn shut_by_set(&self, catalog: &SuiteCatalog, vocabulary: &Vocabulary) -> Vec<Option<Shut>> {
        catalog.marks.iter().map(|set| self.shut(&complete(set, vocabulary))).collect()
    }

    fn shut(&self, marks: &[Mark]) -> Option<Shut> {
        let holds = |expression: &Expression| expression.matches(&Marks(marks));
        if !self.tier.as_ref().is_none_or(holds) {
            return Some(Shut::Tiers);
        }
        if !self.own.as_ref().is_none_or(holds) {
            return Some(Shut::Suite);
        }
        let no_lane = !self.lanes.is_empty() && !self.lanes.iter().any(|lane| lane.is_none_or(holds));
        no_lane.then_some(Shut::Lanes)
    }
}

fn never_run(suite: &Suite, group: &Group<'_>, shut: Shut) -> Finding {
    let verb = group.word("never runs", "never run");
    let (it, its) = (group.word("it", "them"), group.word("its", "their"));
    let name = &suite.name;
    let (why, hint) = match shut {
        Shut::Tiers => {
            (format!("no tier lets {it} through"), "add the marker of a tier, such as `nightly`".to_owned())
        }
        Shut::Suite => (
            format!("the suite's expression does not let {it} through"),
            format!("change {its} markers, or the `expression` of the suite `{name}`"),
        ),
        Shut::Lanes => (
            format!("no lane lets {it} through"),
            format!("change {its} markers, or add a lane of the suite `{name}` for {it}"),
        ),
    };
    let what = format!("{verb}: {why}");
    Finding { hint: Some(hint), ..Finding::of_group(Rule::NeverRun, suite, group, &what) }
}

/// Why a case without a `timeout` needs one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lengthy {
    Marked(&'static str),
    OfType(TestType),
    Observed,
}

fn unlimited(inputs: &Inputs<'_>, suite: &Suite, entry: &Entry<'_>) -> Option<Lengthy> {
    let has = |name: &str| entry.marks.iter().any(|mark| meant(&mark.name, inputs.vocabulary) == name);
    if has("timeout") || has("skip") {
        return None;
    }
    if let Some(name) = LENGTHY_MARKERS.into_iter().find(|name| has(name)) {
        return Some(Lengthy::Marked(name));
    }
    if matches!(suite.test_type, TestType::E2e | TestType::Stress | TestType::Benchmark) {
        return Some(Lengthy::OfType(suite.test_type));
    }
    let took = inputs.durations.get(&entry.row.id).copied().unwrap_or_default();
    (took >= LONG_MS).then_some(Lengthy::Observed)
}

fn no_timeout(inputs: &Inputs<'_>, suite: &Suite, group: &Group<'_>, why: &Lengthy) -> Finding {
    let longest = group.cases.iter().filter_map(|entry| inputs.durations.get(&entry.row.id)).max().copied();
    let be = group.word("is", "are");
    let why = match (why, longest) {
        (Lengthy::Marked(name), _) => format!("{be} marked `{name}`"),
        (Lengthy::OfType(test_type), _) => format!("{be} of the type `{test_type}`"),
        (Lengthy::Observed, longest) => {
            let upto = group.word("took", "took up to");
            format!("{upto} {}", duration_text(longest.unwrap_or(LONG_MS)))
        }
    };
    let what = format!("{why} and {} no `timeout`", group.word("has", "have"));
    let hint = match longest.filter(|longest| *longest > 0) {
        Some(longest) => {
            let seconds = longest.saturating_mul(GENEROSITY).div_ceil(1000);
            format!(
                "add `@pytest.mark.timeout({seconds})`, which is {GENEROSITY} times the longest time so far"
            )
        }
        None => "add `@pytest.mark.timeout(N)` with 2 to 3 times the seconds that it takes".to_owned(),
    };
    Finding { hint: Some(hint), ..Finding::of_group(Rule::NoTimeout, suite, group, &what) }
}
