//! `history`: what a store of five million results costs to ask, to add to and to keep.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use testbed_engine::history::{HistoryError, HistoryStore};
use testbed_engine::host::clock::Clock;
use testbed_model::case::Outcome;
use testbed_model::exit_code::ExitCode;
use testbed_model::history::{PastResult, PastRun, RunKey, Source, Subject};
use testbed_model::record::EnvironmentId;
use testbed_model::selection::CasePattern;

use crate::bench::Bench;
use crate::error::BenchError;
use crate::outcome::{Comparison, Row, Section, Unit};
use crate::phases::milliseconds;

const RUNS: u32 = 1000;
const CASES: u32 = 5000;
/// Of so many cases one is flaky, and fails in one of [`FAILS`] runs.
const FLAKY: u32 = 100;
const FAILS: u32 = 30;
/// The first cases broke in the last runs.
const BROKEN: u32 = 5;
/// Between two runs: a dozen a day.
const BETWEEN_MS: i64 = 2 * 60 * 60 * 1000;
/// The first run's start.
const START_MS: i64 = 1_780_000_000_000;

/// Looking for flaky cases may take so many milliseconds.
const TROUBLE_MS: f64 = 50.0;

const BYTES_PER_MEGABYTE: f64 = 1e6;

/// Samples of everything that is measured, in milliseconds.
#[derive(Default)]
struct Samples {
    add: Vec<f64>,
    trouble: Vec<f64>,
    case: Vec<f64>,
    growers: Vec<f64>,
    durations: Vec<f64>,
    found: usize,
    size: u64,
}

/// Fills a store, then measures so many rounds of questions.
pub async fn measure(bench: &Bench, rounds: usize) -> Result<Section, BenchError> {
    let path = bench.folder.path().join("history.sqlite");
    let measured = tokio::task::spawn_blocking(move || measure_all(&path, rounds)).await;
    let failed = |error: HistoryError| BenchError::Host {
        doing: "measure the history".to_owned(),
        source: std::io::Error::other(error),
    };
    let samples = measured
        .map_err(|e| BenchError::Host {
            doing: "measure the history".to_owned(),
            source: std::io::Error::other(e),
        })?
        .map_err(failed)?;
    let row = |what: &str, how: &str, samples: &[f64]| Row::of(what, how, Unit::Milliseconds, samples);
    let trouble = row("wall", "what needs a look, the flaky query", &samples.trouble).map(|row| {
        let limit = Comparison::with_limit("p95 to 50 ms", row.figures.p95, TROUBLE_MS);
        row.compared([limit])
    });
    let size = megabytes(samples.size);
    let rows = [
        trouble,
        row("wall", "one case", &samples.case),
        row("wall", "slowest growers", &samples.growers),
        row("wall", "durations for a prediction", &samples.durations),
        row("wall", "adding a run", &samples.add),
        Row::of("size", "the store", Unit::Megabytes, &[size]),
    ];
    Ok(Section {
        name: "history",
        about: "what a store of 1,000 runs of 5,000 cases costs",
        rows: rows.into_iter().flatten().collect(),
        notes: vec![format!(
            "{} cases needed a look. Each question is asked of a store that was just opened, whose pages the kernel has.",
            samples.found
        )],
    })
}

fn measure_all(path: &Path, rounds: usize) -> Result<Samples, HistoryError> {
    let mut samples = Samples::default();
    let mut store = HistoryStore::open(path)?;
    for number in 0..RUNS {
        let run = run(number);
        let clock = Clock::start();
        store.add(&run)?;
        // The last ones are added to a store that is nearly full.
        if number >= RUNS - 20 {
            samples.add.push(milliseconds(clock.elapsed_us()));
        }
    }
    drop(store);
    samples.size = path.metadata().map(|meta| meta.len()).unwrap_or_default();
    for round in 0..=rounds * 5 {
        let took = |samples: &mut Vec<f64>, ask: &dyn Fn(&HistoryStore) -> Result<usize, HistoryError>| {
            let clock = Clock::start();
            let count = ask(&HistoryStore::open(path)?)?;
            if round > 0 {
                samples.push(milliseconds(clock.elapsed_us()));
            }
            Ok::<usize, HistoryError>(count)
        };
        samples.found = took(&mut samples.trouble, &|store| Ok(store.troubled()?.len()))?;
        let case = CasePattern::new(&case_id(7));
        took(&mut samples.case, &|store| Ok(store.standings(&case)?.len()))?;
        took(&mut samples.growers, &|store| Ok(store.growers(10)?.len()))?;
        took(&mut samples.durations, &|store| Ok(store.durations()?.len()))?;
    }
    Ok(samples)
}

#[allow(clippy::cast_precision_loss, reason = "a file has fewer than 2^53 bytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / BYTES_PER_MEGABYTE
}

fn case_id(number: u32) -> String {
    format!("tests/component_{}/test_feature_{}.py::test_case[{number}]", number % 10, number % 250)
}

fn run(number: u32) -> PastRun {
    let result = |case: u32| {
        // The same numbers on every machine: a hash of run and case.
        let chance = number.wrapping_mul(2_654_435_761) ^ case.wrapping_mul(2_246_822_519);
        let chance = (chance ^ (chance >> 15)).wrapping_mul(2_654_435_761) >> 8;
        let is_broken = case < BROKEN && number >= RUNS - 4;
        let is_red = is_broken || (case % FLAKY == 7 && chance.is_multiple_of(FAILS));
        PastResult {
            subject: Subject { case: case_id(case), lane: "unit".to_owned() },
            environment: Some(EnvironmentId(format!("{:016x}", number / 50))),
            outcome: if is_red { Outcome::Failed } else { Outcome::Passed },
            executions: 1,
            failures: u32::from(is_red),
            duration_ms: u64::from(10 + case % 400 + chance % 20),
        }
    };
    let started = Timestamp::from_millisecond(START_MS + i64::from(number) * BETWEEN_MS);
    PastRun {
        key: RunKey(format!("run-{number:06}")),
        started: started.unwrap_or(Timestamp::UNIX_EPOCH),
        source: Source::Record,
        finished: true,
        share: false,
        exit_code: Some(ExitCode::TestFailed),
        revision: Some(format!("{number:040x}")),
        replaces: BTreeSet::new(),
        results: (0..CASES).map(result).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{BROKEN, CASES, RUNS, run};

    #[test]
    fn few_cases_are_red_and_the_broken_ones_at_the_end() {
        let red = |number: u32| run(number).results.iter().filter(|result| result.failures > 0).count();
        assert!((0..20).map(red).sum::<usize>() < 100);
        assert!(red(RUNS - 1) >= usize::try_from(BROKEN).unwrap());
        assert_eq!(run(0).results.len(), usize::try_from(CASES).unwrap());
        assert_eq!(run(3), run(3));
    }
}
