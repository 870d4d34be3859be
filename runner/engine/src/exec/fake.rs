//! An executor that does nothing for real: lanes and stacks behave as they are told to, and all that is asked is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use testbed_model::case::Counts;
use testbed_model::event::LaneFailure;
use testbed_model::lane::Lane;
use testbed_model::stack::Stack;
use tokio_util::sync::CancellationToken;

use super::drive::LaneEnd;
use crate::schedule::{Effects, Parting};
use crate::stack::StackError;

/// How a fake lane behaves.
#[derive(Clone, Debug, Default)]
pub struct FakeLane {
    /// How long its preparation takes.
    pub prepares: Duration,
    /// Why its preparation fails.
    pub unprepared: Option<LaneFailure>,
    /// How long it takes.
    pub takes: Duration,
    /// Its cases.
    pub counts: Counts,
    /// Why it fails beyond its cases.
    pub failure: Option<LaneFailure>,
    /// Whether it breaks its stack.
    pub breaks_stack: bool,
}

/// How a fake stack behaves.
#[derive(Clone, Debug, Default)]
pub struct FakeStack {
    /// How long it takes to come up.
    pub rises: Duration,
    /// Why it does not.
    pub fails: Option<String>,
}

/// A fake executor.
#[derive(Debug, Default)]
pub struct FakeExecutor {
    /// Lanes by name; one that is not here passes at once with no cases.
    lanes: BTreeMap<String, FakeLane>,
    /// Stacks by profile; one that is not here comes up at once.
    stacks: BTreeMap<String, FakeStack>,
    log: Mutex<Vec<String>>,
    standing: Mutex<BTreeSet<String>>,
}

/// A fake stack that stands.
#[derive(Debug)]
pub struct Standing {
    profile: String,
}

impl FakeExecutor {
    /// One whose lanes and stacks behave as given, by name.
    pub fn new(lanes: BTreeMap<String, FakeLane>, stacks: BTreeMap<String, FakeStack>) -> Self {
        Self { lanes, stacks, ..Self::default() }
    }

    /// What was done, in order: `prepare lint`, `raise a`, `execute e2e@a`, `executed e2e@a`, `lower a`, ...
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stacks that stand.
    pub fn standing(&self) -> Vec<String> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn note(&self, what: String) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    fn lane(&self, lane: &Lane) -> FakeLane {
        self.lanes.get(&lane.id.to_string()).cloned().unwrap_or_default()
    }
}

impl Effects for FakeExecutor {
    type Prepared = ();
    type Stack = Standing;

    async fn prepare(&self, lane: &Lane, cancel: &CancellationToken) -> Result<(), LaneFailure> {
        let fake = self.lane(lane);
        self.note(format!("prepare {}", lane.id));
        tokio::select! {
            () = tokio::time::sleep(fake.prepares) => fake.unprepared.map_or(Ok(()), Err),
            () = cancel.cancelled() => {
                Err(LaneFailure { message: "cancelled".to_owned(), environment: false, log: Vec::new() })
            }
        }
    }

    async fn raise(&self, stack: &Stack, cancel: &CancellationToken) -> Result<Standing, StackError> {
        let fake = self.stacks.get(&stack.profile).cloned().unwrap_or_default();
        self.note(format!("raise {}", stack.profile));
        tokio::select! {
            () = tokio::time::sleep(fake.rises) => {}
            () = cancel.cancelled() => return Err(StackError::Cancelled { stack: stack.profile.clone() }),
        }
        if let Some(message) = fake.fails {
            return Err(StackError::Host { message });
        }
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).insert(stack.profile.clone());
        Ok(Standing { profile: stack.profile.clone() })
    }

    async fn lower(&self, stack: Standing, parting: Parting) -> Result<(), StackError> {
        let how = if parting == Parting::Red { " after red lanes" } else { "" };
        self.note(format!("lower {}{how}", stack.profile));
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).remove(&stack.profile);
        Ok(())
    }

    async fn execute(
        &self,
        lane: &Lane,
        (): (),
        stack: Option<&Standing>,
        cancel: &CancellationToken,
    ) -> LaneEnd {
        let fake = self.lane(lane);
        self.note(format!("execute {}", lane.id));
        tokio::select! {
            () = tokio::time::sleep(fake.takes) => {}
            () = cancel.cancelled() => {}
        }
        self.note(format!("executed {}", lane.id));
        let broken_stack = stack
            .filter(|_| fake.breaks_stack)
            .map(|stack| format!("a service of `{}` ended", stack.profile));
        LaneEnd { counts: fake.counts, failure: fake.failure, broken_stack, times: Vec::new() }
    }
}
