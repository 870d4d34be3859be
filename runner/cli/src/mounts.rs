//! What containers are given of this host: it has to be there, and readable for the users that they run as. A container
//! would tell much later, and in other words.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use testbed_engine::exec::site::user_for;
use testbed_engine::host::files::Identity;
use testbed_engine::host::readable::{Obstacle, obstacle};
use testbed_engine::stack::AGENT_USER;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::lane::{Lane, SuiteKind};
use testbed_model::stack::{Mount, Stack};

/// Something that a container needs cannot be mounted for it.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// It is not there.
    #[error("`{}`, which {wanted_by} mounts, is not there", path.display())]
    Missing {
        /// File or folder.
        path: PathBuf,
        /// Who mounts it.
        wanted_by: String,
    },
    /// Its mode keeps the container's user out.
    #[error("`{}`, which {wanted_by} mounts, cannot be read by user {}, as which it runs: its mode is {mode:04o}", path.display(), user.uid)]
    Unreadable {
        /// File or folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The top of what is mounted.
        mounted: PathBuf,
        /// Who mounts it.
        wanted_by: String,
        /// As whom it runs.
        user: Identity,
    },
}

impl Hint for MountError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing { .. } => "put it there, or correct who names it".to_owned(),
            Self::Unreadable { mounted, .. } => {
                format!("let others read it: `chmod -R go+rX '{}'`", mounted.display())
            }
        })
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Environment
    }
}

/// Checks what the services of stacks mount, the sources being absolute, and the agent that watches them.
pub fn check_stacks<'s>(stacks: impl IntoIterator<Item = &'s Stack>, agent: &Path) -> Result<(), MountError> {
    for stack in stacks {
        check(agent, "Testbed's agent", AGENT_USER)?;
        for service in stack.services.values() {
            let Some(user) = identity(&service.user) else { continue };
            for mount in &service.mounts {
                if let Mount::Bind { source, .. } = mount {
                    let wanted_by = format!("the service `{}` of {}", service.name, stack.source);
                    check(Path::new(source), &wanted_by, user)?;
                }
            }
        }
    }
    Ok(())
}

/// Checks what the containers of lanes mount besides the project.
pub fn check_lanes(lanes: &[Lane], agent: &Path, plugin: &Path) -> Result<(), MountError> {
    let user = user_for(Identity::own());
    for lane in lanes {
        let wanted_by = format!("the lane `{}`", lane.id);
        check(agent, &wanted_by, user)?;
        if lane.kind == SuiteKind::Pytest {
            check(plugin, &wanted_by, user)?;
        }
        let own = lane.habits.user.as_deref().and_then(identity).unwrap_or(user);
        for mount in &lane.mounts {
            if let Mount::Bind { source, .. } = mount {
                check(Path::new(source), &wanted_by, own)?;
            }
        }
    }
    Ok(())
}

fn check(path: &Path, wanted_by: &str, user: Identity) -> Result<(), MountError> {
    let (mounted, wanted_by) = (path.to_owned(), wanted_by.to_owned());
    match obstacle(path, user) {
        None => Ok(()),
        Some(Obstacle::Missing) => Err(MountError::Missing { path: mounted, wanted_by }),
        Some(Obstacle::Unreadable(path)) => {
            let mode = path.metadata().map_or(0, |meta| meta.mode() & 0o7777);
            Err(MountError::Unreadable { path, mode, mounted, wanted_by, user })
        }
    }
}

/// The numbers of a compose file's `uid:gid` or `uid`.
fn identity(user: &str) -> Option<Identity> {
    let (uid, gid) = user.split_once(':').unwrap_or((user, user));
    Some(Identity { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
}
