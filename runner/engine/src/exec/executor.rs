//! The executor of a run: prepares lanes on the host, assembles their containers and drives them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use testbed_model::event::{Event, LaneFailure};
use testbed_model::id::RunId;
use testbed_model::lane::{Lane, SuiteKind};
use testbed_model::stack::Stack;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::drive::{Drive, LaneEnd};
use super::heard::Decoder;
use super::pre_commit::{self, Hook, HooksError, PreCommit, RustForHooks};
use super::prepare::{self, PrepareError, Progress, text};
use super::site::{Assembly, Site, StackSite, user_for};
use super::{cargo, pytest};
use crate::docker::Daemon;
use crate::events::Events;
use crate::host::files::Identity;
use crate::host::identity::ProcessIdentity;
use crate::host::tree;
use crate::schedule::Effects;
use crate::stack::{self, LiveStack, Owner, Seat, StackContext, StackError};

/// What a run's executor needs to know.
#[derive(Clone, Debug)]
pub struct RunContext {
    /// Run.
    pub run: RunId,
    /// Root of the project under test.
    pub project: PathBuf,
    /// Testbed's own folder of records and caches (`.testbed`).
    pub state: PathBuf,
    /// The folder that holds the pytest plugin's package.
    pub plugin: PathBuf,
    /// The runner's own binary.
    pub agent_binary: PathBuf,
    /// The seed of hashes.
    pub seed: u64,
    /// How stacks are brought up.
    pub stacks: StackContext,
}

/// Executes lanes for real.
pub struct Executor {
    daemon: Daemon,
    events: Events,
    context: RunContext,
    owner: String,
    user: Identity,
    project: OnceCell<ProjectSource>,
}

/// The project as lanes see it.
#[derive(Debug)]
struct ProjectSource {
    root: String,
    mounted: String,
    files: Vec<String>,
    /// A copy that the container's user may read, where the project itself is not; removed with the run.
    _copy: Option<TempDir>,
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
        let process = ProcessIdentity::own()
            .map_err(|source| PrepareError::File { path: PathBuf::from("/proc/self"), source })?;
        let owner = Owner::from(&process).to_string();
        let user = user_for(Identity::own());
        Ok(Self { daemon, events, context, owner, user, project: OnceCell::new() })
    }

    async fn try_prepare(&self, lane: &Lane, cancel: &CancellationToken) -> Result<Prepared, PrepareError> {
        let tell = |step| self.events.emit(Event::LanePreparing { lane: lane.id.clone(), step });
        let progress = Progress { tell: &tell, cancel };
        self.source(cancel).await?;
        let root = &self.context.project;
        match lane.kind {
            SuiteKind::Pytest => Ok(Prepared::Pytest),
            SuiteKind::Cargo => prepare::cargo(lane, root, &progress).await.map(Prepared::Cargo),
            SuiteKind::PreCommit => {
                let file = pre_commit::configuration_of(lane);
                let unreadable = |source| HooksError::Unreadable { file: file.clone(), source };
                let configuration = std::fs::read_to_string(root.join(&file)).map_err(unreadable)?;
                let hooks = pre_commit::hooks(&file, &configuration)?;
                let cache = self.context.state.join("cache");
                let rust = prepare::rust_for_hooks(root, &cache, self.user, &progress).await?;
                Ok(Prepared::PreCommit(hooks, rust))
            }
        }
    }

    /// The project's files, listed once a run.
    async fn source(&self, cancel: &CancellationToken) -> Result<&ProjectSource, PrepareError> {
        self.project.get_or_try_init(|| self.find_source(cancel)).await
    }

    async fn find_source(&self, cancel: &CancellationToken) -> Result<ProjectSource, PrepareError> {
        let root = &self.context.project;
        let tree::Listing { files, left_out } = tree::list(root, cancel).await?;
        if let [first, rest @ ..] = left_out.as_slice() {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            let message = format!("left out of the project's copy: {first}{more}");
            self.events.emit(Event::Warning { message, hint: None });
        }
        let unreadable = tree::first_unreadable(root, &files, self.user);
        let copy = match unreadable {
            None => None,
            Some(_) => Some(readable_copy(root, &self.context.state.join("cache"), &files)?),
        };
        let mounted = text(copy.as_ref().map_or(root.as_path(), TempDir::path))?;
        Ok(ProjectSource { root: text(root)?, mounted, files, _copy: copy })
    }

    fn site(&self, source: &ProjectSource) -> Result<Site, PrepareError> {
        Ok(Site {
            run: self.context.run.clone(),
            owner: self.owner.clone(),
            user: self.user,
            agent: text(&self.context.agent_binary)?,
            plugin: text(&self.context.plugin)?,
            root: source.root.clone(),
            project: source.mounted.clone(),
            files: source.files.clone(),
            seed: self.context.seed,
        })
    }

    async fn try_execute(
        &self,
        lane: &Lane,
        prepared: &Prepared,
        stack: Option<&LiveStack>,
        cancel: &CancellationToken,
    ) -> Result<LaneEnd, PrepareError> {
        let site = self.site(self.source(cancel).await?)?;
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
        let drive = Drive { daemon: &self.daemon, events: &self.events, lane, stack, cancel };
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
        stack::up(&self.daemon, stack, &self.context.stacks, &self.events, cancel).await
    }

    async fn lower(&self, stack: LiveStack) -> Result<(), StackError> {
        stack.down().await
    }

    async fn execute(
        &self,
        lane: &Lane,
        prepared: Prepared,
        stack: Option<&LiveStack>,
        cancel: &CancellationToken,
    ) -> LaneEnd {
        let executed = self.try_execute(lane, &prepared, stack, cancel).await;
        executed.unwrap_or_else(|error| LaneEnd::without_cases(failure(error)))
    }
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

/// Copies the project's files to where everybody may read them.
fn readable_copy(root: &Path, cache: &Path, files: &[String]) -> Result<TempDir, PrepareError> {
    let file_error = |path: &Path| {
        let path = path.to_owned();
        |source| PrepareError::File { path, source }
    };
    std::fs::create_dir_all(cache).map_err(file_error(cache))?;
    let copy = tempfile::Builder::new().prefix("project-").tempdir_in(cache).map_err(file_error(cache))?;
    tree::copy(root, copy.path(), files)?;
    tree::let_everybody_read(copy.path()).map_err(file_error(copy.path()))?;
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(copy.path(), open).map_err(file_error(copy.path()))?;
    Ok(copy)
}
