//! Rules about executing: cases that never run, and cases without a limit.

use super::vocabulary::effective;
use super::{Finding, Group, Inputs, Rule, grouped};
use crate::catalog::{Entry, SuiteCatalog};
use crate::document::duration_text;
use crate::lane::SuiteKind;
use crate::plan::tier_expression;
use crate::project::Suite;
use crate::selection::{Expression, Mark, Marks};
use crate::stack::Millis;
use crate::tier::{TestType, Tier};

/// A case that took longer needs a limit.
const LONG_MS: Millis = 10_000;

/// What Dynamo's guide gives a case: two to three times the observed time.
const GENEROSITY: u64 = 3;

/// Markers of cases that may take long.
const LENGTHY_MARKERS: [&str; 4] = ["slow", "e2e", "stress", "benchmark"];

pub(super) fn check(inputs: &Inputs<'_>, suite: &Suite, catalog: &SuiteCatalog, findings: &mut Vec<Finding>) {
    let sets: Vec<Vec<Mark>> = catalog.marks.iter().map(|set| effective(set, inputs.vocabulary)).collect();
    let marks_of = |entry: &Entry<'_>| {
        usize::try_from(entry.row.marks).ok().and_then(|at| sets.get(at)).map_or(&[][..], Vec::as_slice)
    };
    let gate = Gate::new(inputs, suite);
    for ((_, shut), group) in &grouped(catalog, |entry| gate.shut(marks_of(entry))) {
        findings.push(never_run(suite, group, *shut));
    }
    let unlimited = |entry: &Entry<'_>| unlimited(inputs, suite, entry, marks_of(entry));
    for ((_, why), group) in &grouped(catalog, unlimited) {
        findings.push(no_timeout(inputs, suite, group, why));
    }
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

fn unlimited(inputs: &Inputs<'_>, suite: &Suite, entry: &Entry<'_>, marks: &[Mark]) -> Option<Lengthy> {
    let has = |name: &str| marks.iter().any(|mark| mark.name == name);
    if has("timeout") || has("skip") || suite.kind != SuiteKind::Pytest {
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
