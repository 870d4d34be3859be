//! The decisions of a schedule, without effects: what happened goes in with the time, what is to be done comes out.

use testbed_model::event::LaneFailure;
use testbed_model::plan::Plan;
use testbed_model::stack::{Millis, Stack};

/// How much of the host's memory stacks may be promised together. Limits are more than what services use.
const MEMORY_SHARE_PERCENT: u64 = 75;

/// What the host can carry at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Workers of lanes: as many as there are processors.
    pub slots: u32,
    /// Workers beyond that, for lanes whose stack stands: their cases wait for answers more than they compute.
    pub extra_slots: u32,
    /// Stacks that come up at the same time. More would only make the first one late.
    pub rising: usize,
    /// Memory for stacks, in bytes. It and GPUs alone bound how many may stand: one that nobody asks costs little else.
    pub memory_bytes: u64,
    /// GPUs for stacks.
    pub gpus: u64,
}

impl Capacity {
    /// What a host of so many cores, so much memory and so many GPUs can carry.
    pub fn of_host(cores: u32, memory_bytes: u64, gpus: u32) -> Self {
        Self {
            slots: cores.max(1),
            extra_slots: cores.div_ceil(2).max(1),
            rising: usize::try_from(cores / 2).unwrap_or(usize::MAX).max(1),
            memory_bytes: memory_bytes / 100 * MEMORY_SHARE_PERCENT,
            gpus: gpus.into(),
        }
    }
}

/// Something that happened. Lanes and stacks go by their position in the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The run begins.
    Begin,
    /// A lane's preparation on the host ended.
    Prepared {
        /// Lane.
        lane: usize,
        /// Why it failed.
        failure: Option<LaneFailure>,
    },
    /// A stack serves.
    StackUp {
        /// Stack.
        stack: usize,
    },
    /// A stack could not be brought up; nothing of it is left.
    StackFailed {
        /// Stack.
        stack: usize,
        /// Why.
        message: String,
    },
    /// A lane ended.
    LaneEnded {
        /// Lane.
        lane: usize,
        /// Why its stack cannot serve another one.
        broken: Option<LaneFailure>,
    },
    /// A stack is gone.
    StackDown {
        /// Stack.
        stack: usize,
    },
    /// The run is to end.
    Cancel,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Prepare a lane on the host.
    Prepare {
        /// Lane.
        lane: usize,
    },
    /// Bring a stack up.
    Raise {
        /// Stack.
        stack: usize,
    },
    /// Execute a lane.
    Start {
        /// Lane.
        lane: usize,
        /// Its stack.
        stack: Option<usize>,
        /// How long the lane, otherwise able to start, waited for its stack.
        waited_ms: Millis,
    },
    /// Take a stack down.
    Lower {
        /// Stack.
        stack: usize,
    },
    /// Report a lane that will not be executed.
    Report {
        /// Lane.
        lane: usize,
        /// Why.
        failure: LaneFailure,
    },
}

/// The state of all lanes and stacks.
#[derive(Clone, Debug)]
pub struct Order {
    capacity: Capacity,
    lanes: Vec<LaneState>,
    stacks: Vec<StackState>,
    cancelled: bool,
    /// When the last step was.
    now: Millis,
}

#[derive(Clone, Debug)]
struct LaneState {
    phase: LanePhase,
    stack: Option<usize>,
    /// Slots that it takes.
    slots: u32,
    /// Whether, since the last step, only its stack was missing.
    lacks_only_stack: bool,
    waited_ms: Millis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LanePhase {
    Preparing,
    Prepared,
    Running,
    Done,
}

#[derive(Clone, Debug)]
struct StackState {
    phase: StackPhase,
    memory_bytes: u64,
    gpus: u64,
    /// Why it serves no lane any more.
    broken: Option<LaneFailure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StackPhase {
    Planned,
    Rising,
    Up,
    Falling,
    Gone,
}

impl Order {
    /// The state before a run.
    pub fn new(plan: &Plan, capacity: Capacity) -> Self {
        let position = |profile: &String| plan.stacks.iter().position(|stack| stack.profile == *profile);
        let lanes = plan.lanes.iter().map(|lane| LaneState {
            phase: LanePhase::Preparing,
            stack: lane.id.profile.as_ref().and_then(position),
            slots: lane.workers.clamp(1, capacity.slots.max(1)),
            lacks_only_stack: false,
            waited_ms: 0,
        });
        let stacks = plan.stacks.iter().map(|stack| StackState {
            phase: StackPhase::Planned,
            memory_bytes: memory(stack),
            gpus: stack.gpus(),
            broken: None,
        });
        Self { capacity, lanes: lanes.collect(), stacks: stacks.collect(), cancelled: false, now: 0 }
    }

    /// Takes what happened and decides.
    pub fn step(&mut self, input: Input, now: Millis) -> Vec<Action> {
        self.count_waiting(now);
        let mut actions = self.take(input);
        self.give_up_hopeless(&mut actions);
        self.lower_unneeded(&mut actions);
        if !self.cancelled {
            self.raise(&mut actions);
            self.start(&mut actions);
        }
        self.look_who_waits();
        actions
    }

    fn take(&mut self, input: Input) -> Vec<Action> {
        match input {
            Input::Begin => return (0..self.lanes.len()).map(|lane| Action::Prepare { lane }).collect(),
            Input::Prepared { lane, failure } => {
                let Some(state) = self.lanes.get_mut(lane).filter(|s| s.phase == LanePhase::Preparing) else {
                    return Vec::new();
                };
                match failure {
                    None => state.phase = LanePhase::Prepared,
                    Some(failure) => {
                        state.phase = LanePhase::Done;
                        return vec![Action::Report { lane, failure }];
                    }
                }
            }
            Input::StackUp { stack } => self.set_stack(stack, StackPhase::Up, None),
            Input::StackFailed { stack, message } => {
                self.set_stack(stack, StackPhase::Gone, Some(failure(message, true)));
            }
            Input::StackDown { stack } => self.set_stack(stack, StackPhase::Gone, None),
            Input::LaneEnded { lane, broken } => {
                let Some(state) = self.lanes.get_mut(lane) else { return Vec::new() };
                state.phase = LanePhase::Done;
                if let Some(stack) = state.stack.and_then(|stack| self.stacks.get_mut(stack))
                    && broken.is_some()
                {
                    stack.broken = broken;
                }
            }
            Input::Cancel => self.cancelled = true,
        }
        Vec::new()
    }

    fn set_stack(&mut self, stack: usize, phase: StackPhase, broken: Option<LaneFailure>) {
        if let Some(state) = self.stacks.get_mut(stack) {
            state.phase = phase;
            state.broken = state.broken.take().or(broken);
        }
    }

    /// Reports the lanes that cannot be executed any more: all of them after a cancel, otherwise those of a stack that
    /// broke or did not come up.
    fn give_up_hopeless(&mut self, actions: &mut Vec<Action>) {
        for (lane, state) in self.lanes.iter_mut().enumerate() {
            let waits = matches!(state.phase, LanePhase::Preparing | LanePhase::Prepared);
            let stack = state.stack.and_then(|stack| self.stacks.get(stack));
            let broken = stack.and_then(|stack| stack.broken.as_ref());
            let failure = match broken {
                _ if !waits => continue,
                _ if self.cancelled => failure("the run was interrupted before it began".to_owned(), false),
                Some(broken) => broken.clone(),
                None => continue,
            };
            state.phase = LanePhase::Done;
            actions.push(Action::Report { lane, failure });
        }
    }

    fn lower_unneeded(&mut self, actions: &mut Vec<Action>) {
        for stack in 0..self.stacks.len() {
            let needed =
                self.lanes.iter().any(|lane| lane.stack == Some(stack) && lane.phase != LanePhase::Done);
            let Some(state) = self.stacks.get_mut(stack).filter(|_| !needed) else { continue };
            match state.phase {
                StackPhase::Up => {
                    state.phase = StackPhase::Falling;
                    actions.push(Action::Lower { stack });
                }
                StackPhase::Planned => state.phase = StackPhase::Gone,
                StackPhase::Rising | StackPhase::Falling | StackPhase::Gone => {}
            }
        }
    }

    /// Brings stacks up in the order of the plan, as many as there is room for; one at least.
    fn raise(&mut self, actions: &mut Vec<Action>) {
        for stack in 0..self.stacks.len() {
            let Some(state) = self.stacks.get(stack).filter(|state| state.phase == StackPhase::Planned)
            else {
                continue;
            };
            let in_phase = |phases: &[StackPhase]| {
                let live = self.stacks.iter().filter(|state| phases.contains(&state.phase));
                live.fold((0, 0, 0), |(count, memory, gpus), state| {
                    (count + 1, memory + state.memory_bytes, gpus + state.gpus)
                })
            };
            let (rising, ..) = in_phase(&[StackPhase::Rising]);
            let (live, promised, granted) =
                in_phase(&[StackPhase::Rising, StackPhase::Up, StackPhase::Falling]);
            let fits = promised + state.memory_bytes <= self.capacity.memory_bytes
                && (state.gpus == 0 || granted + state.gpus <= self.capacity.gpus);
            if live > 0 && (rising >= self.capacity.rising || !fits) {
                return;
            }
            self.set_stack(stack, StackPhase::Rising, None);
            actions.push(Action::Raise { stack });
        }
    }

    /// Starts what can: first lanes whose stack stands, for others may wait for its place; then the rest, in the order of
    /// the plan.
    fn start(&mut self, actions: &mut Vec<Action>) {
        let (with_stack, without): (Vec<usize>, Vec<usize>) =
            (0..self.lanes.len()).partition(|lane| self.lanes[*lane].stack.is_some());
        for lane in with_stack.into_iter().chain(without) {
            let extra = if self.lanes[lane].stack.is_some() { self.capacity.extra_slots } else { 0 };
            let taken = self.slots_of(|state| state.phase == LanePhase::Running);
            // One free slot is enough for a lane of several workers, or narrow lanes could keep it out for ever.
            if taken < self.capacity.slots.max(1) + extra && self.is_next(lane) && self.stack_stands(lane) {
                let state = &mut self.lanes[lane];
                state.phase = LanePhase::Running;
                actions.push(Action::Start { lane, stack: state.stack, waited_ms: state.waited_ms });
            }
        }
    }

    /// Notes which lanes lack nothing but their stack. While lanes without one keep the processors busy, or are about to,
    /// nothing is lost by a stack that still comes up.
    fn look_who_waits(&mut self) {
        let busy = self.slots_of(|state| match state.phase {
            LanePhase::Running => true,
            LanePhase::Preparing | LanePhase::Prepared => state.stack.is_none(),
            LanePhase::Done => false,
        });
        let room = busy < self.capacity.slots.max(1);
        for lane in 0..self.lanes.len() {
            let lacks_only_stack = room && self.is_next(lane) && !self.stack_stands(lane);
            self.lanes[lane].lacks_only_stack = lacks_only_stack;
        }
    }

    fn slots_of(&self, which: impl Fn(&LaneState) -> bool) -> u32 {
        self.lanes.iter().filter(|state| which(state)).map(|state| state.slots).sum()
    }

    fn stack_stands(&self, lane: usize) -> bool {
        let stands = |stack: usize| self.stacks[stack].phase == StackPhase::Up;
        self.lanes[lane].stack.is_none_or(stands)
    }

    /// Whether a lane is prepared and it is its turn: no other lane runs on its stack, and none that is prepared comes
    /// before it there.
    fn is_next(&self, lane: usize) -> bool {
        let state = &self.lanes[lane];
        if state.phase != LanePhase::Prepared {
            return false;
        }
        let Some(stack) = state.stack else { return true };
        let others = self
            .lanes
            .iter()
            .enumerate()
            .filter(|(other, state)| *other != lane && state.stack == Some(stack));
        let mut blocking = others.filter(|(other, state)| {
            state.phase == LanePhase::Running || (state.phase == LanePhase::Prepared && *other < lane)
        });
        blocking.next().is_none()
    }

    fn count_waiting(&mut self, now: Millis) {
        let passed = now.saturating_sub(self.now);
        self.now = now;
        for state in self.lanes.iter_mut().filter(|state| state.lacks_only_stack) {
            state.waited_ms += passed;
        }
    }
}

/// What a stack's services may use together.
fn memory(stack: &Stack) -> u64 {
    stack.services.values().map(|service| service.limits.memory_bytes).sum()
}

fn failure(message: String, environment: bool) -> LaneFailure {
    LaneFailure { message, environment, log: Vec::new() }
}

#[cfg(test)]
pub(crate) mod tests;
