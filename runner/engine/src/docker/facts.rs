//! What the daemon says of itself, and what of it can be seen on this host.

use std::collections::BTreeSet;
use std::path::Path;

use bollard::models::{Network, SystemInfo};
use testbed_model::cdi;
use testbed_model::facts::DaemonFacts;
use testbed_model::version::Version;

use super::Daemon;
use super::error::{self, DaemonError};
use crate::host::{descriptions, offer, process};

/// The program that serves Docker's requests for GPUs.
const GPU_HOOK: &str = "nvidia-container-runtime-hook";

/// The oldest Docker that reads descriptions of devices unless it is told not to; then it names no folder.
const DOCKER_WITH_CDI: &str = "28.3";

/// Asks for everything at once.
pub(super) async fn of(daemon: &Daemon) -> Result<DaemonFacts, DaemonError> {
    let doing = "say its version";
    let client = &daemon.client;
    let (version, info, networks) = tokio::join!(client.version(), client.info(), client.list_networks(None));
    let version = version.map_err(|e| error::doing(doing, &e))?;
    let info = info.map_err(|e| error::doing(doing, &e))?;
    let components = version.components.unwrap_or_default();
    let podman = components.iter().any(|component| component.name.contains("Podman"));
    let is_local = daemon.address.starts_with("unix://");
    let version = version.version.unwrap_or_default();
    let root = info.docker_root_dir.as_deref().map(Path::new).filter(|root| is_local && root.is_dir());
    let runtimes: BTreeSet<String> = info.runtimes.clone().unwrap_or_default().into_keys().collect();
    Ok(DaemonFacts {
        name: if podman { "Podman" } else { "Docker" }.to_owned(),
        api_version: client.client_version().to_string(),
        disk: root.and_then(offer::disk),
        gpu_hook: (is_local && !podman).then(|| process::find(GPU_HOOK).is_some()),
        address_ranges: ranges(networks.unwrap_or_default()),
        cdi_devices: devices(&info, &version, podman, is_local),
        cdi_spec_dirs: info.cdi_spec_dirs.unwrap_or_default(),
        default_runtime: info.default_runtime.filter(|name| !name.is_empty()),
        version,
        storage_driver: info.driver.unwrap_or_default(),
        cgroup_version: info.cgroup_version.map(|version| version.to_string()).unwrap_or_default(),
        runtimes: runtimes.into_iter().collect(),
    })
}

/// Devices that the engine says it discovered, or else those that are described where it looks.
fn devices(info: &SystemInfo, version: &str, podman: bool, is_local: bool) -> Vec<String> {
    let discovered = info.discovered_devices.iter().flatten();
    let discovered: BTreeSet<String> = discovered
        .filter(|device| device.source.as_deref() == Some("cdi"))
        .filter_map(|device| device.id.clone())
        .collect();
    if !discovered.is_empty() {
        return discovered.into_iter().collect();
    }
    let folders = info.cdi_spec_dirs.as_deref().unwrap_or_default();
    let switched_off =
        !podman && folders.is_empty() && Version::leading(version) >= DOCKER_WITH_CDI.parse().ok();
    if !is_local || switched_off {
        return Vec::new();
    }
    if folders.is_empty() {
        // What an engine does not read is told as well: then it is known what would have to be switched on.
        descriptions::devices(cdi::FOLDERS)
    } else {
        descriptions::devices(folders.iter().map(String::as_str))
    }
}

/// Ranges of addresses in use, each once, in order.
fn ranges(networks: Vec<Network>) -> Vec<String> {
    let configurations = networks.into_iter().filter_map(|network| network.ipam?.config).flatten();
    let ranges: BTreeSet<String> = configurations.filter_map(|configuration| configuration.subnet).collect();
    ranges.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use bollard::models::{DeviceInfo, Ipam, IpamConfig, Network, SystemInfo};

    use super::{devices, ranges};

    #[test]
    fn what_the_engine_discovered_comes_before_what_lies_on_the_host() {
        let device =
            |source: &str, id: &str| DeviceInfo { source: Some(source.to_owned()), id: Some(id.to_owned()) };
        let info = SystemInfo {
            discovered_devices: Some(vec![
                device("cdi", "nvidia.com/gpu=1"),
                device("other", "x"),
                device("cdi", "nvidia.com/gpu=0"),
            ]),
            ..SystemInfo::default()
        };
        assert_eq!(devices(&info, "29.0.0", false, true), ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]);
    }

    #[test]
    fn folders_that_the_engine_names_are_looked_into_and_those_of_another_host_are_not() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("x.json"),
            r#"{"kind": "nvidia.com/gpu", "devices": [{"name": "all"}]}"#,
        )
        .unwrap();
        let info = SystemInfo {
            cdi_spec_dirs: Some(vec![folder.path().display().to_string()]),
            ..SystemInfo::default()
        };
        assert_eq!(devices(&info, "27.0.0", false, true), ["nvidia.com/gpu=all"]);
        assert!(devices(&info, "27.0.0", false, false).is_empty());
        assert!(devices(&SystemInfo::default(), "28.3.0", false, true).is_empty(), "switched off");
    }

    #[test]
    fn ranges_are_told_once_and_in_order() {
        let network = |subnets: &[&str]| {
            let config = subnets
                .iter()
                .map(|subnet| IpamConfig { subnet: Some((*subnet).to_owned()), ..IpamConfig::default() });
            Network {
                ipam: Some(Ipam { config: Some(config.collect()), ..Ipam::default() }),
                ..Network::default()
            }
        };
        let networks = vec![
            network(&["172.18.0.0/16", "fd00::/64"]),
            network(&["172.17.0.0/16"]),
            network(&["172.18.0.0/16"]),
            Network::default(),
        ];
        assert_eq!(ranges(networks), ["172.17.0.0/16", "172.18.0.0/16", "fd00::/64"]);
    }
}
