//! A stack that serves: watched, controlled, and in the end taken down.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use testbed_model::event::{Event, StackFailure, StackFailureCause};
use testbed_model::id::RunId;
use testbed_model::stack::Stack;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::addressing::{Addressing, Seat};
use super::attempt::{exit_info, last_lines};
use super::error::StackError;
use super::link::{AgentLink, Heard};
use super::logs::LogFollowers;
use super::request::{self, AGENT_SERVICE};
use super::teardown::{self, Footprint};
use crate::docker::{ContainerAction, ContainerEvent, ContainerEvents, ContainerId, Daemon};
use crate::events::Events;
use crate::host::clock::Clock;

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
    pub agent: AgentLink,
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
    health: watch::Receiver<StackHealth>,
    watching: JoinHandle<LogFollowers>,
    stop_watching: CancellationToken,
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
            health,
            watching,
            stop_watching,
        }
    }

    /// The profile.
    pub fn profile(&self) -> &str {
        &self.stack.profile
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

    /// Takes the stack down and returns when nothing of it is left.
    pub async fn down(self) -> Result<(), StackError> {
        let stack = self.stack.profile.clone();
        self.events.emit(Event::StackStopping { stack: stack.clone() });
        let clock = Clock::start();
        self.stop_watching.cancel();
        // Only a panic would keep the followers; the logs are then cut short, and the stack still goes.
        let mut logs = self.watching.await.unwrap_or_default();
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
        if let Ok(logs) = self.watching.await {
            logs.let_go().await;
        }
    }
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
        mut agent: AgentLink,
        stop: CancellationToken,
    ) -> LogFollowers {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(heard) = agent.next() => self.heard(heard),
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
        if let Heard::Ended(last_words) = heard {
            let message = format!("the watching agent ended, its last words: `{last_words}`");
            self.health.send_replace(StackHealth::Broken(StackFailure {
                service: None,
                cause: StackFailureCause::Daemon { message },
                last_answer: None,
                log: Vec::new(),
                chain: Vec::new(),
            }));
        }
    }

    async fn happened(&mut self, event: ContainerEvent) {
        let ContainerEvent { id, service, action, .. } = event;
        if service == AGENT_SERVICE || self.containers.get(&service) != Some(&id) {
            return;
        }
        match action {
            ContainerAction::Start => {
                self.asked_down.lock().unwrap_or_else(PoisonError::into_inner).remove(&service);
                self.logs.follow(&self.daemon, &self.events, &self.stack, &service, &id);
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
                    self.health.send_replace(StackHealth::Broken(StackFailure {
                        service: Some(service),
                        cause: StackFailureCause::Exited {
                            exit_code: exit.code,
                            oom_killed: exit.oom_killed,
                        },
                        last_answer: None,
                        log,
                        chain: Vec::new(),
                    }));
                }
            }
            ContainerAction::Oom | ContainerAction::Health(_) | ContainerAction::Destroy => {}
        }
    }
}
