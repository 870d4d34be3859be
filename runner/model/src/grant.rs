//! GPUs for a stack: which service gets which, and what is asked of the container engine for it. A pure decision, made when the stack
//! is brought up, because only then it is known which GPUs are free.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{DaemonFacts, Facts};
use crate::fitness::{Need, unfit};
use crate::gpu::{Accelerators, Gpu};
use crate::hint::Hint;
use crate::passthrough::{NoWay, RUNTIME, Way, cdi_name, way};
use crate::stack::{DeviceReservation, Service, Stack};

/// GPUs of a stack's services, by service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// What each service gets; those that reserve no GPU are not here.
    pub services: BTreeMap<String, ServiceGrant>,
}

/// GPUs of one service, and how they get into its container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceGrant {
    /// In the order in which the service counts them, from zero.
    pub gpus: Vec<GrantedGpu>,
    /// Requests for devices, in place of the service's own.
    pub devices: Vec<DeviceReservation>,
    /// Container runtime, where it is what brings them.
    pub runtime: Option<String>,
    /// Variables that come with them, over the service's own.
    pub environment: BTreeMap<String, String>,
}

/// One GPU.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GrantedGpu {
    /// Index on the host.
    pub index: u32,
    /// Identity.
    pub uuid: String,
}

/// Why a stack gets no GPUs now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ungranted {
    /// The host has none, or nobody could say so.
    #[error("`{service}` reserves GPUs, and this host has none that can be asked")]
    NoGpus {
        /// The service.
        service: String,
    },
    /// No way into containers.
    #[error(transparent)]
    NoWay(#[from] NoWay),
    /// A device that is named does not exist.
    #[error("`{service}` reserves the GPU `{id}`, which this host does not have: {has}")]
    Unknown {
        /// The service.
        service: String,
        /// What it names.
        id: String,
        /// What there is.
        has: String,
    },
    /// A device that is named is not to be had.
    #[error("`{service}` reserves the GPU `{id}`, which {why}")]
    Refused {
        /// The service.
        service: String,
        /// What it names.
        id: String,
        /// Why.
        why: String,
    },
    /// Too few are free.
    #[error("`{service}` reserves GPUs: {wanted}, and {free} of this host are free and fit{}", told(reasons))]
    TooFew {
        /// The service.
        service: String,
        /// How many it wants.
        wanted: u64,
        /// How many it could have.
        free: usize,
        /// Why others are not.
        reasons: Vec<String>,
    },
}

impl Hint for Ungranted {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoWay(no_way) => no_way.mend().to_owned(),
            Self::Unknown { .. } => {
                "name GPUs by their index or UUID as `nvidia-smi -L` lists them".to_owned()
            }
            Self::NoGpus { .. } | Self::Refused { .. } | Self::TooFew { .. } => {
                "`testbed doctor` says what each GPU is, and who uses it".to_owned()
            }
        })
    }

    fn exit_code(&self) -> crate::exit_code::ExitCode {
        crate::exit_code::ExitCode::Environment
    }
}

fn told(reasons: &[String]) -> String {
    if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) }
}

/// Gives a stack's services their GPUs: those that are named, and else the first that fit, none twice and none of `taken`, indices of
/// GPUs that other stacks have. None for a stack that reserves none.
pub fn grant(stack: &Stack, facts: &Facts, taken: &BTreeSet<u32>) -> Result<Option<Grant>, Ungranted> {
    let wanting: Vec<&Service> =
        stack.services.values().filter(|service| reserved(service).is_some()).collect();
    let Some(first) = wanting.first() else { return Ok(None) };
    let accelerators = facts.accelerators.as_ref().filter(|all| !all.gpus.is_empty());
    let accelerators = accelerators.ok_or_else(|| Ungranted::NoGpus { service: first.name.clone() })?;
    let way = way(facts)?;
    let daemon = facts.daemon.as_ref().filter(|_| way == Way::Cdi);
    let mut round =
        Round { accelerators, need: need(stack), daemon, taken: taken.clone(), own: BTreeSet::new() };
    let mut chosen: BTreeMap<&str, Vec<&Gpu>> = BTreeMap::new();
    // Those that are named first: nobody else may have them.
    let (named, counted): (Vec<&Service>, Vec<&Service>) = wanting
        .iter()
        .copied()
        .partition(|service| reserved(service).is_some_and(|device| !device.device_ids.is_empty()));
    for service in named.into_iter().chain(counted) {
        chosen.insert(&service.name, round.choose(service)?);
    }
    let services =
        chosen.into_iter().map(|(name, gpus)| (name.to_owned(), service_grant(&gpus, way, facts))).collect();
    Ok(Some(Grant { services }))
}

/// What a service reserves.
fn reserved(service: &Service) -> Option<&DeviceReservation> {
    service.devices.iter().find(|device| device.is_of_gpus())
}

fn need(stack: &Stack) -> Need {
    let Some(need) = &stack.gpu_need else { return Need::default() };
    let capability = need.compute_capability.as_ref().and_then(|text| text.parse().ok());
    Need { compute_capability: capability, ..Need::as_sold(need.vram_bytes) }
}

/// The choice, service by service.
struct Round<'a> {
    accelerators: &'a Accelerators,
    need: Need,
    /// The engine, where it has to know each GPU by a name.
    daemon: Option<&'a DaemonFacts>,
    taken: BTreeSet<u32>,
    own: BTreeSet<u32>,
}

impl<'a> Round<'a> {
    fn choose(&mut self, service: &Service) -> Result<Vec<&'a Gpu>, Ungranted> {
        let Some(device) = reserved(service) else { return Ok(Vec::new()) };
        let gpus = if device.device_ids.is_empty() {
            self.counted(service, device.count.unwrap_or(-1))?
        } else {
            let mut gpus: Vec<&Gpu> = Vec::new();
            for id in &device.device_ids {
                let gpu = self.named(service, id)?;
                if gpus.iter().any(|known| known.index == gpu.index) {
                    let (service, id) = (service.name.clone(), id.clone());
                    return Err(Ungranted::Refused { service, id, why: "it names twice".to_owned() });
                }
                gpus.push(gpu);
            }
            gpus
        };
        self.own.extend(gpus.iter().map(|gpu| gpu.index));
        Ok(gpus)
    }

    fn named(&self, service: &Service, id: &str) -> Result<&'a Gpu, Ungranted> {
        let Some(gpu) = self.accelerators.gpus.iter().find(|gpu| gpu.is_named(id)) else {
            let indices: Vec<String> =
                self.accelerators.gpus.iter().map(|gpu| gpu.index.to_string()).collect();
            let has = format!("it has {}", indices.join(", "));
            return Err(Ungranted::Unknown { service: service.name.clone(), id: id.to_owned(), has });
        };
        match self.why_not(gpu) {
            None => Ok(gpu),
            Some(why) => Err(Ungranted::Refused { service: service.name.clone(), id: id.to_owned(), why }),
        }
    }

    /// So many of those that fit; a negative number is all of them.
    fn counted(&self, service: &Service, count: i64) -> Result<Vec<&'a Gpu>, Ungranted> {
        let judged: Vec<(&Gpu, Option<String>)> =
            self.accelerators.gpus.iter().map(|gpu| (gpu, self.why_not(gpu))).collect();
        let fit: Vec<&Gpu> = judged.iter().filter(|(_, why)| why.is_none()).map(|(gpu, _)| *gpu).collect();
        let wanted = u64::try_from(count).unwrap_or_else(|_| (fit.len() as u64).max(1));
        let enough = usize::try_from(wanted).unwrap_or(usize::MAX);
        if fit.len() >= enough {
            return Ok(fit.into_iter().take(enough).collect());
        }
        let reason =
            |(gpu, why): &(&Gpu, Option<String>)| Some(format!("GPU {} {}", gpu.index, why.as_ref()?));
        let reasons = judged.iter().filter_map(reason).collect();
        Err(Ungranted::TooFew { service: service.name.clone(), wanted, free: fit.len(), reasons })
    }

    fn why_not(&self, gpu: &Gpu) -> Option<String> {
        if self.own.contains(&gpu.index) {
            return Some("is another service's of this stack".to_owned());
        }
        if self.taken.contains(&gpu.index) {
            return Some("is another stack's".to_owned());
        }
        let nameless = || self.daemon.filter(|daemon| cdi_name(daemon, gpu).is_none());
        let unfit = unfit(gpu, &self.need).map(|unfit| unfit.to_string());
        unfit.or_else(|| {
            nameless().map(|_| format!("has no CDI device such as `nvidia.com/gpu={}`", gpu.index))
        })
    }
}

/// What is asked for so that a container has these GPUs. Inside they are counted from zero, whatever they are outside.
fn service_grant(gpus: &[&Gpu], way: Way, facts: &Facts) -> ServiceGrant {
    let uuids: Vec<String> = gpus.iter().map(|gpu| gpu.uuid.clone()).collect();
    let indices: Vec<String> = (0..gpus.len()).map(|index| index.to_string()).collect();
    let mut environment = BTreeMap::from([
        // Integers: Dynamo's own code refuses identities.
        ("CUDA_VISIBLE_DEVICES".to_owned(), indices.join(",")),
        ("CUDA_DEVICE_ORDER".to_owned(), "PCI_BUS_ID".to_owned()),
    ]);
    let request = |driver: &str, device_ids, capabilities: &[&str]| DeviceReservation {
        driver: Some(driver.to_owned()),
        count: None,
        device_ids,
        capabilities: capabilities.iter().map(|name| (*name).to_owned()).collect(),
        options: BTreeMap::new(),
    };
    let (devices, runtime) = match way {
        Way::Cdi => {
            let name = |gpu: &&Gpu| facts.daemon.as_ref().and_then(|daemon| cdi_name(daemon, gpu));
            (vec![request("cdi", gpus.iter().filter_map(name).collect(), &[])], None)
        }
        Way::DeviceRequest => (vec![request("nvidia", uuids, &["gpu", "compute", "utility"])], None),
        Way::Runtime => {
            environment.insert("NVIDIA_VISIBLE_DEVICES".to_owned(), uuids.join(","));
            environment.insert("NVIDIA_DRIVER_CAPABILITIES".to_owned(), "compute,utility".to_owned());
            (Vec::new(), Some(RUNTIME.to_owned()))
        }
    };
    let granted = |gpu: &&Gpu| GrantedGpu { index: gpu.index, uuid: gpu.uuid.clone() };
    ServiceGrant { gpus: gpus.iter().map(granted).collect(), devices, runtime, environment }
}

/// What a container was found to have, as the agent inside tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SeenGpus {
    /// Device files of GPUs, such as `nvidia0`.
    pub devices: Vec<String>,
    /// Identities of these GPUs, where the driver tells them inside.
    pub uuids: Vec<String>,
}

/// What is wrong with what a container has; none if it has what it was granted. An engine may accept a request and give nothing.
pub fn discrepancy(service: &str, granted: &[GrantedGpu], seen: &SeenGpus) -> Option<String> {
    let names: Vec<String> = granted.iter().map(|gpu| format!("{} (`{}`)", gpu.index, gpu.uuid)).collect();
    let names = names.join(", ");
    if seen.devices.is_empty() {
        return Some(format!(
            "`{service}` was to have GPU {names}, and has none: the engine accepted the request and gave nothing"
        ));
    }
    if seen.devices.len() != granted.len() {
        let (has, count) = (seen.devices.join(", "), seen.devices.len());
        return Some(format!("`{service}` was to have GPU {names}, and has {count}: {has}"));
    }
    let own: BTreeSet<&str> = granted.iter().map(|gpu| gpu.uuid.as_str()).collect();
    let others: Vec<&str> =
        seen.uuids.iter().map(String::as_str).filter(|uuid| !own.contains(uuid)).collect();
    if others.is_empty() {
        return None;
    }
    Some(format!("`{service}` was to have GPU {names}, and has others: {}", others.join(", ")))
}

#[cfg(test)]
mod tests;
