//! The driver's library, NVML: asked by the runner in a process of its own, which answers with one line of JSON.

use std::ffi::OsStr;
use std::io::Write as _;
use std::time::Duration;

use nvml_wrapper::enum_wrappers::device::{EccCounter, MemoryError};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml, cuda_driver_version_major, cuda_driver_version_minor};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use testbed_model::gpu::{Accelerators, Ecc, Gpu, GpuProcess, MigDevice, Source};

use crate::host::process::Program;

/// The library's name, for the system to find.
const NAME: &str = "libnvidia-ml.so.1";

/// What the asking process says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Said {
    Answer(Answer),
    Error(String),
}

/// What the library told.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub accelerators: Accelerators,
    /// What single GPUs did not tell.
    pub troubles: Vec<String>,
}

/// Has the runner's other process ask, and gives its answer, or in one line why there is none.
pub(super) async fn ask(asker: &Program, patience: Duration) -> Result<Answer, String> {
    let captured = super::within(patience, asker).await?;
    let text = String::from_utf8_lossy(&captured.stdout);
    // A library may print something of its own first.
    match text.lines().rev().find_map(|line| serde_json::from_str::<Said>(line).ok()) {
        Some(Said::Answer(answer)) => Ok(answer),
        Some(Said::Error(error)) => Err(error),
        None => Err(super::end_of(&captured)),
    }
}

/// The asking process itself: loads the library, asks, and says the answer on standard output. Gives its exit code.
pub fn answer(library: Option<&str>) -> u8 {
    // A crash is expected here, and its memory is of use to nobody. Where that cannot be said the file is only in the way.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let said = match look(library.unwrap_or(NAME)) {
        Ok(answer) => Said::Answer(answer),
        Err(error) => Said::Error(error),
    };
    let line = serde_json::to_string(&said).unwrap_or_default();
    let mut out = std::io::stdout().lock();
    u8::from(writeln!(out, "{line}").and_then(|()| out.flush()).is_err())
}

fn look(library: &str) -> Result<Answer, String> {
    let nvml = Nvml::builder().lib_path(OsStr::new(library)).init().map_err(|error| reason(&error))?;
    let driver = nvml.sys_driver_version().map_err(|error| reason(&error))?;
    let cuda = nvml.sys_cuda_driver_version().map_err(|error| reason(&error))?;
    let cuda = format!("{}.{}", cuda_driver_version_major(cuda), cuda_driver_version_minor(cuda));
    let count = nvml.device_count().map_err(|error| reason(&error))?;
    let (mut gpus, mut troubles) = (Vec::new(), Vec::new());
    for index in 0..count {
        match nvml.device_by_index(index).and_then(|device| gpu(index, &device)) {
            Ok(gpu) => gpus.push(gpu),
            Err(error) => troubles.push(format!("GPU {index}: {}", reason(&error))),
        }
    }
    if gpus.is_empty() && !troubles.is_empty() {
        // Somebody else may know more.
        return Err(troubles.join("; "));
    }
    Ok(Answer { accelerators: Accelerators { source: Source::Nvml, driver, cuda, gpus }, troubles })
}

/// One GPU. What is not known of every kind may be missing; without a name, an identity and memory it is of no use.
fn gpu(index: u32, device: &Device<'_>) -> Result<Gpu, NvmlError> {
    let memory = device.memory_info()?;
    let capability = device.cuda_compute_capability()?;
    let number = |part: i32| u32::try_from(part).unwrap_or_default();
    Ok(Gpu {
        index,
        uuid: device.uuid()?,
        name: device.name()?,
        bus: device.pci_info().ok().map(|pci| pci.bus_id),
        memory_bytes: memory.total,
        used_bytes: memory.used,
        compute_capability: (number(capability.major), number(capability.minor)),
        mig: mig(device),
        ecc: ecc(device),
        xids: Vec::new(),
        processes: processes(device),
    })
}

fn mig(device: &Device<'_>) -> Option<Vec<MigDevice>> {
    const ON: u32 = 1;
    if device.mig_mode().ok()?.current != ON {
        return None;
    }
    let slots = device.mig_device_count().unwrap_or_default();
    let parts = (0..slots).filter_map(|slot| {
        let part = device.mig_device_by_index(slot).ok()?;
        let name = part.name().unwrap_or_default();
        Some(MigDevice {
            uuid: part.uuid().ok()?,
            // `NVIDIA H100 80GB HBM3 MIG 3g.40gb`.
            profile: name
                .rsplit_once(" MIG ")
                .map_or_else(|| name.clone(), |(_, profile)| profile.to_owned()),
            memory_bytes: part.memory_info().ok()?.total,
        })
    });
    Some(parts.collect())
}

fn ecc(device: &Device<'_>) -> Option<Ecc> {
    let enabled = device.is_ecc_enabled().ok()?.currently_enabled;
    let uncorrected =
        device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile).unwrap_or_default();
    Some(Ecc { enabled, uncorrected })
}

/// Who holds memory: programs that compute, and those that draw.
fn processes(device: &Device<'_>) -> Vec<GpuProcess> {
    let computing = device.running_compute_processes().unwrap_or_default();
    let drawing = device.running_graphics_processes().unwrap_or_default();
    let mut processes: Vec<GpuProcess> = Vec::new();
    for process in computing.into_iter().chain(drawing) {
        if processes.iter().any(|known| known.pid == process.pid) {
            continue;
        }
        let memory_bytes = match process.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        };
        processes.push(GpuProcess { pid: process.pid, name: None, memory_bytes });
    }
    processes
}

/// An error in words that a person can use.
fn reason(error: &NvmlError) -> String {
    match error {
        NvmlError::LibloadingError(error) => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(inner) = source {
                text = inner.to_string();
                source = inner.source();
            }
            format!("the library cannot be loaded: {text}")
        }
        NvmlError::FailedToLoadSymbol(_) => "the library is too old: it lacks a function".to_owned(),
        NvmlError::LibRmVersionMismatch => {
            "driver/library version mismatch: the driver was updated, and the host not started since"
                .to_owned()
        }
        NvmlError::GpuLost => "it has fallen off the bus".to_owned(),
        other => other.to_string(),
    }
}
