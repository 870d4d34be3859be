//! The schedule of a run: which lane and which stack comes when.
//!
//! The decisions are [`order::Order`]'s, a state machine without a daemon; this module performs them. Host preparation
//! begins at once, stacks come up early beside lanes that need none, lanes of one stack never overlap, and a stack goes as
//! soon as its last lane has ended.

pub mod order;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;

use testbed_model::case::Counts;
use testbed_model::event::{Event, LaneFailure};
use testbed_model::lane::{Lane, LaneId};
use testbed_model::plan::Plan;
use testbed_model::stack::{Millis, Stack};
use testbed_model::verdict::Damage;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

pub use self::order::Capacity;
use self::order::{Action, Input, Order};
use crate::events::Events;
use crate::exec::drive::LaneEnd;
use crate::stack::StackError;

/// What a schedule has done: by the daemon and the host, or by a fake.
pub trait Effects: Send + Sync + 'static {
    /// What the host's preparation of a lane gives.
    type Prepared: Send + 'static;
    /// A stack that serves.
    type Stack: Send + Sync + 'static;

    /// Prepares a lane on the host.
    fn prepare(
        &self,
        lane: &Lane,
        cancel: &CancellationToken,
    ) -> impl Future<Output = Result<Self::Prepared, LaneFailure>> + Send;

    /// Brings a stack up. When it fails or is cancelled, nothing of it may be left.
    fn raise(
        &self,
        stack: &Stack,
        cancel: &CancellationToken,
    ) -> impl Future<Output = Result<Self::Stack, StackError>> + Send;

    /// Takes a stack down, or leaves it standing where that is wished after what became of its lanes.
    fn lower(
        &self,
        stack: Self::Stack,
        parting: Parting,
    ) -> impl Future<Output = Result<(), StackError>> + Send;

    /// Executes a lane. When it returns, nothing of the lane may be left.
    fn execute(
        &self,
        lane: &Lane,
        prepared: Self::Prepared,
        stack: Option<&Self::Stack>,
        cancel: &CancellationToken,
    ) -> impl Future<Output = LaneEnd> + Send;
}

/// What became of the lanes of a stack that nobody needs any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// None was red, or the run is interrupted and everything has to go.
    Settled,
    /// One was.
    Red,
}

/// What a run amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOutcome {
    /// Cases of all lanes.
    pub counts: Counts,
    /// What ended badly besides cases.
    pub damage: Damage,
    /// How long the lanes took, in the order in which they ended.
    pub took: Vec<LaneTook>,
}

/// How long a lane took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneTook {
    /// Which.
    pub lane: LaneId,
    /// All of it.
    pub took_ms: Millis,
    /// Its executed cases.
    pub cases: Vec<(String, Millis)>,
}

/// Performs a plan and returns when everything that it made is gone again, also when it was cancelled.
pub async fn run<E: Effects>(
    plan: &Plan,
    effects: Arc<E>,
    capacity: Capacity,
    events: &Events,
    cancel: &CancellationToken,
) -> RunOutcome {
    let mut driver = Driver {
        plan: Arc::new(plan.clone()),
        effects,
        events: events.clone(),
        cancel: cancel.clone(),
        order: Order::new(plan, capacity),
        tasks: JoinSet::new(),
        panicked: HashMap::new(),
        prepared: HashMap::new(),
        stacks: HashMap::new(),
        started: HashMap::new(),
        red: HashSet::new(),
        outcome: RunOutcome::default(),
    };
    driver.drive().await;
    driver.outcome
}

/// What a task brings back.
enum Brought<E: Effects> {
    Prepared(usize, Result<E::Prepared, LaneFailure>),
    Raised(usize, Result<E::Stack, StackError>),
    Ended(usize, LaneEnd),
    Lowered(usize, Result<(), StackError>),
}

struct Driver<E: Effects> {
    plan: Arc<Plan>,
    effects: Arc<E>,
    events: Events,
    cancel: CancellationToken,
    order: Order,
    tasks: JoinSet<Brought<E>>,
    /// What a task's panic amounts to, by task.
    panicked: HashMap<Id, Input>,
    /// By lane.
    prepared: HashMap<usize, E::Prepared>,
    /// By stack.
    stacks: HashMap<usize, Arc<E::Stack>>,
    /// When a lane started, by lane.
    started: HashMap<usize, Millis>,
    /// Profiles of which a lane was red.
    red: HashSet<String>,
    outcome: RunOutcome,
}

impl<E: Effects> Driver<E> {
    async fn drive(&mut self) {
        self.step(Input::Begin);
        let mut cancelled = false;
        loop {
            let cancel = self.cancel.clone();
            tokio::select! {
                // First: what the cancel itself makes fail must not be taken for a failure.
                biased;
                () = cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    self.outcome.damage.interrupted = true;
                    self.step(Input::Cancel);
                }
                brought = self.tasks.join_next_with_id() => match brought {
                    Some(brought) => self.take(brought),
                    None => break,
                },
            }
        }
    }

    fn take(&mut self, brought: Result<(Id, Brought<E>), JoinError>) {
        let input = match brought {
            Ok((id, brought)) => {
                self.panicked.remove(&id);
                Some(self.understand(brought))
            }
            Err(error) => {
                let message = format!("a bug in Testbed: {error}");
                self.events.emit(Event::Warning { message, hint: None });
                self.outcome.damage.environment = true;
                self.panicked.remove(&error.id())
            }
        };
        if let Some(input) = input {
            self.step(input);
        }
    }

    fn understand(&mut self, brought: Brought<E>) -> Input {
        match brought {
            Brought::Prepared(lane, Ok(prepared)) => {
                self.prepared.insert(lane, prepared);
                Input::Prepared { lane, failure: None }
            }
            Brought::Prepared(lane, Err(failure)) => Input::Prepared { lane, failure: Some(failure) },
            Brought::Raised(stack, Ok(live)) => {
                self.stacks.insert(stack, Arc::new(live));
                Input::StackUp { stack }
            }
            Brought::Raised(stack, Err(error)) => {
                match &error {
                    StackError::Cancelled { .. } => {}
                    // The stack has told it itself, with all that a person needs to see.
                    StackError::Failed { .. } => self.outcome.damage.environment = true,
                    _ => self.warn(&error),
                }
                Input::StackFailed { stack, message: error.to_string() }
            }
            Brought::Ended(lane, end) => {
                let environment = end.failure.as_ref().is_none_or(|failure| failure.environment);
                let broken = end.broken_stack.clone();
                let broken = broken.map(|message| LaneFailure { message, environment, log: Vec::new() });
                self.finish(lane, end);
                Input::LaneEnded { lane, broken }
            }
            Brought::Lowered(stack, lowered) => {
                if let Err(error) = lowered {
                    self.warn(&error);
                }
                Input::StackDown { stack }
            }
        }
    }

    fn step(&mut self, input: Input) {
        let now = self.events.clock().elapsed_ms();
        for action in self.order.step(input, now) {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Prepare { lane } => {
                let (effects, plan, cancel) = self.shared();
                let panicked = Input::Prepared { lane, failure: Some(bug("while it was prepared")) };
                let task = async move {
                    let Some(planned) = plan.lanes.get(lane) else {
                        return Brought::Prepared(lane, Err(bug("in the plan")));
                    };
                    Brought::Prepared(lane, effects.prepare(planned, &cancel).await)
                };
                self.spawn(task, panicked);
            }
            Action::Raise { stack } => {
                let (effects, plan, cancel) = self.shared();
                let panicked = Input::StackFailed { stack, message: "a bug in Testbed".to_owned() };
                let task = async move {
                    let message = "it is not in the plan".to_owned();
                    let Some(planned) = plan.stacks.get(stack) else {
                        return Brought::Raised(stack, Err(StackError::Host { message }));
                    };
                    Brought::Raised(stack, effects.raise(planned, &cancel).await)
                };
                self.spawn(task, panicked);
            }
            Action::Start { lane, stack, waited_ms } => self.start(lane, stack, waited_ms),
            Action::Lower { stack } => self.lower(stack),
            Action::Report { lane, failure } => self.finish(lane, LaneEnd::without_cases(failure)),
        }
    }

    fn start(&mut self, lane: usize, stack: Option<usize>, waited_ms: Millis) {
        let (effects, plan, cancel) = self.shared();
        let live = stack.and_then(|stack| self.stacks.get(&stack).cloned());
        let prepared = self.prepared.remove(&lane);
        self.started.insert(lane, self.events.clock().elapsed_ms());
        self.events.emit(Event::LaneStarted { lane: self.id(lane), waited_ms });
        let task = async move {
            let (Some(planned), Some(prepared)) = (plan.lanes.get(lane), prepared) else {
                return Brought::Ended(lane, LaneEnd::without_cases(bug("before it was started")));
            };
            let end = effects.execute(planned, prepared, live.as_deref(), &cancel).await;
            // The stack is taken down when its last user has let it go.
            drop(live);
            Brought::Ended(lane, end)
        };
        self.spawn(task, Input::LaneEnded { lane, broken: None });
    }

    fn lower(&mut self, stack: usize) {
        let effects = Arc::clone(&self.effects);
        let live = self.stacks.remove(&stack).and_then(Arc::into_inner);
        let profile = self.plan.stacks.get(stack).map(|stack| &stack.profile);
        let is_red = profile.is_some_and(|profile| self.red.contains(profile));
        let parting =
            if is_red && !self.outcome.damage.interrupted { Parting::Red } else { Parting::Settled };
        let task = async move {
            let lowered = match live {
                Some(live) => effects.lower(live, parting).await,
                None => Err(StackError::Host { message: "a stack is still in use at its end".to_owned() }),
            };
            Brought::Lowered(stack, lowered)
        };
        self.spawn(task, Input::StackDown { stack });
    }

    fn spawn(&mut self, task: impl Future<Output = Brought<E>> + Send + 'static, panicked: Input) {
        let handle = self.tasks.spawn(task);
        self.panicked.insert(handle.id(), panicked);
    }

    fn finish(&mut self, lane: usize, end: LaneEnd) {
        let LaneEnd { counts, failure, times: cases, .. } = end;
        if counts.red() > 0 || failure.is_some() {
            self.red.extend(self.plan.lanes.get(lane).and_then(|lane| lane.id.profile.clone()));
        }
        self.outcome.counts = Counts::sum([self.outcome.counts, counts]);
        if let Some(failure) = &failure
            && !self.outcome.damage.interrupted
        {
            self.outcome.damage.environment |= failure.environment;
            self.outcome.damage.lane |= !failure.environment;
        }
        let now = self.events.clock().elapsed_ms();
        let took_ms = self.started.remove(&lane).map_or(0, |started| now.saturating_sub(started));
        let lane = self.id(lane);
        self.outcome.took.push(LaneTook { lane: lane.clone(), took_ms, cases });
        self.events.emit(Event::LaneFinished { lane, counts, took_ms, failure });
    }

    fn warn(&mut self, error: &StackError) {
        use testbed_model::hint::Hint as _;
        self.outcome.damage.environment = true;
        self.events.emit(Event::Warning { message: error.to_string(), hint: error.hint() });
    }

    fn id(&self, lane: usize) -> LaneId {
        let unknown = || LaneId { suite: String::new(), part: None, profile: None };
        self.plan.lanes.get(lane).map_or_else(unknown, |lane| lane.id.clone())
    }

    fn shared(&self) -> (Arc<E>, Arc<Plan>, CancellationToken) {
        (Arc::clone(&self.effects), Arc::clone(&self.plan), self.cancel.clone())
    }
}

fn bug(place: &str) -> LaneFailure {
    LaneFailure {
        message: format!("a bug in Testbed ended the lane {place}"),
        environment: true,
        log: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
