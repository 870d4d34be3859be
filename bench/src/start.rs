//! `start`: what the runner itself costs before it does anything.
#![allow(
    clippy::disallowed_methods,
    reason = "a program is measured from its very start, without a door in between"
)]

use std::path::Path;
use std::process::{Command, Stdio};

use testbed_engine::host::clock::Clock;
use wait4::Wait4;

use crate::bench::Bench;
use crate::error::BenchError;
use crate::outcome::{Comparison, Row, Section, Unit};
use crate::phases::milliseconds;

/// `--help` may take so many milliseconds.
const HELP_MS: f64 = 20.0;

/// The runner may use so many million bytes.
const MEMORY_MB: f64 = 60.0;

const BYTES_PER_MEGABYTE: f64 = 1e6;

/// What is called.
const CALLS: [(&str, &[&str]); 2] =
    [("testbed --help", &["--help"]), ("testbed plan premerge --json", &["plan", "premerge", "--json"])];

/// A program that does nothing: what the kernel takes for any.
const NOTHING: &str = "true";

/// What one call took.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// From start to end.
    pub milliseconds: f64,
    /// The most memory that it had.
    pub megabytes: f64,
}

/// Measures so many rounds, after one that does not count.
pub async fn measure(bench: &Bench, rounds: usize) -> Result<Section, BenchError> {
    let (testbed, root) = (bench.testbed.clone(), bench.root.clone());
    let measured = tokio::task::spawn_blocking(move || measure_all(&testbed, &root, rounds)).await;
    let (nothing, calls) = measured.map_err(|e| BenchError::Host {
        doing: "measure the start".to_owned(),
        source: std::io::Error::other(e),
    })??;
    let mut rows = vec![row("wall", NOTHING, Unit::Milliseconds, &nothing)];
    for ((how, _), calls) in CALLS.iter().zip(&calls) {
        rows.push(row("wall", how, Unit::Milliseconds, calls));
    }
    for ((how, _), calls) in CALLS.iter().zip(&calls) {
        rows.push(row("peak memory", how, Unit::Megabytes, calls));
    }
    Ok(Section {
        name: "start",
        about: "what the runner itself costs before it does anything",
        rows: rows.into_iter().flatten().collect(),
        notes: vec![
            "Peak memory is the kernel's figure for the process and the programs that it waited for (git); the kernel never \
             says less than the bench itself had when it started the process."
                .to_owned(),
        ],
    })
}

fn row(what: &str, how: &str, unit: Unit, calls: &[Call]) -> Option<Row> {
    let samples: Vec<f64> = calls
        .iter()
        .map(|call| if unit == Unit::Megabytes { call.megabytes } else { call.milliseconds })
        .collect();
    let row = Row::of(what, how, unit, &samples)?;
    let (median, max) = (row.figures.median, row.figures.max);
    let comparison = match (unit, how.ends_with("--help")) {
        (Unit::Megabytes, _) => Some(Comparison::with_limit("max to 60 MB", max, MEMORY_MB)),
        (_, true) => Some(Comparison::with_limit("median to 20 ms", median, HELP_MS)),
        _ => None,
    };
    Some(row.compared(comparison))
}

type Calls = (Vec<Call>, Vec<Vec<Call>>);

fn measure_all(testbed: &Path, root: &Path, rounds: usize) -> Result<Calls, BenchError> {
    let mut nothing = Vec::new();
    let mut calls = vec![Vec::new(); CALLS.len()];
    for round in 0..=rounds {
        let idle = call(Path::new(NOTHING), &[], root)?;
        if round > 0 {
            nothing.push(idle);
        }
        for ((_, arguments), calls) in CALLS.iter().zip(&mut calls) {
            let call = call(testbed, arguments, root)?;
            if round > 0 {
                calls.push(call);
            }
        }
    }
    Ok((nothing, calls))
}

#[allow(clippy::cast_precision_loss, reason = "a process has fewer than 2^53 bytes")]
/// Calls a program, which must end well.
pub fn call(program: &Path, arguments: &[&str], folder: &Path) -> Result<Call, BenchError> {
    let name =
        format!("{} {}", program.file_name().unwrap_or_default().to_string_lossy(), arguments.join(" "));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let clock = Clock::start();
    let child = command.spawn().map_err(BenchError::host(format!("start `{name}`")))?;
    let used = child.wait4().map_err(BenchError::host(format!("wait for `{name}`")))?;
    let milliseconds = milliseconds(clock.elapsed_us());
    if !used.status.success() {
        return Err(BenchError::Program { program: name, ended: used.status.to_string(), said: Vec::new() });
    }
    Ok(Call { milliseconds, megabytes: used.rusage.maxrss as f64 / BYTES_PER_MEGABYTE })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::call;

    #[test]
    fn a_call_takes_time_and_memory() {
        let call = call(Path::new("sh"), &["-c", "exit 0"], Path::new("/")).unwrap();
        assert!(call.milliseconds > 0.0 && call.megabytes > 0.1, "{call:?}");
    }

    #[test]
    fn a_call_that_fails_is_not_a_measurement() {
        let error = call(Path::new("sh"), &["-c", "exit 3"], Path::new("/")).unwrap_err();
        assert!(error.to_string().contains("exit status: 3"), "{error}");
    }
}
