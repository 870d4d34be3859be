//! `catalog`: a plan of 50,000 cases from a warm catalog, against collecting them, and what a marker expression adds to it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use testbed_engine::host::clock::Clock;

use crate::bench::Bench;
use crate::error::BenchError;
use crate::outcome::{Comparison, Row, Section, Unit};
use crate::phases::milliseconds;
use crate::process::Program;
use crate::start::{Call, call};

/// Files, functions in each, and parameters of each: 50,000 cases.
const FILES: usize = 250;
const FUNCTIONS: usize = 20;
const PARAMETERS: usize = 10;

/// A warm plan may take so many milliseconds and million bytes; an expression may add so many milliseconds.
const PLAN_MS: f64 = 300.0;
const PLAN_MB: f64 = 150.0;
const EXPRESSION_MS: f64 = 20.0;

/// Collecting is to take so many times as long as a warm plan.
const FASTER: f64 = 20.0;

const COMPONENTS: [&str; 5] = ["router", "planner", "kvbm", "frontend", "core"];
const TIERS: [&str; 5] = ["pre_merge", "premerge", "post_merge", "nightly", "weekly"];
const BACKENDS: [&str; 3] = ["vllm", "sglang", "trtllm"];
const EXPRESSION: &str =
    "(pre_merge or post_merge) and parallel and not (vllm or sglang or trtllm) and gpu_0";

/// What is called in every round.
const CALLS: [(&str, &[&str]); 2] = [
    ("testbed plan nightly --json", &["plan", "nightly", "--json"]),
    ("the same with -m", &["plan", "nightly", "--json", "-m", EXPRESSION]),
];

/// Measures so many rounds over a project that is made for it.
pub async fn measure(bench: &Bench, rounds: usize) -> Result<Section, BenchError> {
    let project = tempfile::Builder::new()
        .prefix("testbed-bench-cases-")
        .tempdir()
        .map_err(BenchError::host("make a folder"))?;
    write_project(project.path()).map_err(BenchError::host("write the project"))?;
    let root = bench.root.to_string_lossy().into_owned();
    let clock = Clock::start();
    let list = Program::new(&bench.testbed, ["list", "--json"]).in_folder(project.path());
    let listed = list.with([("TESTBED_ROOT".to_owned(), root.clone())]).output(&bench.endings).await?;
    let collected_ms = milliseconds(clock.elapsed_us());
    let cases = listed.matches("\"id\": ").count();
    let (testbed, folder) = (bench.testbed.clone(), project.path().to_owned());
    let measured = tokio::task::spawn_blocking(move || measure_all(&testbed, &folder, &root, rounds)).await;
    let calls = measured.map_err(|e| BenchError::Host {
        doing: "measure plans".to_owned(),
        source: std::io::Error::other(e),
    })??;
    Ok(Section {
        name: "catalog",
        about: "a plan of 50,000 cases from what is known of them",
        rows: rows(collected_ms, &calls),
        notes: vec![format!(
            "Collected once, by pytest in the tests image with Testbed's plugin: {cases} cases. Every plan is a process of its own, \
             from start to end, and writes its canonical JSON."
        )],
    })
}

fn rows(collected_ms: f64, calls: &[Vec<Call>]) -> Vec<Row> {
    let times = |calls: &[Call]| calls.iter().map(|call| call.milliseconds).collect::<Vec<f64>>();
    let plain = calls.first().map(|calls| times(calls)).unwrap_or_default();
    let mut rows = vec![Row::of("wall", "testbed list, collecting", Unit::Milliseconds, &[collected_ms])];
    for ((how, _), calls) in CALLS.iter().zip(calls) {
        let samples = times(calls);
        let row = Row::of("wall", how, Unit::Milliseconds, &samples).map(|row| {
            let median = row.figures.median;
            let limit = Comparison::with_limit("median to 300 ms", median, PLAN_MS);
            let faster = Comparison::new("collecting", median, collected_ms, Some(1.0 / FASTER));
            row.compared([limit, faster])
        });
        rows.push(row);
    }
    let with_expression = calls.get(1).map(|calls| times(calls)).unwrap_or_default();
    let added: Vec<f64> = with_expression.iter().zip(&plain).map(|(with, without)| with - without).collect();
    rows.push(Row::of("an expression", "added to the plan", Unit::Milliseconds, &added).map(|row| {
        let median = row.figures.median;
        row.compared([Comparison::with_limit("median to 20 ms", median, EXPRESSION_MS)])
    }));
    for ((how, _), calls) in CALLS.iter().zip(calls) {
        let samples: Vec<f64> = calls.iter().map(|call| call.megabytes).collect();
        let row = Row::of("peak memory", how, Unit::Megabytes, &samples).map(|row| {
            let max = row.figures.max;
            row.compared([Comparison::with_limit("max to 150 MB", max, PLAN_MB)])
        });
        rows.push(row);
    }
    rows.into_iter().flatten().collect()
}

fn measure_all(
    testbed: &Path,
    folder: &Path,
    root: &str,
    rounds: usize,
) -> Result<Vec<Vec<Call>>, BenchError> {
    let mut calls = vec![Vec::new(); CALLS.len()];
    for round in 0..=rounds {
        for ((_, arguments), calls) in CALLS.iter().zip(&mut calls) {
            let arguments = [arguments, &["--root", root][..]].concat();
            let call = call(testbed, &arguments, folder)?;
            if round > 0 {
                calls.push(call);
            }
        }
    }
    Ok(calls)
}

/// A project with as many cases as Dynamo may come to have, whose markers are mixed as there.
fn write_project(root: &Path) -> std::io::Result<()> {
    let declaration = "[project]\nname = \"cases\"\n\n[[suite]]\nname = \"tests\"\nkind = \"pytest\"\ntype = \"unit\"\npaths = [\"tests\"]\ntimeouts = { suite = \"30m\" }\n";
    fs::write(root.join("testbed.toml"), declaration)?;
    for file in 0..FILES {
        let component = COMPONENTS[file % COMPONENTS.len()];
        let folder: PathBuf = root.join("tests").join(component);
        fs::create_dir_all(&folder)?;
        let mut text = format!("import pytest\n\npytestmark = [pytest.mark.{component}, pytest.mark.unit]\n");
        for function in 0..FUNCTIONS {
            // Fixed steps that share no factor mix the markers evenly, and the same in every run.
            let step = file * FUNCTIONS + function;
            let mut marks =
                vec![TIERS[step % TIERS.len()].to_owned(), format!("gpu_{}", [0, 0, 0, 1, 2][step / 7 % 5])];
            if step.is_multiple_of(3) {
                marks.push(BACKENDS[step / 3 % BACKENDS.len()].to_owned());
            }
            if step.is_multiple_of(2) {
                marks.push("parallel".to_owned());
            }
            for mark in marks {
                let _ = writeln!(text, "\n@pytest.mark.{mark}");
                text.truncate(text.trim_end().len());
            }
            let _ = write!(
                text,
                "\n@pytest.mark.parametrize(\"n\", range({PARAMETERS}))\ndef test_flow_{function}(n):\n    assert n >= 0\n"
            );
        }
        fs::write(folder.join(format!("test_{component}_{file}.py")), text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{FILES, FUNCTIONS, write_project};

    #[test]
    fn the_project_has_every_kind_of_marker() {
        let root = tempfile::tempdir().unwrap();
        write_project(root.path()).unwrap();
        let mut text = String::new();
        for component in fs::read_dir(root.path().join("tests")).unwrap() {
            for file in fs::read_dir(component.unwrap().path()).unwrap() {
                text.push_str(&fs::read_to_string(file.unwrap().path()).unwrap());
            }
        }
        assert_eq!(text.matches("def test_").count(), FILES * FUNCTIONS);
        for mark in ["pre_merge", "premerge", "weekly", "gpu_2", "sglang", "parallel", "kvbm"] {
            assert!(text.contains(&format!("pytest.mark.{mark}")), "{mark}");
        }
    }
}
