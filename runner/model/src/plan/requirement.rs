//! What a profile asks of the host, held against its facts.

use crate::document::bytes_text;
use crate::facts::Facts;
use crate::fitness::{self, Need, fit, memory_text, subject, unfit};
use crate::gpu::Accelerators;
use crate::passthrough::{NoWay, Way, cdi_name, way};
use crate::profile::{Requirements, Sourced};
use crate::version::Version;

/// What a host lacks, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// What is needed and what is here.
    pub message: String,
    /// The way out, where there is one besides another host.
    pub mend: Option<String>,
}

/// All that a host with these facts lacks, the most important first. What is not known is not held against it.
pub fn lacks(needs: &Requirements, facts: &Facts) -> Vec<Lack> {
    let mut lacks = Vec::new();
    lacks.extend(architecture(needs, facts));
    if needs.gpus.value > 0 {
        lacks.extend(gpus(needs, facts));
    }
    lacks.extend(driver(needs, facts));
    lacks.extend(memory(needs, facts));
    lacks.extend(disk(needs, facts));
    lacks
}

/// What the profile needs of each of its GPUs.
pub fn need(needs: &Requirements) -> Need {
    Need {
        compute_capability: needs.compute_capability.as_ref().map(|least| least.value.clone()),
        ..Need::as_sold(needs.vram.as_ref().map_or(0, |vram| vram.value))
    }
}

impl Lack {
    fn new(message: String, mend: Option<&str>) -> Self {
        Self { message, mend: mend.map(str::to_owned) }
    }
}

fn architecture(needs: &Requirements, facts: &Facts) -> Option<Lack> {
    let served = &needs.architectures.as_ref()?.value;
    if served.is_empty() || served.contains(&facts.architecture) {
        return None;
    }
    let message =
        format!("its images are for {}, and this host is {}", served.join(" or "), facts.architecture);
    Some(Lack::new(message, None))
}

fn gpus(needs: &Requirements, facts: &Facts) -> Vec<Lack> {
    let wanted = needs.gpus.value;
    let way = way(facts);
    let no_way = way.clone().err().filter(|no_way| facts.gpus > 0 && *no_way != NoWay::Unasked);
    let no_way = no_way.map(|no_way| Lack::new(no_way.to_string(), Some(no_way.mend())));
    if u64::from(facts.gpus) < wanted {
        let mut message = format!("it needs GPUs: {wanted}, and this host has {}", facts.gpus);
        if let Some(trouble) = &facts.gpu_trouble {
            message += &format!(" that can be asked ({trouble})");
        }
        let mend = facts.gpu_trouble.as_ref().map(|_| "mend the driver until `nvidia-smi` lists the GPUs");
        return [Lack::new(message, mend)].into_iter().chain(no_way).collect();
    }
    let mut lacks = Vec::new();
    if let Some(accelerators) = &facts.accelerators {
        lacks.extend(fitting(wanted, &need(needs), accelerators));
        if way == Ok(Way::Cdi) {
            lacks.extend(undescribed(wanted, &need(needs), accelerators, facts));
        }
    }
    lacks.extend(no_way);
    lacks
}

/// Enough GPUs, but not enough that fit.
fn fitting(wanted: u64, need: &Need, accelerators: &Accelerators) -> Option<Lack> {
    let (fit, here) = (fit(accelerators, need).len(), accelerators.gpus.len());
    if count(fit) >= wanted {
        return None;
    }
    let fits = if fit == 0 { "none here fits".to_owned() } else { format!("of {here} here only {fit} fit") };
    let reasons = fitness::reasons(accelerators, need).join("; ");
    let message = format!("it needs GPUs: {wanted}, and {fits}: {reasons}");
    let mend = accelerators.gpus.iter().find_map(|gpu| {
        let mend = unfit(gpu, need)?.mend()?;
        Some(mend.replace("INDEX", &gpu.index.to_string()))
    });
    Some(Lack { message, mend })
}

/// GPUs that the engine passes by name must have a name.
fn undescribed(wanted: u64, need: &Need, accelerators: &Accelerators, facts: &Facts) -> Option<Lack> {
    let daemon = facts.daemon.as_ref()?;
    let fit = fit(accelerators, need);
    let nameless = fit.iter().filter(|gpu| cdi_name(daemon, gpu).is_none());
    let nameless: Vec<u32> = nameless.map(|gpu| gpu.index).collect();
    if nameless.is_empty() || count(fit.len() - nameless.len()) >= wanted {
        return None;
    }
    let first = nameless.first().copied().unwrap_or_default();
    let message = format!(
        "{} has no CDI device such as `nvidia.com/gpu={first}`; {} knows {}",
        subject(&nameless),
        daemon.name,
        daemon.cdi_devices.join(", "),
    );
    Some(Lack::new(
        message,
        Some("describe them again: `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`"),
    ))
}

fn driver(needs: &Requirements, facts: &Facts) -> Vec<Lack> {
    // Without a GPU the driver is not what is missing.
    let Some(accelerators) = &facts.accelerators else { return Vec::new() };
    let older = |wanted: &Option<Sourced<Version>>, has: &str| {
        let wanted = &wanted.as_ref()?.value;
        let has = Version::leading(has)?;
        (has < *wanted).then(|| (wanted.clone(), has))
    };
    let mut lacks = Vec::new();
    if let Some((wanted, has)) = older(&needs.driver, &accelerators.driver) {
        let message = format!("it needs NVIDIA driver {wanted} or newer, and this host has {has}");
        lacks.push(Lack::new(message, Some("install a newer driver and start the host again")));
    }
    if let Some((wanted, has)) = older(&needs.cuda, &accelerators.cuda) {
        let driver = &accelerators.driver;
        let message = format!(
            "it needs a driver for CUDA {wanted} or newer, and driver {driver} of this host serves {has}"
        );
        lacks.push(Lack::new(message, Some("install a newer driver and start the host again")));
    }
    lacks
}

fn memory(needs: &Requirements, facts: &Facts) -> Option<Lack> {
    if facts.memory_bytes >= needs.memory.value {
        return None;
    }
    let (needs, has) = (bytes_text(needs.memory.value), memory_text(facts.memory_bytes));
    Some(Lack::new(format!("it needs {needs} of memory, and this host has {has}"), None))
}

fn disk(needs: &Requirements, facts: &Facts) -> Option<Lack> {
    let wanted = needs.disk.as_ref()?.value;
    let disk = facts.daemon.as_ref()?.disk.as_ref()?;
    if disk.free_bytes >= wanted {
        return None;
    }
    let (wanted, free, path) = (bytes_text(wanted), memory_text(disk.free_bytes), &disk.path);
    let message = format!("it needs {wanted} of free room for images, and `{path}` has {free}");
    Some(Lack::new(
        message,
        Some("remove images and containers that nobody needs: `docker system df` says what there is"),
    ))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::lacks;
    use crate::facts::{DaemonFacts, Disk, Facts};
    use crate::gpu::tests::{gpu, host};
    use crate::gpu::{Gpu, GpuProcess};
    use crate::profile::{self, Requirements};

    const BASE: &str = include_str!("../../../../envs/default.toml");

    fn requirements(text: &str) -> Requirements {
        let profile = format!("stack = \"compose/x.yaml\"\n[requirements]\n{text}\n");
        let files = [("default", BASE), ("p", profile.as_str())];
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect();
        profile::resolve("p", &files, &[]).unwrap().requirements
    }

    fn docker(devices: &[&str], runtimes: &[&str]) -> DaemonFacts {
        DaemonFacts {
            name: "Docker".to_owned(),
            version: "28.5.1".to_owned(),
            cdi_devices: devices.iter().map(|name| (*name).to_owned()).collect(),
            runtimes: runtimes.iter().map(|name| (*name).to_owned()).collect(),
            ..DaemonFacts::default()
        }
    }

    fn facts(gpus: Vec<Gpu>) -> Facts {
        Facts {
            gpus: u32::try_from(gpus.len()).unwrap(),
            accelerators: Some(host(gpus)),
            architecture: "x86_64".to_owned(),
            memory_bytes: 64 << 30,
            daemon: Some(docker(&[], &["nvidia", "runc"])),
            ..Facts::default()
        }
    }

    fn told(needs: &str, facts: &Facts) -> String {
        let lacks = lacks(&requirements(needs), facts);
        let lines = lacks.iter().map(|lack| match &lack.mend {
            Some(mend) => format!("{} -> {mend}", lack.message),
            None => lack.message.clone(),
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_host_that_has_it_lacks_nothing() {
        let four = facts((0..4).map(|index| gpu(index, "NVIDIA H200", 141)).collect());
        let needs = "gpus = 4\nvram = \"80GiB\"\ncompute_capability = \"9.0\"\ndriver = \"570.86\"\ncuda = \"12.8\"\narchitectures = [\"x86_64\"]\nmemory = \"64GiB\"";
        assert_eq!(told(needs, &four), "");
        assert_eq!(
            told("gpus = 4", &Facts { daemon: None, ..four }),
            "",
            "what nobody asked is held against nobody"
        );
    }

    #[test]
    fn several_reasons_are_all_told_and_the_most_important_comes_first() {
        let holders =
            vec![GpuProcess { pid: 9, name: Some("python3".to_owned()), memory_bytes: Some(30 << 30) }];
        let mut gpus: Vec<Gpu> = (0..3).map(|index| gpu(index, "NVIDIA A100-SXM4-40GB", 40)).collect();
        gpus[2] = Gpu { used_bytes: 30 << 30, processes: holders, ..gpus[2].clone() };
        let disk = Disk { path: "/var/lib/docker".to_owned(), free_bytes: 7 << 30, total_bytes: 99 << 30 };
        let host = Facts {
            architecture: "aarch64".to_owned(),
            daemon: Some(DaemonFacts { disk: Some(disk), ..docker(&[], &["runc"]) }),
            ..facts(gpus)
        };
        let needs = "gpus = 3\nvram = \"24GiB\"\ndriver = \"590.1\"\ncuda = \"13.1\"\narchitectures = [\"x86_64\"]\nmemory = \"65GiB\"\ndisk = \"40GiB\"";
        insta::assert_snapshot!(told(needs, &host), @r"
        its images are for x86_64, and this host is aarch64
        it needs GPUs: 3, and of 3 here only 2 fit: GPU 2 has 10GiB of memory free, and 24GiB is needed; held by `python3` (process 9): 30GiB -> end what holds it, such as process 9, if it is yours to end
        Docker 28.5.1 offers no way for GPUs into containers: no CDI device, no runtime `nvidia`, no hook -> install nvidia-container-toolkit, then `nvidia-ctk runtime configure --runtime=docker` and restart the engine
        it needs NVIDIA driver 590.1 or newer, and this host has 580.65.06 -> install a newer driver and start the host again
        it needs a driver for CUDA 13.1 or newer, and driver 580.65.06 of this host serves 13.0 -> install a newer driver and start the host again
        it needs 65GiB of memory, and this host has 64GiB
        it needs 40GiB of free room for images, and `/var/lib/docker` has 7GiB -> remove images and containers that nobody needs: `docker system df` says what there is
        ");
    }

    #[test]
    fn what_is_the_same_of_many_gpus_is_said_once() {
        let eight = facts((0..8).map(|index| gpu(index, "Tesla T4", 15)).collect());
        insta::assert_snapshot!(told("gpus = 2\nvram = \"16GiB\"", &eight), @"it needs GPUs: 2, and none here fits: each of GPUs 0, 1, 2, 3, 4, 5, 6, 7 has 15GiB of memory, and 16GiB is needed");
    }

    #[test]
    fn a_driver_that_cannot_be_asked_is_named() {
        let trouble = Some("NVML: driver/library version mismatch".to_owned());
        insta::assert_snapshot!(told("gpus = 1", &Facts { gpu_trouble: trouble, ..Facts::default() }), @"it needs GPUs: 1, and this host has 0 that can be asked (NVML: driver/library version mismatch) -> mend the driver until `nvidia-smi` lists the GPUs");
        insta::assert_snapshot!(told("gpus = 1\ndriver = \"999\"", &Facts::default()), @"it needs GPUs: 1, and this host has 0");
    }

    #[test]
    fn that_no_gpu_gets_in_is_told_also_where_there_are_too_few() {
        let one = Facts { daemon: Some(docker(&[], &["runc"])), ..facts(vec![gpu(0, "NVIDIA L4", 23)]) };
        let told = told("gpus = 2", &one);
        let both =
            "it needs GPUs: 2, and this host has 1\nDocker 28.5.1 offers no way for GPUs into containers";
        assert!(told.starts_with(both), "{told}");
    }

    #[test]
    fn a_gpu_without_a_name_cannot_be_passed_by_name() {
        let two = facts((0..2).map(|index| gpu(index, "NVIDIA H100 PCIe", 80)).collect());
        let named = |devices: &[&str]| Facts { daemon: Some(docker(devices, &["nvidia"])), ..two.clone() };
        assert_eq!(told("gpus = 1", &named(&["nvidia.com/gpu=1"])), "");
        let mut uneven = named(&["nvidia.com/gpu=1"]);
        uneven.accelerators = Some(host(vec![gpu(0, "NVIDIA H100 PCIe", 80), gpu(1, "Tesla T4", 15)]));
        insta::assert_snapshot!(told("gpus = 1\nvram = \"40GiB\"", &uneven), @"GPU 0 has no CDI device such as `nvidia.com/gpu=0`; Docker knows nvidia.com/gpu=1 -> describe them again: `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`");
        insta::assert_snapshot!(told("gpus = 2", &named(&["nvidia.com/gpu=1", "nvidia.com/gpu=all"])), @"GPU 0 has no CDI device such as `nvidia.com/gpu=0`; Docker knows nvidia.com/gpu=1, nvidia.com/gpu=all -> describe them again: `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`");
    }
}
