//! Cases executed again and again: each has one result in the end, which tells how many of its executions were red.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use testbed_model::case::{CaseResult, Counts, Outcome, Rounds};
use testbed_model::event::LogWindow;
use testbed_model::stack::Millis;
use tokio_util::sync::CancellationToken;

/// How often the cases of a run are executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    /// Once.
    #[default]
    Once,
    /// So many times.
    Times(u32),
    /// Until one is red, and at most so many times.
    UntilRed(u32),
}

impl Repeat {
    /// How often at most.
    pub const fn most(self) -> u32 {
        match self {
            Self::Once => 1,
            Self::Times(times) | Self::UntilRed(times) => times,
        }
    }
}

/// A result with the logs of its services.
pub type Told = (CaseResult, Vec<LogWindow>);

/// The rounds of one lane.
#[derive(Debug)]
pub struct LaneRounds {
    repeat: Repeat,
    /// Cancelled when some lane has seen what the run was looking for.
    enough: CancellationToken,
    book: Mutex<Held>,
}

/// What is known after some rounds.
#[derive(Debug, Default)]
struct Held {
    /// From zero.
    round: u32,
    /// Case to the result to be told, by now.
    cases: BTreeMap<String, Sum>,
    /// Ids in the order in which they first ended.
    order: Vec<String>,
    counts: Counts,
    times: Vec<(String, Millis)>,
}

/// The executions of one case.
#[derive(Clone, Debug)]
struct Sum {
    told: Told,
    rounds: Rounds,
    is_told: bool,
}

impl LaneRounds {
    /// The rounds of a lane that begins.
    pub fn new(repeat: Repeat, enough: CancellationToken) -> Self {
        Self { repeat, enough, book: Mutex::default() }
    }

    /// Whether the first round goes on, in which cases are announced and begin.
    pub fn is_first(&self) -> bool {
        self.held().round == 0
    }

    /// The number of the round that goes on, from one.
    pub fn number(&self) -> u32 {
        self.held().round + 1
    }

    /// Takes the end of one execution; gives what is to be told, where no later execution can change it.
    pub fn take(&self, result: CaseResult, logs: Vec<LogWindow>) -> Option<Told> {
        let mut held = self.held();
        let is_last = held.round + 1 >= self.repeat.most();
        let id = result.case.id.clone();
        let is_red = result.outcome.is_red();
        if let Some(sum) = held.cases.get_mut(&id) {
            sum.add((result, logs));
        } else {
            held.order.push(id.clone());
            held.cases.insert(id.clone(), Sum::of((result, logs)));
        }
        let until_red = matches!(self.repeat, Repeat::UntilRed(_));
        if is_red && until_red {
            self.enough.cancel();
        }
        if is_last || (is_red && until_red) { held.tell(&id) } else { None }
    }

    /// Ends a round. Gives whether another one is to follow.
    pub fn go_on(&self) -> bool {
        let mut held = self.held();
        if held.round + 1 >= self.repeat.most() || self.enough.is_cancelled() {
            return false;
        }
        held.round += 1;
        true
    }

    /// What is left to be told when no further round follows.
    pub fn finish(&self) -> Vec<Told> {
        let mut held = self.held();
        let order = held.order.clone();
        order.iter().filter_map(|id| held.tell(id)).collect()
    }

    /// Counts and times of what was told.
    pub fn account(&self) -> (Counts, Vec<(String, Millis)>) {
        let mut held = self.held();
        (held.counts, std::mem::take(&mut held.times))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn tell(&mut self, id: &str) -> Option<Told> {
        let sum = self.cases.get_mut(id).filter(|sum| !sum.is_told)?;
        sum.is_told = true;
        let (result, logs) = sum.told();
        self.counts.add(&result);
        if sum.rounds.executed > 0 {
            self.times.push((id.to_owned(), result.duration_ms));
        }
        Some((result, logs))
    }
}

impl Sum {
    fn of(told: Told) -> Self {
        let mut sum = Self { told, rounds: Rounds::default(), is_told: false };
        sum.count(sum.told.0.outcome);
        sum
    }

    fn count(&mut self, outcome: Outcome) {
        if !matches!(outcome, Outcome::Skipped | Outcome::Interrupted) {
            self.rounds.executed += 1;
            self.rounds.failed += u32::from(outcome.is_red());
        }
    }

    /// The first red execution is the one to be told; else one that needed more than one attempt; else the newest that ended by
    /// itself.
    fn add(&mut self, newer: Told) {
        self.count(newer.0.outcome);
        let weight = |result: &CaseResult| match result.outcome {
            outcome if outcome.is_red() => 3,
            Outcome::Skipped | Outcome::Interrupted => 0,
            _ if result.attempts > 1 => 2,
            _ => 1,
        };
        let (old, new) = (weight(&self.told.0), weight(&newer.0));
        if new > old || (new == old && new < 3) {
            self.told = newer;
        }
    }

    fn told(&self) -> Told {
        let (mut result, logs) = self.told.clone();
        let Rounds { executed, failed } = self.rounds;
        if executed > 0 {
            result.rounds = Some(self.rounds);
        }
        if failed > 0 && executed > 1 {
            let message = result.message.take().map_or_else(String::new, |message| format!(": {message}"));
            result.message = Some(format!("{failed} of {executed} failed{message}"));
        }
        (result, logs)
    }
}

#[cfg(test)]
mod tests {
    use testbed_model::case::{CaseResult, Outcome, Rounds};
    use tokio_util::sync::CancellationToken;

    use super::{LaneRounds, Repeat};
    use crate::exec::heard::bare_case;

    fn result(id: &str, outcome: Outcome) -> CaseResult {
        let message = outcome.is_red().then(|| "assert 1 == 2".to_owned());
        CaseResult { duration_ms: 5, message, ..CaseResult::new(bare_case(id), outcome) }
    }

    fn rounds(repeat: Repeat) -> LaneRounds {
        LaneRounds::new(repeat, CancellationToken::new())
    }

    #[test]
    fn a_case_that_failed_in_some_rounds_is_told_once_with_their_number() {
        let rounds = rounds(Repeat::Times(4));
        for outcome in [Outcome::Passed, Outcome::Failed, Outcome::TimedOut] {
            assert!(rounds.take(result("a", outcome), Vec::new()).is_none());
            assert!(rounds.take(result("b", Outcome::Passed), Vec::new()).is_none());
            assert!(rounds.go_on());
        }
        let (told, _) = rounds.take(result("a", Outcome::Passed), Vec::new()).unwrap();
        assert_eq!((told.outcome, told.rounds), (Outcome::Failed, Some(Rounds { executed: 4, failed: 2 })));
        assert_eq!(told.message.as_deref(), Some("2 of 4 failed: assert 1 == 2"));
        assert!(!rounds.go_on());
        let rest = rounds.finish();
        assert_eq!((rest.len(), rest[0].0.rounds), (1, Some(Rounds { executed: 3, failed: 0 })));
        let (counts, times) = rounds.account();
        assert_eq!((counts.failed, counts.passed, times.len()), (1, 1, 2));
    }

    #[test]
    fn the_first_red_one_is_the_last_where_that_is_what_is_looked_for() {
        let enough = CancellationToken::new();
        let looking = LaneRounds::new(Repeat::UntilRed(100), enough.clone());
        let other = LaneRounds::new(Repeat::UntilRed(100), enough);
        assert!(looking.take(result("a", Outcome::Passed), Vec::new()).is_none());
        assert!(looking.go_on() && !looking.is_first() && looking.number() == 2);
        let (told, _) = looking.take(result("a", Outcome::Failed), Vec::new()).unwrap();
        assert_eq!(told.message.as_deref(), Some("1 of 2 failed: assert 1 == 2"));
        assert!(!looking.go_on() && !other.go_on(), "no lane goes on");
    }

    #[test]
    fn what_was_interrupted_or_skipped_counts_for_nothing() {
        let rounds = rounds(Repeat::Times(3));
        rounds.take(result("a", Outcome::Passed), Vec::new());
        rounds.go_on();
        rounds.take(result("a", Outcome::Interrupted), Vec::new());
        rounds.take(result("b", Outcome::Skipped), Vec::new());
        let told = rounds.finish();
        assert_eq!(
            (told[0].0.outcome, told[0].0.rounds),
            (Outcome::Passed, Some(Rounds { executed: 1, failed: 0 }))
        );
        assert_eq!((told[1].0.outcome, told[1].0.rounds), (Outcome::Skipped, None));
    }
}
