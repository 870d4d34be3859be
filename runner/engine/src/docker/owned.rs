//! What of ours exists in the daemon, found by label and by nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use bollard::models::ContainerSummaryStateEnum;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
};
use testbed_model::id::label;

use super::Daemon;
use super::error::{self, DaemonError};
use super::spec::{ContainerId, Labels};

/// Everything of ours, or of one run of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owned {
    /// Containers, running or not.
    pub containers: Vec<OwnedContainer>,
    /// Networks.
    pub networks: Vec<OwnedNetwork>,
    /// Volumes.
    pub volumes: Vec<OwnedVolume>,
}

impl Owned {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.networks.is_empty() && self.volumes.is_empty()
    }
}

/// A container of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedContainer {
    /// Id.
    pub id: ContainerId,
    /// Name without the daemon's leading slash.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// Whether it runs.
    pub running: bool,
}

/// A network of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedNetwork {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// Its address range, as the daemon says it.
    pub subnet: Option<String>,
}

/// A volume of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedVolume {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Labels,
}

impl Daemon {
    /// Everything that carries our run label.
    pub async fn list_owned(&self) -> Result<Owned, DaemonError> {
        self.list_labelled(vec![label::RUN.to_owned()]).await
    }

    /// Everything that carries all of these labels, of which one should be our run label.
    pub async fn list_owned_by(&self, labels: &[(&str, &str)]) -> Result<Owned, DaemonError> {
        self.list_labelled(labels.iter().map(|(key, value)| format!("{key}={value}")).collect()).await
    }

    /// Files and folders of the daemon's host that containers mount, whoever made them and whether they run or not.
    pub async fn mounted(&self) -> Result<BTreeSet<PathBuf>, DaemonError> {
        let all = ListContainersOptionsBuilder::default().all(true).build();
        let containers = self.client.list_containers(Some(all)).await;
        let containers = containers.map_err(|e| error::doing("list containers", &e))?;
        let mounts = containers.into_iter().filter_map(|container| container.mounts).flatten();
        Ok(mounts.filter_map(|mount| mount.source.map(PathBuf::from)).collect())
    }

    async fn list_labelled(&self, labels: Vec<String>) -> Result<Owned, DaemonError> {
        let filters = HashMap::from([("label", labels)]);
        let containers = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let networks = ListNetworksOptionsBuilder::default().filters(&filters).build();
        let volumes = ListVolumesOptionsBuilder::default().filters(&filters).build();
        let (containers, networks, volumes) = tokio::try_join!(
            self.client.list_containers(Some(containers)),
            self.client.list_networks(Some(networks)),
            self.client.list_volumes(Some(volumes)),
        )
        .map_err(|e| error::doing("list what is labelled as ours", &e))?;
        let containers = containers.into_iter().filter_map(|container| {
            let name = container.names.and_then(|names| names.into_iter().next()).unwrap_or_default();
            Some(OwnedContainer {
                id: ContainerId(container.id?),
                name: name.trim_start_matches('/').to_owned(),
                labels: sorted(container.labels.unwrap_or_default()),
                running: matches!(
                    container.state,
                    Some(ContainerSummaryStateEnum::RUNNING | ContainerSummaryStateEnum::PAUSED)
                ),
            })
        });
        let networks = networks.into_iter().filter_map(|network| {
            let labels = sorted(network.labels.unwrap_or_default());
            let ranges = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
            let subnet = ranges.into_iter().find_map(|range| range.subnet);
            Some(OwnedNetwork { id: network.id?, name: network.name.unwrap_or_default(), labels, subnet })
        });
        let volumes = volumes.volumes.unwrap_or_default().into_iter();
        let volumes = volumes.map(|volume| OwnedVolume { name: volume.name, labels: sorted(volume.labels) });
        Ok(Owned {
            containers: containers.collect(),
            networks: networks.collect(),
            volumes: volumes.collect(),
        })
    }
}

fn sorted(labels: HashMap<String, String>) -> Labels {
    labels.into_iter().collect::<BTreeMap<_, _>>()
}
