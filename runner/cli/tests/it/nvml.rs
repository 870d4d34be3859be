//! GPUs asked of the driver: its library and `nvidia-smi`, both played by stand-ins, and the real ones where there are any.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use testbed_model::exit_code::ExitCode;

use crate::site::{Site, repository};

/// The driver's library, as a stand-in in C that behaves in one of many ways; none where there is no C compiler.
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn library(site: &Site, manner: &str) -> Option<PathBuf> {
    let (source, built) = (
        repository().join("runner/cli/tests/fixtures/nvml/nvml.c"),
        site.path().join(format!("libnvidia-ml-{manner}.so.1")),
    );
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"]).arg(&built).arg(source);
    cc.arg(format!("-DMANNER_{manner}")).arg(format!("-DHOLDER={}", std::process::id()));
    let Ok(status) = cc.status() else {
        eprintln!("skipped: there is no C compiler `cc`");
        return None;
    };
    assert!(status.success(), "the stand-in of the library does not compile");
    Some(built)
}

/// A folder for PATH with a stand-in of `nvidia-smi` that does what a script says.
fn smi(site: &Site, script: &str) -> String {
    let program = site.path().join("bin/nvidia-smi");
    site.write("bin/nvidia-smi", format!("#!/bin/sh\n{script}\n").as_bytes());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", site.path().join("bin").display(), std::env::var("PATH").unwrap())
}

/// A PATH that has no `nvidia-smi` on it, wherever the test runs.
const NO_SMI: &str = "exec /nonexistent/nvidia-smi";

const TABLES: &str = r#"case "$1" in
--query-gpu=*) echo "0, GPU-aaa, NVIDIA L4, 00000000:00:04.0, 23034, 12, 8.9, [N/A], Enabled, 0, 570.86.15" ;;
--query-compute-apps=*) echo "GPU-aaa, 1, 12" ;;
-q) printf 'Driver Version : 570.86.15\nCUDA Version : 12.8\n' ;;
*) echo "GPU 0: NVIDIA L4 (UUID: GPU-aaa)" ;;
esac"#;

/// The facts of `doctor` where the library is this one.
fn facts(site: &Site, library: &Path, path: &str) -> Value {
    let mut doctor = site.command(["doctor", "--json"]);
    doctor.env("TESTBED_NVML", library).env("TESTBED_NVML_TIMEOUT", "2s").env("PATH", path);
    let ended = site.ended(&mut doctor);
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.told());
    let mut found: Value = serde_json::from_str(&ended.out).unwrap();
    found["facts"].take()
}

fn trouble(facts: &Value) -> &str {
    facts["gpu_trouble"].as_str().unwrap_or_default()
}

#[test]
fn the_library_is_loaded_into_the_static_runner_and_tells_everything() {
    let site = Site::small();
    let Some(library) = library(&site, "whole") else { return };
    let facts = facts(&site, &library, &smi(&site, NO_SMI));
    assert_eq!((facts["gpus"].as_u64(), trouble(&facts)), (Some(2), ""));
    let mut gpus = facts["accelerators"].clone();
    let holder = &gpus["gpus"][0]["processes"][0];
    assert_eq!(holder["pid"], std::process::id(), "the stand-in names this test");
    assert_eq!(holder["name"].as_str().map(|name| name.starts_with("it-")), Some(true), "{holder}");
    gpus["gpus"][0]["processes"][0] = "this test".into();
    insta::assert_json_snapshot!("the_library_tells", gpus);
}

#[test]
fn whatever_the_library_does_is_one_line_of_trouble_and_nvidia_smi_is_asked_instead() {
    let site = Site::small();
    let path = smi(&site, TABLES);
    for (manner, told) in [
        ("crash", "NVML: it crashed with signal 11; `nvidia-smi` was asked instead"),
        ("abort", "NVML: it crashed with signal 6; `nvidia-smi` was asked instead"),
        ("exit", "NVML: exit code 3; `nvidia-smi` was asked instead"),
        ("hang", "NVML: no answer within 2s; `nvidia-smi` was asked instead"),
        (
            "mismatch",
            "NVML: driver/library version mismatch: the driver was updated, and the host not started since; `nvidia-smi` was asked instead",
        ),
        ("unloaded", "NVML: NVIDIA driver is not loaded; `nvidia-smi` was asked instead"),
        (
            "old",
            "NVML: GPU 0: the library is too old: it lacks a function; GPU 1: the library is too old: it lacks a function; `nvidia-smi` was asked instead",
        ),
    ] {
        let Some(library) = library(&site, manner) else { return };
        let facts = facts(&site, &library, &path);
        assert_eq!(trouble(&facts), told, "{manner}");
        assert_eq!(facts["accelerators"]["source"], "nvidia-smi", "{manner}");
        assert_eq!(facts["accelerators"]["gpus"][0]["name"], "NVIDIA L4", "{manner}");
    }
}

#[test]
fn a_gpu_that_is_lost_is_named_and_the_others_are_told() {
    let site = Site::small();
    let Some(library) = library(&site, "lost") else { return };
    let facts = facts(&site, &library, &smi(&site, NO_SMI));
    assert_eq!(trouble(&facts), "GPU 1: it has fallen off the bus");
    assert_eq!(facts["gpus"], 1);
}

#[test]
fn a_library_that_talks_is_not_taken_for_its_answer() {
    let site = Site::small();
    let Some(library) = library(&site, "chatty") else { return };
    let facts = facts(&site, &library, &smi(&site, NO_SMI));
    assert_eq!((facts["gpus"].as_u64(), trouble(&facts)), (Some(2), ""));
}

#[test]
fn a_file_that_is_no_library_and_one_that_is_not_there_are_named() {
    let site = Site::small().with("garbage.so", "this is no library");
    let path = smi(
        &site,
        "echo 'NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.'; exit 9",
    );
    let told = trouble(&facts(&site, &site.path().join("garbage.so"), &path)).to_owned();
    assert!(
        told.starts_with("NVML: the library cannot be loaded: ") && told.contains("garbage.so: "),
        "{told}"
    );
    assert!(told.ends_with("`nvidia-smi`: exit code 9: NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver."), "{told}");
    let told = trouble(&facts(&site, &site.path().join("nobody.so"), &path)).to_owned();
    assert!(told.contains("nobody.so: cannot open shared object file"), "{told}");
}

#[test]
fn a_profile_that_needs_a_gpu_says_why_none_can_be_asked() {
    let site = Site::small()
        .with("envs/gpu.toml", "extends = \"small\"\ndescription = \"d\"\n[requirements]\ngpus = 1\n");
    let mut doctor = site.command(["doctor", "--require", "gpu"]);
    doctor.env("TESTBED_NVML", "/nonexistent/nvml.so").env("PATH", smi(&site, "exit 9"));
    let ended = site.ended(&mut doctor);
    assert_eq!(ended.code(), ExitCode::Environment, "{}", ended.told());
    assert!(ended.out.contains("it needs GPUs: 1, and this host has 0 that can be asked"), "{}", ended.out);
    assert!(ended.out.contains("warning: GPUs could not be asked as they should be"), "{}", ended.out);
}

#[test]
fn without_a_driver_nobody_is_asked() {
    if ["/dev/nvidiactl", "/proc/driver/nvidia/version", "/dev/dxg"]
        .iter()
        .any(|sign| Path::new(sign).exists())
    {
        eprintln!("skipped: this host has an NVIDIA driver");
        return;
    }
    let site = Site::small();
    // Whoever asks leaves a trace.
    let path = smi(&site, "touch asked; exit 9");
    let mut doctor = site.command(["doctor", "--json"]);
    doctor.env_remove("TESTBED_NVML").env("PATH", path);
    let ended = site.ended(&mut doctor);
    let found: Value = serde_json::from_str(&ended.out).unwrap();
    let known_library = Path::new("/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1").exists();
    assert_eq!((found["facts"]["gpus"].as_u64(), &found["facts"]["accelerators"]), (Some(0), &Value::Null));
    assert!(known_library || !site.path().join("asked").exists());
}

#[test]
fn an_asker_that_hangs_holds_nobody_up_for_longer_than_is_said() {
    let site = Site::small();
    let Some(library) = library(&site, "hang") else { return };
    let began = Instant::now();
    let facts = facts(&site, &library, &smi(&site, "exec sleep 60"));
    assert_eq!(trouble(&facts), "NVML: no answer within 2s; `nvidia-smi`: no answer within 2s");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

/// What `nvidia-smi` says, and in the same words what Testbed says, a line for each GPU.
#[test]
fn the_facts_agree_with_nvidia_smi_line_by_line() {
    if !Path::new("/dev/nvidiactl").exists() {
        eprintln!("skipped: this host has no NVIDIA driver (/dev/nvidiactl)");
        return;
    }
    let asked = Command::new("nvidia-smi")
        .args([
            "--query-gpu=index,uuid,name,pci.bus_id,memory.total,compute_cap,mig.mode.current,driver_version",
        ])
        .args(["--format=csv,noheader,nounits"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let expected: Vec<String> = String::from_utf8(asked.stdout).unwrap().lines().map(str::to_owned).collect();
    let site = Site::small();
    for (source, library) in [("nvml", None), ("nvidia-smi", Some("/nonexistent/nvml.so"))] {
        let mut doctor = site.command(["doctor", "--json"]);
        if let Some(library) = library {
            doctor.env("TESTBED_NVML", library);
        }
        let found: Value = serde_json::from_str(&site.ended(&mut doctor).out).unwrap();
        let accelerators = &found["facts"]["accelerators"];
        assert_eq!(accelerators["source"], source, "{}", found["facts"]["gpu_trouble"]);
        let line = |(gpu, expected): (&Value, &String)| {
            let capability = &gpu["compute_capability"];
            let mig = match (&gpu["mig"], expected.contains("[N/A]")) {
                (Value::Null, true) => "[N/A]",
                (Value::Null, false) => "Disabled",
                _ => "Enabled",
            };
            format!(
                "{}, {}, {}, {}, {}, {}.{}, {mig}, {}",
                gpu["index"],
                gpu["uuid"].as_str().unwrap(),
                gpu["name"].as_str().unwrap(),
                gpu["bus"].as_str().unwrap(),
                gpu["memory_bytes"].as_u64().unwrap() >> 20,
                capability[0],
                capability[1],
                accelerators["driver"].as_str().unwrap(),
            )
        };
        let told: Vec<String> =
            accelerators["gpus"].as_array().unwrap().iter().zip(&expected).map(line).collect();
        assert_eq!(told, expected, "{source}");
    }
}
