//! The decisions of a bring-up, without a daemon: what happened goes in, what is to be done comes out.
//!
//! Everything is created at once. A service starts as soon as the network is there and what it depends on holds; it is
//! proven when its probe, its health check or its start says so. The stack serves when every service is proven and the
//! ready probe has been answered. The first thing that goes wrong ends the bring-up.
//!
//! A start keeps a processor busy for a quarter of a second: more of them at a time than there are processors only make
//! the first ones late, and with them all that wait for them. So what others wait for starts first, a few at a time.
//!
//! A third of a start is its place in the network. The agent comes first, so that nothing serves unseen, and shares its
//! place with the first service, its [`guest`], which costs no more than the guest's own start would.

mod fault;

use std::collections::BTreeMap;

use testbed_model::event::{Event, StackFailure, StackFailureCause};
use testbed_model::stack::{Condition, Healthcheck, Millis, Probe, Service, Stack};

use crate::docker::{ExitInfo, Health};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The network is there.
    NetworkCreated,
    /// The agent's container is there.
    AgentCreated,
    /// The agent's container runs.
    AgentStarted,
    /// A service's container is there.
    Created {
        /// Service.
        service: String,
    },
    /// A service's container runs.
    Started {
        /// Service.
        service: String,
        /// Container id.
        container: String,
    },
    /// A probe's answer changed, and it is not the one that is hoped for.
    Answered {
        /// What was asked.
        target: Target,
        /// What it said.
        answer: String,
    },
    /// A probe succeeded.
    Succeeded {
        /// What was asked.
        target: Target,
        /// What it said.
        answer: String,
    },
    /// The daemon's health check of a service has a verdict.
    Health {
        /// Service.
        service: String,
        /// Verdict.
        health: Health,
    },
    /// A service's container ended.
    Exited {
        /// Service.
        service: String,
        /// How.
        exit: ExitInfo,
    },
    /// The daemon refused something, for a service or for the stack as a whole.
    Refused {
        /// Service.
        service: Option<String>,
        /// The daemon's words.
        message: String,
    },
    /// Time passed.
    Tick,
}

/// What a probe asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Whether a service serves.
    Service(String),
    /// Whether the stack as a whole does.
    Stack,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create a service's container.
    Create {
        /// Service.
        service: String,
    },
    /// Start it.
    Start {
        /// Service.
        service: String,
    },
    /// Start the watching agent.
    StartAgent,
    /// Have the agent ask until it succeeds.
    Probe {
        /// What it is about.
        target: Target,
        /// The service that is asked.
        service: String,
        /// The question.
        probe: Probe,
    },
    /// Say that something happened.
    Emit(Event),
    /// The stack serves: nothing is left to be done.
    Finish,
    /// It will not: tear it down. The failure has everything but the log.
    Fail(StackFailure),
}

/// A bring-up at one moment.
#[derive(Clone, Debug)]
pub struct Bringup {
    stack: String,
    nodes: BTreeMap<String, Node>,
    order: Vec<String>,
    parallel: usize,
    agent: Phase,
    guest: Option<String>,
    network: bool,
    ready_service: String,
    ready_probe: Probe,
    ready: Proof,
    timeout_ms: Millis,
    over: bool,
}

#[derive(Clone, Debug)]
struct Node {
    depends_on: BTreeMap<String, Condition>,
    evidence: Evidence,
    phase: Phase,
    /// The exit of a container whose start has not been answered yet: the daemon may still say why it could not start.
    early_exit: Option<ExitInfo>,
    proof: Proof,
}

/// What proves that a service serves.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Evidence {
    Start,
    Probe(Probe),
    Health,
    Completion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Creating,
    Created,
    Starting,
    Running,
    Completed,
}

/// Whether something is proven, and what was heard last.
#[derive(Clone, Debug, Default)]
struct Proof {
    given: bool,
    last_answer: Option<String>,
}

impl Bringup {
    /// A bring-up of which nothing has happened yet, with at most so many starts at a time.
    pub fn new(stack: &Stack, parallel: usize) -> Self {
        let completes = |name: &String| {
            stack
                .services
                .values()
                .any(|service| service.depends_on.get(name) == Some(&Condition::ServiceCompletedSuccessfully))
        };
        let nodes = stack.services.iter().map(|(name, service)| {
            let evidence = if completes(name) { Evidence::Completion } else { evidence(service) };
            let node = Node {
                depends_on: service.depends_on.clone(),
                evidence,
                phase: Phase::Creating,
                early_exit: None,
                proof: Proof::default(),
            };
            (name.clone(), node)
        });
        let nodes: BTreeMap<String, Node> = nodes.collect();
        let order = order(stack);
        Self {
            stack: stack.profile.clone(),
            nodes,
            order,
            parallel: parallel.max(1),
            agent: Phase::Creating,
            guest: guest(stack),
            network: false,
            ready_service: stack.ready.service.clone(),
            ready_probe: stack.ready.probe.clone(),
            ready: Proof::default(),
            timeout_ms: stack.timeouts.ready_ms,
            over: false,
        }
    }

    /// What is to be done at the start.
    pub fn begin(&self) -> Vec<Action> {
        let services = self.nodes.keys().cloned().collect();
        let mut actions = vec![Action::Emit(Event::StackStarting { stack: self.stack.clone(), services })];
        for service in &self.order {
            let (stack, service) = (self.stack.clone(), service.clone());
            actions.push(Action::Emit(Event::ServiceStarting { stack, service: service.clone() }));
            if self.guest.as_ref() != Some(&service) {
                actions.push(Action::Create { service });
            }
        }
        actions
    }

    /// Until when something must have happened, in milliseconds since the beginning; then a [`Input::Tick`] is due.
    pub const fn deadline_ms(&self) -> Millis {
        self.timeout_ms
    }

    /// Takes what happened, `now_ms` milliseconds after the beginning, and says what is to be done.
    pub fn step(&mut self, now_ms: Millis, input: Input) -> Vec<Action> {
        if self.over {
            return Vec::new();
        }
        let mut actions = Vec::new();
        match input {
            Input::NetworkCreated => self.network = true,
            Input::AgentCreated if self.agent > Phase::Creating => {}
            Input::AgentCreated => {
                self.agent = Phase::Created;
                actions.extend(self.guest.clone().map(|service| Action::Create { service }));
            }
            Input::AgentStarted => self.agent = Phase::Running,
            Input::Created { service } => self.advance(&service, Phase::Created),
            Input::Started { service, container } => self.started(&service, container, &mut actions),
            Input::Answered { target, answer } => self.answered(&target, answer, &mut actions),
            Input::Succeeded { target, answer } => self.succeeded(&target, answer, &mut actions),
            Input::Health { service, health } => self.health(&service, health, &mut actions),
            Input::Exited { service, exit } => self.exited(&service, exit, &mut actions),
            Input::Refused { service, message } => {
                let cause = StackFailureCause::Daemon { message };
                actions.push(Action::Fail(self.failure(service.as_deref(), cause)));
            }
            Input::Tick => {
                if now_ms >= self.timeout_ms {
                    actions.push(Action::Fail(self.timed_out()));
                }
            }
        }
        if actions.iter().any(|action| matches!(action, Action::Fail(_))) {
            self.over = true;
            return actions;
        }
        self.start_what_can_start(&mut actions);
        if self.ready.given && self.nodes.values().all(|node| node.proof.given) {
            self.over = true;
            actions.push(Action::Finish);
        }
        actions
    }

    fn advance(&mut self, service: &str, phase: Phase) {
        if let Some(node) = self.nodes.get_mut(service) {
            node.phase = node.phase.max(phase);
        }
    }

    fn start_what_can_start(&mut self, actions: &mut Vec<Action>) {
        if !self.network {
            return;
        }
        if self.agent == Phase::Created {
            self.agent = Phase::Starting;
            actions.push(Action::StartAgent);
        }
        let agent = usize::from(self.agent < Phase::Running);
        let mut starting = agent + self.count(|phase| phase == Phase::Starting);
        for name in &self.order {
            let Some(node) = self.nodes.get(name) else { continue };
            let met = |(dependency, condition): (&String, &Condition)| self.holds(dependency, *condition);
            let has_place = self.guest.as_ref() != Some(name) || self.agent == Phase::Running;
            let can_start = node.phase == Phase::Created && has_place && node.depends_on.iter().all(met);
            if starting < self.parallel && can_start {
                actions.push(Action::Start { service: name.clone() });
                starting += 1;
                if let Some(node) = self.nodes.get_mut(name) {
                    node.phase = Phase::Starting;
                }
            }
        }
    }

    fn count(&self, is: impl Fn(Phase) -> bool) -> usize {
        self.nodes.values().filter(|node| is(node.phase)).count()
    }

    fn holds(&self, dependency: &str, condition: Condition) -> bool {
        self.nodes.get(dependency).is_some_and(|node| match condition {
            Condition::ServiceStarted => node.phase >= Phase::Running,
            Condition::ServiceHealthy => node.proof.given,
            Condition::ServiceCompletedSuccessfully => node.phase == Phase::Completed,
        })
    }

    fn started(&mut self, service: &str, container: String, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get_mut(service) else { return };
        node.phase = node.phase.max(Phase::Running);
        let early_exit = node.early_exit.take();
        let evidence = node.evidence.clone();
        let (stack, name) = (self.stack.clone(), service.to_owned());
        actions.push(Action::Emit(Event::ServiceStarted { stack, service: name, container }));
        if let Some(exit) = early_exit {
            self.exited(service, exit, actions);
            return;
        }
        match evidence {
            Evidence::Start => self.prove(service, actions),
            Evidence::Probe(probe) => {
                let target = Target::Service(service.to_owned());
                actions.push(Action::Probe { target, service: service.to_owned(), probe });
            }
            Evidence::Health | Evidence::Completion => {}
        }
        if service == self.ready_service {
            let probe = self.ready_probe.clone();
            actions.push(Action::Probe { target: Target::Stack, service: service.to_owned(), probe });
        }
    }

    fn answered(&mut self, target: &Target, answer: String, actions: &mut Vec<Action>) {
        let service = match target {
            Target::Service(service) => service,
            Target::Stack => &self.ready_service,
        };
        let (stack, service) = (self.stack.clone(), service.clone());
        actions.push(Action::Emit(Event::ProbeAnswered { stack, service, answer: answer.clone() }));
        let proof = match target {
            Target::Stack => Some(&mut self.ready),
            Target::Service(service) => self.nodes.get_mut(service).map(|node| &mut node.proof),
        };
        if let Some(proof) = proof {
            proof.last_answer = Some(answer);
        }
    }

    fn succeeded(&mut self, target: &Target, answer: String, actions: &mut Vec<Action>) {
        match target {
            Target::Service(service) => self.prove(service, actions),
            Target::Stack => {
                self.answered(target, answer, actions);
                self.ready.given = true;
            }
        }
    }

    fn prove(&mut self, service: &str, actions: &mut Vec<Action>) {
        if let Some(node) = self.nodes.get_mut(service)
            && !node.proof.given
        {
            node.proof.given = true;
            let (stack, service) = (self.stack.clone(), service.to_owned());
            actions.push(Action::Emit(Event::ServiceReady { stack, service }));
        }
    }

    fn health(&mut self, service: &str, health: Health, actions: &mut Vec<Action>) {
        if self.nodes.get(service).is_none_or(|node| node.evidence != Evidence::Health) {
            return;
        }
        match health {
            Health::Healthy => self.prove(service, actions),
            Health::Unhealthy => {
                actions.push(Action::Fail(self.failure(Some(service), StackFailureCause::Unhealthy)));
            }
            Health::Starting => {}
        }
    }

    fn exited(&mut self, service: &str, exit: ExitInfo, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get_mut(service) else { return };
        if node.phase < Phase::Running {
            node.early_exit = Some(exit);
            return;
        }
        let expected = node.evidence == Evidence::Completion && exit.code == 0;
        actions.push(Action::Emit(Event::ServiceExited {
            stack: self.stack.clone(),
            service: service.to_owned(),
            exit_code: exit.code,
            oom_killed: exit.oom_killed,
            expected,
        }));
        if expected {
            node.phase = Phase::Completed;
            self.prove(service, actions);
        } else {
            let cause = StackFailureCause::Exited { exit_code: exit.code, oom_killed: exit.oom_killed };
            actions.push(Action::Fail(self.failure(Some(service), cause)));
        }
    }
}

fn evidence(service: &Service) -> Evidence {
    let checked = |check: &Healthcheck| check.test.first().is_some_and(|kind| kind != "NONE");
    match (&service.probe, &service.healthcheck) {
        (Some(probe), _) => Evidence::Probe(probe.clone()),
        (None, Some(check)) if checked(check) => Evidence::Health,
        (None, _) => Evidence::Start,
    }
}

/// The service that shares the agent's place in the network, and so also its address: the first one that starts.
pub fn guest(stack: &Stack) -> Option<String> {
    order(stack).into_iter().next()
}

/// The services in the order in which they start when nothing else decides.
pub fn order(stack: &Stack) -> Vec<String> {
    let mut order: Vec<String> = stack.services.keys().cloned().collect();
    order.sort_by_cached_key(|name| depth(&stack.services, name, stack.services.len()));
    order
}

/// How many services must start one after another before this one. Planning refuses cycles; `limit` keeps even one that
/// slipped through from being followed forever.
fn depth(services: &BTreeMap<String, Service>, name: &str, limit: usize) -> usize {
    let dependencies = services.get(name).into_iter().flat_map(|service| service.depends_on.keys());
    let deepest = |limit| dependencies.map(|dependency| 1 + depth(services, dependency, limit)).max();
    limit.checked_sub(1).and_then(deepest).unwrap_or(0)
}

#[cfg(test)]
pub(super) mod tests;
