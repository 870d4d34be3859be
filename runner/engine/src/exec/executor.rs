//! The executor of a run: prepares lanes on the host, assembles their containers and drives them.

use std::path::Path;

use testbed_model::event::{Event, LaneFailure};
use testbed_model::lane::{Lane, SuiteKind};
use testbed_model::stack::Stack;
use tokio_util::sync::CancellationToken;

use super::drive::{Drive, LaneEnd};
use super::heard::Decoder;
use super::place::{Place, PlaceContext};
use super::pre_commit::{self, Hook, HooksError, PreCommit, RustForHooks};
use super::prepare::{self, PrepareError, Progress};
use super::rounds::{LaneRounds, Repeat};
use super::site::{Assembly, Site, StackSite};
use super::{cargo, pytest};
use crate::docker::Daemon;
use crate::events::Events;
use crate::schedule::{Effects, Parting};
use crate::stack::{self, LiveStack, Seat, StackContext, StackError, Standing};

/// What a run's executor needs to know.
#[derive(Clone, Debug)]
pub struct RunContext {
    /// Where lanes are executed.
    pub place: PlaceContext,
    /// How stacks are brought up.
    pub stacks: StackContext,
    /// Stacks that stand already and are used as they are.
    pub standing: Vec<Standing>,
    /// How often cases are executed.
    pub repeat: Repeat,
}

/// Executes lanes for real.
pub struct Executor {
    daemon: Daemon,
    events: Events,
    place: Place,
    stacks: StackContext,
    standing: Vec<Standing>,
    repeat: Repeat,
    /// Cancelled when some lane has seen what the run was looking for.
    enough: CancellationToken,
}

/// What preparation gave for a lane.
#[derive(Clone, Debug)]
pub enum Prepared {
    /// pytest needs nothing.
    Pytest,
    /// Compiled tests.
    Cargo(cargo::Built),
    /// Hooks.
    PreCommit(Vec<Hook>, Option<RustForHooks>),
}

impl Executor {
    /// An executor for one run.
    pub fn new(daemon: Daemon, events: Events, context: RunContext) -> Result<Self, PrepareError> {
        let RunContext { place, stacks, standing, repeat } = context;
        let place = Place::new(place, events.clone())?;
        Ok(Self { daemon, events, place, stacks, standing, repeat, enough: CancellationToken::new() })
    }

    async fn try_prepare(&self, lane: &Lane, cancel: &CancellationToken) -> Result<Prepared, PrepareError> {
        let tell = |step| self.events.emit(Event::LanePreparing { lane: lane.id.clone(), step });
        let progress = Progress { tell: &tell, cancel };
        self.place.source(cancel).await?;
        let root = self.place.root();
        match lane.kind {
            SuiteKind::Pytest => Ok(Prepared::Pytest),
            SuiteKind::Cargo => prepare::cargo(lane, root, &progress).await.map(Prepared::Cargo),
            SuiteKind::PreCommit => {
                let hooks = pre_commit::chosen(lane, hooks_of(lane, root)?);
                let cache = self.place.cache();
                let rust = prepare::rust_for_hooks(root, &cache, self.place.user(), &progress).await?;
                Ok(Prepared::PreCommit(hooks, rust))
            }
        }
    }

    async fn try_execute(
        &self,
        lane: &Lane,
        prepared: &Prepared,
        stack: Option<&LiveStack>,
        cancel: &CancellationToken,
        rounds: Option<&LaneRounds>,
    ) -> Result<LaneEnd, PrepareError> {
        let site = self.place.site(lane, cancel).await?;
        // The seat is held until the container is gone.
        let (seat, stack_site) = match stack.map(|live| (live, live.seat())) {
            None => (None, None),
            Some((live, Some(seat))) => {
                let site = stack_site(live, &seat);
                (Some(seat), Some(site))
            }
            Some((live, None)) => {
                let message = format!("the network of stack `{}` has no free address", live.profile());
                return Ok(LaneEnd::without_cases(LaneFailure {
                    message,
                    environment: true,
                    log: Vec::new(),
                }));
            }
        };
        let (assembly, decoder) = assemble(lane, &site, stack_site.as_ref(), prepared);
        let drive = Drive { daemon: &self.daemon, events: &self.events, lane, stack, cancel, rounds };
        let end = drive.run(&assembly, decoder).await;
        drop(seat);
        Ok(end)
    }
}

impl Effects for Executor {
    type Prepared = Prepared;
    type Stack = LiveStack;

    async fn prepare(&self, lane: &Lane, cancel: &CancellationToken) -> Result<Prepared, LaneFailure> {
        self.try_prepare(lane, cancel).await.map_err(failure)
    }

    async fn raise(&self, stack: &Stack, cancel: &CancellationToken) -> Result<LiveStack, StackError> {
        if let Some(standing) = self.standing.iter().find(|standing| standing.profile == stack.profile) {
            return standing.adopt(&self.daemon, stack, self.stacks.sampling, &self.events);
        }
        stack::up(&self.daemon, stack, &self.stacks, &self.events, cancel).await
    }

    async fn lower(&self, stack: LiveStack, parting: Parting) -> Result<(), StackError> {
        let asked = self.stacks.keep_until.filter(|_| parting == Parting::Red);
        match stack.adopted().or(asked) {
            Some(until) => {
                let (network, profile) = (stack.network().to_owned(), stack.profile().to_owned());
                stack.leave().await;
                self.events.emit(Event::StackKept { stack: profile, network, until });
                Ok(())
            }
            None => stack.down().await,
        }
    }

    async fn execute(
        &self,
        lane: &Lane,
        prepared: Prepared,
        stack: Option<&LiveStack>,
        cancel: &CancellationToken,
    ) -> LaneEnd {
        let round = async |rounds: Option<&LaneRounds>| {
            let executed = self.try_execute(lane, &prepared, stack, cancel, rounds).await;
            executed.unwrap_or_else(|error| LaneEnd::without_cases(failure(error)))
        };
        if self.repeat == Repeat::Once {
            return round(None).await;
        }
        let rounds = LaneRounds::new(self.repeat, self.enough.clone());
        let mut end = round(Some(&rounds)).await;
        // A lane that failed beyond its cases would do so again.
        while end.failure.is_none() && !cancel.is_cancelled() && rounds.go_on() {
            let said = format!("round {}", rounds.number());
            self.events.emit(Event::LaneOutput { lane: lane.id.clone(), line: said });
            end = round(Some(&rounds)).await;
        }
        for (result, service_logs) in rounds.finish() {
            self.events.emit(Event::CaseFinished { lane: lane.id.clone(), result, service_logs });
        }
        let (counts, times) = rounds.account();
        LaneEnd { counts, times, ..end }
    }
}

/// The hooks that the project configures.
pub fn hooks_of(lane: &Lane, root: &Path) -> Result<Vec<Hook>, HooksError> {
    let file = pre_commit::configuration_of(lane);
    let unreadable = |source| HooksError::Unreadable { file: file.clone(), source };
    let configuration = std::fs::read_to_string(root.join(&file)).map_err(unreadable)?;
    pre_commit::hooks(&file, &configuration)
}

fn assemble(
    lane: &Lane,
    site: &Site,
    stack: Option<&StackSite>,
    prepared: &Prepared,
) -> (Assembly, Box<dyn Decoder>) {
    match prepared {
        Prepared::Pytest => (pytest::assemble(lane, site, stack), Box::new(pytest::Pytest::default())),
        Prepared::Cargo(built) => {
            (cargo::assemble(lane, site, stack, built), Box::new(cargo::Nextest::default()))
        }
        Prepared::PreCommit(hooks, rust) => {
            let assembly = pre_commit::assemble(lane, site, hooks, rust.as_ref());
            (assembly, Box::new(PreCommit::new(lane, hooks.clone())))
        }
    }
}

fn stack_site(live: &LiveStack, seat: &Seat) -> StackSite {
    StackSite {
        stack: live.plan().clone(),
        network: seat.network.clone(),
        names: seat.extra_hosts.clone(),
        dns: seat.dns.clone(),
    }
}

/// A lane's failure before it had cases. Code that does not compile is the project's fault, everything else the host's.
fn failure(error: PrepareError) -> LaneFailure {
    use testbed_model::hint::Hint as _;
    let of_the_project = |error: &PrepareError| {
        matches!(
            error,
            PrepareError::DoesNotCompile { .. } | PrepareError::Failed { .. } | PrepareError::Hooks(_)
        )
    };
    let environment = !of_the_project(&error);
    let message = match error.hint() {
        Some(hint) => format!("{error} (hint: {hint})"),
        None => error.to_string(),
    };
    let log = match error {
        PrepareError::DoesNotCompile { log, .. } | PrepareError::Failed { log, .. } => log,
        _ => Vec::new(),
    };
    LaneFailure { message, environment, log }
}
