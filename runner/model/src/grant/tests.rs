//! Which GPUs services get, what is asked of the engine, and what is said when it gives something else.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Grant, GrantedGpu, SeenGpus, Ungranted, discrepancy, grant};
use crate::facts::{DaemonFacts, Facts};
use crate::gpu::tests::{gpu, host};
use crate::hint::Hint as _;
use crate::stack::{DeviceReservation, GpuNeed, Limits, Probe, Ready, Service, Stack, StackTimeouts};

fn docker() -> DaemonFacts {
    DaemonFacts {
        name: "Docker".to_owned(),
        version: "27.0.0".to_owned(),
        runtimes: vec!["nvidia".to_owned(), "runc".to_owned()],
        ..DaemonFacts::default()
    }
}

fn facts(gpus: u32) -> Facts {
    let accelerators = host((0..gpus).map(|index| gpu(index, "NVIDIA H200", 141)).collect());
    Facts { gpus, accelerators: Some(accelerators), daemon: Some(docker()), ..Facts::default() }
}

fn service(name: &str, count: Option<i64>, ids: &[&str]) -> Service {
    let reservation = DeviceReservation {
        driver: Some("nvidia".to_owned()),
        count,
        device_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        capabilities: vec!["gpu".to_owned()],
        options: BTreeMap::new(),
    };
    Service {
        name: name.to_owned(),
        image: "engine".to_owned(),
        image_reference: "testbed/engine:1".to_owned(),
        entrypoint: None,
        command: None,
        environment: BTreeMap::new(),
        working_dir: None,
        user: "10001:10001".to_owned(),
        mounts: Vec::new(),
        tmpfs: BTreeMap::new(),
        depends_on: BTreeMap::new(),
        healthcheck: None,
        probe: None,
        limits: Limits { memory_bytes: 1 << 30, nano_cpus: 1_000_000_000, pids: 64 },
        devices: if count == Some(0) { Vec::new() } else { vec![reservation] },
        cpu_shares: None,
        shm_size: None,
        ulimits: BTreeMap::new(),
        cap_add: BTreeSet::new(),
        cap_drop: BTreeSet::new(),
        read_only: true,
        no_new_privileges: true,
        init: false,
        labels: BTreeMap::new(),
        aliases: BTreeSet::new(),
        stop_grace_ms: 1000,
    }
}

fn stack(services: impl IntoIterator<Item = Service>) -> Stack {
    Stack {
        profile: "vllm".to_owned(),
        source: "compose/vllm.yaml".to_owned(),
        services: services.into_iter().map(|service| (service.name.clone(), service)).collect(),
        volumes: BTreeSet::new(),
        ready: Ready { service: "a".to_owned(), probe: Probe::Tcp { port: 1 } },
        facts: BTreeMap::new(),
        timeouts: StackTimeouts { ready_ms: 1, stop_ms: 1 },
        egress: false,
        gpu_need: Some(GpuNeed { vram_bytes: 8 << 30, compute_capability: Some("8.0".to_owned()) }),
    }
}

fn granted(stack: &Stack, facts: &Facts, taken: &[u32]) -> Result<Grant, Ungranted> {
    let taken = taken.iter().copied().collect();
    grant(stack, facts, &taken).map(Option::unwrap_or_default)
}

fn indices(grant: &Grant) -> Vec<(&str, Vec<u32>)> {
    let own = |gpus: &[GrantedGpu]| gpus.iter().map(|gpu| gpu.index).collect();
    grant.services.iter().map(|(name, service)| (name.as_str(), own(&service.gpus))).collect()
}

fn refusal(stack: &Stack, facts: &Facts, taken: &[u32]) -> String {
    let error = granted(stack, facts, taken).unwrap_err();
    format!("{error}\nhint: {}", error.hint().unwrap())
}

#[test]
fn a_stack_without_gpus_asks_for_none() {
    let plain = stack([service("a", Some(0), &[])]);
    assert_eq!(grant(&plain, &Facts::default(), &BTreeSet::new()), Ok(None));
}

#[test]
fn each_service_gets_its_own_and_counts_them_from_zero() {
    let pair = stack([service("decode-0", Some(1), &[]), service("prefill-0", Some(2), &[])]);
    let grant = granted(&pair, &facts(8), &[0]).unwrap();
    assert_eq!(indices(&grant), [("decode-0", vec![1]), ("prefill-0", vec![2, 3])]);
    let visible = |name: &str| grant.services[name].environment["CUDA_VISIBLE_DEVICES"].clone();
    assert_eq!((visible("decode-0"), visible("prefill-0")), ("0".to_owned(), "0,1".to_owned()));
}

#[test]
fn those_that_are_named_are_nobody_elses() {
    let uuid = gpu(1, "", 1).uuid;
    let pair = stack([service("a", Some(1), &[]), service("b", None, &["0", &uuid])]);
    assert_eq!(indices(&granted(&pair, &facts(3), &[]).unwrap()), [("a", vec![2]), ("b", vec![0, 1])]);
}

#[test]
fn all_is_all_that_are_left() {
    let all = stack([service("a", Some(1), &[]), service("b", Some(-1), &[])]);
    assert_eq!(indices(&granted(&all, &facts(4), &[]).unwrap()), [("a", vec![0]), ("b", vec![1, 2, 3])]);
    assert!(granted(&all, &facts(1), &[]).is_err());
}

#[test]
fn every_way_asks_in_its_own_words() {
    let one = stack([service("a", Some(1), &[])]);
    let mut facts = facts(2);
    let request = granted(&one, &facts, &[0]).unwrap();
    insta::assert_debug_snapshot!(request.services["a"].devices[0], @r#"
    DeviceReservation {
        driver: Some(
            "nvidia",
        ),
        count: None,
        device_ids: [
            "GPU-00000000-0000-0000-0000-000000000001",
        ],
        capabilities: [
            "gpu",
            "compute",
            "utility",
        ],
        options: {},
    }
    "#);
    facts.daemon.as_mut().unwrap().gpu_hook = Some(false);
    let runtime = granted(&one, &facts, &[0]).unwrap().services.remove("a").unwrap();
    assert_eq!(runtime.runtime.as_deref(), Some("nvidia"));
    assert!(runtime.devices.is_empty());
    assert_eq!(runtime.environment["NVIDIA_VISIBLE_DEVICES"], "GPU-00000000-0000-0000-0000-000000000001");
    let daemon = facts.daemon.as_mut().unwrap();
    daemon.version = "28.5.0".to_owned();
    daemon.cdi_devices = vec!["nvidia.com/gpu=0".to_owned(), "nvidia.com/gpu=1".to_owned()];
    let cdi = granted(&one, &facts, &[0]).unwrap().services.remove("a").unwrap();
    assert_eq!(cdi.devices[0].driver.as_deref(), Some("cdi"));
    assert_eq!(cdi.devices[0].device_ids, ["nvidia.com/gpu=1"]);
    assert!(cdi.devices[0].capabilities.is_empty() && cdi.runtime.is_none());
}

#[test]
fn what_cannot_be_had_is_told() {
    let one = |id: &str| stack([service("worker-0", None, &[id])]);
    insta::assert_snapshot!(refusal(&one("9"), &facts(2), &[]), @"
    `worker-0` reserves the GPU `9`, which this host does not have: it has 0, 1
    hint: name GPUs by their index or UUID as `nvidia-smi -L` lists them
    ");
    insta::assert_snapshot!(refusal(&one("1"), &facts(2), &[1]), @"
    `worker-0` reserves the GPU `1`, which is another stack's
    hint: `testbed doctor` says what each GPU is, and who uses it
    ");
    let two = stack([service("worker-0", Some(2), &[])]);
    let mut small = facts(2);
    small.accelerators.as_mut().unwrap().gpus[1].memory_bytes = 4 << 30;
    insta::assert_snapshot!(refusal(&two, &small, &[]), @"
    `worker-0` reserves GPUs: 2, and 1 of this host are free and fit: GPU 1 has 4GiB of memory, and 8GiB is needed
    hint: `testbed doctor` says what each GPU is, and who uses it
    ");
    insta::assert_snapshot!(refusal(&two, &facts(0), &[]), @"
    `worker-0` reserves GPUs, and this host has none that can be asked
    hint: `testbed doctor` says what each GPU is, and who uses it
    ");
    let mut closed = facts(2);
    closed.daemon.as_mut().unwrap().runtimes.clear();
    assert!(refusal(&two, &closed, &[]).starts_with("Docker 27.0.0 offers no way for GPUs into containers"));
}

#[test]
fn what_a_container_has_is_held_against_its_grant() {
    let granted = [GrantedGpu { index: 3, uuid: "GPU-3".to_owned() }];
    let seen = |devices: &[&str], uuids: &[&str]| {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        discrepancy("worker-0", &granted, &SeenGpus { devices: own(devices), uuids: own(uuids) })
    };
    assert_eq!(seen(&["nvidia3"], &["GPU-3"]), None);
    assert_eq!(seen(&["nvidia0"], &[]), None, "a driver that names none contradicts nothing");
    insta::assert_snapshot!(seen(&[], &[]).unwrap(), @"`worker-0` was to have GPU 3 (`GPU-3`), and has none: the engine accepted the request and gave nothing");
    insta::assert_snapshot!(seen(&["nvidia0", "nvidia1"], &[]).unwrap(), @"`worker-0` was to have GPU 3 (`GPU-3`), and has 2: nvidia0, nvidia1");
    insta::assert_snapshot!(seen(&["nvidia0"], &["GPU-0"]).unwrap(), @"`worker-0` was to have GPU 3 (`GPU-3`), and has others: GPU-0");
}

proptest! {
    /// Whatever is reserved: no GPU goes to two services, none that is taken, and each service gets as many as it reserves.
    #[test]
    fn no_gpu_is_granted_twice(counts in prop::collection::vec(1_i64..4, 1..5), gpus in 0_u32..9, taken in prop::collection::btree_set(0_u32..9, 0..5)) {
        let named = |(at, count): (usize, &i64)| service(&format!("w-{at}"), Some(*count), &[]);
        let stack = stack(counts.iter().enumerate().map(named));
        let free = (0..gpus).filter(|index| !taken.contains(index)).count();
        let wanted: i64 = counts.iter().sum();
        match grant(&stack, &facts(gpus), &taken) {
            Ok(grant) => {
                let grant = grant.unwrap();
                let all: Vec<u32> = grant.services.values().flat_map(|it| it.gpus.iter().map(|gpu| gpu.index)).collect();
                prop_assert_eq!(all.len(), usize::try_from(wanted).unwrap());
                prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
                prop_assert!(all.iter().all(|index| !taken.contains(index) && *index < gpus));
                for (at, count) in counts.iter().enumerate() {
                    prop_assert_eq!(grant.services[&format!("w-{at}")].gpus.len(), usize::try_from(*count).unwrap());
                }
            }
            Err(error) => prop_assert!(free < usize::try_from(wanted).unwrap(), "{}", error),
        }
    }
}
