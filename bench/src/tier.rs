//! `run` and `early`: a whole tier, watched from outside for what the runner costs, and by its own events for how long the
//! first case that needs a stack waits for it.

use std::collections::BTreeSet;
use std::time::Duration;

use testbed_engine::host::clock::Clock;
use testbed_model::event::{Event, Stamped};

use crate::bench::Bench;
use crate::error::BenchError;
use crate::narrative::{Narrative, between};
use crate::outcome::{Comparison, Row, Section, Unit};
use crate::phases::milliseconds;
use crate::usage::{Usage, usage};

/// The tier.
const TIER: &str = "premerge";

/// Between two looks at the runner's memory and processor time.
const LOOK: Duration = Duration::from_millis(20);

/// The runner may use so many million bytes.
const MEMORY_MB: f64 = 60.0;

/// A wait of so small a part of the bring-up is none: the scheduler's own step.
const NO_WAIT: f64 = 0.01;

const PERCENT: f64 = 100.0;

/// What whole runs of the tier came to.
#[derive(Clone, Debug, Default)]
pub struct Tiers {
    wall_ms: Vec<f64>,
    memory_mb: Vec<f64>,
    cpu_ms: Vec<f64>,
    cpu_percent: Vec<f64>,
    waited_ms: Vec<f64>,
    bring_up_ms: Vec<f64>,
    lead_ms: Vec<f64>,
    beside_percent: Vec<f64>,
    notes: Vec<String>,
}

/// Runs the tier so many times.
pub async fn measure(bench: &Bench, runs: usize) -> Result<Tiers, BenchError> {
    let mut tiers = Tiers::default();
    for _ in 0..runs {
        run(bench, &mut tiers).await?;
        bench.rest().await;
    }
    Ok(tiers)
}

async fn run(bench: &Bench, tiers: &mut Tiers) -> Result<(), BenchError> {
    let clock = Clock::start();
    let (running, lines) = bench.testbed(["run", TIER, "--json"]).start(&bench.endings)?;
    let watching = watch(running.id());
    let told = Narrative::new(lines, clock).whole();
    let (used, told) = tokio::join!(watching, told);
    let wall_ms = milliseconds(clock.elapsed_us());
    let (status, said) = running.end().await?;
    let finished = told.iter().any(|stamped| matches!(stamped.event, Event::RunFinished { .. }));
    let (Some(used), true) = (used, finished) else {
        let program = format!("testbed run {TIER}");
        return Err(BenchError::Program { program, ended: status.to_string(), said });
    };
    if !status.success() {
        tiers.notes.push(format!("A run ended with {status}; its figures count all the same."));
    }
    tiers.wall_ms.push(wall_ms);
    tiers.memory_mb.push(used.peak_mb);
    tiers.cpu_ms.push(used.cpu_ms);
    tiers.cpu_percent.push(used.cpu_ms / wall_ms * PERCENT);
    wait(&told, tiers);
    Ok(())
}

/// Looks at the process until it has ended. Its remains, which are there until somebody waits for them, still say what it
/// used.
async fn watch(id: Option<u32>) -> Option<Usage> {
    let id = id?;
    let mut last: Option<Usage> = None;
    while let Some(seen) = usage(id) {
        let peak_mb = last.map_or(0.0, |last| last.peak_mb).max(seen.peak_mb);
        last = Some(Usage { peak_mb, ..seen });
        if seen.ended {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    last
}

/// The wait of the first lane that needs a stack, and how long that stack took.
fn wait(told: &[Stamped], tiers: &mut Tiers) {
    let first = told.iter().find_map(|stamped| match &stamped.event {
        Event::LaneStarted { lane, waited_ms } => {
            Some((lane.profile.clone()?, *waited_ms, stamped.elapsed_us))
        }
        _ => None,
    });
    let Some((profile, waited_ms, lane_us)) = first else {
        tiers.notes.push("No lane of the run needed a stack.".to_owned());
        return;
    };
    let starting = |e: &Event| matches!(e, Event::StackStarting { stack, .. } if *stack == profile);
    let ready = |e: &Event| matches!(e, Event::StackReady { stack, .. } if *stack == profile);
    tiers.waited_ms.push(milliseconds(waited_ms * 1000));
    tiers.bring_up_ms.extend(between(told, starting, ready).map(milliseconds));
    let moment = |is_it: &dyn Fn(&Event) -> bool| {
        told.iter().find(|stamped| is_it(&stamped.event)).map(|stamped| stamped.elapsed_us)
    };
    let (starting_us, ready_us) = (moment(&starting), moment(&ready));
    let bring_up = starting_us.zip(ready_us);
    tiers.beside_percent.extend(bring_up.and_then(|(from, to)| work_beside(told, from, to)));
    tiers.lead_ms.extend(ready_us.and_then(|ready_us| lane_us.checked_sub(ready_us)).map(milliseconds));
}

/// In how much of a span some lane was prepared or executed, in percent.
fn work_beside(told: &[Stamped], from_us: u64, to_us: u64) -> Option<f64> {
    let mut at_work = BTreeSet::new();
    let (mut busy_us, mut last_us) = (0, from_us);
    for stamped in told {
        let now_us = stamped.elapsed_us.clamp(from_us, to_us);
        if !at_work.is_empty() {
            busy_us += now_us - last_us.min(now_us);
        }
        last_us = now_us;
        match &stamped.event {
            Event::LanePreparing { lane, .. } | Event::LaneStarted { lane, .. } => {
                at_work.insert(lane.clone());
            }
            Event::LaneFinished { lane, .. } => {
                at_work.remove(lane);
            }
            _ => {}
        }
    }
    let length_us = to_us.checked_sub(from_us).filter(|length_us| *length_us > 0)?;
    Some(milliseconds(busy_us) / milliseconds(length_us) * PERCENT)
}

impl Tiers {
    /// What the runner cost.
    pub fn cost(&self) -> Section {
        let row = |what, unit, samples: &[f64]| Row::of(what, "the runner's own process", unit, samples);
        let memory = row("peak memory", Unit::Megabytes, &self.memory_mb).map(|row| {
            let max = row.figures.max;
            row.compared([Comparison::with_limit("max to 60 MB", max, MEMORY_MB)])
        });
        let rows = [
            memory,
            row("processor time", Unit::Milliseconds, &self.cpu_ms),
            row("processor share", Unit::PercentOfCore, &self.cpu_percent),
            Row::of("wall", "testbed run premerge", Unit::Milliseconds, &self.wall_ms),
        ];
        Section {
            name: "run",
            about: "what the runner itself costs while it runs a whole tier",
            rows: rows.into_iter().flatten().collect(),
            notes: self.notes.clone(),
        }
    }

    /// What the first case that needs a stack waited.
    pub fn early(&self) -> Section {
        let row = |what, how, samples: &[f64]| Row::of(what, how, Unit::Milliseconds, samples);
        let waited = row("the first case that needs a stack", "waited for it", &self.waited_ms).map(|row| {
            let comparison = Comparison::of_medians(
                "the stack's bring-up",
                &self.waited_ms,
                &self.bring_up_ms,
                Some(NO_WAIT),
            );
            row.compared(comparison)
        });
        let rows = [
            waited,
            row("the first case that needs a stack", "found it ready for", &self.lead_ms),
            row("its stack's bring-up", "took", &self.bring_up_ms),
            Row::of("its stack's bring-up", "other lanes at work", Unit::Percent, &self.beside_percent),
        ];
        let mut notes = self.notes.clone();
        notes.push(
            "A lane waits for its stack while it lacks nothing else: not while other lanes keep the processors busy."
                .to_owned(),
        );
        Section {
            name: "early",
            about: "how long the first case of a tier that needs a stack waits for it",
            rows: rows.into_iter().flatten().collect(),
            notes,
        }
    }
}

#[cfg(test)]
mod tests {
    use testbed_model::event::{Event, Stamped};
    use testbed_model::lane::LaneId;

    use super::{Tiers, wait, work_beside};

    fn told(waited_ms: u64) -> Vec<Stamped> {
        let lane = |profile: Option<&str>| LaneId {
            suite: "s".to_owned(),
            part: None,
            profile: profile.map(str::to_owned),
        };
        let stack = || "mocker".to_owned();
        [
            (0, Event::StackStarting { stack: stack(), services: Vec::new() }),
            (10_000, Event::LaneStarted { lane: lane(None), waited_ms: 0 }),
            (1_500_000, Event::StackReady { stack: stack(), took_ms: 1_500 }),
            (4_000_000, Event::LaneStarted { lane: lane(Some("mocker")), waited_ms }),
        ]
        .into_iter()
        .map(|(elapsed_us, event)| Stamped { seq: 0, at: jiff::Timestamp::UNIX_EPOCH, elapsed_us, event })
        .collect()
    }

    #[test]
    fn the_wait_is_that_of_the_first_lane_with_a_stack() {
        let mut tiers = Tiers::default();
        wait(&told(0), &mut tiers);
        assert_eq!((tiers.waited_ms[0], tiers.bring_up_ms[0], tiers.lead_ms[0]), (0.0, 1_500.0, 2_500.0));
        assert_eq!(tiers.early().rows[0].comparisons[0].holds, Some(true));
    }

    #[test]
    fn a_wait_of_half_the_bring_up_misses_the_target() {
        let mut tiers = Tiers::default();
        wait(&told(750), &mut tiers);
        assert_eq!(tiers.early().rows[0].comparisons[0].holds, Some(false));
    }

    #[test]
    fn work_beside_a_bring_up_is_counted_once_however_many_lanes_do_it() {
        let mut told = told(0);
        let lane = LaneId { suite: "s".to_owned(), part: None, profile: None };
        let counts = testbed_model::case::Counts::default();
        let ended = Event::LaneFinished { lane, counts, took_ms: 0, failure: None };
        let stamped = Stamped { seq: 0, at: jiff::Timestamp::UNIX_EPOCH, elapsed_us: 760_000, event: ended };
        told.insert(2, stamped);
        // From 10 ms to 760 ms of 1500 ms.
        assert!((work_beside(&told, 0, 1_500_000).unwrap() - 50.0).abs() < 1e-9);
    }

    #[test]
    fn a_run_without_stacks_says_so() {
        let mut tiers = Tiers::default();
        wait(&[], &mut tiers);
        assert!(tiers.early().rows.is_empty());
        assert_eq!(tiers.early().notes.len(), 2);
    }
}
