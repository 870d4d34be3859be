//! Networks and volumes.

use bollard::errors::Error as ClientError;
use bollard::query_parameters::RemoveVolumeOptions;

use super::Daemon;
use super::error::{self, DaemonError};
use super::request;
use super::spec::{NetworkId, NetworkSpec, VolumeSpec};

impl Daemon {
    /// Creates a network. An address range that is in use is an error for which [`DaemonError::is_overlap`] holds.
    pub async fn create_network(&self, spec: &NetworkSpec) -> Result<NetworkId, DaemonError> {
        let response = self.client.create_network(request::network(spec)).await;
        let created = response
            .map_err(|e| error::doing(format!("create network `{}` on {}", spec.name, spec.subnet), &e))?;
        Ok(NetworkId(created.id))
    }

    /// Removes a network by name or id. One that is gone already is not an error, one that is in use is.
    pub async fn remove_network(&self, network: &str) -> Result<(), DaemonError> {
        match self.client.remove_network(network).await {
            Err(ClientError::DockerResponseServerError { status_code: 404, .. }) | Ok(()) => Ok(()),
            Err(e) => Err(error::doing(format!("remove network `{network}`"), &e)),
        }
    }

    /// Creates a volume.
    pub async fn create_volume(&self, spec: &VolumeSpec) -> Result<(), DaemonError> {
        let response = self.client.create_volume(request::volume(spec)).await;
        response.map(drop).map_err(|e| error::doing(format!("create volume `{}`", spec.name), &e))
    }

    /// Removes a volume. One that is gone already is not an error, one that is in use is.
    pub async fn remove_volume(&self, name: &str) -> Result<(), DaemonError> {
        match self.client.remove_volume(name, None::<RemoveVolumeOptions>).await {
            Err(ClientError::DockerResponseServerError { status_code: 404, .. }) | Ok(()) => Ok(()),
            Err(e) => Err(error::doing(format!("remove volume `{name}`"), &e)),
        }
    }
}
