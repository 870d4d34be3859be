//! `record`: what keeping a record costs. The events of a real run are written once more, and a stack at rest is looked at with
//! and without samples being taken of it.

use std::path::Path;
use std::time::Duration;

use testbed_engine::events::Events;
use testbed_engine::host::clock::Clock;
use testbed_engine::store::{self, Store};
use testbed_model::event::{Event, Stamped};
use testbed_model::record::Manifest;
use tokio::task::JoinHandle;

use crate::bench::Bench;
use crate::error::BenchError;
use crate::narrative::Narrative;
use crate::outcome::{Comparison, Row, Section, Unit};
use crate::phases::milliseconds;
use crate::statistics::Figures;
use crate::usage::busy_ms;

/// The run whose events are written once more: a whole tier.
const RUN: [&str; 4] = ["run", "premerge", "--yes", "--json"];

/// How long a stack is looked at, once with samples and once without.
const LOOK: Duration = Duration::from_secs(10);

/// What a stack does at its beginning is none of the samples' business.
const SETTLE: Duration = Duration::from_secs(3);

/// Writing the journal may take so much of a run's wall time, and samples so much of the machine, in hundredths.
const JOURNAL_PERCENT: f64 = 1.0;
const SAMPLING_PERCENT: f64 = 2.0;

const PERCENT: f64 = 100.0;

/// Measures so many rounds.
pub async fn measure(bench: &Bench, rounds: usize) -> Result<Section, BenchError> {
    let (told, manifest) = run(bench).await?;
    let wall_ms = told.last().map_or(0.0, |last| milliseconds(last.elapsed_us));
    let (events, folder) = (told.len(), bench.folder.path().to_owned());
    let writing = tokio::task::spawn_blocking(move || write_all(&folder, &told, &manifest, rounds)).await;
    let failed = |e| BenchError::Host { doing: "write records".to_owned(), source: std::io::Error::other(e) };
    let written = writing.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))?;

    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // Now one is first and now the other, should the machine drift.
        for sampling in [round % 2 == 0, round % 2 != 0] {
            let share = at_rest(bench, sampling).await?;
            if sampling {
                with.push(share);
            } else {
                without.push(share);
            }
            bench.rest().await;
        }
    }
    Ok(section(events, wall_ms, &written, &without, &with))
}

fn section(events: usize, wall_ms: f64, written: &[f64], without: &[f64], with: &[f64]) -> Section {
    let shares: Vec<f64> = written.iter().map(|took_ms| took_ms / wall_ms * PERCENT).collect();
    let share = Row::of("journal", "of the run's wall time", Unit::Percent, &shares).map(|row| {
        let median = row.figures.median;
        row.compared([Comparison::with_limit("median to 1 %", median, JOURNAL_PERCENT)])
    });
    let median = |samples: &[f64]| Figures::of(samples).map_or(0.0, |figures| figures.median);
    let added = median(with) - median(without);
    let sampled = Row::of("a stack at rest", "machine at work, with samples", Unit::Percent, with)
        .map(|row| row.compared([Comparison::with_limit("what they add to 2 %", added, SAMPLING_PERCENT)]));
    let rows = [
        Row::of("journal", "all events once more", Unit::Milliseconds, written),
        share,
        Row::of("a stack at rest", "machine at work, without samples", Unit::Percent, without),
        sampled,
    ];
    Section {
        name: "record",
        about: "what keeping a record costs a run",
        rows: rows.into_iter().flatten().collect(),
        notes: vec![
            format!(
                "{events} events of `testbed {}`, which took {:.1} s: logs, samples and journal, synced as in the run.",
                RUN.join(" "),
                wall_ms / 1e3
            ),
            "At work: all processors of the machine together, also the daemon's work and the services' own answers."
                .to_owned(),
        ],
    }
}

/// A real run, all of its events and its manifest.
async fn run(bench: &Bench) -> Result<(Vec<Stamped>, Manifest), BenchError> {
    let (running, lines) = bench.testbed(RUN).start(&bench.endings)?;
    let told = Narrative::new(lines, Clock::start()).whole().await;
    let (status, said) = running.end().await?;
    let folder = told.iter().find_map(|stamped| match &stamped.event {
        Event::RunStarted { folder, .. } => Some(bench.root.join(folder)),
        _ => None,
    });
    let record = folder.and_then(|folder| store::open(&folder).ok());
    match record {
        Some(record) => Ok((told, record.manifest)),
        None => Err(BenchError::Program {
            program: format!("testbed {}", RUN.join(" ")),
            ended: status.to_string(),
            said,
        }),
    }
}

fn write_all(
    folder: &Path,
    told: &[Stamped],
    manifest: &Manifest,
    rounds: usize,
) -> Result<Vec<f64>, store::StoreError> {
    let mut took = Vec::new();
    for round in 0..=rounds {
        let state = folder.join(format!("record-{round}"));
        let clock = Clock::start();
        let mut store = Store::create(&state, &manifest.run, None, manifest)?;
        for stamped in told {
            store.append(stamped)?;
        }
        store.finish(manifest)?;
        if round > 0 {
            took.push(milliseconds(clock.elapsed_us()));
        }
    }
    Ok(took)
}

/// How much of the machine is at work while a stack has nothing to do, in hundredths.
async fn at_rest(bench: &Bench, sampling: bool) -> Result<f64, BenchError> {
    let state = bench.folder.path().join("at-rest");
    let stack = bench.stack()?;
    let (events, mut receiver) = Events::channel(Clock::start());
    let keeping: JoinHandle<()> = tokio::spawn(async move {
        // What comes of it is thrown away, and written all the same.
        let mut file = tokio::fs::File::create(state).await.ok();
        while let Some(stamped) = receiver.recv().await {
            if let (Some(file), Ok(line)) = (file.as_mut(), serde_json::to_vec(&stamped)) {
                let _ = tokio::io::AsyncWriteExt::write_all(file, &line).await;
            }
        }
    });
    let live = bench.up(&stack, sampling, &events).await?;
    tokio::time::sleep(SETTLE).await;
    let (clock, before) = (Clock::start(), busy_ms());
    tokio::time::sleep(LOOK).await;
    let (took_ms, after) = (milliseconds(clock.elapsed_us()), busy_ms());
    live.down().await?;
    drop(events);
    let _ = keeping.await;
    let missing = || BenchError::Missing {
        message: "the kernel does not say how busy the machine is".to_owned(),
        hint: "`/proc/stat` must be readable",
    };
    let busy = after.zip(before).map(|(after, before)| after - before).ok_or_else(missing)?;
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    #[allow(clippy::cast_precision_loss, reason = "no machine has 2^53 processors")]
    Ok(busy / (took_ms * processors as f64) * PERCENT)
}

#[cfg(test)]
mod tests {
    use super::section;

    #[test]
    fn what_samples_add_is_compared_with_what_they_may() {
        let section = section(1000, 50_000.0, &[100.0], &[3.0, 3.2, 3.1], &[4.0, 4.1, 3.9]);
        let share = section.rows.iter().find(|row| row.how == "of the run's wall time").unwrap();
        assert!((share.figures.median - 0.2).abs() < 1e-9);
        assert_eq!(share.comparisons[0].holds, Some(true));
        let with = section.rows.iter().find(|row| row.how.ends_with("with samples")).unwrap();
        assert!((with.comparisons[0].ratio - 0.45).abs() < 1e-9);
    }
}
