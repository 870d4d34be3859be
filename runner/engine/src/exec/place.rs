//! The place where a run's tools work: the project's files, the user, and what every container is given.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use testbed_model::event::Event;
use testbed_model::id::RunId;
use testbed_model::lane::Lane;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::prepare::{PrepareError, text};
use super::site::{Site, user_for};
use crate::events::Events;
use crate::host::files::Identity;
use crate::host::identity::ProcessIdentity;
use crate::host::tree;
use crate::stack::Owner;

/// What decides a place.
#[derive(Clone, Debug)]
pub struct PlaceContext {
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
}

/// The place of one run.
#[derive(Debug)]
pub struct Place {
    context: PlaceContext,
    events: Events,
    owner: String,
    user: Identity,
    project: OnceCell<ProjectSource>,
}

/// The project as lanes see it.
#[derive(Debug)]
pub struct ProjectSource {
    /// Files and links, relative to the project's root, in order.
    pub files: Vec<String>,
    /// A copy that everybody may read, made when the project itself is not readable for somebody; removed with the run.
    copy: OnceCell<TempDir>,
}

impl Place {
    /// The place of a run of this process.
    pub fn new(context: PlaceContext, events: Events) -> Result<Self, PrepareError> {
        let process = ProcessIdentity::own()
            .map_err(|source| PrepareError::File { path: PathBuf::from("/proc/self"), source })?;
        let owner = Owner::from(&process).to_string();
        Ok(Self { context, events, owner, user: user_for(Identity::own()), project: OnceCell::new() })
    }

    /// The project's root on the host.
    pub fn root(&self) -> &Path {
        &self.context.project
    }

    /// The folder that holds the pytest plugin's package.
    pub fn plugin(&self) -> &Path {
        &self.context.plugin
    }

    /// Where caches are kept.
    pub fn cache(&self) -> PathBuf {
        self.context.state.join("cache")
    }

    /// The user of containers.
    pub const fn user(&self) -> Identity {
        self.user
    }

    /// The project's files, listed once.
    pub async fn source(&self, cancel: &CancellationToken) -> Result<&ProjectSource, PrepareError> {
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
        Ok(ProjectSource { files, copy: OnceCell::new() })
    }

    /// What a container with this user mounts as the project.
    async fn mounted(&self, source: &ProjectSource, user: Identity) -> Result<String, PrepareError> {
        let root = &self.context.project;
        if tree::first_unreadable(root, &source.files, user).is_none() {
            return text(root);
        }
        let copy = async || readable_copy(root, &self.cache(), &source.files);
        text(source.copy.get_or_try_init(copy).await?.path())
    }

    /// The place as a lane's container needs it.
    pub async fn site(&self, lane: &Lane, cancel: &CancellationToken) -> Result<Site, PrepareError> {
        let source = self.source(cancel).await?;
        let user = lane.habits.user.as_deref().and_then(Identity::parse).unwrap_or(self.user);
        Ok(Site {
            run: self.context.run.clone(),
            owner: self.owner.clone(),
            user,
            agent: text(&self.context.agent_binary)?,
            plugin: text(&self.context.plugin)?,
            root: text(&self.context.project)?,
            project: self.mounted(source, user).await?,
            files: source.files.clone(),
            seed: self.context.seed,
        })
    }
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
