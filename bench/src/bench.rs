//! What all measurements share: the daemon, the programs, a place for files, and the promise to leave nothing behind.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::Docker;
use tempfile::TempDir;
use testbed_engine::configuration::Texts;
use testbed_engine::docker::{Daemon, Labels};
use testbed_engine::events::Events;
use testbed_engine::host::clock::{self, Clock};
use testbed_engine::host::environment;
use testbed_engine::host::identity::ProcessIdentity;
use testbed_engine::image::Images;
use testbed_engine::stack::{self, LiveStack, Owner, StackContext, Subnet, remove_run};
use testbed_model::hint::Hint;
use testbed_model::id::{RunId, label};
use testbed_model::plan::{Environment, plan_stack, rooted};
use testbed_model::profile;
use testbed_model::stack::Stack;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::BenchError;
use crate::process::Program;

/// The profile whose stack is measured.
pub const PROFILE: &str = "mocker";

/// The image of the agent that watches a stack.
const AGENT: &str = "agent";

/// Between two measurements, so that what the kernel still has to clear up after one does not burden the next.
const REST: Duration = Duration::from_millis(300);

/// A request that was under way at an interrupt is carried out by the daemon all the same. Only when nothing has appeared
/// for so many milliseconds, nothing more is expected.
const AFTERMATH_MS: u64 = 3000;

/// Between two looks at what has appeared.
const LOOK: Duration = Duration::from_millis(200);

/// How the measurements ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// By themselves: no request is under way.
    Orderly,
    /// In the middle of something.
    Interrupted,
}

/// The place and the tools of all measurements.
#[derive(Debug)]
pub struct Bench {
    /// The bare engine API.
    pub engine: Docker,
    /// The same daemon through Testbed's door.
    pub daemon: Daemon,
    /// Folder that holds `envs/`, `compose/`, `images/`.
    pub root: PathBuf,
    /// The runner that is measured.
    pub testbed: PathBuf,
    /// This program, which is also the prober and the health check inside containers.
    pub own: PathBuf,
    /// Files of this run of the bench.
    pub folder: TempDir,
    /// Addresses for networks that the bench makes.
    pub subnet: Subnet,
    /// Programs that are being ended.
    pub endings: TaskTracker,
    run: RunId,
    owner: Owner,
}

impl Bench {
    /// Finds everything, builds the runner if cargo started the bench, and touches nothing else.
    pub async fn open(
        root: Option<&Path>,
        testbed: Option<&Path>,
        subnet: Subnet,
    ) -> Result<Self, BenchError> {
        let endings = TaskTracker::new();
        let own = environment::own_executable().map_err(BenchError::host("tell the bench's own file"))?;
        let root = find_root(root)?;
        let testbed = match testbed {
            Some(path) => {
                path.canonicalize().map_err(BenchError::host(format!("find `{}`", path.display())))?
            }
            None => build(&root, &own, &endings).await?,
        };
        let process = ProcessIdentity::own().map_err(BenchError::host("tell the bench's own process"))?;
        let engine = Docker::connect_with_defaults().map_err(BenchError::engine("be connected to"))?;
        Ok(Self {
            engine: engine.negotiate_version().await.map_err(BenchError::engine("agree on a version"))?,
            daemon: Daemon::connect().await?,
            root,
            testbed,
            own,
            folder: TempDir::with_prefix("testbed-bench-").map_err(BenchError::host("make a folder"))?,
            subnet,
            endings,
            run: RunId::new(clock::now(), process.pid),
            owner: Owner::from(&process),
        })
    }

    /// A name for an object of this run of the bench: no other one has it.
    pub fn name(&self, of: &str) -> String {
        format!("testbed-bench-{}-{of}", self.run)
    }

    /// The labels of everything that the bench makes. They are Testbed's own, so that `testbed gc` finds what a bench that
    /// was killed left behind.
    pub fn labels(&self, round: &str) -> HashMap<String, String> {
        HashMap::from([
            (label::RUN.to_owned(), self.run.to_string()),
            (label::PROFILE.to_owned(), round.to_owned()),
            (label::OWNER.to_owned(), self.owner.to_string()),
        ])
    }

    /// The same with the service's name.
    pub fn labels_of(&self, round: &str, service: &str) -> HashMap<String, String> {
        let mut labels = self.labels(round);
        labels.insert(label::SERVICE.to_owned(), service.to_owned());
        labels
    }

    /// An address in the bench's range by its place from the end, far from those that the daemon gives by itself.
    pub fn address_from_end(&self, place: u32) -> Result<Ipv4Addr, BenchError> {
        let position = self.subnet.positions().checked_sub(place + 1);
        position.and_then(|position| self.subnet.address(position)).ok_or_else(|| BenchError::Missing {
            message: format!("the range `{}` has no place {place} from its end", self.subnet),
            hint: "name a larger range by `--subnet`",
        })
    }

    /// The profile's stack, by the functions that decide it for `testbed up`.
    pub fn stack(&self) -> Result<Stack, BenchError> {
        let texts = Texts::read(&self.root, &self.root).map_err(|e| no_stack(&e))?;
        let profile = profile::resolve(PROFILE, &texts.profiles, &[]).map_err(|e| no_stack(&e))?;
        let environment = Environment::new(profile, &texts.stacks).map_err(|e| no_stack(&e))?;
        let stack = plan_stack(&environment, &self.references()?).map_err(|e| no_stack(&e))?;
        Ok(rooted(&stack, &self.root.to_string_lossy()))
    }

    /// Brings a stack up in this process, as the runner would.
    pub async fn up(&self, stack: &Stack, sampling: bool, events: &Events) -> Result<LiveStack, BenchError> {
        let agent_image = self.references()?.remove(AGENT).ok_or_else(|| BenchError::Missing {
            message: format!("the image lock has no image `{AGENT}`"),
            hint: "start inside a checkout of Testbed, or name it by `--root PATH`",
        })?;
        let context = StackContext {
            run: self.run.clone(),
            agent_image,
            agent_binary: self.testbed.clone(),
            range: self.subnet,
            sampling,
            keep_until: None,
        };
        Ok(stack::up(&self.daemon, stack, &context, events, &CancellationToken::new()).await?)
    }

    /// What the daemon calls the lock's images.
    fn references(&self) -> Result<std::collections::BTreeMap<String, String>, BenchError> {
        let images = Images::open(&self.root.join("images"), self.folder.path()).map_err(|e| no_stack(&e))?;
        Ok(images.references())
    }

    /// Calls the runner.
    pub fn testbed<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Program {
        Program::new(&self.testbed, arguments).in_folder(&self.root)
    }

    /// Lets the machine come to rest.
    pub async fn rest(&self) {
        tokio::time::sleep(REST).await;
    }

    /// Ends what was started and removes what was made.
    pub async fn close(&self, how: Close) -> Result<(), BenchError> {
        // First what is in a stack's network, which its own teardown must not find occupied.
        let first = remove_run(&self.daemon, &self.run).await;
        self.endings.close();
        self.endings.wait().await;
        if how == Close::Orderly && first.is_ok() {
            return Ok(());
        }
        let mut quiet = Clock::start();
        while quiet.elapsed_ms() < AFTERMATH_MS {
            if self.has_left_something().await? {
                // What fails because it is under way already is tried again.
                let _ = remove_run(&self.daemon, &self.run).await;
                quiet = Clock::start();
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(remove_run(&self.daemon, &self.run).await?)
    }

    async fn has_left_something(&self) -> Result<bool, BenchError> {
        let owned = self.daemon.list_owned().await?;
        let ours = |labels: &Labels| labels.get(label::RUN).is_some_and(|run| run == self.run.as_str());
        Ok(owned.containers.iter().any(|container| ours(&container.labels))
            || owned.networks.iter().any(|network| ours(&network.labels)))
    }
}

fn no_stack(error: &impl Hint) -> BenchError {
    BenchError::NoStack { profile: PROFILE.to_owned(), message: error.to_string(), hint: error.hint() }
}

fn find_root(named: Option<&Path>) -> Result<PathBuf, BenchError> {
    let here = environment::working_folder().map_err(BenchError::host("tell the working folder"))?;
    let from = named.map_or(here.clone(), |named| here.join(named));
    let found = from.ancestors().find(|folder| folder.join("envs/default.toml").is_file());
    found.map(Path::to_owned).ok_or_else(|| BenchError::Missing {
        message: format!("no `envs/default.toml` in `{}` or above it", from.display()),
        hint: "start inside a checkout of Testbed, or name it by `--root PATH`",
    })
}

/// The runner beside the bench's own file; built first where cargo started the bench, so that it is never an old one.
async fn build(root: &Path, own: &Path, endings: &TaskTracker) -> Result<PathBuf, BenchError> {
    if let Some(cargo) = environment::variable("CARGO") {
        let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
        let arguments = ["build", "--quiet", "--package", "testbed", "--profile", profile];
        Program::new(Path::new(&cargo), arguments).in_folder(root).output(endings).await?;
    }
    let testbed = own.with_file_name("testbed");
    if testbed.is_file() {
        return Ok(testbed);
    }
    Err(BenchError::Missing {
        message: format!("there is no runner at `{}`", testbed.display()),
        hint: "start the bench by `cargo run --release -p testbed-bench`, or name the runner by `--testbed PATH`",
    })
}
