//! The container engine: the only importer of its client. Everybody else speaks in the types of this module.
//!
//! A [`Daemon`] is a connection that has agreed on an API version. Its verbs are grouped by what they act on:
//! containers, their streams, networks and volumes, images, and what of ours exists.

mod container;
mod error;
mod events;
mod exec;
mod facts;
mod image;
mod network;
mod owned;
mod request;
mod spec;
mod streams;

use bollard::Docker;
use bollard::errors::Error as ClientError;
use testbed_model::facts::DaemonFacts;

pub use container::{ContainerState, ExitInfo};
pub use error::DaemonError;
pub use events::{ContainerAction, ContainerEvent, ContainerEvents, Health};
pub use exec::{Execution, ScreenSize};
pub use image::{ImageFacts, LoadProgress, PullProgress};
pub use owned::{Owned, OwnedContainer, OwnedNetwork, OwnedVolume};
pub use spec::{
    ContainerId, ContainerSpec, Labels, LogDriver, NetworkId, NetworkMode, NetworkSpec, Stdin, VolumeSpec,
};
pub use streams::{Attached, Chunks, Lines, LogLine, StdStream, lines_of};

use crate::host::environment;

/// Where the daemon listens when nothing says otherwise.
const DEFAULT_ADDRESS: &str = "unix:///var/run/docker.sock";

/// The variable that says otherwise.
const ADDRESS_VARIABLE: &str = "DOCKER_HOST";

/// The oldest API that has all that is used here: Docker 20.10 and Podman 4.
const OLDEST_API: (usize, usize) = (1, 41);

/// A connection to the container engine. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Daemon {
    client: Docker,
    address: String,
}

impl Daemon {
    /// Connects to the daemon that `DOCKER_HOST` names, or to the usual socket, and agrees on an API version.
    pub async fn connect() -> Result<Self, DaemonError> {
        let address = environment::variable(ADDRESS_VARIABLE).unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
        Self::connect_to(&address).await
    }

    /// Connects to the daemon at an address such as `unix:///var/run/docker.sock` or `tcp://127.0.0.1:2375`.
    pub async fn connect_to(address: &str) -> Result<Self, DaemonError> {
        let refused = |error: ClientError| error::connecting(address, &error);
        let client = Docker::connect_with_host(address).map_err(refused)?;
        let client = client.negotiate_version().await.map_err(refused)?;
        let version = client.client_version();
        if (version.major_version, version.minor_version) < OLDEST_API {
            return Err(DaemonError::TooOld {
                address: address.to_owned(),
                has: format!("{}.{}", version.major_version, version.minor_version),
                needs: format!("{}.{}", OLDEST_API.0, OLDEST_API.1),
            });
        }
        Ok(Self { client, address: address.to_owned() })
    }

    /// The address that this connection goes to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What the daemon says of itself.
    pub async fn facts(&self) -> Result<DaemonFacts, DaemonError> {
        facts::of(self).await
    }
}
