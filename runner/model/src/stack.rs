//! A stack as planned: every service fully determined, before anything exists in a daemon.
//!
//! What depends on the run (its id, its network's addresses) is not here; the engine adds it. So two runs of one plan
//! share these bytes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Milliseconds, the unit of every duration in plans and records.
pub type Millis = u64;

/// The services that a profile brings up, and how one knows that they serve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    /// The profile that this stack belongs to; also its name, unique in a plan.
    pub profile: String,
    /// The compose file, relative to the configuration's root, for messages.
    pub source: String,
    /// Services by name.
    pub services: BTreeMap<String, Service>,
    /// Named volumes, private to the run.
    pub volumes: BTreeSet<String>,
    /// The probe that decides that the whole stack serves.
    pub ready: Ready,
    /// What is true of the stack and decides which cases apply: `request_plane`, `discovery`, `router`, `mode`, ...
    pub facts: BTreeMap<String, String>,
    /// How long to wait.
    pub timeouts: StackTimeouts,
    /// Whether containers may reach addresses outside of the stack. Off unless a profile opens it.
    pub egress: bool,
    /// What each of the GPUs must be that its services reserve; none where they reserve none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_need: Option<GpuNeed>,
}

/// What the GPUs of a stack must be. Which ones they are is decided when it is brought up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuNeed {
    /// Free memory of each, in bytes.
    pub vram_bytes: u64,
    /// Least compute capability, such as `8.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute_capability: Option<String>,
}

/// How long a stack may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackTimeouts {
    /// From the first request to the daemon until the ready probe succeeded.
    pub ready_ms: Millis,
    /// For the teardown of all services together.
    pub stop_ms: Millis,
}

/// One member of a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Name, also its DNS name in the stack's network.
    pub name: String,
    /// The image's name in the lock, such as `dynamo`.
    pub image: String,
    /// The tag or digest reference that the daemon knows; filled from the lock at planning.
    pub image_reference: String,
    /// Replaces the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Environment, over the image's.
    pub environment: BTreeMap<String, String>,
    /// Working directory.
    pub working_dir: Option<String>,
    /// User as `uid:gid`.
    pub user: String,
    /// Bind mounts and named volumes.
    pub mounts: Vec<Mount>,
    /// Writable memory file systems: path to options (`size=64m,mode=1777`).
    pub tmpfs: BTreeMap<String, String>,
    /// What must hold before the container starts.
    pub depends_on: BTreeMap<String, Condition>,
    /// The container's own health check, executed by the daemon.
    pub healthcheck: Option<Healthcheck>,
    /// A probe of the service from inside the network, which the agent repeats adaptively.
    pub probe: Option<Probe>,
    /// Limits.
    pub limits: Limits,
    /// Accelerators.
    pub devices: Vec<DeviceReservation>,
    /// Shares of processors that are busy, beside the 1,024 of a service that says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<u32>,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: Option<u64>,
    /// Ulimits by name: soft, hard.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Capabilities given back.
    pub cap_add: BTreeSet<String>,
    /// Capabilities taken; `ALL` unless the profile relaxes.
    pub cap_drop: BTreeSet<String>,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// Whether processes may gain privileges (set-uid programs).
    pub no_new_privileges: bool,
    /// Whether the daemon's init process reaps zombies.
    pub init: bool,
    /// Labels of the user's.
    pub labels: BTreeMap<String, String>,
    /// Further DNS names.
    pub aliases: BTreeSet<String>,
    /// How long a stop may take before the daemon kills, in milliseconds.
    pub stop_grace_ms: Millis,
}

/// One thing mounted into a container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mount {
    /// A file or folder of the host.
    Bind {
        /// Path on the host. In a plan it is relative to the configuration's root, so that plans are equal on all
        /// machines; [`crate::plan::placed`] makes it absolute for execution.
        source: String,
        /// Path in the container.
        target: String,
        /// Whether the container may not write.
        read_only: bool,
    },
    /// A model, read-only. In a plan it has no source, for each machine keeps it elsewhere; [`crate::plan::placed`] makes it
    /// a bind mount for execution.
    Model {
        /// The model's name in `models.toml`.
        model: String,
        /// Path in the container.
        target: String,
    },
    /// A named volume of the run.
    Volume {
        /// The volume's name in the compose file.
        volume: String,
        /// Path in the container.
        target: String,
        /// Whether the container may not write.
        read_only: bool,
    },
}

impl Mount {
    /// The model that it is, if it is one.
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Model { model, .. } => Some(model),
            Self::Bind { .. } | Self::Volume { .. } => None,
        }
    }
}

/// When a dependency counts as met (Compose Specification, `depends_on`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The container has been started.
    ServiceStarted,
    /// The probe or the health check succeeded.
    ServiceHealthy,
    /// The container ended with code 0.
    ServiceCompletedSuccessfully,
}

/// A health check that the daemon executes inside the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthcheck {
    /// As Docker has it: `["CMD", ...]`, `["CMD-SHELL", ...]` or `["NONE"]`.
    pub test: Vec<String>,
    /// Between two checks.
    pub interval_ms: Millis,
    /// For one check.
    pub timeout_ms: Millis,
    /// Failures before the container counts as unhealthy.
    pub retries: u32,
    /// During which failures do not count.
    pub start_period_ms: Millis,
}

/// A question asked of a service from inside the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// A connection is accepted.
    Tcp {
        /// Port.
        port: u16,
    },
    /// `GET` answers 200 and, where asked, the body contains a text.
    Http {
        /// Port.
        port: u16,
        /// Path with the leading slash.
        path: String,
        /// Text that the body must contain.
        contains: Option<String>,
    },
    /// A chat completion of one token comes back with at least one token counted.
    Chat {
        /// Port.
        port: u16,
        /// Model name.
        model: String,
    },
}

/// When the stack as a whole serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The service that is asked.
    pub service: String,
    /// The question.
    pub probe: Probe,
}

/// What a container may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// CPU time in billionths of a core.
    pub nano_cpus: u64,
    /// Processes and threads.
    pub pids: u64,
}

/// Accelerators that a service asks for (`deploy.resources.reservations.devices`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceReservation {
    /// Driver, such as `nvidia` or `cdi`.
    pub driver: Option<String>,
    /// How many; none together with `device_ids`; -1 is all.
    pub count: Option<i64>,
    /// Which.
    pub device_ids: Vec<String>,
    /// Capabilities, such as `gpu`.
    pub capabilities: Vec<String>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
}

impl DeviceReservation {
    /// Whether it reserves GPUs.
    pub fn is_of_gpus(&self) -> bool {
        self.capabilities.iter().any(|capability| capability == "gpu")
    }
}

impl Service {
    /// How many GPUs the service reserves; none where it takes all that there are.
    pub fn gpus(&self) -> Option<u64> {
        let reservations = self.devices.iter().filter(|device| device.is_of_gpus());
        reservations
            .map(|device| match device.count {
                Some(count) => u64::try_from(count).ok(),
                None => u64::try_from(device.device_ids.len()).ok(),
            })
            .sum()
    }
}

impl Stack {
    /// How many GPUs the stack reserves, as far as it says a number.
    pub fn gpus(&self) -> u64 {
        self.services.values().filter_map(Service::gpus).sum()
    }
}
