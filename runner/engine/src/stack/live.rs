//! A stack that serves: watched, controlled, and in the end taken down.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use testbed_model::event::{Event, Finding, StackFailure, StackFailureCause};
use testbed_model::id::RunId;
use testbed_model::record::sample::Source;
use testbed_model::stack::Stack;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::addressing::{Addressing, Seat};
use super::attempt::{exit_info, last_lines};
use super::error::StackError;
use super::gpus::Granted;
use super::link::{AgentLink, Heard};
use super::logs::LogFollowers;
use super::measuring;
use super::request::{self, AGENT_SERVICE};
use super::teardown::{self, Footprint};
use crate::agent::watch::message::Report;
use crate::docker::{ContainerAction, ContainerEvent, ContainerEvents, ContainerId, Daemon};
use crate::events::Events;
use crate::host::clock::Clock;
use crate::host::room::{self, Full};

const MILLISECONDS: u64 = 1000;

/// Whether a stack that came up still serves, as far as the daemon tells.
#[derive(Clone, Debug, PartialEq)]
pub enum StackHealth {
    /// Every service runs, or was stopped on request.
    Serving,
    /// A service ended unasked.
    Broken(StackFailure),
    /// The daemon does not say any more what happens.
    Unwatched(String),
}

/// What can be done to a service of a running stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlOp {
    /// Ask it to end, and kill it after its grace period.
    Stop,
    /// Start it again.
    Start,
    /// Kill it.
    Kill,
    /// Stop and start.
    Restart,
    /// Freeze it.
    Pause,
    /// Let it go on.
    Unpause,
}

/// What a bring-up hands over.
pub(super) struct Parts {
    pub daemon: Daemon,
    pub stack: Stack,
    pub network: String,
    pub run: RunId,
    pub addressing: Addressing,
    pub events: Events,
    pub footprint: Footprint,
    pub logs: LogFollowers,
    pub happenings: ContainerEvents,
    /// Whether figures are taken.
    pub sampling: bool,
    /// GPUs, which are its own while it stands.
    pub granted: Option<Arc<Granted>>,
    /// None where the agent is another run's.
    pub agent: Option<AgentLink>,
    /// Until when it stands anyway, where another run brought it up.
    pub adopted: Option<Timestamp>,
}

/// A stack that serves. It is taken down by [`LiveStack::down`] only: dropping it leaves it to `testbed gc`.
#[must_use = "a stack that is dropped stays in the daemon"]
pub struct LiveStack {
    daemon: Daemon,
    stack: Stack,
    network: String,
    run: RunId,
    addressing: Addressing,
    events: Events,
    footprint: Footprint,
    asked_down: Arc<Mutex<BTreeSet<String>>>,
    asked_to_halt: Mutex<BTreeSet<String>>,
    health: watch::Receiver<StackHealth>,
    watching: JoinHandle<LogFollowers>,
    measuring: Option<JoinHandle<()>>,
    stop_watching: CancellationToken,
    adopted: Option<Timestamp>,
    /// Held, not read: others may have the GPUs when the stack is gone.
    _granted: Option<Arc<Granted>>,
}

impl fmt::Debug for LiveStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveStack").field("network", &self.network).finish_non_exhaustive()
    }
}

impl LiveStack {
    pub(super) fn new(parts: Parts) -> Self {
        let asked_down = Arc::new(Mutex::new(BTreeSet::new()));
        let (health_sender, health) = watch::channel(StackHealth::Serving);
        let stop_watching = CancellationToken::new();
        let watcher = Watcher {
            daemon: parts.daemon.clone(),
            stack: parts.stack.profile.clone(),
            events: parts.events.clone(),
            asked_down: Arc::clone(&asked_down),
            health: health_sender,
            logs: parts.logs,
            containers: parts.footprint.containers.clone(),
        };
        if let (true, Some(agent)) = (parts.sampling, &parts.agent) {
            for order in measuring::orders(&parts.stack, &parts.addressing) {
                agent.order(order);
            }
        }
        let measure = || {
            tokio::spawn(measuring::measure(
                parts.daemon.clone(),
                parts.events.clone(),
                parts.stack.profile.clone(),
                parts.footprint.containers.clone(),
                stop_watching.clone(),
            ))
        };
        let measuring = parts.sampling.then(measure);
        let watching = tokio::spawn(watcher.watch(parts.happenings, parts.agent, stop_watching.clone()));
        Self {
            daemon: parts.daemon,
            stack: parts.stack,
            network: parts.network,
            run: parts.run,
            addressing: parts.addressing,
            events: parts.events,
            footprint: parts.footprint,
            asked_down,
            asked_to_halt: Mutex::default(),
            health,
            watching,
            measuring,
            stop_watching,
            adopted: parts.adopted,
            _granted: parts.granted,
        }
    }

    /// The profile.
    pub fn profile(&self) -> &str {
        &self.stack.profile
    }

    /// Until when it stands anyway, where another run brought it up: then it is not ours to take down.
    pub const fn adopted(&self) -> Option<Timestamp> {
        self.adopted
    }

    /// The stack as it was planned.
    pub const fn plan(&self) -> &Stack {
        &self.stack
    }

    /// The network's name.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// The services' addresses.
    pub const fn addresses(&self) -> &BTreeMap<String, Ipv4Addr> {
        self.addressing.services()
    }

    /// Every DNS name of the services.
    pub const fn names(&self) -> &BTreeMap<String, IpAddr> {
        self.addressing.names()
    }

    /// A place in the network for a container that uses the stack; none when all are taken. To be kept until that
    /// container is gone.
    pub fn seat(&self) -> Option<Seat> {
        self.addressing.seat(&self.network, request::name_servers(&self.stack, &self.addressing))
    }

    /// Whether the stack still serves; changes as soon as the daemon says so.
    pub fn health(&self) -> watch::Receiver<StackHealth> {
        self.health.clone()
    }

    /// Does something to a service and returns when it is done. Ends that follow from it are expected ones.
    pub async fn control(&self, op: ControlOp, service: &str) -> Result<(), StackError> {
        let planned = self.stack.services.get(service);
        let (Some(planned), Some(id)) = (planned, self.footprint.containers.get(service)) else {
            return Err(StackError::UnknownService {
                stack: self.stack.profile.clone(),
                service: service.to_owned(),
            });
        };
        let grace_s = u32::try_from(planned.stop_grace_ms.div_ceil(MILLISECONDS)).unwrap_or(u32::MAX);
        if matches!(op, ControlOp::Stop | ControlOp::Kill | ControlOp::Restart) {
            let mut asked_down = self.asked_down.lock().unwrap_or_else(PoisonError::into_inner);
            asked_down.insert(service.to_owned());
        }
        {
            let mut asked_to_halt = self.asked_to_halt.lock().unwrap_or_else(PoisonError::into_inner);
            match op {
                ControlOp::Pause => _ = asked_to_halt.insert(service.to_owned()),
                // One that is started again goes on.
                _ => _ = asked_to_halt.remove(service),
            }
        }
        match op {
            ControlOp::Stop => self.daemon.stop(id, grace_s).await?,
            ControlOp::Start => self.daemon.start(id).await?,
            ControlOp::Kill => self.daemon.kill(id, "SIGKILL").await?,
            ControlOp::Restart => self.daemon.restart(id, grace_s).await?,
            ControlOp::Pause => self.daemon.pause(id).await?,
            ControlOp::Unpause => self.daemon.unpause(id).await?,
        }
        Ok(())
    }

    /// What the machine shows of services that do not do their work although they run: who is halted without a case having
    /// asked for it, and where no room is left. Nothing is found where the daemon does not answer, or is on another host.
    pub async fn findings(&self) -> Vec<(String, Finding)> {
        let looks = self.footprint.containers.iter().map(|(service, id)| async move {
            let found = self.look_at(service, id).await;
            found.into_iter().map(|finding| (service.clone(), finding)).collect::<Vec<_>>()
        });
        futures_util::future::join_all(looks).await.into_iter().flatten().collect()
    }

    async fn look_at(&self, service: &str, id: &ContainerId) -> Vec<Finding> {
        let Ok(state) = self.daemon.state(id).await else { return Vec::new() };
        let Some(pid) = state.pid.filter(|_| state.running) else { return Vec::new() };
        let asked = self.asked_to_halt.lock().unwrap_or_else(PoisonError::into_inner).contains(service);
        let mut found: Vec<Finding> = room::of_process(pid, &id.0).into_iter().map(full).collect();
        if asked {
            return found;
        }
        if state.paused {
            found.push(Finding::Halted { state: "paused".to_owned() });
        } else if let Ok(Some(word)) = self.daemon.process_state(id, pid).await
            && word.starts_with('T')
        {
            found.push(Finding::Halted { state: word });
        }
        found
    }

    /// Takes the stack down and returns when nothing of it is left.
    pub async fn down(self) -> Result<(), StackError> {
        let stack = self.stack.profile.clone();
        self.events.emit(Event::StackStopping { stack: stack.clone() });
        let clock = Clock::start();
        self.stop_watching.cancel();
        // Only a panic would keep the followers; the logs are then cut short, and the stack still goes.
        let mut logs = self.watching.await.unwrap_or_default();
        ended(self.measuring).await;
        let patience = Duration::from_millis(self.stack.timeouts.stop_ms);
        let torn = teardown::tear_down(&self.daemon, &self.footprint, &mut logs);
        if !matches!(tokio::time::timeout(patience, torn).await, Ok(Ok(()))) {
            let left = teardown::sweep(&self.daemon, self.run.as_str(), Some(&stack)).await?;
            teardown::must_be_empty(format!("stack `{stack}`"), left)?;
        }
        self.events.emit(Event::StackStopped { stack, took_ms: clock.elapsed_ms() });
        Ok(())
    }

    /// Leaves the stack running after this process's end, for as long as its labels say that it is kept.
    pub async fn leave(self) {
        self.stop_watching.cancel();
        ended(self.measuring).await;
        if let Ok(logs) = self.watching.await {
            logs.let_go().await;
        }
    }
}

/// Waits for a task, if there is one. One that panicked has ended too.
async fn ended(task: Option<JoinHandle<()>>) {
    if let Some(task) = task {
        let _ = task.await;
    }
}

/// What an agent says next; where there is none, nothing ever comes.
async fn said_by(agent: Option<&mut AgentLink>) -> Option<Heard> {
    match agent {
        Some(agent) => agent.next().await,
        None => std::future::pending().await,
    }
}

/// A full file system as a finding.
fn full(room: Full) -> Finding {
    Finding::DiskFull { path: room.path, total_bytes: room.total_bytes }
}

/// Who listens to the daemon while the stack serves.
struct Watcher {
    daemon: Daemon,
    stack: String,
    events: Events,
    asked_down: Arc<Mutex<BTreeSet<String>>>,
    health: watch::Sender<StackHealth>,
    logs: LogFollowers,
    containers: BTreeMap<String, ContainerId>,
}

impl Watcher {
    async fn watch(
        mut self,
        mut happenings: ContainerEvents,
        mut agent: Option<AgentLink>,
        stop: CancellationToken,
    ) -> LogFollowers {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(heard) = said_by(agent.as_mut()) => self.heard(heard),
                happening = happenings.next() => match happening {
                    Some(Ok(event)) => self.happened(event).await,
                    Some(Err(e)) => return self.unwatched(e.to_string(), stop).await,
                    None => return self.unwatched("its events ended".to_owned(), stop).await,
                },
            }
        }
        self.logs
    }

    async fn unwatched(self, message: String, stop: CancellationToken) -> LogFollowers {
        self.health.send_replace(StackHealth::Unwatched(message));
        stop.cancelled().await;
        self.logs
    }

    /// The agent holds its guest's place in the network, so the stack is broken without it.
    fn heard(&self, heard: Heard) {
        match heard {
            Heard::Ended(last_words) => {
                let message = format!("the watching agent ended, its last words: `{last_words}`");
                self.broke(StackFailure {
                    service: None,
                    cause: StackFailureCause::Daemon { message },
                    last_answer: None,
                    log: Vec::new(),
                    chain: Vec::new(),
                });
            }
            Heard::Report(Report::Figures { id: service, figures }) => {
                let stack = self.stack.clone();
                self.events.emit(Event::Sampled { stack, service, source: Source::Endpoint, figures });
            }
            _ => {}
        }
    }

    /// The first thing to break is the one at fault; what follows from it is no news.
    fn broke(&self, failure: StackFailure) {
        self.health.send_if_modified(|health| {
            let serving = *health == StackHealth::Serving;
            if serving {
                *health = StackHealth::Broken(failure);
            }
            serving
        });
    }

    async fn happened(&mut self, event: ContainerEvent) {
        let ContainerEvent { id, service, action, .. } = event;
        if service == AGENT_SERVICE || self.containers.get(&service) != Some(&id) {
            return;
        }
        match action {
            ContainerAction::Start => {
                self.asked_down.lock().unwrap_or_else(PoisonError::into_inner).remove(&service);
                self.logs.follow((&self.daemon, &self.events), (&self.stack, &service), &id, None);
                let (stack, container) = (self.stack.clone(), id.to_string());
                self.events.emit(Event::ServiceStarted { stack, service, container });
            }
            ContainerAction::Die { code } => {
                let expected =
                    self.asked_down.lock().unwrap_or_else(PoisonError::into_inner).contains(&service);
                let exit = exit_info(&self.daemon, &id, code).await;
                self.events.emit(Event::ServiceExited {
                    stack: self.stack.clone(),
                    service: service.clone(),
                    exit_code: exit.code,
                    oom_killed: exit.oom_killed,
                    expected,
                });
                if !expected {
                    let log = last_lines(&self.daemon, &id).await;
                    self.broke(StackFailure {
                        service: Some(service),
                        cause: StackFailureCause::Exited {
                            exit_code: exit.code,
                            oom_killed: exit.oom_killed,
                        },
                        last_answer: None,
                        log,
                        chain: Vec::new(),
                    });
                }
            }
            ContainerAction::Oom | ContainerAction::Health(_) | ContainerAction::Destroy => {}
        }
    }
}
