//! GPU profiles from start to report, without a GPU: simulated hosts with one, two and eight of them, the repository's own profiles,
//! stacks and images, and a fake container engine whose lanes tell what a small suite would.

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;
use testbed_model::exit_code::ExitCode;

use crate::fake::{Behaviour, FakeDaemon, Script, TestCase};
use crate::site::{Site, repository};

const PROJECT: &str = r#"
[project]
name = "served"
preset = "dynamo"

[[suite]]
name = "e2e"
kind = "pytest"
type = "e2e"
paths = ["tests"]
profiles = ["mocker", "vllm-*", "sglang-*", "trtllm-*"]
"#;

/// All profiles of engines on GPUs.
fn profiles() -> Vec<String> {
    let files = fs::read_dir(repository().join("envs")).unwrap();
    let names = files.filter_map(|file| Some(file.ok()?.path().file_stem()?.to_str()?.to_owned()));
    let engines = ["vllm-", "sglang-", "trtllm-"];
    let on_gpus =
        |name: &String| engines.iter().any(|engine| name.starts_with(engine)) && !name.contains("-cpu");
    names.filter(on_gpus).collect::<BTreeSet<_>>().into_iter().collect()
}

/// A host with so many H200, and an engine with NVIDIA's runtime.
fn host(gpus: u32) -> String {
    format!(
        r#"
[host]
cores = 64
memory = "512GiB"
architecture = "x86_64"
disk = {{ path = "/home/dev/.testbed", free = "5TiB", total = "14TiB" }}

[daemon]
name = "Docker"
version = "27.5.1"
api_version = "1.47"
cgroup_version = "2"
runtimes = ["nvidia", "runc"]
gpu_hook = true
disk = {{ path = "/var/lib/docker", free = "1400GiB", total = "1800GiB" }}

[driver]
version = "590.48.01"
cuda = "13.1"

[[gpu]]
count = {gpus}
name = "NVIDIA H200"
memory = "143771MiB"
compute_capability = "9.0"
"#
    )
}

/// Cases for GPUs of every number, for each engine, and with VRAM that they were measured to take.
fn cases() -> Vec<TestCase> {
    let case = |id: &'static str, marks: &[(&str, &[f64])]| TestCase {
        id,
        marks: marks.iter().map(|(name, args)| json!({ "name": name, "args": args })).collect(),
        fails: None,
    };
    vec![
        case("tests/test_served.py::test_plain", &[("pre_merge", &[]), ("e2e", &[]), ("gpu_0", &[])]),
        case("tests/test_served.py::test_one", &[("pre_merge", &[]), ("e2e", &[]), ("gpu_1", &[])]),
        case("tests/test_served.py::test_two", &[("pre_merge", &[]), ("e2e", &[]), ("gpus_needed_2", &[])]),
        case("tests/test_served.py::test_four", &[("pre_merge", &[]), ("e2e", &[]), ("gpu_4", &[])]),
        case("tests/test_served.py::test_eight", &[("pre_merge", &[]), ("e2e", &[]), ("gpu_8", &[])]),
        case("tests/test_served.py::test_h100", &[("pre_merge", &[]), ("e2e", &[]), ("h100", &[])]),
        case(
            "tests/test_served.py::test_large",
            &[("pre_merge", &[]), ("e2e", &[]), ("gpu_1", &[]), ("profiled_vram_gib", &[200.0])],
        ),
    ]
}

/// The repository's profiles, stacks and images; a model of the name that they serve, made here; three hosts.
fn site() -> Site {
    let models = fs::read_to_string(repository().join("models/models.toml")).unwrap();
    let tables: Vec<&str> = models.split("[[model]]").collect();
    let of = |name: &str| tables.iter().find(|table| table.contains(&format!("name = \"{name}\"")));
    let own = format!(
        "[[model]]{}[[model]]{}",
        of("tiny").unwrap(),
        of("tiny-qwen3").unwrap().replace("\"tiny-qwen3\"", "\"qwen3-0.6b\"")
    );
    let site = ["envs", "compose", "images", "suites", "models/tiny"]
        .into_iter()
        .fold(Site::empty(), |site, linked| site.with_link(linked, linked));
    [1, 2, 8]
        .into_iter()
        .fold(site, |site, gpus| site.with(&format!("hosts/{gpus}.toml"), &host(gpus)))
        .with("models/models.toml", &own)
        .with("testbed.toml", PROJECT)
        .with("tests/test_served.py", "def test_plain():\n    pass\n")
}

fn fake(script: Script) -> FakeDaemon {
    FakeDaemon::start(Script { cases: cases(), ..script })
}

/// Runs on a simulated host and gives the exit code with what the record tells of GPUs, cases and the end. Every report can be made.
fn told(site: &Site, fake: &FakeDaemon, arguments: &[&str], gpus: u32) -> String {
    let facts = format!("hosts/{gpus}.toml");
    let arguments = [&["run", "premerge", "--facts", &facts], arguments].concat();
    let run = site.ended(site.command(arguments).env("DOCKER_HOST", fake.address()).env("NO_COLOR", "1"));
    assert_eq!(fake.left(), Vec::<String>::new(), "nothing is left");
    let mut told = format!("exit {}\n", run.code().number());
    if !run.err.contains("record ") {
        return format!("{told}{}\n", run.told());
    }
    let report = |format: &str| {
        let report = site.testbed(["report", "--format", format]);
        assert_eq!((report.code(), report.err.as_str()), (ExitCode::Passed, ""), "{format}");
        report.out
    };
    for line in report("log").lines() {
        let line = line.trim_start_matches(|c: char| "[]. s".contains(c) || c.is_ascii_digit());
        if ["GPUs ", "pass ", "FAIL ", "Broken vllm", "it needs "].iter().any(|kind| line.starts_with(kind)) {
            told += &format!("  {}\n", line.replace("0.00 s ", ""));
        }
    }
    for format in ["json", "junit", "html", "trace", "markdown"] {
        assert!(report(format).contains("e2e@"), "{format}:\n{told}");
    }
    told
}

#[test]
fn every_gpu_profile_runs_from_start_to_report_on_hosts_with_one_two_and_eight_gpus() {
    let site = site();
    let mut seen = String::new();
    for gpus in [1, 2, 8] {
        for profile in profiles() {
            let told = told(&site, &fake(Script::default()), &["--profile", &profile], gpus);
            seen += &format!("{profile} with {gpus}: {told}");
        }
    }
    insta::assert_snapshot!(seen);
}

#[test]
fn without_a_profile_those_that_fit_the_host_are_run() {
    let site = site();
    let mut seen = String::new();
    for gpus in [1, 2, 8] {
        let told = told(&site, &fake(Script::default()), &[], gpus);
        // Stacks come up side by side: which of them is first, and has the first GPU, is chance.
        let told = ["0", "1", "2"].iter().fold(told, |told, index| {
            told.replace(&format!("worker-0 has GPU {index}\n"), "worker-0 has a GPU\n")
        });
        let mut lines: Vec<&str> = told.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        seen += &format!("with {gpus}:\n{}\n", lines.join("\n"));
    }
    insta::assert_snapshot!(seen);
}

/// Podman 4 does so.
#[test]
fn an_engine_that_accepts_the_request_for_gpus_and_gives_none_is_no_red_test() {
    let none = Behaviour { gpus: Some(Vec::new()), ..Behaviour::default() };
    let services = [("worker-0".to_owned(), none)].into();
    let fake = fake(Script { services, ..Script::default() });
    insta::assert_snapshot!(told(&site(), &fake, &["--profile", "vllm-agg"], 1));
}
