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
    /// Why GPUs could not be asked as they should be, where there is a driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_trouble: Option<String>,
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
    /// What the host offers besides.
    #[serde(default, skip_serializing_if = "HostFacts::is_empty")]
    pub host: HostFacts,
    /// What of all this does not come from the host, but from a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<Simulated>,
}

/// What a host offers besides processors, memory and GPUs. What could not be told is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostFacts {
    /// File system of the state folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
    /// Size of `/dev/shm` in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_bytes: Option<u64>,
    /// Limits of this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<ProcessLimits>,
    /// Whether something keeps the clock in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_synchronised: Option<bool>,
}

/// Room on a file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// The folder that was asked about.
    pub path: String,
    /// Bytes that are left.
    pub free_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// The most that a process may raise its limits to; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessLimits {
    /// Open files.
    pub nofile: Option<u64>,
    /// Bytes of memory that stay out of swap.
    pub memlock: Option<u64>,
    /// Bytes of stack.
    pub stack: Option<u64>,
}

/// What was replaced by a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulated {
    /// The file, as it was named.
    pub file: String,
    /// Keys that it sets, in order.
    pub keys: Vec<String>,
}

impl Simulated {
    /// More keys than this are told by their tables.
    const FEW: usize = 6;

    /// What was replaced, for a person: a few keys by name, many by their tables.
    pub fn told(&self) -> String {
        if self.keys.len() <= Self::FEW {
            return self.keys.join(", ");
        }
        let mut tables: Vec<(&str, usize)> = Vec::new();
        for key in &self.keys {
            let table = key.split('.').next().unwrap_or_default();
            match tables.iter_mut().find(|(known, _)| *known == table) {
                Some((_, count)) => *count += 1,
                None => tables.push((table, 1)),
            }
        }
        let told = |(table, count): &(&str, usize)| {
            if *count > 1 { format!("{table} ({count} keys)") } else { (*table).to_owned() }
        };
        tables.iter().map(told).collect::<Vec<_>>().join(", ")
    }
}

impl HostFacts {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
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
    /// The runtime of a container that names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_runtime: Option<String>,
    /// Folders where it looks for descriptions of devices; none where it looks for none, or does not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cdi_spec_dirs: Vec<String>,
    /// Whether the hook that serves requests for GPUs is installed; none where that cannot be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_hook: Option<bool>,
    /// Ranges of addresses that its networks use: `172.17.0.0/16`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub address_ranges: Vec<String>,
    /// File system of its images and containers, where it is on this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
}

#[cfg(test)]
mod tests {
    use super::{Facts, Simulated};

    #[test]
    fn facts_of_an_older_record_are_still_read() {
        let old = r#"{"cores": 2, "memory_bytes": 1024, "gpus": 0, "architecture": "x86_64", "kernel": "6.1",
            "daemon": {"name": "Docker", "version": "20.10.24", "api_version": "1.41", "storage_driver": "overlay2",
            "cgroup_version": "1"}, "revision": null, "tools": {}}"#;
        let facts: Facts = serde_json::from_str(old).unwrap();
        assert_eq!(
            (facts.accelerators.as_ref(), facts.simulated.as_ref(), facts.host.is_empty()),
            (None, None, true)
        );
        let written = serde_json::to_string(&facts).unwrap();
        assert!(
            !written.contains("host") && !written.contains("cdi"),
            "what is not known is not written: {written}"
        );
        assert_eq!(serde_json::from_str::<Facts>(&written).unwrap(), facts);
    }

    #[test]
    fn few_keys_are_told_by_name_and_many_by_their_tables() {
        let told = |keys: &[&str]| {
            let keys = keys.iter().map(|key| (*key).to_owned()).collect();
            Simulated { file: "h.toml".to_owned(), keys }.told()
        };
        assert_eq!(told(&["host.cores", "gpu"]), "host.cores, gpu");
        let many = ["host.a", "host.b", "host.c", "driver.version", "driver.cuda", "daemon.name", "gpu"];
        assert_eq!(told(&many), "host (3 keys), driver (2 keys), daemon, gpu");
    }
}
