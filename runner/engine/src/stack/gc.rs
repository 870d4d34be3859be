//! What dead runs left behind, and nothing else, is removed.

use super::error::StackError;
use super::owner::is_left_behind;
use super::teardown::remove_owned;
use crate::docker::{Daemon, Owned};
use crate::host::clock;
use crate::host::identity::{ProcessIdentity, start_ticks};

/// What a sweep removed, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Containers.
    pub containers: Vec<String>,
    /// Networks.
    pub networks: Vec<String>,
    /// Volumes.
    pub volumes: Vec<String>,
    /// Objects of Testbed's that stay: their run is alive, or they are kept, or they belong to another host.
    pub kept: usize,
    /// What the daemon did not let go, by name, with its words. A daemon that was itself killed can hold on to a
    /// network for ever; that must not keep anybody from running.
    pub stuck: Vec<(String, String)>,
}

/// The daemon carries out what a runner asked for also when that one has died meanwhile, so more may come to light while a
/// sweep is under way. This often it is looked for.
const ROUNDS: usize = 5;

/// Removes what runs left behind whose process on this host has ended, and which nobody asked to keep until later.
pub async fn gc(daemon: &Daemon) -> Result<Swept, StackError> {
    let here = ProcessIdentity::own().map_err(|e| StackError::Host { message: e.to_string() })?;
    let mut swept = Swept::default();
    let mut left = Vec::new();
    for _ in 0..ROUNDS {
        let (dead, kept) = left_behind(daemon, &here).await?;
        swept.kept = kept;
        if dead.is_empty() {
            return Ok(swept);
        }
        left = remove_owned(daemon, &dead).await;
        let is_gone = |name: &String| left.iter().all(|(other, _)| other != name);
        swept.containers.extend(dead.containers.into_iter().map(|it| it.name).filter(is_gone));
        swept.networks.extend(dead.networks.into_iter().map(|it| it.name).filter(is_gone));
        swept.volumes.extend(dead.volumes.into_iter().map(|it| it.name).filter(is_gone));
    }
    swept.stuck = left.into_iter().map(|(name, error)| (name, error.to_string())).collect();
    Ok(swept)
}

/// What dead runs left, and how much else there is of Testbed's.
async fn left_behind(daemon: &Daemon, here: &ProcessIdentity) -> Result<(Owned, usize), StackError> {
    let now = clock::now();
    let Owned { mut containers, mut networks, mut volumes } = daemon.list_owned().await?;
    let found = containers.len() + networks.len() + volumes.len();
    containers.retain(|container| is_left_behind(&container.labels, here, now, start_ticks));
    networks.retain(|network| is_left_behind(&network.labels, here, now, start_ticks));
    volumes.retain(|volume| is_left_behind(&volume.labels, here, now, start_ticks));
    let kept = found - containers.len() - networks.len() - volumes.len();
    Ok((Owned { containers, networks, volumes }, kept))
}
