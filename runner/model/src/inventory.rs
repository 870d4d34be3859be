//! Simulated inventories: files given by `--facts` that stand in for parts of a host's facts.

mod read;
pub mod schema;

use crate::facts::{DaemonFacts, Disk, Facts, ProcessLimits, Simulated};
use crate::gpu::Accelerators;
use crate::hint::of_fault;
use crate::span::Fault;

pub use read::parse;

/// A host, as far as a file describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    file: String,
    keys: Vec<String>,
    host: HostPart,
    daemon: DaemonPart,
    gpus: Gpus,
}

/// What the file says of GPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Gpus {
    /// Nothing: they are those of this host.
    #[default]
    Here,
    /// That there is no driver.
    NoDriver,
    /// These.
    These(Accelerators),
}

/// The file cannot be understood.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct InventoryError(#[from] pub Fault);

of_fault!(InventoryError);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct HostPart {
    cores: Option<u32>,
    memory: Option<u64>,
    architecture: Option<String>,
    kernel: Option<String>,
    shm: Option<u64>,
    clock_synchronised: Option<bool>,
    disk: Option<Disk>,
    limits: Option<ProcessLimits>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct DaemonPart {
    name: Option<String>,
    version: Option<String>,
    api_version: Option<String>,
    storage_driver: Option<String>,
    cgroup_version: Option<String>,
    runtimes: Option<Vec<String>>,
    default_runtime: Option<String>,
    cdi_devices: Option<Vec<String>>,
    cdi_spec_dirs: Option<Vec<String>>,
    gpu_hook: Option<bool>,
    address_ranges: Option<Vec<String>>,
    disk: Option<Disk>,
}

impl Inventory {
    /// Whether the container engine is another one than the one here, so that this one has nothing to say.
    pub const fn has_engine(&self) -> bool {
        self.daemon.name.is_some()
    }

    /// Puts what the file says in the place of what was gathered. Doing so twice changes nothing more.
    pub fn apply(&self, facts: &mut Facts) {
        facts.simulated = Some(Simulated { file: self.file.clone(), keys: self.keys.clone() });
        let host = &self.host;
        put(&mut facts.cores, host.cores.as_ref());
        put(&mut facts.memory_bytes, host.memory.as_ref());
        put(&mut facts.architecture, host.architecture.as_ref());
        put(&mut facts.kernel, host.kernel.as_ref());
        put_some(&mut facts.host.shm_bytes, host.shm.as_ref());
        put_some(&mut facts.host.clock_synchronised, host.clock_synchronised.as_ref());
        put_some(&mut facts.host.disk, host.disk.as_ref());
        put_some(&mut facts.host.limits, host.limits.as_ref());
        let gpus = match &self.gpus {
            Gpus::Here => None,
            Gpus::NoDriver => Some(None),
            Gpus::These(accelerators) => Some(Some(accelerators)),
        };
        if let Some(gpus) = gpus {
            facts.accelerators = gpus.cloned();
            facts.gpus = gpus.map_or(0, Accelerators::count);
            facts.gpu_trouble = None;
        }
        self.daemon.apply(facts);
    }
}

impl DaemonPart {
    fn apply(&self, facts: &mut Facts) {
        // What is simulated of an engine says nothing where no engine is known.
        if facts.daemon.is_none() && self.name.is_none() {
            return;
        }
        let daemon = facts.daemon.get_or_insert_with(DaemonFacts::default);
        put(&mut daemon.name, self.name.as_ref());
        put(&mut daemon.version, self.version.as_ref());
        put(&mut daemon.api_version, self.api_version.as_ref());
        put(&mut daemon.storage_driver, self.storage_driver.as_ref());
        put(&mut daemon.cgroup_version, self.cgroup_version.as_ref());
        put(&mut daemon.runtimes, self.runtimes.as_ref());
        put_some(&mut daemon.default_runtime, self.default_runtime.as_ref());
        put(&mut daemon.cdi_devices, self.cdi_devices.as_ref());
        put(&mut daemon.cdi_spec_dirs, self.cdi_spec_dirs.as_ref());
        put_some(&mut daemon.gpu_hook, self.gpu_hook.as_ref());
        put(&mut daemon.address_ranges, self.address_ranges.as_ref());
        put_some(&mut daemon.disk, self.disk.as_ref());
    }
}

fn put<T: Clone>(place: &mut T, value: Option<&T>) {
    if let Some(value) = value {
        place.clone_from(value);
    }
}

fn put_some<T: Clone>(place: &mut Option<T>, value: Option<&T>) {
    if value.is_some() {
        *place = value.cloned();
    }
}

#[cfg(test)]
mod tests;
