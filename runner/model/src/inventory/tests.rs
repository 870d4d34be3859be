//! Inventories: what is read, what is refused, and what becomes of facts.

use proptest::prelude::*;

use super::schema::{EXAMPLE, KEYS};
use super::{Inventory, parse};
use crate::facts::{DaemonFacts, Facts};
use crate::hint::Hint as _;

fn read(text: &str) -> Inventory {
    parse("host.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str) -> String {
    let error = parse("host.toml", text).unwrap_err();
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

fn gathered() -> Facts {
    Facts {
        cores: 2,
        memory_bytes: 24 << 30,
        architecture: "x86_64".to_owned(),
        kernel: "6.18.0".to_owned(),
        gpu_trouble: Some("NVML: broken".to_owned()),
        ..Facts::default()
    }
}

#[test]
fn the_example_sets_every_key_and_becomes_facts() {
    let missing: Vec<String> = KEYS
        .iter()
        .filter_map(|key| key.path.last())
        .filter(|name| !EXAMPLE.contains(&format!("{name} = ")))
        .map(|name| (*name).to_owned())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let mut facts = gathered();
    read(EXAMPLE).apply(&mut facts);
    insta::assert_json_snapshot!("the_example_as_facts", facts);
}

#[test]
fn json_says_the_same_as_toml() {
    let json = r#"{"host": {"cores": 8}, "driver": {"version": "570.1", "cuda": "12.8"},
        "gpu": [{"name": "NVIDIA L4", "memory": "23034MiB", "compute_capability": "8.9", "ecc": true}]}"#;
    let toml = "host.cores = 8\n[driver]\nversion = \"570.1\"\ncuda = \"12.8\"\n[[gpu]]\nname = \"NVIDIA L4\"\nmemory = \"23034MiB\"\ncompute_capability = \"8.9\"\necc = true\n";
    let (mut a, mut b) = (gathered(), gathered());
    parse("host.json", json).unwrap().apply(&mut a);
    read(toml).apply(&mut b);
    b.simulated.as_mut().unwrap().file = "host.json".to_owned();
    assert_eq!(a, b);
}

#[test]
fn what_the_file_does_not_speak_of_stays_as_it_is() {
    let mut facts = gathered();
    read("[host]\ncores = 64\n").apply(&mut facts);
    assert_eq!((facts.cores, facts.memory_bytes, facts.kernel.as_str()), (64, 24 << 30, "6.18.0"));
    assert_eq!(facts.gpu_trouble.as_deref(), Some("NVML: broken"));
    assert_eq!(facts.simulated.unwrap().keys, ["host.cores"]);
}

#[test]
fn an_empty_list_of_gpus_is_a_host_without_a_driver() {
    let mut facts = gathered();
    read("[driver]\nversion = \"1\"\ncuda = \"1\"\n[[gpu]]\nname = \"g\"\nmemory = \"1GiB\"\ncompute_capability = \"1.0\"\n").apply(&mut facts);
    assert_eq!((facts.gpus, facts.gpu_trouble.as_deref()), (1, None));
    read("gpu = []\n").apply(&mut facts);
    assert_eq!((facts.gpus, facts.accelerators), (0, None));
}

#[test]
fn a_part_of_an_engine_needs_an_engine() {
    let inventory = read("[daemon]\nruntimes = [\"nvidia\"]\n");
    assert!(!inventory.has_engine());
    let mut facts = gathered();
    inventory.apply(&mut facts);
    assert_eq!(facts.daemon, None);
    facts.daemon = Some(DaemonFacts {
        name: "Docker".to_owned(),
        runtimes: vec!["runc".to_owned()],
        ..DaemonFacts::default()
    });
    inventory.apply(&mut facts);
    let daemon = facts.daemon.unwrap();
    assert_eq!((daemon.name.as_str(), daemon.runtimes), ("Docker", vec!["nvidia".to_owned()]));
}

#[test]
fn what_is_wrong_is_refused_with_its_place_and_a_way_out() {
    const GPU: &str = "[driver]\nversion = \"1\"\ncuda = \"1\"\n[[gpu]]\nname = \"g\"\nmemory = \"8GiB\"\n";
    let cases = [
        "[hots]\ncores = 1\n".to_owned(),
        "[host]\ncore = 1\n".to_owned(),
        "[host]\ncores = 0\n".to_owned(),
        "[host]\narchitecture = \"arm64\"\n".to_owned(),
        "[host]\ndisk = { free = \"2GiB\", total = \"1GiB\" }\n".to_owned(),
        "[daemon]\nname = \"docker\"\n".to_owned(),
        "[daemon]\ncdi_devices = [\"gpu0\"]\n".to_owned(),
        "[driver]\nversion = \"580\"\n".to_owned(),
        "[[gpu]]\nname = \"g\"\nmemory = \"8GiB\"\ncompute_capability = \"9.0\"\n".to_owned(),
        GPU.to_owned(),
        format!("{GPU}compute_capability = 9.0\n"),
        format!("{GPU}compute_capability = \"9\"\n"),
        format!("{GPU}compute_capability = \"9.0\"\nused = \"9GiB\"\n"),
        format!("{GPU}compute_capability = \"9.0\"\nprocess = [{{ pid = 1, memory = \"9GiB\" }}]\n"),
        format!("{GPU}compute_capability = \"9.0\"\ncount = 2\nuuid = \"GPU-1\"\n"),
        format!("{GPU}compute_capability = \"9.0\"\ncount = 2000\n"),
        format!("{GPU}compute_capability = \"9.0\"\nuncorrected_errors = 3\n"),
        format!(
            "{GPU}compute_capability = \"9.0\"\nmig_mode = false\nmig = [{{ profile = \"a\", memory = \"1GiB\" }}]\n"
        ),
        format!("{GPU}compute_capability = \"9.0\"\nprocess = [{{ name = \"x\" }}]\n"),
        String::new(),
    ];
    let told: Vec<String> = cases.iter().map(|text| refused(text)).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    host.toml:1:2: unknown key `hots`; did you mean `host`?
    host.toml:2:1: unknown key `core` in `host`; did you mean `cores`?
    host.toml:2:9: `host.cores` must be at least 1
    host.toml:2:16: `host.architecture` cannot be `arm64`; did you mean `aarch64`?
    host.toml:2:8: `host.disk` has more room left than in all
    host.toml:2:8: `daemon.name` cannot be `docker`; did you mean `Docker`?
    host.toml:2:16: `daemon.cdi_devices[0]` must be a device, not `gpu0`; write it as `nvidia.com/gpu=0`
    host.toml:1:2: the key `cuda` is missing in `driver`
    host.toml:1:3: GPUs are of no use without the table `driver`; write `[driver]` with `version` and `cuda`
    host.toml:4:1: the key `compute_capability` is missing in `gpu[0]`
    host.toml:7:22: `gpu[0].compute_capability` must be text, not a number; write it in quotes, as `"9.0"`
    host.toml:7:22: `gpu[0].compute_capability` must be a compute capability such as `9.0`, not `9`
    host.toml:8:8: `gpu[0].used` uses more memory than there is; write `used` below `memory`
    host.toml:4:1: `gpu[0]` uses more memory than there is; write `used` below `memory`
    host.toml:9:8: `gpu[0].uuid` cannot be that of several GPUs; leave it out, or write an entry for each
    host.toml:8:9: `gpu[0].count` must be at most 1024
    host.toml:8:1: a GPU without error correction finds no errors; write `ecc = true`
    host.toml:8:12: `gpu[0].mig_mode` cannot be off where there are parts; leave it or `mig` out
    host.toml:8:12: the key `pid` is missing in `gpu[0].process[0]`
    host.toml:1:1: the file says nothing of a host; `testbed schema facts --reference` says what it can hold
    "#);
}

proptest! {
    #[test]
    fn doing_it_twice_changes_nothing_more(cores in 1_u32..999, gpus in 0_usize..4, engine: bool) {
        let gpu = "[[gpu]]\nname = \"g\"\nmemory = \"8GiB\"\ncompute_capability = \"9.0\"\n".repeat(gpus);
        let daemon = if engine { "[daemon]\nname = \"Podman\"\nversion = \"5\"\n" } else { "" };
        let inventory = read(&format!("host.cores = {cores}\n{daemon}[driver]\nversion = \"1\"\ncuda = \"1\"\n{gpu}"));
        let mut once = gathered();
        inventory.apply(&mut once);
        let mut twice = once.clone();
        inventory.apply(&mut twice);
        prop_assert_eq!(&once, &twice);
        prop_assert_eq!(usize::try_from(once.gpus).unwrap(), gpus);
    }

    #[test]
    fn no_text_is_too_much(text in "(host|gpu|driver|daemon|\\[|\\]|\\.|=|\"|\n|cores|memory|1|9\\.0|.){0,20}") {
        let _ = parse("host.toml", &text);
        let _ = parse("host.json", &text);
    }
}
