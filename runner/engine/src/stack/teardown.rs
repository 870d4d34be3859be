//! The end of a stack: everything is killed, and nothing is waited for that need not be.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use testbed_model::id::label;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

use super::error::StackError;
use super::logs::LogFollowers;
use crate::docker::{ContainerId, Daemon, DaemonError, Owned};
use crate::host::processors::cores;

/// The daemon lets go of a container's place in the network a moment after the container's end.
const NETWORK_PAUSE: Duration = Duration::from_millis(10);

/// A removal that meets another one under way is tried again, this often and after this pause.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// What a stack consists of in the daemon.
#[derive(Clone, Debug, Default)]
pub struct Footprint {
    /// The network's name, once it was asked for.
    pub network: Option<String>,
    /// Containers by service.
    pub containers: BTreeMap<String, ContainerId>,
    /// The services in the order in which they start.
    pub order: Vec<String>,
    /// The daemon's names of volumes.
    pub volumes: Vec<String>,
}

impl Footprint {
    /// The containers in the reverse order of their starts, so that nobody misses what it depends on; the agent, which
    /// nobody needs any more, comes first.
    fn last_first(&self) -> Vec<(&String, &ContainerId)> {
        let mut containers: Vec<_> = self.containers.iter().collect();
        let position = |service: &String| self.order.iter().rev().position(|other| other == service);
        containers.sort_by_key(|(service, _)| position(service));
        containers
    }
}

/// Removes a stack, as many containers at a time as there are processors: their ends are the daemon's work, and more of
/// them at once only keep each other waiting. The network goes while ended containers are being removed, the volumes
/// after their users.
pub async fn tear_down(
    daemon: &Daemon,
    footprint: &Footprint,
    logs: &mut LogFollowers,
) -> Result<(), DaemonError> {
    let (ended, all_ended) = watch::channel(0);
    let turns = Semaphore::new(cores());
    let containers = footprint.last_first().into_iter().map(|(service, id)| {
        let last_lines = logs.last_lines(service);
        let ended = &ended;
        let turns = &turns;
        async move {
            // It is never closed.
            let _turn = turns.acquire().await;
            // One that does not run can not be killed, and what else is wrong the removal will say.
            let _ = daemon.kill(id, "SIGKILL").await;
            ended.send_modify(|count| *count += 1);
            last_lines.await;
            remove_container(daemon, id).await
        }
    });
    let containers = async {
        let removed = join_all(containers).await;
        removed.into_iter().collect::<Result<Vec<()>, _>>()?;
        let volumes = footprint.volumes.iter().map(|volume| daemon.remove_volume(volume));
        join_all(volumes).await.into_iter().collect::<Result<Vec<()>, _>>().map(drop)
    };
    let network = remove_network(daemon, footprint, all_ended);
    let (containers, network) = tokio::join!(containers, network);
    containers.and(network)
}

async fn remove_network(
    daemon: &Daemon,
    footprint: &Footprint,
    mut ended: watch::Receiver<usize>,
) -> Result<(), DaemonError> {
    let Some(network) = &footprint.network else { return Ok(()) };
    let all = footprint.containers.len();
    // The sender outlives this future.
    let _ = ended.wait_for(|ended| *ended >= all).await;
    let mut tries = 0;
    loop {
        match daemon.remove_network(network).await {
            Err(DaemonError::Refused { .. }) if tries < TRIES * 10 => sleep(NETWORK_PAUSE).await,
            result => return result,
        }
        tries += 1;
    }
}

/// Removes a container, whoever else is doing so: the daemon refuses the second who asks while the first one's removal
/// is under way.
async fn remove_container(daemon: &Daemon, id: &ContainerId) -> Result<(), DaemonError> {
    for _ in 1..TRIES {
        match daemon.remove(id).await {
            Err(e) if e.is_conflict() => sleep(PAUSE).await,
            result => return result,
        }
    }
    daemon.remove(id).await
}

/// Removes everything in a list, and returns what of it could not be removed, with the daemon's words.
pub async fn remove_owned(daemon: &Daemon, owned: &Owned) -> Vec<(String, DaemonError)> {
    let mut left = Vec::new();
    let containers = owned.containers.iter().map(|container| async move {
        remove_container(daemon, &container.id).await.map_err(|e| (container.name.clone(), e))
    });
    left.extend(join_all(containers).await.into_iter().filter_map(Result::err));
    let networks = owned.networks.iter().map(|network| async move {
        daemon.remove_network(&network.id).await.map_err(|e| (network.name.clone(), e))
    });
    let volumes = owned.volumes.iter().map(|volume| async move {
        daemon.remove_volume(&volume.name).await.map_err(|e| (volume.name.clone(), e))
    });
    let (networks, volumes) = tokio::join!(join_all(networks), join_all(volumes));
    left.extend(networks.into_iter().chain(volumes).filter_map(Result::err));
    left
}

/// An error that names what is left, if something is.
pub fn must_be_empty(of: String, left: Vec<(String, DaemonError)>) -> Result<(), StackError> {
    let Some((_, error)) = left.first() else { return Ok(()) };
    let message = error.to_string();
    Err(StackError::Left { of, left: left.into_iter().map(|(name, _)| name).collect(), message })
}

/// Removes everything that carries a run's label, of one of its stacks or of all. Returns what could not be removed.
pub async fn sweep(
    daemon: &Daemon,
    run: &str,
    profile: Option<&str>,
) -> Result<Vec<(String, DaemonError)>, DaemonError> {
    let labels: Vec<(&str, &str)> =
        [(label::RUN, run)].into_iter().chain(profile.map(|profile| (label::PROFILE, profile))).collect();
    let owned = daemon.list_owned_by(&labels).await?;
    Ok(remove_owned(daemon, &owned).await)
}
