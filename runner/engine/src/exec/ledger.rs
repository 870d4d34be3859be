//! The book of a lane's cases: every case that was announced or began ends in it, whatever happens to the tool.

use std::collections::BTreeMap;

use testbed_model::case::{Case, CaseResult, Counts, Outcome};
use testbed_model::stack::Millis;

use super::heard::bare_case;

/// Where one case is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Announced.
    Waiting,
    /// Began, at this time.
    Running(Millis),
    /// Ended.
    Done,
}

/// Why a lane ended before all of its cases did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The tool ended by itself, without telling of them.
    ToolEnded(String),
    /// The lane's time ran out.
    TimedOut(Millis),
    /// One case exceeded its time and the tool did not end it.
    CaseOverdue {
        /// Case.
        case: String,
        /// Its time.
        limit_ms: Millis,
    },
    /// The run was cancelled.
    Cancelled,
    /// The stack broke under the lane.
    Environment(String),
}

/// The cases of one lane.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    cases: BTreeMap<String, (Case, State)>,
    /// Ids in the order of announcement, so that what never ran is reported in that order.
    order: Vec<String>,
    counts: Counts,
    /// How long each executed case took, in the order in which they ended.
    times: Vec<(String, Millis)>,
}

impl Ledger {
    /// Announces cases. One that is known already is left as it is.
    pub fn collected(&mut self, cases: &[Case]) {
        for case in cases {
            self.enter(case.clone());
        }
    }

    /// Whether a case was announced, began or ended.
    pub fn knows(&self, id: &str) -> bool {
        self.cases.contains_key(id)
    }

    /// A case begins. Gives false if it began before: then this is another attempt.
    pub fn started(&mut self, id: &str, now: Millis) -> bool {
        if !self.cases.contains_key(id) {
            self.enter(bare_case(id));
        }
        match self.cases.get_mut(id) {
            Some((_, state @ State::Waiting)) => {
                *state = State::Running(now);
                true
            }
            _ => false,
        }
    }

    /// A case ends: the result with what was announced of the case, and when it began. A second end of the same case is
    /// no result: pytest-xdist tells one each time that a case takes its worker process with it.
    pub fn finished(&mut self, mut result: CaseResult, now: Millis) -> Option<(CaseResult, Millis)> {
        let id = result.case.id.clone();
        if !self.cases.contains_key(&id) {
            self.enter(result.case.clone());
        }
        let (case, state) = self.cases.get_mut(&id)?;
        let began = match std::mem::replace(state, State::Done) {
            State::Done => return None,
            State::Running(since) => since,
            State::Waiting => now.saturating_sub(result.duration_ms),
        };
        result.case.file = result.case.file.or_else(|| case.file.clone());
        result.case.line = result.case.line.or(case.line);
        if result.case.markers.is_empty() {
            result.case.markers.clone_from(&case.markers);
        }
        self.counts.add(&result);
        if result.outcome != Outcome::Skipped {
            self.times.push((id, result.duration_ms));
        }
        Some((result, began))
    }

    /// A case that has run for longer than `limit`, if there is one.
    pub fn overdue(&self, now: Millis, limit: Millis) -> Option<&str> {
        let late =
            |state: &State| matches!(state, State::Running(since) if now.saturating_sub(*since) > limit);
        self.cases.iter().find(|(_, (_, state))| late(state)).map(|(id, _)| id.as_str())
    }

    /// Whether a case is running.
    pub fn has_running(&self) -> bool {
        self.cases.values().any(|(_, state)| matches!(state, State::Running(_)))
    }

    /// Counts of the cases that have ended.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes the times of the cases that came to an end by themselves.
    pub fn take_times(&mut self) -> Vec<(String, Millis)> {
        std::mem::take(&mut self.times)
    }

    /// Ends all that has not ended: what ran, by the reason; what did not, as skipped. Each with its start.
    pub fn close(&mut self, cut: &Cut, now: Millis) -> Vec<(CaseResult, Millis)> {
        let mut results = Vec::new();
        for id in std::mem::take(&mut self.order) {
            let Some((case, state)) = self.cases.get_mut(&id) else { continue };
            let (outcome, message, began) = match state {
                State::Done => continue,
                State::Running(since) => {
                    let (outcome, message) = cut.verdict_of_running(&id);
                    (outcome, message, *since)
                }
                State::Waiting => (Outcome::Skipped, format!("not executed: {}", cut.reason()), now),
            };
            *state = State::Done;
            let result = CaseResult {
                duration_ms: now.saturating_sub(began),
                message: Some(message),
                ..CaseResult::new(case.clone(), outcome)
            };
            self.counts.add(&result);
            results.push((result, began));
        }
        results
    }

    fn enter(&mut self, case: Case) {
        if !self.cases.contains_key(&case.id) {
            self.order.push(case.id.clone());
            self.cases.insert(case.id.clone(), (case, State::Waiting));
        }
    }
}

impl Cut {
    /// The reason in words, lower case, without final dot.
    pub fn reason(&self) -> String {
        match self {
            Self::ToolEnded(how) => how.clone(),
            Self::TimedOut(ms) => format!("the suite's time of {} ran out", seconds(*ms)),
            Self::CaseOverdue { case, limit_ms } => {
                format!(
                    "`{case}` exceeded its time of {} and had to be ended with its tool",
                    seconds(*limit_ms)
                )
            }
            Self::Cancelled => "the run was interrupted".to_owned(),
            Self::Environment(what) => what.clone(),
        }
    }

    fn verdict_of_running(&self, id: &str) -> (Outcome, String) {
        match self {
            Self::ToolEnded(how) => (Outcome::Error, format!("it was running when {how}")),
            Self::TimedOut(_) => (Outcome::TimedOut, format!("it was running when {}", self.reason())),
            Self::CaseOverdue { case, limit_ms } if case == id => {
                (Outcome::TimedOut, format!("it exceeded its time of {}", seconds(*limit_ms)))
            }
            Self::CaseOverdue { .. } | Self::Cancelled | Self::Environment(_) => {
                (Outcome::Interrupted, format!("it was running when {}", self.reason()))
            }
        }
    }
}

fn seconds(ms: Millis) -> String {
    if ms.is_multiple_of(1000) { format!("{} s", ms / 1000) } else { format!("{ms} ms") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use testbed_model::case::{Case, CaseResult, Outcome};

    use super::{Cut, Ledger};
    use crate::exec::heard::bare_case;

    fn result(id: &str, outcome: Outcome) -> CaseResult {
        CaseResult { duration_ms: 5, ..CaseResult::new(bare_case(id), outcome) }
    }

    fn outcomes(results: &[(CaseResult, u64)]) -> Vec<(&str, Outcome)> {
        results.iter().map(|(result, _)| (result.case.id.as_str(), result.outcome)).collect()
    }

    fn ledger(announced: &[&str], running: &[&str]) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.collected(&announced.iter().map(|id| bare_case(*id)).collect::<Vec<_>>());
        for id in running {
            ledger.started(id, 100);
        }
        ledger
    }

    #[test]
    fn a_crash_makes_the_running_case_an_error_and_names_the_others() {
        let mut ledger = ledger(&["a", "b", "c"], &["a", "b"]);
        ledger.finished(result("a", Outcome::Passed), 110);
        let rest = ledger.close(&Cut::ToolEnded("pytest ended with signal 11".to_owned()), 150);
        assert_eq!(outcomes(&rest), [("b", Outcome::Error), ("c", Outcome::Skipped)]);
        assert_eq!(rest[0].0.message.as_deref(), Some("it was running when pytest ended with signal 11"));
        assert_eq!(rest[0].0.duration_ms, 50);
        assert_eq!(rest[1].0.message.as_deref(), Some("not executed: pytest ended with signal 11"));
        let counts = ledger.counts();
        assert_eq!((counts.passed, counts.errors, counts.skipped), (1, 1, 1));
    }

    #[test]
    fn each_reason_has_its_verdict_for_what_was_running() {
        let overdue = Cut::CaseOverdue { case: "a".to_owned(), limit_ms: 1500 };
        for (cut, expected) in [
            (Cut::TimedOut(60_000), [Outcome::TimedOut, Outcome::TimedOut]),
            (overdue, [Outcome::TimedOut, Outcome::Interrupted]),
            (Cut::Cancelled, [Outcome::Interrupted, Outcome::Interrupted]),
            (Cut::Environment("`worker-0` died".to_owned()), [Outcome::Interrupted, Outcome::Interrupted]),
        ] {
            let rest = ledger(&[], &["a", "b"]).close(&cut, 200);
            assert_eq!(
                rest.iter().map(|(result, _)| result.outcome).collect::<Vec<_>>(),
                expected,
                "{cut:?}"
            );
        }
    }

    #[test]
    fn a_result_takes_over_what_was_announced_of_its_case() {
        let mut ledger = Ledger::default();
        let markers = vec!["e2e".to_owned()];
        let case = Case { file: Some("t.py".to_owned()), line: Some(3), markers, ..bare_case("a") };
        ledger.collected(std::slice::from_ref(&case));
        ledger.started("a", 7);
        let (ended, began) = ledger.finished(result("a", Outcome::Failed), 20).unwrap();
        assert_eq!((ended.case, began), (case, 7));
        assert_eq!(ledger.finished(result("a", Outcome::Passed), 30), None);
        assert_eq!((ledger.counts().failed, ledger.counts().passed), (1, 0));
    }

    #[test]
    fn a_case_is_overdue_only_while_it_runs() {
        let mut ledger = ledger(&["a", "b"], &["a"]);
        assert_eq!(ledger.overdue(1000, 900), None);
        assert_eq!(ledger.overdue(1001, 900), Some("a"));
        ledger.finished(result("a", Outcome::Passed), 1001);
        assert_eq!(ledger.overdue(5000, 900), None);
    }

    proptest! {
        /// Whatever comes in whatever order, each id ends exactly once, and the counts are those of the results.
        #[test]
        fn no_case_vanishes(steps in proptest::collection::vec((0u8..3, 0u8..6), 0..60)) {
            let mut ledger = Ledger::default();
            let mut known = std::collections::BTreeSet::new();
            let mut ended = Vec::new();
            for (now, (what, which)) in steps.into_iter().enumerate() {
                let (id, now) = (format!("case-{which}"), now as u64);
                match what {
                    0 => ledger.collected(&[bare_case(id.as_str())]),
                    1 => drop(ledger.started(&id, now)),
                    _ => ended.extend(ledger.finished(result(&id, Outcome::Passed), now)),
                }
                known.insert(id);
            }
            ended.extend(ledger.close(&Cut::Cancelled, 100));
            let ids: std::collections::BTreeSet<_> = ended.iter().map(|(result, _)| result.case.id.clone()).collect();
            prop_assert_eq!(ids.len(), ended.len());
            prop_assert_eq!(known, ids);
            let counts = ledger.counts();
            let total = counts.executed() + counts.skipped + counts.interrupted;
            prop_assert_eq!(total as usize, ended.len());
            prop_assert!(!ledger.has_running() && ledger.close(&Cut::Cancelled, 101).is_empty());
        }
    }
}
