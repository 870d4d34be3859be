//! GPUs of a host, as its driver tells them, or as a simulated inventory says.

pub mod kernel_log;
pub mod smi;

use serde::{Deserialize, Serialize};

use crate::passthrough::CDI_KIND;

/// All that is known of a host's GPUs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accelerators {
    /// Who told it.
    pub source: Source,
    /// Version of the kernel's driver: `580.65.06`.
    pub driver: String,
    /// Newest CUDA version that the driver serves: `13.0`.
    pub cuda: String,
    /// GPUs in the order of their indices.
    pub gpus: Vec<Gpu>,
}

/// Who told of GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The driver's library, NVML.
    Nvml,
    /// The program `nvidia-smi`, where the library could not be asked.
    NvidiaSmi,
    /// A file given by `--facts`.
    Simulated,
}

/// One GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// Index, as `nvidia-smi` and `CUDA_VISIBLE_DEVICES` count with `CUDA_DEVICE_ORDER=PCI_BUS_ID`.
    pub index: u32,
    /// Identity: `GPU-` and a UUID.
    pub uuid: String,
    /// Product name: `NVIDIA H200`.
    pub name: String,
    /// Address on the PCI bus: `00000000:3B:00.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus: Option<String>,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Memory in use, in bytes, by whomever.
    #[serde(default)]
    pub used_bytes: u64,
    /// Compute capability, major and minor.
    pub compute_capability: (u32, u32),
    /// Parts that it is divided into; none where Multi-Instance GPU is off or unknown to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mig: Option<Vec<MigDevice>>,
    /// Error correction; none where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecc: Option<Ecc>,
    /// Numbers of the driver's errors (XID) for this GPU in the kernel's log since the host started, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub xids: Vec<u32>,
    /// Processes that hold memory of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<GpuProcess>,
}

/// A part of a divided GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MigDevice {
    /// Identity: `MIG-` and a UUID.
    pub uuid: String,
    /// Its kind: `1g.18gb`.
    pub profile: String,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

/// State of error correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ecc {
    /// Whether it is on.
    pub enabled: bool,
    /// Errors that could not be corrected since the driver was loaded.
    #[serde(default)]
    pub uncorrected: u64,
}

/// A process that holds memory of a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuProcess {
    /// Its number on the host.
    pub pid: u32,
    /// Its program, as far as it can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Bytes that it holds; none where the driver does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

impl Accelerators {
    /// How many GPUs there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.gpus.len()).unwrap_or(u32::MAX)
    }

    /// Names the processes that hold memory, as far as `name` knows them.
    pub fn name_processes(&mut self, name: impl Fn(u32) -> Option<String>) {
        for process in self.gpus.iter_mut().flat_map(|gpu| &mut gpu.processes) {
            process.name = name(process.pid);
        }
    }

    /// Notes errors of the kernel's log at the GPUs that they are of.
    pub fn note_errors(&mut self, errors: &[(String, u32)]) {
        for gpu in &mut self.gpus {
            let Some(bus) = &gpu.bus else { continue };
            let own = errors.iter().filter(|(at, _)| kernel_log::is_same_device(bus, at));
            gpu.xids = own.map(|(_, xid)| *xid).collect();
        }
    }
}

impl Gpu {
    /// Whether a name means it: its index, its identity, or either as a CDI device, such as `nvidia.com/gpu=0`.
    pub fn is_named(&self, name: &str) -> bool {
        let of_kind = name.strip_prefix(CDI_KIND).and_then(|rest| rest.strip_prefix('='));
        let name = of_kind.unwrap_or(name);
        self.uuid == name || self.index.to_string() == name
    }

    /// Bytes that nobody uses.
    pub const fn free_bytes(&self) -> u64 {
        self.memory_bytes.saturating_sub(self.used_bytes)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Accelerators, Gpu, Source};

    /// A GPU of so many gibibytes that nobody uses.
    pub(crate) fn gpu(index: u32, name: &str, gibibytes: u64) -> Gpu {
        Gpu {
            index,
            uuid: format!("GPU-00000000-0000-0000-0000-{index:012}"),
            name: name.to_owned(),
            bus: None,
            memory_bytes: gibibytes << 30,
            used_bytes: 0,
            compute_capability: (9, 0),
            mig: None,
            ecc: None,
            xids: Vec::new(),
            processes: Vec::new(),
        }
    }

    /// A host with these GPUs and a driver of its day.
    pub(crate) fn host(gpus: Vec<Gpu>) -> Accelerators {
        Accelerators {
            source: Source::Simulated,
            driver: "580.65.06".to_owned(),
            cuda: "13.0".to_owned(),
            gpus,
        }
    }
}
