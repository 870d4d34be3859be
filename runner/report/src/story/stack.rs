//! A stack from its first container to its last.

use jiff::Timestamp;
use testbed_model::event::{Event, StackFailure};
use testbed_model::id::RunId;
use testbed_model::stack::Millis;

use super::{LaneStory, Story};

/// What is known of a stack.
#[derive(Clone, Debug)]
pub struct StackStory {
    /// Profile.
    pub name: String,
    /// How far it is.
    pub phase: StackPhase,
    /// Services, in the order of their announcement.
    pub services: Vec<ServiceStory>,
    /// What was last heard from one of its services.
    pub last_answer: Option<Answer>,
    /// When it was first mentioned, in microseconds since the run's start.
    pub began_us: u64,
    /// How long it took to be ready.
    pub ready_ms: Option<Millis>,
    /// How long its teardown took.
    pub stop_ms: Option<Millis>,
    /// Why it could not be brought up.
    pub failure: Option<StackFailure>,
    /// Until when it stays after the run; none if it does not.
    pub kept_until: Option<Timestamp>,
    /// The run that brought it up, where it stood already.
    pub adopted_from: Option<RunId>,
}

/// How far a stack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackPhase {
    /// Not ready yet.
    Starting,
    /// It serves.
    Ready,
    /// It could not be brought up.
    Failed,
    /// Its teardown goes on.
    Stopping,
    /// Nothing of it is left.
    Stopped,
}

/// What is known of a service.
#[derive(Clone, Debug)]
pub struct ServiceStory {
    /// Name.
    pub name: String,
    /// How far it is.
    pub phase: ServicePhase,
    /// When its container began to run, or was first mentioned, in microseconds since the run's start.
    pub began_us: u64,
    /// What it was last heard to say.
    pub answer: Option<String>,
}

/// How far a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServicePhase {
    /// Its dependencies are not there yet.
    Waiting,
    /// Its container is being created.
    Creating,
    /// Its container runs.
    Started,
    /// It serves.
    Ready,
    /// Its container ended.
    Exited {
        /// Exit code.
        exit_code: i64,
        /// Whether the kernel killed it for lack of memory.
        oom_killed: bool,
        /// Whether a case asked for it.
        expected: bool,
    },
}

/// What a service was last heard to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Service.
    pub service: String,
    /// Its words, or what happened instead.
    pub answer: String,
}

impl StackStory {
    fn new(name: String, began_us: u64) -> Self {
        Self {
            name,
            phase: StackPhase::Starting,
            services: Vec::new(),
            last_answer: None,
            began_us,
            ready_ms: None,
            stop_ms: None,
            failure: None,
            kept_until: None,
            adopted_from: None,
        }
    }

    /// Services that do not serve yet.
    pub fn waits_for(&self) -> impl Iterator<Item = &ServiceStory> {
        self.services.iter().filter(|service| service.phase != ServicePhase::Ready)
    }

    /// Services that ended although nobody asked for it.
    pub fn dead(&self) -> impl Iterator<Item = &ServiceStory> {
        self.services
            .iter()
            .filter(|service| matches!(service.phase, ServicePhase::Exited { expected: false, .. }))
    }

    fn service(&mut self, name: &str, elapsed_us: u64) -> Option<&mut ServiceStory> {
        let index = self.services.iter().position(|service| service.name == name).unwrap_or_else(|| {
            let phase = ServicePhase::Waiting;
            let name = name.to_owned();
            self.services.push(ServiceStory { name, phase, began_us: elapsed_us, answer: None });
            self.services.len() - 1
        });
        self.services.get_mut(index)
    }

    fn set(&mut self, service: &str, phase: ServicePhase, elapsed_us: u64) {
        if let Some(service) = self.service(service, elapsed_us) {
            if matches!(phase, ServicePhase::Creating | ServicePhase::Started) {
                service.began_us = elapsed_us;
            }
            service.phase = phase;
        }
    }
}

impl Story {
    /// Every service that ended although nobody asked for it, with its stack.
    pub fn dead_services(&self) -> impl Iterator<Item = (&StackStory, &ServiceStory)> {
        self.stacks.iter().flat_map(|stack| stack.dead().map(move |service| (stack, service)))
    }

    /// Whether a lane's stack could not be brought up.
    pub fn lacks_stack(&self, lane: &LaneStory) -> bool {
        let mut failed = self.stacks.iter().filter(|stack| stack.failure.is_some());
        lane.id.profile.as_ref().is_some_and(|name| failed.any(|stack| stack.name == *name))
    }

    pub(super) fn fold_stack(&mut self, at: u64, event: Event) {
        match event {
            Event::StackStarting { stack, services } => self.with_stack(stack, at, |stack| {
                // A stack may come up again after it went: what was known of its first life is over.
                *stack = StackStory::new(std::mem::take(&mut stack.name), at);
                for service in services {
                    stack.service(&service, at);
                }
            }),
            Event::ServiceStarting { stack, service } => {
                self.with_stack(stack, at, |stack| stack.set(&service, ServicePhase::Creating, at));
            }
            Event::ServiceStarted { stack, service, .. } => {
                self.with_stack(stack, at, |stack| stack.set(&service, ServicePhase::Started, at));
            }
            Event::ServiceReady { stack, service } => {
                self.with_stack(stack, at, |stack| stack.set(&service, ServicePhase::Ready, at));
            }
            Event::ServiceExited { stack, service, exit_code, oom_killed, expected } => {
                let phase = ServicePhase::Exited { exit_code, oom_killed, expected };
                self.with_stack(stack, at, |stack| stack.set(&service, phase, at));
            }
            Event::ProbeAnswered { stack, service, answer } => self.with_stack(stack, at, |stack| {
                if let Some(service) = stack.service(&service, at) {
                    service.answer = Some(answer.clone());
                }
                stack.last_answer = Some(Answer { service, answer });
            }),
            Event::StackReady { stack, took_ms } => self.with_stack(stack, at, |stack| {
                stack.phase = StackPhase::Ready;
                stack.ready_ms = Some(took_ms);
            }),
            Event::StackFailed { stack, failure } => self.with_stack(stack, at, |stack| {
                stack.phase = StackPhase::Failed;
                stack.failure = Some(failure);
            }),
            Event::StackStopping { stack } => {
                self.with_stack(stack, at, |stack| stack.phase = StackPhase::Stopping);
            }
            Event::StackStopped { stack, took_ms } => self.with_stack(stack, at, |stack| {
                stack.phase = StackPhase::Stopped;
                stack.stop_ms = Some(took_ms);
            }),
            Event::StackAdopted { stack, run, services, .. } => self.with_stack(stack, at, |stack| {
                *stack = StackStory::new(std::mem::take(&mut stack.name), at);
                stack.phase = StackPhase::Ready;
                stack.adopted_from = Some(run);
                for service in services {
                    stack.set(&service, ServicePhase::Ready, at);
                }
            }),
            Event::StackKept { stack, until, .. } => {
                self.with_stack(stack, at, |stack| stack.kept_until = Some(until));
            }
            _ => {}
        }
    }

    fn with_stack(&mut self, name: String, at: u64, change: impl FnOnce(&mut StackStory)) {
        let index = self.stacks.iter().position(|stack| stack.name == name).unwrap_or_else(|| {
            self.stacks.push(StackStory::new(name, at));
            self.stacks.len() - 1
        });
        if let Some(stack) = self.stacks.get_mut(index) {
            change(stack);
        }
    }
}
