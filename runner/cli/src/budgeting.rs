//! Budgets around a plan: what is predicted before anything starts, and what was over in the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use testbed_engine::schedule::LaneTook;
use testbed_model::budget::{self, Durations, Load, Overrun, SuiteTook, TierPrediction};
use testbed_model::document::duration_text;
use testbed_model::lane::Lane;
use testbed_model::plan::Plan;
use testbed_model::project::Budgets;
use testbed_model::stack::Millis;

/// What a lane takes besides its cases when nothing is known of it: a container with its tool, and a stack.
const TOOL_MS: Millis = 1500;
const STACK_MS: Millis = 3000;

/// A message shows so many cases, and counts the rest.
const SHOWN: usize = 5;

/// How long a plan will take, as far as earlier runs tell.
#[derive(Debug)]
pub struct Forecast {
    /// The tier and its lanes.
    pub prediction: TierPrediction,
    /// The tier's budget, where it has one.
    pub budget_ms: Option<Millis>,
    /// What to demote, where it is over its budget.
    proposal: Option<budget::Proposal>,
}

impl Forecast {
    /// The forecast of a plan on a host with so many cores.
    pub fn of(plan: &Plan, budgets: &Budgets, durations: &Durations, cores: u32) -> Self {
        let loads: Vec<Load> = plan.lanes.iter().map(|lane| load(lane, durations)).collect();
        let budget_ms = budgets.tiers.get(&plan.tier).copied();
        Self {
            prediction: budget::predict_tier(&loads, durations, cores),
            budget_ms,
            proposal: budget_ms.and_then(|budget| budget::propose(&loads, durations, cores, budget)),
        }
    }

    /// The forecast in one line.
    pub fn line(&self) -> String {
        let guessed: usize = self.prediction.lanes.iter().map(|lane| lane.guessed).sum();
        let mut line = format!("predicted {}", text(self.prediction.predicted_ms));
        if guessed > 0 {
            let _ = write!(line, ", {guessed} cases guessed");
        }
        match self.budget_ms {
            Some(budget) => line + &format!("; the budget is {}", duration_text(budget)),
            None => line,
        }
    }

    /// What to say before anything starts, where the plan is over its budget.
    pub fn warning(&self) -> Option<String> {
        let (proposal, budget) = (self.proposal.as_ref()?, self.budget_ms?);
        let mut message = format!(
            "the plan takes {} as predicted, over its budget of {}",
            text(self.prediction.predicted_ms),
            duration_text(budget)
        );
        let named =
            proposal.demotions.iter().take(SHOWN).map(|it| format!("`{}` ({})", it.case, text(it.cost_ms)));
        let named: Vec<String> = named.collect();
        if !named.is_empty() {
            let more = proposal.demotions.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let then = text(proposal.predicted_ms);
            let _ = write!(message, "; demoting {}{more} would make it {then}", named.join(", "));
        }
        Some(message)
    }
}

fn load(lane: &Lane, durations: &Durations) -> Load {
    let usual = TOOL_MS + if lane.id.profile.is_some() { STACK_MS } else { 0 };
    Load {
        lane: lane.id.clone(),
        test_type: lane.test_type,
        workers: lane.workers,
        fixed_ms: durations.cases.get(&fixed_key(&lane.id.to_string())).copied().unwrap_or(usual),
        cases: lane.cases.as_ref().map_or_else(Vec::new, |cases| cases.ids.clone()),
    }
}

/// Under which name a lane's fixed cost is kept beside the cases; no case is called so.
fn fixed_key(lane: &str) -> String {
    format!("lane {lane}, besides its cases")
}

/// What a run shows for the next one: each case's time, and what each lane took besides.
pub fn lessons(plan: &Plan, took: &[LaneTook]) -> Vec<(String, Millis)> {
    let mut lessons = Vec::new();
    for lane in took {
        let workers = plan.lanes.iter().find(|it| it.id == lane.lane).map_or(1, |it| it.workers.max(1));
        let cases: Millis = lane.cases.iter().map(|(_, millis)| millis).sum();
        let fixed = lane.took_ms.saturating_sub(cases / u64::from(workers));
        lessons.push((fixed_key(&lane.lane.to_string()), fixed));
        lessons.extend(lane.cases.iter().cloned());
    }
    lessons
}

/// What took longer than its budget.
pub fn overruns(plan: &Plan, budgets: &Budgets, took_ms: Millis, took: &[LaneTook]) -> Vec<Overrun> {
    let mut suites: BTreeMap<&str, SuiteTook> = BTreeMap::new();
    for lane in took {
        let Some(planned) = plan.lanes.iter().find(|it| it.id == lane.lane) else { continue };
        let suite = suites.entry(&lane.lane.suite).or_insert_with(|| SuiteTook {
            suite: lane.lane.suite.clone(),
            test_type: planned.test_type,
            kind: planned.kind,
            took_ms: 0,
            cases: Vec::new(),
        });
        suite.took_ms += lane.took_ms;
        suite.cases.extend(lane.cases.iter().map(|(case, millis)| (case.clone(), millis * 1000)));
    }
    let suites: Vec<SuiteTook> = suites.into_values().collect();
    budget::overruns(budgets, plan.tier, took_ms, &suites)
}

/// Overruns as messages: single cases of a suite share one, which names the worst.
pub fn messages(overruns: &[Overrun]) -> Vec<String> {
    let (mut cases, others): (Vec<&Overrun>, Vec<&Overrun>) =
        overruns.iter().partition(|overrun| matches!(overrun, Overrun::Case { .. }));
    let mut messages: Vec<String> = others.into_iter().map(ToString::to_string).collect();
    let excess = |overrun: &Overrun| match overrun {
        Overrun::Case { took_us, .. } => *took_us,
        _ => 0,
    };
    cases.sort_by_key(|overrun| std::cmp::Reverse(excess(overrun)));
    messages.extend(cases.iter().take(SHOWN).map(ToString::to_string));
    if cases.len() > SHOWN {
        messages.push(format!("{} more cases took longer than their budget", cases.len() - SHOWN));
    }
    messages
}

/// A predicted time: nobody knows it to the millisecond.
fn text(millis: Millis) -> String {
    if millis < 10_000 {
        duration_text(millis.div_ceil(100) * 100)
    } else {
        duration_text(millis.div_ceil(1000) * 1000)
    }
}

#[cfg(test)]
mod tests {
    use testbed_model::budget::Overrun;

    use super::messages;

    #[test]
    fn of_many_cases_over_their_budget_the_worst_are_named() {
        let case = |took_us: u64| Overrun::Case {
            suite: "unit".to_owned(),
            case: format!("case-{took_us}"),
            budget_us: 10,
            took_us,
        };
        let messages = messages(&[1_000, 9_000, 3_000, 4_000, 5_000, 6_000, 7_000].map(case));
        assert_eq!(messages.len(), 6);
        assert!(messages[0].starts_with("the case `case-9000` took 9ms"), "{messages:?}");
        assert_eq!(messages[5], "2 more cases took longer than their budget");
    }
}
