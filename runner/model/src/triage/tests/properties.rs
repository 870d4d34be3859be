//! What holds for any run, whatever is written in it.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::corpus::{Recorded, adversarial, corpus, noise};
use super::tape::Tape;
use super::{diagnoses, of_record};
use crate::case::Outcome;
use crate::event::{Event, Stamped};
use crate::exit_code::ExitCode;

fn records() -> &'static [Recorded] {
    static RECORDS: OnceLock<Vec<Recorded>> = OnceLock::new();
    RECORDS.get_or_init(|| corpus(5))
}

/// Any text, and the words of every kind of fault.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,60}",
        proptest::sample::select(adversarial()).prop_map(str::to_owned),
        (proptest::sample::select(adversarial()), "[a-z: ]{0,9}")
            .prop_map(|(text, more)| format!("{more}{text}")),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    proptest::sample::select(vec![Outcome::Failed, Outcome::Error, Outcome::TimedOut])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn without_a_fact_no_text_excuses_a_failure(
        cases in proptest::collection::vec((text(), text(), text(), outcome()), 1..6),
        lane in text(),
        asked in proptest::sample::select(vec![0_i64, 1, 137, 143]),
        memory: bool,
    ) {
        let mut tape = Tape::new("mocker");
        for (at, (message, details, log, outcome)) in cases.iter().enumerate() {
            let id = format!("a.py::test_{at}");
            tape.begin(&id);
            // A case that kills its service gets what it asked for.
            tape.exited("worker-0", asked, memory, true);
            tape.logged("worker-0", &[log]);
            tape.red(&id, *outcome, message, details);
        }
        tape.warned(&lane);
        tape.lane_failed(&lane, false, &[&lane]);
        tape.finish(ExitCode::TestFailed);
        let told = diagnoses(&tape.events);
        prop_assert_eq!(told.all().len(), cases.len() + 1);
        for one in told.all() {
            prop_assert!(!one.cause.excuses(), "{:?}", one);
        }
    }

    #[test]
    fn a_service_that_crashed_with_a_trace_excuses_nobody(
        code in proptest::sample::select(vec![1_i64, 2, 101, 134, 137, 139, 143, 255]),
        message in text(),
        around in proptest::collection::vec(text(), 0..6),
        outcome in outcome(),
    ) {
        let mut tape = Tape::new("mocker");
        tape.begin("a.py::test_a");
        tape.died("worker-0", code, false);
        tape.red("a.py::test_a", outcome, &message, "");
        let mut log: Vec<&str> = around.iter().map(String::as_str).collect();
        log.insert(around.len() / 2, "thread 'main' panicked at src/main.rs:4:5:");
        tape.lane_failed(&format!("`worker-0` ended with code {code}"), true, &log);
        for one in diagnoses(&tape.events).all() {
            prop_assert!(!one.cause.excuses(), "{:?}", one);
        }
    }

    #[test]
    fn unrelated_lines_and_events_change_nothing(record in any::<proptest::sample::Index>(), noise_seed in any::<u64>()) {
        let record = &records()[record.index(records().len())];
        let before = of_record(&record.events);
        let after = of_record(&disturbed(&record.events, noise_seed));
        let causes = |told: &super::Diagnoses| -> Vec<_> {
            told.all().iter().map(|one| (one.subject.clone(), one.cause, one.rule)).collect()
        };
        prop_assert_eq!(causes(&before), causes(&after));
    }

    #[test]
    fn no_order_of_events_breaks_it(
        record in any::<proptest::sample::Index>(),
        keys in proptest::collection::vec(any::<u32>(), 1..40),
    ) {
        let mut events = records()[record.index(records().len())].events.clone();
        let mut keys = keys.iter().cycle();
        events.sort_by_key(|_| keys.next().copied());
        let _ = diagnoses(&events);
    }
}

/// The same run with unrelated lines in every log and account, and unrelated events.
fn disturbed(events: &[Stamped], seed: u64) -> Vec<Stamped> {
    let mut lines = noise(seed);
    let mut out = Vec::new();
    for stamped in events {
        let mut stamped = stamped.clone();
        match &mut stamped.event {
            Event::CaseFinished { result, service_logs, .. } => {
                for window in service_logs {
                    window.lines.insert(0, lines());
                    window.lines.push(lines());
                }
                result.output.push_str(&lines());
                if let Some(details) = &mut result.details {
                    *details = format!("{}\n{details}", lines());
                }
            }
            Event::LaneFinished { failure: Some(failure), .. } => failure.log.insert(0, lines()),
            Event::StackFailed { failure, .. } => failure.log.insert(0, lines()),
            _ => {}
        }
        let log = Event::ServiceLog { stack: "mocker".to_owned(), service: "nats".to_owned(), line: lines() };
        out.push(Stamped { event: log, ..stamped.clone() });
        out.push(stamped);
    }
    out
}
