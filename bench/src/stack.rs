//! `stack`: from nothing to the first chat and back to nothing, four ways, side by side.

use testbed_engine::host::clock::Clock;
use testbed_model::event::Event;
use testbed_model::stack::Stack;

use crate::bare;
use crate::bench::{Bench, PROFILE};
use crate::compose::{Composition, Waiting};
use crate::error::BenchError;
use crate::narrative::{Narrative, between, untold};
use crate::outcome::{Comparison, Measured, Row, Section, Unit};
use crate::phases::{self, Phases, milliseconds};

const BARE: &str = "bare engine API, all at once";
const PLAIN: &str = "docker-compose without depends_on";
const HEALTHY: &str = "docker-compose with service_healthy";
const TESTBED: &str = "testbed up";
const READY: &str = "testbed up, every service ready";
const PROCESS: &str = "the same from its process's start";

/// One way to bring a stack up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contestant {
    Testbed,
    Bare,
    Plain,
    Healthy,
}

/// Testbed first: where images are missing, its uncounted round makes them.
const CONTESTANTS: [Contestant; 4] =
    [Contestant::Testbed, Contestant::Bare, Contestant::Plain, Contestant::Healthy];

/// All samples, in milliseconds, one a round.
#[derive(Clone, Debug, Default)]
struct Samples {
    up: [Vec<f64>; 4],
    down: [Vec<f64>; 4],
    ready: Vec<f64>,
    process_up: Vec<f64>,
    process_whole: Vec<f64>,
    phases: Vec<Phases>,
}

/// Measures so many rounds, after one that does not count. In each round every way has its turn, each time beginning with
/// another one.
pub async fn measure(bench: &Bench, rounds: usize) -> Measured {
    let mut samples = Samples::default();
    let error = take_rounds(bench, rounds, &mut samples).await.err();
    Measured { section: Some(section(&samples)), error }
}

async fn take_rounds(bench: &Bench, rounds: usize, samples: &mut Samples) -> Result<(), BenchError> {
    let stack = bench.stack()?;
    let mut composition = None;
    for round in 0..=rounds {
        for turn in 0..CONTESTANTS.len() {
            let contestant = CONTESTANTS[(round + turn) % CONTESTANTS.len()];
            let mut uncounted = Samples::default();
            let into = if round == 0 { &mut uncounted } else { &mut *samples };
            if composition.is_none() && matches!(contestant, Contestant::Plain | Contestant::Healthy) {
                composition = Some(Composition::prepare(bench, &stack).await?);
            }
            take_turn(bench, &stack, composition.as_ref(), contestant, round, into).await?;
            bench.rest().await;
        }
    }
    Ok(())
}

async fn take_turn(
    bench: &Bench,
    stack: &Stack,
    composition: Option<&Composition>,
    contestant: Contestant,
    round: usize,
    into: &mut Samples,
) -> Result<(), BenchError> {
    let (up_us, down_us) = match (contestant, composition) {
        (Contestant::Bare, _) => {
            let round = bare::round(bench, stack, &format!("bare-{round}")).await?;
            into.phases.push(round.phases);
            (round.up_us, round.down_us)
        }
        (Contestant::Plain, Some(composition)) => {
            let round = composition.round(bench, stack, Waiting::Not, &format!("plain-{round}")).await?;
            (round.up_us, round.down_us)
        }
        (Contestant::Healthy, Some(composition)) => {
            let round =
                composition.round(bench, stack, Waiting::Healthy, &format!("healthy-{round}")).await?;
            (round.up_us, round.down_us)
        }
        (Contestant::Testbed, _) => testbed(bench, into).await?,
        (Contestant::Plain | Contestant::Healthy, None) => return Ok(()),
    };
    into.up[contestant as usize].push(milliseconds(up_us));
    into.down[contestant as usize].push(milliseconds(down_us));
    Ok(())
}

/// One `testbed up --once`: the stack's phases by the runner's own events, and the process from outside.
async fn testbed(bench: &Bench, into: &mut Samples) -> Result<(u64, u64), BenchError> {
    let clock = Clock::start();
    let (running, lines) = bench.testbed(["up", PROFILE, "--once", "--json"]).start(&bench.endings)?;
    let mut narrative = Narrative::new(lines, clock);
    let ready = narrative
        .until("the stack being ready", UP_DEADLINE, |e| matches!(e, Event::StackReady { .. }))
        .await?;
    let told = narrative.whole().await;
    let (status, said) = running.end().await?;
    let whole_us = clock.elapsed_us();
    if !status.success() {
        return Err(BenchError::Program {
            program: "testbed up".to_owned(),
            ended: status.to_string(),
            said,
        });
    }
    let ready = ready.ok_or_else(|| untold("a stack that is ready", &said))?;
    let starting = |e: &Event| matches!(e, Event::StackStarting { .. });
    // The others stop at the first chat as well; Testbed goes on until every service has proven itself.
    let up = between(&told, starting, is_first_chat);
    let all = between(&told, starting, |e| matches!(e, Event::StackReady { .. }));
    let down = between(
        &told,
        |e| matches!(e, Event::StackStopping { .. }),
        |e| matches!(e, Event::StackStopped { .. }),
    );
    let times = up.zip(down).ok_or_else(|| untold("a stack's start and stop", &said))?;
    into.ready.push(milliseconds(all.ok_or_else(|| untold("a stack that is ready", &said))?));
    into.process_up.push(milliseconds(ready.arrived_us));
    into.process_whole.push(milliseconds(whole_us));
    Ok(times)
}

/// Whether the event tells the answer to the ready probe, which is a chat.
fn is_first_chat(event: &Event) -> bool {
    matches!(event, Event::ProbeAnswered { answer, .. } if answer.contains("chat completion"))
}

/// For a whole bring-up, in seconds; the first one may have images to make.
const UP_DEADLINE: u64 = 900;

fn section(samples: &Samples) -> Section {
    let of = |all: &[Vec<f64>; 4], contestant: Contestant| all[contestant as usize].clone();
    let (bare, plain, healthy, ours) = (
        of(&samples.up, Contestant::Bare),
        of(&samples.up, Contestant::Plain),
        of(&samples.up, Contestant::Healthy),
        of(&samples.up, Contestant::Testbed),
    );
    let what = "cold start to first chat";
    let row = |what, how, samples: &[f64]| Row::of(what, how, Unit::Milliseconds, samples);
    let compare = |ours: &[f64], to, theirs: &[f64], target| Comparison::of_medians(to, ours, theirs, target);
    let up = [
        row(what, BARE, &bare),
        row(what, PLAIN, &plain).map(|row| row.compared(compare(&plain, BARE, &bare, None))),
        row(what, HEALTHY, &healthy).map(|row| row.compared(compare(&healthy, BARE, &bare, None))),
        row(what, TESTBED, &ours).map(|row| {
            row.compared(compare(&ours, BARE, &bare, Some(1.0)))
                .compared(compare(&ours, PLAIN, &plain, Some(0.8)))
                .compared(compare(&ours, HEALTHY, &healthy, Some(0.5)))
        }),
        row(what, READY, &samples.ready).map(|row| row.compared(compare(&samples.ready, BARE, &bare, None))),
        row(what, PROCESS, &samples.process_up)
            .map(|row| row.compared(compare(&samples.process_up, BARE, &bare, None))),
    ];
    let (bare, ours) = (of(&samples.down, Contestant::Bare), of(&samples.down, Contestant::Testbed));
    let what = "teardown";
    let down = [
        row(what, BARE, &bare),
        row(what, PLAIN, &of(&samples.down, Contestant::Plain)),
        row(what, HEALTHY, &of(&samples.down, Contestant::Healthy)),
        row(what, TESTBED, &ours).map(|row| row.compared(compare(&ours, BARE, &bare, Some(1.0)))),
    ];
    let whole = row("whole process", "testbed up --once", &samples.process_whole);
    Section {
        name: "stack",
        about: "how long the same stack takes, cold, to its first chat, and back to nothing",
        rows: up.into_iter().chain(down).chain([whole]).flatten().collect(),
        notes: vec![
            phases::sentence(&samples.phases),
            "`by round` is the median of the ratios within each round: it forgives a machine that is busy with something \
             else, which the ratio of the medians does not."
                .to_owned(),
        ],
    }
}
