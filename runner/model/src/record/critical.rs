//! The critical path: the chain of steps that decided when something happened, such as the first case. It is found backwards:
//! each step began when the last of those things ended that it can have waited for.

use std::fmt;

use crate::event::{Event, Stamped};
use crate::lane::LaneId;

/// Below this a gap between two steps is nobody's time, in microseconds.
const NOTHING_US: u64 = 1000;

/// A chain of steps, each of which begins where the one before it ends, from the run's start on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CriticalPath {
    /// What it leads to.
    pub to: Target,
    /// Steps in the order of time.
    pub steps: Vec<Step>,
}

/// What a critical path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The first case of the run, which is of this lane.
    FirstCase(LaneId),
    /// The first case that needs a stack.
    FirstCaseOnStack(LaneId),
    /// The end of the run, or the last that was heard of it.
    End,
}

/// A step of a critical path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What kind of step.
    pub kind: StepKind,
    /// What it concerns: an image, a service of a stack as `mocker/worker-0`, a stack, a lane; empty for the run itself.
    pub what: String,
    /// Begin, in microseconds since the run's start.
    pub begin_us: u64,
    /// End, likewise.
    pub end_us: u64,
}

/// A kind of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// Facts, catalog and plan, before the run knows what to do.
    Collect,
    /// An image is made or fetched.
    Image,
    /// Environments and uncommitted changes are written down.
    Resolve,
    /// A stack's network is made.
    Network,
    /// A service's container is created and started.
    Start,
    /// A service runs and does not serve yet.
    Probe,
    /// Every service serves, and the stack does not answer yet.
    Answer,
    /// Something is done for a lane before it can start, such as compiling.
    Prepare,
    /// A lane's tool starts and collects.
    Tool,
    /// The tool has its cases and has not begun the first.
    FirstCase,
    /// A lane's cases are executed.
    Cases,
    /// A stack is torn down.
    Stop,
    /// Nothing was heard: time until something starts, or until the end where it concerns nothing.
    Until,
}

impl fmt::Display for Step {
    /// The step in a few words: `until mocker/frontend serves`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = &self.what;
        match self.kind {
            StepKind::Collect => f.write_str("look at the project and plan"),
            StepKind::Image => write!(f, "image {what}"),
            StepKind::Resolve => f.write_str("write down the environments"),
            StepKind::Network => write!(f, "network of {what}"),
            StepKind::Start => write!(f, "create and start {what}"),
            StepKind::Probe => write!(f, "until {what} serves"),
            StepKind::Answer => write!(f, "first answer of {what}"),
            StepKind::Prepare => write!(f, "prepare {what}"),
            StepKind::Tool => write!(f, "tool of {what} starts and collects"),
            StepKind::FirstCase => write!(f, "first case of {what} begins"),
            StepKind::Cases => write!(f, "cases of {what}"),
            StepKind::Stop => write!(f, "tear down {what}"),
            StepKind::Until if what.is_empty() => f.write_str("until the run ends"),
            StepKind::Until => write!(f, "until {what} starts"),
        }
    }
}

/// The chain to the first case of the run; none where no case began.
pub fn to_first_case(events: &[Stamped]) -> Option<CriticalPath> {
    let (at, lane) = first_case(events, |_| true)?;
    Some(Walk::new(events).path(Target::FirstCase(lane), Place::Case(at)))
}

/// The chain to the first case that needs a stack; none where no such case began.
pub fn to_first_case_on_stack(events: &[Stamped]) -> Option<CriticalPath> {
    let (at, lane) = first_case(events, |lane| lane.profile.is_some())?;
    Some(Walk::new(events).path(Target::FirstCaseOnStack(lane), Place::Case(at)))
}

/// The chain to the end of the run; none where nothing was heard.
pub fn to_end(events: &[Stamped]) -> Option<CriticalPath> {
    let last = events.len().checked_sub(1)?;
    Some(Walk::new(events).path(Target::End, Place::End(last)))
}

fn first_case(events: &[Stamped], fits: impl Fn(&LaneId) -> bool) -> Option<(usize, LaneId)> {
    events.iter().enumerate().find_map(|(at, stamped)| match &stamped.event {
        Event::CaseStarted { lane, .. } if fits(lane) => Some((at, lane.clone())),
        _ => None,
    })
}

/// Where the walk is: the index of an event, and what it was.
#[derive(Clone, Copy)]
enum Place {
    End(usize),
    Stopped(usize),
    LaneEnd(usize),
    Case(usize),
    LaneStart(usize),
    StackReady(usize),
    StackStart(usize),
    Resolved(usize),
    ImageReady(usize),
    RunStart(usize),
}

/// The walk from an event back to the run's start. Every step leads to an earlier event, so it ends.
struct Walk<'e> {
    events: &'e [Stamped],
    /// Last step first.
    steps: Vec<Step>,
}

impl<'e> Walk<'e> {
    const fn new(events: &'e [Stamped]) -> Self {
        Self { events, steps: Vec::new() }
    }

    fn path(mut self, to: Target, from: Place) -> CriticalPath {
        let mut place = Some(from);
        while let Some(here) = place {
            place = self.step(here);
        }
        let mut steps = self.steps;
        steps.reverse();
        CriticalPath { to, steps: joined(steps) }
    }

    /// Takes the steps that end here, and says what they waited for.
    fn step(&mut self, here: Place) -> Option<Place> {
        match here {
            Place::End(at) => self.before_end(at),
            Place::Stopped(at) => self.before_stopped(at),
            Place::LaneEnd(at) => self.before_lane_end(at),
            Place::Case(at) => self.before_case(at),
            Place::LaneStart(at) => self.before_lane(at),
            Place::StackReady(at) => self.before_ready(at),
            Place::StackStart(at) => self.before_stack(at),
            Place::Resolved(at) => self.before_resolved(at),
            Place::ImageReady(at) => self.before_image(at),
            Place::RunStart(at) => {
                self.push(StepKind::Collect, "", None, at);
                None
            }
        }
    }

    fn push(&mut self, kind: StepKind, what: &str, from: Option<usize>, to: usize) {
        let begin_us = from.map_or(0, |at| self.time(at));
        self.push_times(kind, what, begin_us, self.time(to));
    }

    fn push_times(&mut self, kind: StepKind, what: &str, begin_us: u64, end_us: u64) {
        if end_us > begin_us {
            self.steps.push(Step { kind, what: what.to_owned(), begin_us, end_us });
        }
    }

    fn time(&self, at: usize) -> u64 {
        self.events.get(at).map_or(0, |stamped| stamped.elapsed_us)
    }

    fn event(&self, at: usize) -> Option<&'e Event> {
        self.events.get(at).map(|stamped| &stamped.event)
    }

    /// The last event before one that fits.
    fn last(&self, before: usize, fits: impl Fn(&Event) -> bool) -> Option<usize> {
        self.events.get(..before)?.iter().rposition(|stamped| fits(&stamped.event))
    }

    /// Images, environments and the beginning: what everything waits for that waits for nothing else.
    fn known(&self, before: usize) -> [Option<Place>; 3] {
        [
            self.last(before, |event| matches!(event, Event::EnvironmentResolved { .. }))
                .map(Place::Resolved),
            self.last(before, |event| matches!(event, Event::ImageReady { .. })).map(Place::ImageReady),
            self.last(before, |event| matches!(event, Event::RunStarted { .. })).map(Place::RunStart),
        ]
    }

    fn before_end(&mut self, at: usize) -> Option<Place> {
        let stopped = self.last(at, |event| matches!(event, Event::StackStopped { .. })).map(Place::Stopped);
        let lane = self.last(at, |event| matches!(event, Event::LaneFinished { .. })).map(Place::LaneEnd);
        let next = latest([stopped, lane]).or_else(|| latest(self.known(at)))?;
        self.push(StepKind::Until, "", Some(next.index()), at);
        Some(next)
    }

    fn before_stopped(&mut self, at: usize) -> Option<Place> {
        let Some(Event::StackStopped { stack, .. }) = self.event(at) else { return None };
        let begin = self.last(at, |event| matches!(event, Event::StackStopping { stack: it } if it == stack));
        let begin = begin.unwrap_or(at);
        self.push(StepKind::Stop, stack, Some(begin), at);
        // A stack goes when the lane has ended that was its last, or when it failed.
        let before = |event: &Event| match event {
            Event::LaneFinished { .. } => true,
            Event::StackReady { stack: it, .. } | Event::StackFailed { stack: it, .. } => it == stack,
            _ => false,
        };
        let next = self.last(begin, before);
        let is_lane = |at: usize| matches!(self.event(at), Some(Event::LaneFinished { .. }));
        let next = next.map(|at| if is_lane(at) { Place::LaneEnd(at) } else { Place::StackReady(at) });
        let next = later(next, latest(self.known(begin)))?;
        self.push(StepKind::Until, &format!("teardown of {stack}"), Some(next.index()), begin);
        Some(next)
    }

    fn before_lane_end(&mut self, at: usize) -> Option<Place> {
        let Some(Event::LaneFinished { lane, .. }) = self.event(at) else { return None };
        let of_lane =
            |stamped: &Stamped| matches!(&stamped.event, Event::CaseStarted { lane: it, .. } if it == lane);
        let first = self.events.get(..at)?.iter().position(of_lane);
        let start =
            || self.last(at, |event| matches!(event, Event::LaneStarted { lane: it, .. } if it == lane));
        let begin = first.map(Place::Case).or_else(|| start().map(Place::LaneStart));
        let begin = begin.or_else(|| latest(self.known(at)))?;
        self.push(StepKind::Cases, &lane.to_string(), Some(begin.index()), at);
        Some(begin)
    }

    fn before_case(&mut self, at: usize) -> Option<Place> {
        let Some(Event::CaseStarted { lane, .. }) = self.event(at) else { return None };
        let start =
            self.last(at, |event| matches!(event, Event::LaneStarted { lane: it, .. } if it == lane))?;
        let collected =
            self.last(at, |event| matches!(event, Event::CasesCollected { lane: it, .. } if it == lane));
        let collected = collected.filter(|collected| *collected > start).unwrap_or(at);
        let name = lane.to_string();
        self.push(StepKind::FirstCase, &name, Some(collected), at);
        self.push(StepKind::Tool, &name, Some(start), collected);
        Some(Place::LaneStart(start))
    }

    fn before_lane(&mut self, at: usize) -> Option<Place> {
        let Some(Event::LaneStarted { lane, .. }) = self.event(at) else { return None };
        let ready = self.last(at, |event| match event {
            Event::StackReady { stack, .. } => lane.profile.as_ref() == Some(stack),
            _ => false,
        });
        // A lane that waits for a place gets that of one that ended.
        let ended = self.last(at, |event| matches!(event, Event::LaneFinished { .. }));
        let next = latest([ready.map(Place::StackReady), ended.map(Place::LaneEnd)]);
        let next = later(next, latest(self.known(at)));
        let prepared =
            self.last(at, |event| matches!(event, Event::LanePreparing { lane: it, .. } if it == lane));
        let name = lane.to_string();
        match (prepared, next) {
            (Some(prepared), Some(next)) if prepared > next.index() => {
                self.push(StepKind::Prepare, &name, Some(prepared), at);
                self.push(StepKind::Until, &name, Some(next.index()), prepared);
            }
            (_, Some(next)) => self.push(StepKind::Until, &name, Some(next.index()), at),
            (_, None) => {}
        }
        next
    }

    fn before_ready(&mut self, at: usize) -> Option<Place> {
        let (Event::StackReady { stack, .. } | Event::StackFailed { stack, .. }) = self.event(at)? else {
            return None;
        };
        let start = self
            .last(at, |event| matches!(event, Event::StackStarting { stack: it, .. } if it == stack))
            .unwrap_or(0);
        let mut until = self.time(at);
        let mut services = self.services(stack, start..at);
        let mut kind = StepKind::Answer;
        let mut what = stack.clone();
        // The last to serve held the stack up; and it was itself held up by one that started later and served before it.
        while let Some(held) = services.pop() {
            self.push_times(kind, &what, held.ready_us, until);
            (kind, what, until) = (StepKind::Probe, format!("{stack}/{}", held.name), held.ready_us);
            services.retain(|other| other.started_us > held.started_us);
            if services.is_empty() {
                self.push_times(kind, &what, held.started_us, until);
                (kind, until) = (StepKind::Start, held.started_us);
                self.push_times(kind, &what, held.starting_us, until);
                (kind, what, until) = (StepKind::Network, stack.clone(), held.starting_us);
            }
        }
        self.push_times(kind, &what, self.time(start), until);
        Some(Place::StackStart(start))
    }

    /// The services of a stack that came to serve in a part of the journal, the last one last.
    fn services(&self, stack: &str, part: std::ops::Range<usize>) -> Vec<Held<'e>> {
        let mut services: Vec<Held<'e>> = Vec::new();
        for stamped in self.events.get(part).unwrap_or_default() {
            let at = stamped.elapsed_us;
            match &stamped.event {
                Event::ServiceStarting { stack: it, service } if it == stack => {
                    services.push(Held { name: service, starting_us: at, started_us: at, ready_us: 0 });
                }
                Event::ServiceStarted { stack: it, service, .. } if it == stack => {
                    services
                        .iter_mut()
                        .filter(|held| held.name == service)
                        .for_each(|held| held.started_us = at);
                }
                Event::ServiceReady { stack: it, service } if it == stack => {
                    services
                        .iter_mut()
                        .filter(|held| held.name == service)
                        .for_each(|held| held.ready_us = at);
                }
                _ => {}
            }
        }
        services.retain(|held| held.ready_us > 0);
        services.sort_by_key(|held| held.ready_us);
        services
    }

    fn before_stack(&mut self, at: usize) -> Option<Place> {
        let Some(Event::StackStarting { stack, .. }) = self.event(at) else { return latest(self.known(at)) };
        // Stacks come up one after another, and one comes up in the place of another.
        let ready = self.last(at, |event| matches!(event, Event::StackReady { .. })).map(Place::StackReady);
        let gone = self.last(at, |event| matches!(event, Event::StackStopped { .. })).map(Place::Stopped);
        let next = later(latest([ready, gone]), latest(self.known(at)))?;
        self.push(StepKind::Until, stack, Some(next.index()), at);
        Some(next)
    }

    fn before_resolved(&mut self, at: usize) -> Option<Place> {
        let ready = |event: &Event| matches!(event, Event::ImageReady { .. } | Event::RunStarted { .. });
        let from = self.last(at, ready)?;
        self.push(StepKind::Resolve, "", Some(from), at);
        let is_image = matches!(self.event(from), Some(Event::ImageReady { .. }));
        Some(if is_image { Place::ImageReady(from) } else { Place::RunStart(from) })
    }

    fn before_image(&mut self, at: usize) -> Option<Place> {
        let Some(Event::ImageReady { image, .. }) = self.event(at) else { return None };
        let of_image = |stamped: &Stamped| matches!(&stamped.event, Event::ImageProgress { image: it, .. } if it == image);
        let first = self.events.get(..at)?.iter().position(of_image).unwrap_or(at);
        let start = self.last(first, |event| matches!(event, Event::RunStarted { .. }))?;
        // Of an image that was there nothing is heard before: what is between is the asking.
        let begin = if first == at { start } else { first };
        self.push(StepKind::Image, image, Some(begin), at);
        self.push(StepKind::Until, image, Some(start), begin);
        Some(Place::RunStart(start))
    }
}

/// A service that a stack waited for.
struct Held<'e> {
    name: &'e str,
    starting_us: u64,
    started_us: u64,
    ready_us: u64,
}

impl Place {
    const fn index(self) -> usize {
        match self {
            Self::End(at)
            | Self::Stopped(at)
            | Self::LaneEnd(at)
            | Self::Case(at)
            | Self::LaneStart(at)
            | Self::StackReady(at)
            | Self::StackStart(at)
            | Self::Resolved(at)
            | Self::ImageReady(at)
            | Self::RunStart(at) => at,
        }
    }
}

fn latest(places: impl IntoIterator<Item = Option<Place>>) -> Option<Place> {
    places.into_iter().flatten().max_by_key(|place| place.index())
}

fn later(one: Option<Place>, other: Option<Place>) -> Option<Place> {
    latest([one, other])
}

/// The steps without those that took no time to speak of, whose time goes to the step after them.
fn joined(steps: Vec<Step>) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::new();
    let mut from = 0;
    for mut step in steps {
        if step.end_us.saturating_sub(from) < NOTHING_US {
            continue;
        }
        step.begin_us = from;
        from = step.end_us;
        out.push(step);
    }
    out
}

#[cfg(test)]
mod tests;
