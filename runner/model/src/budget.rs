//! Budgets of time: how long a run will take, what to demote when that is too long, and what took too long in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::document::duration_text;
use crate::lane::{LaneId, SuiteKind};
use crate::project::Budgets;
use crate::stack::Millis;
use crate::tier::{TestType, Tier};

/// How long cases took in earlier runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// Case id to its time.
    pub cases: BTreeMap<String, Millis>,
    /// Suite to the time of a case of which nothing is known, by the type of its tests.
    pub defaults: BTreeMap<String, BTreeMap<TestType, Millis>>,
}

/// A lane that is to be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// The lane.
    pub lane: LaneId,
    /// The nature of its tests.
    pub test_type: TestType,
    /// Cases at a time.
    pub workers: u32,
    /// What it takes besides its cases: its stack, its tool's start.
    pub fixed_ms: Millis,
    /// The ids of its cases.
    pub cases: Vec<String>,
}

/// How long a lane will take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanePrediction {
    /// The lane.
    pub lane: LaneId,
    /// All of it. A lane without cases is not executed and takes no time.
    pub predicted_ms: Millis,
    /// Its longest case.
    pub longest_ms: Millis,
    /// Cases whose time is a guess.
    pub guessed: usize,
}

/// How long a tier will take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierPrediction {
    /// All of it.
    pub predicted_ms: Millis,
    /// Its lanes.
    pub lanes: Vec<LanePrediction>,
}

/// A case that could go to a later tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demotion {
    /// Its lane.
    pub lane: LaneId,
    /// Its id.
    pub case: String,
    /// How long it takes.
    pub cost_ms: Millis,
}

/// What to demote so that a tier keeps its budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The cases, in the order in which they were chosen.
    pub demotions: Vec<Demotion>,
    /// How long the tier then takes.
    pub predicted_ms: Millis,
    /// Whether that is within the budget. It is not where the fixed costs alone are over it.
    pub fits: bool,
}

/// How long a suite took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteTook {
    /// The suite.
    pub suite: String,
    /// The nature of its tests.
    pub test_type: TestType,
    /// Its tool.
    pub kind: SuiteKind,
    /// All of it.
    pub took_ms: Millis,
    /// Its cases, each with its time in microseconds.
    pub cases: Vec<(String, u64)>,
}

/// Something that took longer than its budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Overrun {
    /// The whole tier.
    Tier {
        /// The tier.
        tier: Tier,
        /// Its budget.
        budget_ms: Millis,
        /// How long it took.
        took_ms: Millis,
    },
    /// A suite.
    Suite {
        /// The suite.
        suite: String,
        /// The nature of its tests, which has the budget.
        test_type: TestType,
        /// Its budget.
        budget_ms: Millis,
        /// How long it took.
        took_ms: Millis,
    },
    /// A case.
    Case {
        /// Its suite.
        suite: String,
        /// Its id.
        case: String,
        /// Its budget in microseconds.
        budget_us: u64,
        /// How long it took in microseconds.
        took_us: u64,
    },
}

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tier { tier, budget_ms, took_ms } => {
                let (took, budget) = (duration_text(*took_ms), duration_text(*budget_ms));
                write!(f, "the tier `{tier}` took {took}, over its budget of {budget}")
            }
            Self::Suite { suite, test_type, budget_ms, took_ms } => {
                let (took, budget) = (duration_text(*took_ms), duration_text(*budget_ms));
                write!(
                    f,
                    "the suite `{suite}` took {took}, over the budget of {budget} for suites of the type `{test_type}`"
                )
            }
            Self::Case { case, budget_us, took_us, .. } => {
                let (took, budget) = (micros_text(*took_us), micros_text(*budget_us));
                write!(f, "the case `{case}` took {took}, over its budget of {budget}")
            }
        }
    }
}

impl Durations {
    /// How long a case will take: as in earlier runs, else as its suite's default, else as cases of its type usually do. The
    /// second part says whether it is known.
    pub fn of(&self, suite: &str, test_type: TestType, case: &str) -> (Millis, bool) {
        if let Some(known) = self.cases.get(case) {
            return (*known, true);
        }
        let default = self.defaults.get(suite).and_then(|by_type| by_type.get(&test_type));
        (default.copied().unwrap_or_else(|| usual_ms(test_type)), false)
    }
}

/// How long a lane will take: its cases shared out evenly among its workers, but never less than its longest case.
pub fn predict_lane(load: &Load, durations: &Durations) -> LanePrediction {
    let times: Vec<(Millis, bool)> =
        load.cases.iter().map(|case| durations.of(&load.lane.suite, load.test_type, case)).collect();
    let state = State::new(load, durations);
    LanePrediction {
        lane: load.lane.clone(),
        predicted_ms: state.predicted_ms(),
        longest_ms: state.longest_ms(),
        guessed: times.iter().filter(|(_, known)| !known).count(),
    }
}

/// How long lanes will take together when `at_once` of them run at a time: shared out evenly, but never less than the longest.
pub fn predict_tier(loads: &[Load], durations: &Durations, at_once: u32) -> TierPrediction {
    let lanes: Vec<LanePrediction> = loads.iter().map(|load| predict_lane(load, durations)).collect();
    let predicted_ms = together(lanes.iter().map(|lane| lane.predicted_ms), at_once);
    TierPrediction { predicted_ms, lanes }
}

/// What to demote so that lanes keep a budget; nothing where they keep it already. The costliest case goes first, of the lanes
/// that are over the budget by themselves as long as there are any, and then of all.
pub fn propose(loads: &[Load], durations: &Durations, at_once: u32, budget_ms: Millis) -> Option<Proposal> {
    let mut lanes: Vec<State<'_>> = loads.iter().map(|load| State::new(load, durations)).collect();
    lanes.sort_by(|a, b| a.lane.cmp(b.lane));
    let mut predicted_ms = together(lanes.iter().map(State::predicted_ms), at_once);
    if predicted_ms <= budget_ms {
        return None;
    }
    let mut demotions = Vec::new();
    while predicted_ms > budget_ms {
        // A lane that is over the budget by itself must give up cases whatever the others do.
        let is_late = |lane: &State<'_>| lane.predicted_ms() > budget_ms;
        let any_late = lanes.iter().any(is_late);
        // Of equal cost, the first lane in order; of equal cost within a lane, the last id.
        let costliest = lanes
            .iter_mut()
            .filter(|lane| !any_late || is_late(lane))
            .filter(|lane| lane.helpful().is_some())
            .reduce(|best, lane| if lane.helpful() > best.helpful() { lane } else { best });
        let Some((lane, (cost_ms, case))) = costliest.and_then(|lane| Some((lane.lane, lane.demote()?)))
        else {
            break;
        };
        demotions.push(Demotion { lane: lane.clone(), case: case.to_owned(), cost_ms });
        predicted_ms = together(lanes.iter().map(State::predicted_ms), at_once);
    }
    Some(Proposal { demotions, predicted_ms, fits: predicted_ms <= budget_ms })
}

/// What took longer than its budget: the tier, then suites, then cases, each in the order given.
pub fn overruns(budgets: &Budgets, tier: Tier, tier_took_ms: Millis, suites: &[SuiteTook]) -> Vec<Overrun> {
    let mut overruns = Vec::new();
    if let Some(&budget_ms) = budgets.tiers.get(&tier).filter(|budget| tier_took_ms > **budget) {
        overruns.push(Overrun::Tier { tier, budget_ms, took_ms: tier_took_ms });
    }
    for took in suites {
        if let Some(&budget_ms) = budgets.suites.get(&took.test_type).filter(|budget| took.took_ms > **budget)
        {
            overruns.push(Overrun::Suite {
                suite: took.suite.clone(),
                test_type: took.test_type,
                budget_ms,
                took_ms: took.took_ms,
            });
        }
    }
    for took in suites {
        let Some(&budget_us) = budgets.cases_us.get(&(took.test_type, took.kind)) else { continue };
        let over = took.cases.iter().filter(|(_, took_us)| *took_us > budget_us);
        overruns.extend(over.map(|(case, took_us)| Overrun::Case {
            suite: took.suite.clone(),
            case: case.clone(),
            budget_us,
            took_us: *took_us,
        }));
    }
    overruns
}

/// A lane while cases are taken out of it.
struct State<'l> {
    lane: &'l LaneId,
    workers: u64,
    fixed_ms: Millis,
    sum_ms: Millis,
    cases: BTreeSet<(Millis, &'l str)>,
}

impl<'l> State<'l> {
    fn new(load: &'l Load, durations: &Durations) -> Self {
        let time = |case: &'l String| (durations.of(&load.lane.suite, load.test_type, case).0, case.as_str());
        let cases: BTreeSet<(Millis, &str)> = load.cases.iter().map(time).collect();
        Self {
            lane: &load.lane,
            workers: u64::from(load.workers.max(1)),
            fixed_ms: load.fixed_ms,
            sum_ms: cases.iter().map(|(cost, _)| *cost).fold(0, Millis::saturating_add),
            cases,
        }
    }

    fn longest_ms(&self) -> Millis {
        self.cases.last().map_or(0, |(cost, _)| *cost)
    }

    fn predicted_ms(&self) -> Millis {
        if self.cases.is_empty() {
            return 0;
        }
        self.fixed_ms.saturating_add(self.sum_ms.div_ceil(self.workers).max(self.longest_ms()))
    }

    /// The cost of the case whose demotion makes the lane shorter: its longest, which bounds it or else is the largest part of
    /// the sum that does. A case of no cost helps only by being the last: then the lane is gone.
    fn helpful(&self) -> Option<Millis> {
        let longest = self.longest_ms();
        (longest > 0 || (!self.cases.is_empty() && self.fixed_ms > 0)).then_some(longest)
    }

    fn demote(&mut self) -> Option<(Millis, &'l str)> {
        let (cost, case) = self.cases.pop_last()?;
        self.sum_ms = self.sum_ms.saturating_sub(cost);
        Some((cost, case))
    }
}

fn together(lanes: impl Iterator<Item = Millis>, at_once: u32) -> Millis {
    let (sum, longest) =
        lanes.fold((0_u64, 0), |(sum, longest), lane| (sum.saturating_add(lane), lane.max(longest)));
    sum.div_ceil(u64::from(at_once.max(1))).max(longest)
}

/// How long a case takes of which nothing is known but its type: round figures to start from, which the first run replaces.
fn usual_ms(test_type: TestType) -> Millis {
    match test_type {
        TestType::Unit => 10,
        TestType::Integration => 1000,
        TestType::Lint | TestType::Security => 5000,
        TestType::E2e => 10_000,
        TestType::Benchmark | TestType::Stress | TestType::FaultTolerance => 60_000,
    }
}

/// Microseconds as a person writes them: `800us`, `12.3ms`, `1s500ms`. Below a second nothing is rounded, so that a time never
/// looks like the budget that it is over.
fn micros_text(micros: u64) -> String {
    match (micros / 1000, micros % 1000) {
        (0, _) => format!("{micros}us"),
        (millis @ 1..1000, rest @ 1..) => {
            let fraction = format!("{rest:03}");
            format!("{millis}.{}ms", fraction.trim_end_matches('0'))
        }
        (millis, _) => duration_text(millis),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{Durations, Load, SuiteTook, micros_text, overruns, predict_lane, predict_tier, propose};
    use crate::lane::{LaneId, SuiteKind};
    use crate::project::Budgets;
    use crate::tier::{TestType, Tier};

    fn load(
        suite: &str,
        workers: u32,
        fixed_ms: u64,
        cases: &[(&str, u64)],
        durations: &mut Durations,
    ) -> Load {
        let id = |name: &str| format!("{suite}::{name}");
        durations.cases.extend(cases.iter().map(|(name, cost)| (id(name), *cost)));
        Load {
            lane: LaneId { suite: suite.to_owned(), part: None, profile: None },
            test_type: TestType::Unit,
            workers,
            fixed_ms,
            cases: cases.iter().map(|(name, _)| id(name)).collect(),
        }
    }

    #[test]
    fn a_lane_takes_its_share_or_its_longest_case_and_what_is_fixed() {
        for (workers, fixed, cases, expected) in [
            (1, 5, &[("a", 10), ("b", 20)][..], 35),
            (2, 5, &[("a", 10), ("b", 21)], 26),
            (4, 0, &[("a", 10), ("b", 10), ("c", 11), ("d", 10), ("e", 10)], 13),
            (0, 0, &[("a", 10)], 10),
            (2, 5, &[], 0),
        ] {
            let mut durations = Durations::default();
            let load = load("s", workers, fixed, cases, &mut durations);
            assert_eq!(predict_lane(&load, &durations).predicted_ms, expected, "{cases:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_guessed_by_suite_and_type() {
        let mut durations = Durations::default();
        let mut load = load("s", 1, 0, &[("a", 7)], &mut durations);
        load.cases.push("new".to_owned());
        let guessed = |durations: &Durations| {
            let lane = predict_lane(&load, durations);
            (lane.predicted_ms, lane.guessed)
        };
        assert_eq!(guessed(&durations), (17, 1));
        durations.defaults.insert("s".to_owned(), BTreeMap::from([(TestType::Unit, 100)]));
        assert_eq!(guessed(&durations), (107, 1));
    }

    #[test]
    fn a_tier_takes_its_share_or_its_longest_lane() {
        let mut durations = Durations::default();
        let loads = [
            load("a", 1, 0, &[("x", 30)], &mut durations),
            load("b", 1, 0, &[("x", 50)], &mut durations),
            load("c", 1, 0, &[("x", 40)], &mut durations),
        ];
        for (at_once, expected) in [(1, 120), (2, 60), (3, 50), (9, 50), (0, 120)] {
            assert_eq!(predict_tier(&loads, &durations, at_once).predicted_ms, expected, "{at_once}");
        }
    }

    #[test]
    fn the_costliest_cases_that_help_are_proposed() {
        let mut durations = Durations::default();
        let loads = [
            load("a", 1, 0, &[("big", 50), ("mid", 30), ("low", 10)], &mut durations),
            load("b", 1, 0, &[("big", 60)], &mut durations),
        ];
        let demoted = |at_once, budget| {
            propose(&loads, &durations, at_once, budget).map(|proposal| {
                let cases: Vec<String> = proposal.demotions.into_iter().map(|one| one.case).collect();
                (cases.join(" "), proposal.predicted_ms, proposal.fits)
            })
        };
        assert_eq!(demoted(2, 90), None);
        // `b` is costlier, but fits by itself.
        assert_eq!(demoted(2, 70), Some(("a::big".to_owned(), 60, true)));
        assert_eq!(demoted(1, 100), Some(("b::big".to_owned(), 90, true)));
        assert_eq!(demoted(1, 20), Some(("b::big a::big a::mid".to_owned(), 10, true)));
        assert_eq!(demoted(1, 0), Some(("b::big a::big a::mid a::low".to_owned(), 0, true)));
    }

    #[test]
    fn what_took_too_long_is_told_with_its_budget() {
        let budgets = Budgets {
            tiers: BTreeMap::from([(Tier::Premerge, 300_000)]),
            suites: BTreeMap::from([(TestType::Unit, 15_000)]),
            cases_us: BTreeMap::from([
                ((TestType::Unit, SuiteKind::Cargo), 1000),
                ((TestType::Unit, SuiteKind::Pytest), 10_000),
            ]),
        };
        let took = |suite: &str, kind, took_ms, case_us| SuiteTook {
            suite: suite.to_owned(),
            test_type: TestType::Unit,
            kind,
            took_ms,
            cases: vec![("a".to_owned(), case_us), ("b".to_owned(), 1000)],
        };
        let suites = [
            took("rust", SuiteKind::Cargo, 15_000, 1001),
            took("unit", SuiteKind::Pytest, 15_001, 12_345),
            took("lint", SuiteKind::PreCommit, 1, 99_999),
        ];
        let told: Vec<String> =
            overruns(&budgets, Tier::Premerge, 301_500, &suites).iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        the tier `premerge` took 5m1s500ms, over its budget of 5m
        the suite `unit` took 15s1ms, over the budget of 15s for suites of the type `unit`
        the case `a` took 1.001ms, over its budget of 1ms
        the case `a` took 12.345ms, over its budget of 10ms
        ");
        assert!(overruns(&budgets, Tier::Nightly, 301_500, &[]).is_empty());
    }

    #[test]
    fn microseconds_are_written_for_a_person() {
        for (micros, text) in [
            (0, "0us"),
            (999, "999us"),
            (1000, "1ms"),
            (1001, "1.001ms"),
            (12_300, "12.3ms"),
            (1_500_900, "1s500ms"),
        ] {
            assert_eq!(micros_text(micros), text);
        }
    }

    proptest! {
        #[test]
        fn a_proposal_keeps_the_budget_and_fewer_would_not(
            lanes in proptest::collection::vec((1_u32..4, 0_u64..20, proptest::collection::vec(0_u64..100, 0..8)), 1..5),
            at_once in 1_u32..4,
            budget in 0_u64..300,
        ) {
            let mut durations = Durations::default();
            let loads: Vec<Load> = lanes
                .iter()
                .enumerate()
                .map(|(at, (workers, fixed, costs))| {
                    let names: Vec<String> = (0..costs.len()).map(|at| format!("c{at}")).collect();
                    let cases: Vec<(&str, u64)> = names.iter().map(String::as_str).zip(costs.iter().copied()).collect();
                    load(&format!("s{at}"), *workers, *fixed, &cases, &mut durations)
                })
                .collect();
            let without = |gone: &[super::Demotion]| {
                let mut rest = loads.clone();
                for load in &mut rest {
                    load.cases.retain(|case| !gone.iter().any(|one| one.case == *case));
                }
                predict_tier(&rest, &durations, at_once).predicted_ms
            };
            match propose(&loads, &durations, at_once, budget) {
                None => prop_assert!(without(&[]) <= budget),
                Some(proposal) => {
                    prop_assert!(without(&[]) > budget);
                    prop_assert!(proposal.fits);
                    prop_assert_eq!(without(&proposal.demotions), proposal.predicted_ms);
                    let last = proposal.demotions.len().saturating_sub(1);
                    prop_assert!(without(&proposal.demotions[..last]) > budget);
                }
            }
            let mut turned = loads.clone();
            turned.reverse();
            for load in &mut turned {
                load.cases.reverse();
            }
            prop_assert_eq!(propose(&turned, &durations, at_once, budget), propose(&loads, &durations, at_once, budget));
        }
    }
}
