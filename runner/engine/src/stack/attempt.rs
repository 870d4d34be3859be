//! One attempt at a bring-up in one address range: performs what the state machine decides, and cleans up after itself
//! when it does not come to a stack that serves.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use jiff::SignedDuration;
use testbed_model::event::{Event, StackFailure};
use testbed_model::hint::Hint;
use testbed_model::id::label;
use testbed_model::stack::{Mount, Stack};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::StackContext;
use super::addressing::Addressing;
use super::bringup::{self, Action, Bringup, Input, Target};
use super::error::StackError;
use super::gpus::{self, Granted};
use super::link::{AgentLink, Heard};
use super::live::{LiveStack, Parts};
use super::logs::LogFollowers;
use super::request::{self, AGENT_SERVICE, Identity};
use super::teardown::{self, Footprint};
use crate::agent::watch::message::{Order, Question, Report};
use crate::docker::{
    ContainerAction, ContainerEvent, ContainerEvents, ContainerId, Daemon, DaemonError, ExitInfo,
};
use crate::events::Events;
use crate::host::clock::Clock;
use crate::host::processors::cores;

/// How many of a service's last lines explain its failure.
pub(super) const LAST_LINES: usize = 30;

/// A daemon that does not say within this time what a service logged last is not asked for longer.
const LOG_PATIENCE: Duration = Duration::from_secs(3);

/// Events are asked for from this long before the attempt on, should the daemon's clock be behind.
const CLOCK_MARGIN: SignedDuration = SignedDuration::from_secs(10);

/// What became of an attempt.
pub(super) enum End {
    /// The stack serves.
    Up(Box<LiveStack>),
    /// The address range is taken; nothing is left, and another one may be free.
    Overlap,
    /// It will not serve; nothing is left unless the error says so.
    Down(StackError),
}

/// What a request to the daemon came to.
enum Done {
    Network(Result<(), DaemonError>),
    Created(String, Result<ContainerId, DaemonError>),
    Started(String, Result<(), DaemonError>),
}

/// How the driving loop ended.
enum Verdict {
    Serves,
    Overlap,
    Failed(StackFailure),
    Cancelled,
}

pub(super) struct Attempt<'a> {
    daemon: &'a Daemon,
    stack: &'a Stack,
    identity: &'a Identity,
    addressing: Addressing,
    events: &'a Events,
    clock: Clock,
    machine: Bringup,
    requests: JoinSet<Done>,
    start_agent: watch::Sender<bool>,
    agent: AgentLink,
    happenings: ContainerEvents,
    footprint: Footprint,
    logs: LogFollowers,
    way_out: Option<String>,
    sampling: bool,
    granted: Option<Arc<Granted>>,
    agent_binary: PathBuf,
}

impl<'a> Attempt<'a> {
    /// An attempt whose first requests are under way.
    pub(super) fn new(
        daemon: &'a Daemon,
        stack: &'a Stack,
        context: &StackContext,
        identity: &'a Identity,
        addressing: Addressing,
        events: &'a Events,
        clock: Clock,
    ) -> Self {
        let (start_agent, agent_may_start) = watch::channel(false);
        let agent = request::agent(identity, stack, &addressing, &context.agent_image, &context.agent_binary);
        let since = clock.now().checked_sub(CLOCK_MARGIN).unwrap_or_default();
        let labels = [(label::RUN, identity.run.as_str()), (label::PROFILE, identity.profile.as_str())];
        Self {
            daemon,
            stack,
            identity,
            events,
            clock,
            machine: Bringup::new(stack, cores()),
            requests: JoinSet::new(),
            start_agent,
            agent: AgentLink::open(daemon, agent, agent_may_start),
            happenings: daemon.events(&labels, since),
            footprint: Footprint { order: bringup::order(stack), ..Footprint::default() },
            logs: LogFollowers::default(),
            way_out: None,
            sampling: context.sampling,
            granted: None,
            agent_binary: context.agent_binary.clone(),
            addressing,
        }
    }

    /// The same with these GPUs.
    pub(super) fn with_gpus(mut self, granted: Option<Arc<Granted>>) -> Self {
        self.granted = granted;
        self
    }

    /// Drives the attempt to its end. `tried` ranges were taken before.
    pub(super) async fn run(mut self, tried: usize, cancel: &CancellationToken) -> End {
        let verdict = self.drive(tried, cancel).await;
        let stack = self.stack.profile.clone();
        let error = match verdict {
            Verdict::Serves => return End::Up(Box::new(self.into_live())),
            Verdict::Overlap => {
                return self.clean_up().await.map_or_else(End::Down, |()| End::Overlap);
            }
            Verdict::Cancelled => StackError::Cancelled { stack: stack.clone() },
            Verdict::Failed(failure) => {
                let way_out = self.way_out.take();
                StackError::Failed { stack: stack.clone(), failure: Box::new(failure), way_out }
            }
        };
        let (events, stopping) = (self.events, Clock::start());
        events.emit(Event::StackStopping { stack: stack.clone() });
        if let Err(left) = self.clean_up().await {
            // What is left behind weighs more than why.
            return End::Down(left);
        }
        events.emit(Event::StackStopped { stack, took_ms: stopping.elapsed_ms() });
        End::Down(error)
    }

    async fn drive(&mut self, tried: usize, cancel: &CancellationToken) -> Verdict {
        self.create_network();
        let mut actions = self.machine.begin();
        if tried > 0 {
            // What is created once more was announced the first time.
            actions.retain(|action| !matches!(action, Action::Emit(_)));
        }
        let left_ms = self.machine.deadline_ms().saturating_sub(self.clock.elapsed_ms());
        let deadline = tokio::time::sleep(Duration::from_millis(left_ms));
        tokio::pin!(deadline);
        loop {
            for action in actions {
                if let Some(verdict) = self.perform(action).await {
                    return verdict;
                }
            }
            let input = tokio::select! {
                () = cancel.cancelled() => return Verdict::Cancelled,
                Some(done) = self.requests.join_next() => match done {
                    Ok(Done::Network(Err(e))) if e.is_overlap() => return Verdict::Overlap,
                    Ok(done) => self.done(done),
                    Err(e) => Some(Input::Refused { service: None, message: e.to_string() }),
                },
                happening = self.happenings.next() => self.happened(happening).await,
                Some(heard) = self.agent.next() => self.heard(heard),
                () = &mut deadline => Some(Input::Tick),
            };
            actions = match input {
                Some(input) => self.machine.step(self.clock.elapsed_ms(), input),
                None => Vec::new(),
            };
        }
    }

    fn create_network(&mut self) {
        let network = request::network(self.identity, self.stack, &self.addressing);
        self.footprint.network = Some(network.name.clone());
        let daemon = self.daemon.clone();
        self.requests.spawn(async move { Done::Network(daemon.create_network(&network).await.map(drop)) });
        let volumes = request::volumes(self.identity, self.stack);
        self.footprint.volumes = volumes.iter().map(|volume| volume.name.clone()).collect();
    }

    async fn perform(&mut self, action: Action) -> Option<Verdict> {
        match action {
            Action::Create { service } => self.create(service),
            Action::Start { service } => self.start(service),
            Action::StartAgent => drop(self.start_agent.send_replace(true)),
            Action::Probe { target, service, probe } => {
                if let Some(address) = self.addressing.services().get(&service).copied() {
                    self.agent.order(Order::Ask(Question { id: target_id(&target), address, probe }));
                }
            }
            Action::Emit(event) => self.events.emit(event),
            Action::Finish => {
                let (stack, took_ms) = (self.stack.profile.clone(), self.clock.elapsed_ms());
                self.events.emit(Event::StackReady { stack, took_ms });
                return Some(Verdict::Serves);
            }
            Action::Fail(mut failure) => {
                failure.log = self.last_lines(failure.service.as_deref()).await;
                let stack = self.stack.profile.clone();
                self.events.emit(Event::StackFailed { stack, failure: failure.clone() });
                return Some(Verdict::Failed(failure));
            }
        }
        None
    }

    fn create(&mut self, name: String) {
        let Some(service) = self.stack.services.get(&name) else { return };
        // Only the guest waits for the agent's container to be there; it joins that one's place in the network.
        let host = self.footprint.containers.get(AGENT_SERVICE);
        let host = host.filter(|_| self.addressing.is_guest(&name));
        let spec = request::service(self.identity, self.stack, service, &self.addressing, host);
        let spec = match self.granted.as_ref().and_then(|granted| granted.of(&name)) {
            Some(granted) => request::with_gpus(spec, granted, &self.agent_binary),
            None => spec,
        };
        let volumes: Vec<_> = request::volumes(self.identity, self.stack)
            .into_iter()
            .filter(|volume| spec.mounts.iter().any(|mount| is_volume(mount, &volume.name)))
            .collect();
        let daemon = self.daemon.clone();
        self.requests.spawn(async move {
            // Asking for a volume that is there changes nothing; one that is not would be made without our labels.
            for volume in &volumes {
                if let Err(e) = daemon.create_volume(volume).await {
                    return Done::Created(name, Err(e));
                }
            }
            let created = daemon.create_container(&spec).await;
            Done::Created(name, created)
        });
    }

    fn start(&mut self, service: String) {
        let Some(id) = self.footprint.containers.get(&service).cloned() else { return };
        let (daemon, granted) = (self.daemon.clone(), self.granted.clone());
        self.requests.spawn(async move {
            let started = daemon.start(&id).await;
            let of_service = granted.as_ref().and_then(|granted| granted.of(&service));
            let started = match (started, of_service) {
                (Ok(()), Some(of_service)) => gpus::verify(&daemon, &id, &service, of_service).await,
                (started, _) => started,
            };
            Done::Started(service, started)
        });
    }

    /// Takes note of what a request came to, and says what that means for the bring-up.
    fn done(&mut self, done: Done) -> Option<Input> {
        match done {
            Done::Network(Ok(())) => Some(Input::NetworkCreated),
            Done::Network(Err(e)) => Some(self.refused(None, &e)),
            Done::Created(service, Ok(id)) => {
                self.footprint.containers.insert(service.clone(), id);
                Some(Input::Created { service })
            }
            Done::Started(service, Ok(())) => {
                let container = self.footprint.containers.get(&service)?.to_string();
                Some(Input::Started { service, container })
            }
            Done::Created(service, Err(e)) | Done::Started(service, Err(e)) => {
                Some(self.refused(Some(service), &e))
            }
        }
    }

    fn refused(&mut self, service: Option<String>, error: &DaemonError) -> Input {
        self.way_out = error.hint();
        Input::Refused { service, message: error.to_string() }
    }

    async fn happened(&mut self, happening: Option<Result<ContainerEvent, DaemonError>>) -> Option<Input> {
        let ContainerEvent { id, service, action, .. } = match happening {
            Some(Ok(event)) => event,
            Some(Err(e)) => return Some(self.refused(None, &e)),
            None => {
                let message = "its events ended".to_owned();
                let lost =
                    DaemonError::Lost { doing: "report what happens to containers".to_owned(), message };
                return Some(self.refused(None, &lost));
            }
        };
        // The agent speaks for itself, and an earlier stack of this run had containers of the same names.
        if service == AGENT_SERVICE || self.footprint.containers.get(&service) != Some(&id) {
            return None;
        }
        match action {
            ContainerAction::Start => {
                let of = (self.stack.profile.as_str(), service.as_str());
                self.logs.follow((self.daemon, self.events), of, &id, None);
                None
            }
            ContainerAction::Die { code } => {
                // Asked here and now: a success that comes in meanwhile must not hide a death.
                let exit = exit_info(self.daemon, &id, code).await;
                Some(Input::Exited { service, exit })
            }
            ContainerAction::Health(health) => Some(Input::Health { service, health }),
            ContainerAction::Oom | ContainerAction::Destroy => None,
        }
    }

    fn heard(&mut self, heard: Heard) -> Option<Input> {
        match heard {
            Heard::Created(id) => {
                self.footprint.containers.insert(AGENT_SERVICE.to_owned(), id);
                Some(Input::AgentCreated)
            }
            Heard::Started => Some(Input::AgentStarted),
            Heard::Report(Report::Answer { id, answer }) => {
                Some(Input::Answered { target: target_of(&id), answer })
            }
            Heard::Report(Report::Success { id, answer, .. }) => {
                Some(Input::Succeeded { target: target_of(&id), answer })
            }
            Heard::Report(Report::Trouble { message }) => {
                let message = format!("the agent in stack `{}` says: {message}", self.stack.profile);
                self.events.emit(Event::Warning { message, hint: None });
                None
            }
            // It is asked to look once the stack serves.
            Heard::Report(Report::Figures { .. }) => None,
            Heard::Refused(e) => {
                let Input::Refused { message, .. } = self.refused(None, &e) else { return None };
                Some(Input::Refused {
                    service: None,
                    message: format!("the watching agent did not come up: {message}"),
                })
            }
            Heard::Ended(last_words) => {
                let message = format!("the watching agent ended, its last words: `{last_words}`");
                Some(Input::Refused { service: None, message })
            }
        }
    }

    async fn last_lines(&mut self, service: Option<&str>) -> Vec<String> {
        match service.and_then(|service| self.footprint.containers.get(service)) {
            Some(id) => last_lines(self.daemon, id).await,
            None => Vec::new(),
        }
    }

    fn into_live(self) -> LiveStack {
        LiveStack::new(Parts {
            daemon: self.daemon.clone(),
            stack: self.stack.clone(),
            network: self.identity.network(),
            run: self.identity.run.clone(),
            addressing: self.addressing,
            events: self.events.clone(),
            footprint: self.footprint,
            logs: self.logs,
            happenings: self.happenings,
            sampling: self.sampling,
            granted: self.granted,
            agent: Some(self.agent),
            adopted: None,
        })
    }

    /// Removes everything. What is under way is waited for first, in reason: it may still make something.
    async fn clean_up(mut self) -> Result<(), StackError> {
        drop(self.start_agent);
        let patience = Duration::from_millis(self.stack.timeouts.stop_ms);
        let requests = tokio::time::timeout(patience, async {
            while let Some(done) = self.requests.join_next().await {
                if let Ok(Done::Created(service, Ok(id))) = done {
                    self.footprint.containers.insert(service, id);
                }
            }
        });
        let agent = tokio::time::timeout(patience, self.agent.close());
        let (_, heard) = tokio::join!(requests, agent);
        for heard in heard.unwrap_or_default() {
            if let Heard::Created(id) = heard {
                self.footprint.containers.insert(AGENT_SERVICE.to_owned(), id);
            }
        }
        // What goes wrong here is tried again below, with what the daemon itself says is left.
        let torn = teardown::tear_down(self.daemon, &self.footprint, &mut self.logs);
        let _ = tokio::time::timeout(patience, torn).await;
        let profile = self.identity.profile.as_str();
        let left = teardown::sweep(self.daemon, self.identity.run.as_str(), Some(profile)).await?;
        teardown::must_be_empty(format!("stack `{profile}`"), left)
    }
}

/// How a container ended: the daemon's event has the code only.
pub(super) async fn exit_info(daemon: &Daemon, id: &ContainerId, code: i64) -> ExitInfo {
    match daemon.state(id).await {
        Ok(state) => state.exit.unwrap_or(ExitInfo { code, oom_killed: false }),
        Err(_) => ExitInfo { code, oom_killed: false },
    }
}

/// A container's last lines, as many as explain a failure.
pub(super) async fn last_lines(daemon: &Daemon, id: &ContainerId) -> Vec<String> {
    let lines = tokio::time::timeout(LOG_PATIENCE, daemon.last_logs(id, LAST_LINES)).await;
    // A failure without its log is still a failure worth reporting.
    lines.ok().and_then(Result::ok).unwrap_or_default().into_iter().map(|line| line.line).collect()
}

fn is_volume(mount: &Mount, name: &str) -> bool {
    matches!(mount, Mount::Volume { volume, .. } if volume == name)
}

fn target_id(target: &Target) -> String {
    match target {
        Target::Stack => "stack".to_owned(),
        Target::Service(service) => format!("service/{service}"),
    }
}

fn target_of(id: &str) -> Target {
    id.strip_prefix("service/").map_or(Target::Stack, |service| Target::Service(service.to_owned()))
}
