//! What `doctor` and `plan` say of simulated hosts, for profiles of every size.

use std::fs;
use std::path::PathBuf;

use testbed_model::exit_code::ExitCode;

use crate::site::{HERE, SMALL_STACK, Site, repository};

/// Profiles of every size beside `small`, which needs no GPU.
const PROFILES: [(&str, &str); 4] = [
    (
        "vllm-agg",
        "gpus = 1\nvram = \"16GiB\"\ncompute_capability = \"8.0\"\ndriver = \"570.86\"\ncuda = \"12.8\"\nmemory = \"16GiB\"\ndisk = \"30GiB\"\n",
    ),
    (
        "vllm-disagg",
        "gpus = 2\nvram = \"16GiB\"\ncompute_capability = \"8.0\"\ndriver = \"570.86\"\ncuda = \"12.8\"\nmemory = \"32GiB\"\n",
    ),
    ("sglang-small", "gpus = 1\nvram = \"6GiB\"\ncompute_capability = \"7.5\"\nmemory = \"8GiB\"\n"),
    (
        "trtllm-tp8",
        "gpus = 8\nvram = \"80GiB\"\ncompute_capability = \"9.0\"\ncuda = \"13.0\"\nmemory = \"256GiB\"\narchitectures = [\"x86_64\"]\n",
    ),
];

fn folder() -> PathBuf {
    repository().join("runner/cli/tests/fixtures/hosts")
}

fn site() -> Site {
    PROFILES.iter().fold(Site::small(), |site, (name, needs)| {
        let text = format!(
            "extends = \"small\"\ndescription = \"d\"\ntiers = [\"nightly\"]\n[requirements]\n{needs}"
        );
        site.with(&format!("envs/{name}.toml"), &text)
    })
}

/// A site that has a host's file as `hosts/FILE`, so that its name is the same everywhere.
fn with_host(file: &str) -> Site {
    site().with(&format!("hosts/{file}"), &fs::read_to_string(folder().join(file)).unwrap())
}

/// What is told without what differs between machines: places, revisions, tools.
fn without_surroundings(told: &str) -> String {
    let mut kept = String::new();
    let mut own = true;
    for line in told.lines() {
        if !line.starts_with(' ') {
            own = !["configuration", "project", "tools"].iter().any(|label| line.starts_with(label));
        }
        if own {
            kept += &format!("{line}\n");
        }
    }
    kept
}

fn doctor(file: &str) -> String {
    let site = with_host(file);
    let ended = site.testbed(["doctor", "--facts", &format!("hosts/{file}")]);
    assert_eq!((ended.code(), ended.err.as_str()), (ExitCode::Passed, ""));
    without_surroundings(&ended.out)
}

fn hosts() -> Vec<String> {
    let mut files: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert!(files.len() >= 10, "{files:?}");
    files
}

#[test]
fn doctor_tells_each_simulated_host_whole() {
    for file in hosts() {
        let name = file.split('.').next().unwrap().to_owned();
        insta::assert_snapshot!(format!("doctor_on_{name}"), doctor(&file));
    }
}

/// The profiles of this repository: those without GPUs run on every host; whether each other can, and if not why.
#[test]
fn doctor_says_the_truth_for_every_profile_on_every_simulated_host() {
    let root = repository();
    let mut told = String::new();
    for file in hosts() {
        let site = with_host(&file);
        let facts = format!("hosts/{file}");
        let ended = site.testbed(["doctor", "--json", "--root", root.to_str().unwrap(), "--facts", &facts]);
        assert_eq!((ended.code(), ended.err.as_str()), (ExitCode::Passed, ""));
        let found: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
        told += &format!("{}\n", file.split('.').next().unwrap());
        let (plain, on_gpus): (Vec<_>, Vec<_>) =
            found["profiles"].as_array().unwrap().iter().partition(|profile| profile["gpus"] == 0);
        assert!(plain.len() > 5 && on_gpus.len() > 5, "{file}");
        for profile in plain {
            assert_eq!(profile["trouble"], serde_json::Value::Null, "{} on {file}", profile["name"]);
        }
        for profile in on_gpus {
            let reasons = profile["reasons"].as_array().map_or(&[][..], Vec::as_slice);
            let reasons: Vec<&str> = reasons.iter().map(|it| it["message"].as_str().unwrap()).collect();
            let verdict = if reasons.is_empty() { "can run".to_owned() } else { reasons.join("; ") };
            told += &format!("  {}: {verdict}\n", profile["name"].as_str().unwrap());
        }
    }
    insta::assert_snapshot!("doctor_for_every_profile", told);
}

#[test]
fn a_required_profile_decides_the_exit_code() {
    for (file, profile, code) in [
        ("h200-x8.toml", "trtllm-tp8", ExitCode::Passed),
        ("h100.toml", "vllm-agg", ExitCode::Passed),
        ("h100.toml", "vllm-disagg", ExitCode::Environment),
        ("h100-mig.toml", "vllm-agg", ExitCode::Environment),
        ("old-driver.toml", "vllm-agg", ExitCode::Environment),
        ("old-driver.toml", "sglang-small", ExitCode::Passed),
        ("no-container-way.toml", "sglang-small", ExitCode::Environment),
        ("podman-cdi.toml", "vllm-agg", ExitCode::Passed),
        ("rtx-4060.json", "sglang-small", ExitCode::Passed),
        ("laptop.toml", "small", ExitCode::Passed),
    ] {
        let site = with_host(file);
        let ended = site.testbed(["doctor", "--facts", &format!("hosts/{file}"), "--require", profile]);
        assert_eq!(ended.code(), code, "{profile} on {file}:\n{}", ended.out);
    }
}

#[test]
fn the_json_holds_the_facts_and_each_profiles_reasons() {
    let site = with_host("left-over.toml");
    let ended = site.testbed(["doctor", "--json", "--facts", "hosts/left-over.toml"]);
    let found: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(found["facts"]["simulated"]["file"], "hosts/left-over.toml");
    assert_eq!(found["facts"]["accelerators"]["source"], "simulated");
    assert_eq!(found["facts"]["accelerators"]["gpus"][0]["processes"][0]["pid"], 41877);
    let profiles = found["profiles"].as_array().unwrap();
    let named = |name: &str| profiles.iter().find(|profile| profile["name"] == name).unwrap();
    let agg = named("vllm-agg");
    assert_eq!(agg["needs"]["vram_bytes"], 16_u64 << 30);
    assert_eq!(agg["reasons"].as_array().unwrap().len(), 2, "{agg}");
    assert_eq!(agg["trouble"], agg["reasons"][0]);
    assert_eq!(named("small")["trouble"], serde_json::Value::Null);
    assert!(found["warnings"].as_array().unwrap().len() >= 5, "{}", found["warnings"]);
}

#[test]
fn a_plan_is_made_for_the_simulated_host_and_says_so() {
    let plan = |site: &Site, file: &str, profile: &str| {
        let facts = format!("hosts/{file}");
        site.testbed(["plan", "nightly", "--no-collect", "--profile", profile, "--facts", &facts])
    };
    let site = with_host("laptop.toml");
    let ended = plan(&site, "laptop.toml", "vllm-agg");
    assert_eq!(ended.code(), ExitCode::Environment, "{}", ended.told());
    insta::assert_snapshot!(ended.told(), @r"
    error: the profile `vllm-agg` cannot run here: it needs GPUs: 1, and this host has 0
    hint: leave `--profile` out to run what this host can run
    ");
    let site = with_host("h100.toml");
    let ended = plan(&site, "h100.toml", "small");
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.told());
    let remark = "warning: simulated by `hosts/h100.toml`, not of this host: host (8 keys), daemon (12 keys), driver (2 keys), gpu";
    assert!(ended.err.contains(remark), "{}", ended.err);
}

#[test]
fn a_file_that_is_wrong_names_its_place_and_the_way_out() {
    let site = site().with("host.toml", &format!("[host]\n{HERE}core = 3\n"));
    insta::assert_snapshot!(site.refuses(["doctor", "--facts", "host.toml"], ExitCode::Usage), @r"
    error: host.toml:2:1: unknown key `core` in `host`
      2 | core = 3
        | ^
    hint: did you mean `cores`?
    ");
    let site = self::site();
    insta::assert_snapshot!(site.refuses(["plan", "--facts", "nobody.toml"], ExitCode::Usage), @r"
    error: cannot read `nobody.toml`: No such file or directory (os error 2)
    hint: check the path; `testbed schema facts --reference` says what such a file holds
    ");
}

#[test]
fn this_machine_has_the_shape_that_it_always_has() {
    // Whether there is a GPU or a time service differs between machines.
    let site = site().with("host.toml", "gpu = []\n[host]\nclock_synchronised = true\n");
    let ended = site.testbed(["doctor", "--facts", "host.toml"]);
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.told());
    let told = ended.redacted(&without_surroundings(&ended.out));
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"(?m)^kernel .*$", "kernel         [kernel]");
    // How much room there is differs as well, and whether it is worth a warning.
    settings.add_filter(r"(?m)^warning: only .* are free for .*\n +hint: .*\n\n?", "");
    settings.add_filter(r"\d+(\.\d+)? [KMGT]iB", "[size]");
    settings.add_filter(r"(locked memory|stack) unlimited", "$1 [size]");
    settings.add_filter(r"open files (\d+|unlimited)", "open files [number]");
    settings.add_filter(r"\d+ cores", "[number] cores");
    settings.add_filter(r"x86_64$|aarch64$", "[architecture]");
    settings.add_filter(r"(?m)(x86_64|aarch64)$", "[architecture]");
    settings.add_filter(r"has (only )?\d+(\.\d+)?[KMGT]iB", "has [size]");
    settings.bind(|| insta::assert_snapshot!("doctor_here", told));
}

#[test]
fn colours_are_written_only_where_they_are_wanted() {
    let site = with_host("left-over.toml");
    let told = |color: &str, no_color: bool| {
        let mut doctor = site.command(["doctor", "--facts", "hosts/left-over.toml", "--color", color]);
        if no_color {
            doctor.env("NO_COLOR", "1");
        }
        site.ended(&mut doctor).out
    };
    assert!(told("always", false).contains('\u{1b}'));
    for plain in [told("auto", false), told("auto", true), told("never", false)] {
        assert!(!plain.contains('\u{1b}'));
    }
}

#[test]
fn a_gpu_that_is_named_and_not_here_is_told_with_its_place_before_anything_starts() {
    let stack = format!(
        "{SMALL_STACK}    deploy:\n      resources:\n        reservations:\n          devices:\n            - capabilities: [gpu]\n              device_ids: ['0', '9']\n"
    );
    let profile = "stack = \"compose/named.yaml\"\ntiers = [\"premerge\"]\n[requirements]\ngpus = 2\n";
    let site = with_host("h100-x2.toml").with("compose/named.yaml", &stack).with("envs/named.toml", profile);
    let told = "compose/named.yaml:16:33: `nats` names the GPU `9`, and this host has 0, 1";
    let ended = site.testbed(["doctor", "--require", "named", "--facts", "hosts/h100-x2.toml"]);
    assert_eq!(ended.code(), ExitCode::Environment);
    assert!(ended.out.contains(&format!("named         {told}")), "{}", ended.out);
    insta::assert_snapshot!(site.refuses(["up", "named", "--facts", "hosts/h100-x2.toml"], ExitCode::Environment), @r"
    error: the profile `named` cannot run here: compose/named.yaml:16:33: `nats` names the GPU `9`, and this host has 0, 1
    hint: name GPUs by their index or UUID as `nvidia-smi -L` lists them; without `--profile` runs what this host can run
    ");
    let site = site.with("compose/named.yaml", &stack.replace("'9'", &format!("{HERE}'0'")));
    insta::assert_snapshot!(site.refuses(["doctor", "--facts", "hosts/h100-x2.toml"], ExitCode::Usage), @r"
    error: compose/named.yaml:16:33: `services.nats.deploy.resources.reservations.devices[0].device_ids[1]` names `0` a second time
      16 |               device_ids: ['0', '0']
         |                                 ^
    hint: leave one of them out
    ");
}
