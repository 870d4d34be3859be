//! How GPUs get into containers: what the container engine offers for it, decided by its facts.

use crate::facts::{DaemonFacts, Facts};
use crate::gpu::Gpu;
use crate::version::Version;

/// The kind of device that NVIDIA's tools describe to container engines.
pub const CDI_KIND: &str = "nvidia.com/gpu";

/// The runtime that adds GPUs to containers by itself.
pub const RUNTIME: &str = "nvidia";

/// The oldest Docker that reads descriptions of devices without being told to.
const DOCKER_WITH_CDI: &str = "28.3";

/// A way for GPUs into containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// The Container Device Interface: devices by name, such as `nvidia.com/gpu=0`.
    Cdi,
    /// Device requests with the driver `nvidia`, which the engine serves by a hook.
    DeviceRequest,
    /// The runtime `nvidia`, which reads `NVIDIA_VISIBLE_DEVICES`.
    Runtime,
}

/// Why no GPU gets into a container.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWay {
    /// The engine has not been asked, so nothing can be said.
    #[error("the container engine has not been asked how it passes GPUs")]
    Unasked,
    /// It offers nothing.
    #[error("{engine} offers no way for GPUs into containers: no CDI device, no runtime `nvidia`, no hook")]
    Nothing {
        /// Name and version.
        engine: String,
    },
    /// Devices are described, but the engine does not read descriptions.
    #[error(
        "{engine} does not use the CDI devices that are described on this host (since {since}, or where it is switched on), and offers no runtime `nvidia`"
    )]
    CdiOff {
        /// Name and version.
        engine: String,
        /// The version that does.
        since: &'static str,
    },
    /// Podman passes GPUs by CDI only, and none is described.
    #[error("{engine} passes GPUs by CDI, and no device `nvidia.com/gpu` is described on this host")]
    Undescribed {
        /// Name and version.
        engine: String,
    },
}

impl NoWay {
    /// What mends it.
    pub const fn mend(&self) -> &'static str {
        match self {
            Self::Unasked => "start the container engine, or say where it listens by DOCKER_HOST",
            Self::Nothing { .. } => {
                "install nvidia-container-toolkit, then `nvidia-ctk runtime configure --runtime=docker` and restart the engine"
            }
            Self::CdiOff { .. } => {
                "set `\"features\": {\"cdi\": true}` in /etc/docker/daemon.json and restart the engine"
            }
            Self::Undescribed { .. } => {
                "install nvidia-container-toolkit, then `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`"
            }
        }
    }
}

/// How GPUs get into containers on a host with these facts: named devices before requests that a hook serves, and those before
/// a runtime that reads a variable, for what is named can be checked before a container starts.
pub fn way(facts: &Facts) -> Result<Way, NoWay> {
    let daemon = facts.daemon.as_ref().ok_or(NoWay::Unasked)?;
    let engine = format!("{} {}", daemon.name, daemon.version);
    let described = gpu_devices(daemon).next().is_some();
    if described && reads_descriptions(daemon) {
        return Ok(Way::Cdi);
    }
    if daemon.name == "Podman" {
        // Podman accepts requests for devices and gives nothing.
        return Err(NoWay::Undescribed { engine });
    }
    let runtime = daemon.runtimes.iter().any(|name| name == RUNTIME);
    match (daemon.gpu_hook, runtime) {
        // Whoever installed the runtime has the hook too, unless it was looked for and is not there.
        (Some(true), _) | (None, true) => Ok(Way::DeviceRequest),
        (Some(false), true) => Ok(Way::Runtime),
        (Some(false) | None, false) if described => Err(NoWay::CdiOff { engine, since: DOCKER_WITH_CDI }),
        (Some(false) | None, false) => Err(NoWay::Nothing { engine }),
    }
}

/// The name under which the engine knows a GPU by CDI: by its index, or else by its identity. None where it knows neither.
pub fn cdi_name(daemon: &DaemonFacts, gpu: &Gpu) -> Option<String> {
    let names = [format!("{CDI_KIND}={}", gpu.index), format!("{CDI_KIND}={}", gpu.uuid)];
    names.into_iter().find(|name| daemon.cdi_devices.contains(name))
}

/// Devices of the engine that are GPUs.
fn gpu_devices(daemon: &DaemonFacts) -> impl Iterator<Item = &str> {
    let device = |name: &&String| name.strip_prefix(CDI_KIND).is_some_and(|rest| rest.starts_with('='));
    daemon.cdi_devices.iter().filter(device).map(String::as_str)
}

/// Whether the engine reads descriptions of devices. One that names the folders where it looks does.
fn reads_descriptions(daemon: &DaemonFacts) -> bool {
    let since = || DOCKER_WITH_CDI.parse::<Version>().ok();
    daemon.name == "Podman"
        || !daemon.cdi_spec_dirs.is_empty()
        || Version::leading(&daemon.version) >= since()
}

#[cfg(test)]
mod tests {
    use super::{NoWay, Way, cdi_name, way};
    use crate::facts::{DaemonFacts, Facts};
    use crate::gpu::tests::gpu;

    fn daemon(name: &str, version: &str) -> DaemonFacts {
        DaemonFacts { name: name.to_owned(), version: version.to_owned(), ..DaemonFacts::default() }
    }

    fn with(daemon: DaemonFacts) -> Facts {
        Facts { daemon: Some(daemon), ..Facts::default() }
    }

    fn cdi(daemon: DaemonFacts, devices: &[&str]) -> DaemonFacts {
        DaemonFacts { cdi_devices: devices.iter().map(|name| (*name).to_owned()).collect(), ..daemon }
    }

    fn runtimes(daemon: DaemonFacts, names: &[&str]) -> DaemonFacts {
        DaemonFacts { runtimes: names.iter().map(|name| (*name).to_owned()).collect(), ..daemon }
    }

    #[test]
    fn docker_passes_by_name_where_it_reads_descriptions() {
        for version in ["28.3.0", "29.0.1", "28.3.3-ce"] {
            let facts =
                with(cdi(runtimes(daemon("Docker", version), &["runc", "nvidia"]), &["nvidia.com/gpu=0"]));
            assert_eq!(way(&facts), Ok(Way::Cdi), "{version}");
        }
        let switched_on =
            DaemonFacts { cdi_spec_dirs: vec!["/etc/cdi".to_owned()], ..daemon("Docker", "27.1.0") };
        assert_eq!(way(&with(cdi(switched_on, &["nvidia.com/gpu=all"]))), Ok(Way::Cdi));
    }

    #[test]
    fn docker_asks_its_hook_where_descriptions_are_not_read_or_name_no_gpu() {
        let older = cdi(runtimes(daemon("Docker", "20.10.24"), &["nvidia", "runc"]), &["nvidia.com/gpu=0"]);
        assert_eq!(way(&with(older)), Ok(Way::DeviceRequest));
        let other = cdi(
            runtimes(daemon("Docker", "29.0.0"), &["nvidia"]),
            &["nvidia.com/gpuset=0", "vendor.com/net=a"],
        );
        assert_eq!(way(&with(other)), Ok(Way::DeviceRequest));
        let hook = DaemonFacts { gpu_hook: Some(true), ..daemon("Docker", "20.10.24") };
        assert_eq!(way(&with(hook)), Ok(Way::DeviceRequest));
    }

    #[test]
    fn docker_uses_the_runtime_where_the_hook_is_known_to_be_missing() {
        let facts =
            DaemonFacts { gpu_hook: Some(false), ..runtimes(daemon("Docker", "24.0.0"), &["nvidia"]) };
        assert_eq!(way(&with(facts)), Ok(Way::Runtime));
    }

    #[test]
    fn without_a_way_the_reason_names_the_engine_and_what_mends_it() {
        assert_eq!(way(&Facts::default()), Err(NoWay::Unasked));
        let told = |daemon| {
            let no_way = way(&with(daemon)).unwrap_err();
            format!("{no_way}; {}", no_way.mend())
        };
        insta::assert_snapshot!([
            told(runtimes(daemon("Docker", "20.10.24"), &["runc"])),
            told(cdi(daemon("Docker", "27.5.1"), &["nvidia.com/gpu=0"])),
            told(runtimes(daemon("Podman", "4.3.1"), &["crun", "nvidia"])),
        ].join("\n"), @r#"
        Docker 20.10.24 offers no way for GPUs into containers: no CDI device, no runtime `nvidia`, no hook; install nvidia-container-toolkit, then `nvidia-ctk runtime configure --runtime=docker` and restart the engine
        Docker 27.5.1 does not use the CDI devices that are described on this host (since 28.3, or where it is switched on), and offers no runtime `nvidia`; set `"features": {"cdi": true}` in /etc/docker/daemon.json and restart the engine
        Podman 4.3.1 passes GPUs by CDI, and no device `nvidia.com/gpu` is described on this host; install nvidia-container-toolkit, then `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`
        "#);
    }

    #[test]
    fn podman_passes_by_name_only() {
        assert_eq!(way(&with(cdi(daemon("Podman", "5.4.0"), &["nvidia.com/gpu=0"]))), Ok(Way::Cdi));
    }

    #[test]
    fn a_gpu_is_named_by_index_or_by_identity_or_not_at_all() {
        let gpu = gpu(1, "NVIDIA H100 80GB HBM3", 80);
        let name = |devices: &[&str]| cdi_name(&cdi(daemon("Docker", "29.0.0"), devices), &gpu);
        assert_eq!(name(&["nvidia.com/gpu=0", "nvidia.com/gpu=1"]).as_deref(), Some("nvidia.com/gpu=1"));
        let by_identity = format!("nvidia.com/gpu={}", gpu.uuid);
        assert_eq!(name(&[&by_identity]).as_deref(), Some(by_identity.as_str()));
        assert_eq!(name(&["nvidia.com/gpu=0", "nvidia.com/gpu=all", "nvidia.com/gpu=10"]), None);
    }
}
