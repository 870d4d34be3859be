//! Stacks as written: a strict, documented subset of the Compose Specification, read with the place of every value.
//!
//! [`parse`] accepts what [`subset::KEYS`] lists and nothing else; what it refuses names file, line and column, and says
//! why. The same files pass `docker-compose config`. Nothing comes from the host: `${X}` takes its value from the profile.

mod dependency;
mod healthcheck;
mod interpolate;
mod merge;
mod mount;
mod probe;
mod resources;
mod service;
pub mod subset;
mod top;

use std::collections::{BTreeMap, BTreeSet};

use crate::document::{Document, Mark};
use crate::span::Fault;
use crate::stack::{Condition, DeviceReservation, Healthcheck, Millis, Mount, Probe, Ready};

/// A compose file, read and checked, before a profile is applied to it.
#[derive(Clone, Debug, PartialEq)]
pub struct ComposeFile {
    /// The file's path, relative to the configuration's root; with ` + ` between, where several were merged.
    pub file: String,
    /// Services by name.
    pub services: BTreeMap<String, ServiceDefinition>,
    /// Named volumes.
    pub volumes: BTreeSet<String>,
    /// The probe of the whole stack (`x-testbed.ready`).
    pub ready: Option<Ready>,
    /// Facts of the stack (`x-testbed.facts`).
    pub facts: BTreeMap<String, String>,
    /// Every variable that the file mentions.
    pub variables: BTreeSet<String>,
    document: Document,
}

/// A service as written.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceDefinition {
    /// Where its name is.
    pub mark: Mark,
    /// The image's name in the lock: `dynamo` for `testbed/dynamo`.
    pub image: Marked<String>,
    /// Replaces the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Environment.
    pub environment: BTreeMap<String, String>,
    /// Working directory.
    pub working_dir: Option<String>,
    /// User as `uid` or `uid:gid`.
    pub user: Option<Marked<String>>,
    /// Bind mounts, with sources relative to the configuration's root, and volumes.
    pub mounts: Vec<Mount>,
    /// Memory file systems: path to options.
    pub tmpfs: BTreeMap<String, String>,
    /// What must hold before the service starts.
    pub depends_on: BTreeMap<String, Marked<Condition>>,
    /// Health check by the daemon.
    pub healthcheck: Option<Healthcheck>,
    /// Probe by the agent (`x-testbed.probe`).
    pub probe: Option<Probe>,
    /// Limits that the file sets.
    pub limits: LimitsRequest,
    /// Accelerators.
    pub devices: Vec<DeviceReservation>,
    /// GPUs among them that are named.
    pub named_gpus: Vec<Marked<String>>,
    /// Shares of busy processors.
    pub cpu_shares: Option<u32>,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: Option<u64>,
    /// Ulimits: soft, hard.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Capabilities asked for.
    pub cap_add: Vec<Marked<String>>,
    /// Whether the root file system is read-only.
    pub read_only: Option<Marked<bool>>,
    /// Whether privileges may not be gained.
    pub no_new_privileges: Option<Marked<bool>>,
    /// Whether the daemon's init reaps zombies.
    pub init: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Further DNS names.
    pub aliases: BTreeSet<String>,
    /// Time to stop.
    pub stop_grace_ms: Option<Millis>,
    /// Compose profiles, one of which must be on for the service to take part; none means always.
    pub profiles: BTreeSet<String>,
}

/// Limits as far as the file sets them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitsRequest {
    /// Bytes.
    pub memory_bytes: Option<u64>,
    /// Billionths of a core.
    pub nano_cpus: Option<u64>,
    /// Processes.
    pub pids: Option<u64>,
}

/// A value that a later stage may refuse, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked<T> {
    /// The value.
    pub value: T,
    /// Where it is.
    pub mark: Mark,
}

/// A compose file that is not in the subset, or contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct ComposeError(#[from] pub Fault);

crate::hint::of_fault!(ComposeError);

/// A compose file's text, with its path relative to the configuration's root.
#[derive(Clone, Copy, Debug)]
pub struct Text<'t> {
    /// Path.
    pub file: &'t str,
    /// Content.
    pub text: &'t str,
}

/// Reads a compose file. `file` is its path relative to the configuration's root; `variables` fill `${X}`.
pub fn parse(
    file: &str,
    text: &str,
    variables: &BTreeMap<String, String>,
) -> Result<ComposeFile, ComposeError> {
    parse_layers(Text { file, text }, &[], variables)
}

/// Reads a compose file and those that are merged over it, in their order, as `docker compose -f A -f B` does. Paths in all of them
/// are relative to the folder of the first.
pub fn parse_layers(
    base: Text<'_>,
    layers: &[Text<'_>],
    variables: &BTreeMap<String, String>,
) -> Result<ComposeFile, ComposeError> {
    let mut document = crate::document::from_yaml(base.file, base.text)?;
    let mut mentioned = interpolate::fill(&mut document, variables)?;
    for layer in layers {
        let mut over = crate::document::from_yaml(layer.file, layer.text)?;
        mentioned.append(&mut interpolate::fill(&mut over, variables)?);
        merge::merge(&mut document, over);
    }
    let compose = top::read(document, mentioned)?;
    dependency::check(&compose)?;
    Ok(compose)
}

impl ComposeFile {
    /// A fault at a position in this file.
    pub fn fault(&self, mark: Mark, message: impl Into<String>) -> Fault {
        self.document.fault(mark, message)
    }

    /// Services that take part when these Compose profiles are on.
    pub fn enabled(
        &self,
        profiles: &BTreeSet<String>,
    ) -> impl Iterator<Item = (&String, &ServiceDefinition)> {
        self.services.iter().filter(move |(_, service)| service.is_enabled(profiles))
    }
}

impl ServiceDefinition {
    /// Whether the service takes part when these Compose profiles are on.
    pub fn is_enabled(&self, profiles: &BTreeSet<String>) -> bool {
        self.profiles.is_empty() || !self.profiles.is_disjoint(profiles)
    }
}

#[cfg(test)]
mod tests;
