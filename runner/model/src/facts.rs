//! What is true of this host and this checkout, gathered first and passed in as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::gpu::Accelerators;

/// Facts of the host, the daemon and the project under test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Processor cores.
    pub cores: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Number of GPUs.
    pub gpus: u32,
    /// The GPUs and their driver; none where there is no driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accelerators: Option<Accelerators>,
    /// Processor architecture, as Rust names it: `x86_64`, `aarch64`.
    pub architecture: String,
    /// Kernel release.
    pub kernel: String,
    /// Daemon: name, version, API version, storage driver; none when it was not asked.
    pub daemon: Option<DaemonFacts>,
    /// Git revision of the project, with `-dirty` where files differ; none outside of git.
    pub revision: Option<String>,
    /// The flake that the runner comes from; none where it was built in another way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flake: Option<FlakeFacts>,
    /// Versions of tools that take part (`cargo-nextest`, `rustc`, `testbed`).
    pub tools: BTreeMap<String, String>,
}

/// The flake that pins a runner, its tools and its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlakeFacts {
    /// Its git revision; `unknown` where Nix does not tell, as for a checkout with changes.
    pub revision: String,
    /// Hash of its lock, `sha256:` and hexadecimal digits.
    pub lock: String,
}

/// What the container engine says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonFacts {
    /// `Docker` or `Podman`.
    pub name: String,
    /// Version.
    pub version: String,
    /// API version in force after negotiation.
    pub api_version: String,
    /// Storage driver.
    pub storage_driver: String,
    /// Control group version.
    pub cgroup_version: String,
    /// Container runtimes that it offers: `runc`, `nvidia`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runtimes: Vec<String>,
    /// Devices that it knows by the Container Device Interface: `nvidia.com/gpu=0`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cdi_devices: Vec<String>,
}
