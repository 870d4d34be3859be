//! `ready`: how long after a service truly began to serve Testbed knows it, seen in two ways.
//!
//! In the real stack a second observer in the same network asks each service what Testbed asks, 2 ms after each answer in
//! vain: Testbed is as late as its event comes after that prober's good answer. In a stack of the bench's making the services
//! themselves stamp the moment. All clocks are one: containers share the host's wall clock.

use std::collections::BTreeMap;

use testbed_engine::host::clock::Clock;
use testbed_model::event::{Event, Stamped};
use testbed_model::stack::Stack;

use crate::bench::{Bench, PROFILE};
use crate::error::BenchError;
use crate::flip::{FlipStack, difference};
use crate::narrative::{Narrative, untold};
use crate::observer::{Observer, Seen, WHOLE};
use crate::outcome::{Comparison, Measured, Row, Section, Unit};

/// What may pass, in milliseconds.
const TARGET_MS: f64 = 50.0;

/// For a bring-up, in seconds; the first one may have images to make.
const DEADLINE: u64 = 900;

/// Exit code of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// One service's readiness, seen from both sides, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Delay {
    /// From the prober's good answer to Testbed's event; negative where Testbed was first.
    known: f64,
    /// From the prober's last question in vain to Testbed's event: the true delay is never more.
    at_most: f64,
}

/// All samples.
#[derive(Clone, Debug, Default)]
struct Samples {
    /// Of the real stack, by service.
    real: BTreeMap<String, Vec<Delay>>,
    /// Of services that stamp their moment, in milliseconds.
    exact: Vec<f64>,
}

/// Measures so many rounds, after one that does not count.
pub async fn measure(bench: &Bench, rounds: usize) -> Measured {
    let mut samples = Samples::default();
    let error = take_rounds(bench, rounds, &mut samples).await.err();
    Measured { section: Some(section(&samples)), error }
}

async fn take_rounds(bench: &Bench, rounds: usize, samples: &mut Samples) -> Result<(), BenchError> {
    let stack = bench.stack()?;
    let flip = FlipStack::prepare(bench, &stack)?;
    let mut observer = Observer::open(bench, &stack).await?;
    for round in 0..=rounds {
        let (seen, told) = bring_up(bench, &stack, &mut observer, round).await?;
        bench.rest().await;
        let moments = flip.round(bench, &stack, round).await?;
        bench.rest().await;
        if round > 0 {
            for (id, delay) in compare(&stack, &seen, &told) {
                samples.real.entry(id).or_default().push(delay);
            }
            samples.exact.extend(moments);
        }
    }
    observer.close(bench).await
}

/// One bring-up, observed from both sides.
async fn bring_up(
    bench: &Bench,
    stack: &Stack,
    observer: &mut Observer,
    round: usize,
) -> Result<(BTreeMap<String, Seen>, Vec<Stamped>), BenchError> {
    let mut starts = observer.begin(bench, round);
    let clock = Clock::start();
    let (running, lines) = bench.testbed(["up", PROFILE, "--json"]).start(&bench.endings)?;
    let mut narrative = Narrative::new(lines, clock);
    let runner = running.id().unwrap_or_default();
    let ready = narrative.until("the stack being ready", DEADLINE, |e| matches!(e, Event::StackReady { .. }));
    let ready = tokio::select! {
        ready = ready => ready?,
        failed = observer.follow(bench, stack, runner, &mut starts) => return Err(failed),
    };
    if ready.is_none() {
        let (_, said) = running.end().await?;
        return Err(untold("a stack that is ready", &said));
    }
    let seen = observer.collect(stack).await;
    // Before the stack goes: its network is not removed while the observer is in it.
    observer.leave(bench).await?;
    running.interrupt();
    let told = narrative.whole().await;
    let (status, said) = running.end().await?;
    if !status.success() && status.code() != Some(INTERRUPTED) {
        let program = "testbed up".to_owned();
        return Err(BenchError::Program { program, ended: status.to_string(), said });
    }
    Ok((seen?, told))
}

/// Each service's delay, and the stack's as a whole: that one serves from the moment at which the last of all serves.
fn compare(stack: &Stack, seen: &BTreeMap<String, Seen>, told: &[Stamped]) -> Vec<(String, Delay)> {
    let known = |id: &str| {
        let is_it = |event: &Event| match event {
            Event::ServiceReady { service, .. } => service == id,
            Event::StackReady { .. } => id == WHOLE,
            _ => false,
        };
        told.iter().find(|stamped| is_it(&stamped.event)).map(|stamped| stamped.at.as_microsecond())
    };
    let whole = seen.values().copied().reduce(|a, b| Seen {
        first_us: a.first_us.max(b.first_us),
        not_yet_us: a.not_yet_us.max(b.not_yet_us),
        served_us: a.served_us.max(b.served_us),
    });
    let services = stack.services.keys().filter_map(|service| Some((service.clone(), *seen.get(service)?)));
    let all = services.chain(whole.map(|whole| (WHOLE.to_owned(), whole)));
    let delay = |(id, seen): (String, Seen)| {
        // A prober that came only after Testbed knew has seen nothing of the moment.
        let known_us = known(&id).filter(|known_us| *known_us >= seen.first_us)?;
        let delay = Delay {
            known: difference(seen.served_us, known_us),
            at_most: difference(seen.not_yet_us, known_us),
        };
        Some((id, delay))
    };
    all.filter_map(delay).collect()
}

fn section(samples: &Samples) -> Section {
    let delays = &samples.real;
    let row = |what: &str, how: &str, samples: &[f64]| Row::of(what, how, Unit::Milliseconds, samples);
    let limited = |row: Row| {
        let p95 = row.figures.p95;
        row.compared([Comparison::with_limit("p95 to 50 ms", p95, TARGET_MS)])
    };
    let known = |delays: &[Delay]| delays.iter().map(|delay| delay.known).collect::<Vec<f64>>();
    let all: Vec<Delay> = delays.values().flatten().copied().collect();
    let at_most: Vec<f64> = all.iter().map(|delay| delay.at_most).collect();
    let what = "real stack, a prober without pause to Testbed";
    let real = row(what, "all together", &known(&all)).map(limited);
    let each = delays.iter().map(|(id, delays)| row(what, id, &known(delays)));
    let bound = row("real stack, last question in vain to Testbed", "all together", &at_most);
    let exact =
        row("services that stamp their moment to Testbed", "all together", &samples.exact).map(limited);
    Section {
        name: "ready",
        about: "how long after a service truly began to serve Testbed knows it",
        rows: [exact, real].into_iter().chain(each).chain([bound]).flatten().collect(),
        notes: vec![
            "A service that stamps its moment refuses before it and answers at once after it. In the real stack an \
             independent prober in the same network asks again 2 ms after each answer in vain; a figure below zero says that \
             Testbed had its answer first. A service that served before the prober could ask is left out of its rows."
                .to_owned(),
            "The last row begins when that prober asked in vain for the last time: it bounds the true delay, and holds the \
             whole time that the service took for the prober's good answer, as etcd does that lets the first question wait \
             until it has elected itself."
                .to_owned(),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::{Delay, Samples, section};

    #[test]
    fn the_target_is_kept_at_p95_of_all_services() {
        let delay = |known| Delay { known, at_most: known + 3.0 };
        let mut samples = Samples::default();
        samples.real.insert("nats".to_owned(), vec![delay(5.0); 95]);
        samples.real.insert("etcd".to_owned(), vec![delay(70.0); 5]);
        assert_eq!(section(&samples).rows[0].comparisons[0].holds, Some(true));
        samples.real.insert("frontend".to_owned(), vec![delay(70.0); 5]);
        assert_eq!(section(&samples).rows[0].comparisons[0].holds, Some(false));
    }
}
