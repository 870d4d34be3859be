//! Failures told apart: a generated corpus, properties, and each rule once.

mod corpus;
mod properties;
mod tape;

use self::corpus::{Expected, Plant, corpus};
use self::tape::Tape;
use super::{Cause, Diagnoses, Subject, Triage};
use crate::case::Outcome;
use crate::event::{Finding, StackFailure, StackFailureCause, Stamped};
use crate::record::journal;
use crate::verdict::Damage;

/// What is concluded of a journal as it lies on the disk.
fn of_record(events: &[Stamped]) -> Diagnoses {
    let bytes: Vec<u8> = events.iter().flat_map(|stamped| journal::encode(stamped).unwrap()).collect();
    let journal = journal::read(&bytes);
    assert_eq!(journal.damaged, 0);
    diagnoses(&journal.events)
}

fn diagnoses(events: &[Stamped]) -> Diagnoses {
    let mut triage = Triage::default();
    for stamped in events {
        triage.hear(stamped);
    }
    triage.diagnoses()
}

#[test]
fn of_a_thousand_recorded_failures_no_product_failure_is_excused_and_planted_faults_are_found() {
    for seed in [1, 20_261_121] {
        let records = corpus(seed);
        let (mut failures, mut planted, mut right, mut excused, mut missed) =
            (0, 0, 0, Vec::new(), Vec::new());
        for record in &records {
            let told = of_record(&record.events);
            for Plant { kind, subject, expected } in &record.plants {
                failures += 1;
                let diagnosis = told.of(subject).unwrap_or_else(|| panic!("{kind}: nothing of {subject:?}"));
                assert!(!diagnosis.evidence.is_empty(), "{kind}: no evidence");
                let fits = match expected {
                    Expected::Fault(cause) => {
                        planted += 1;
                        right += usize::from(diagnosis.cause == *cause);
                        diagnosis.cause == *cause
                    }
                    Expected::OfTheCode => !diagnosis.cause.excuses(),
                };
                match expected {
                    _ if fits => {}
                    Expected::OfTheCode => excused.push(format!("{kind}: {diagnosis:?}")),
                    Expected::Fault(_) => missed.push(format!("{kind}: {diagnosis:?}")),
                }
            }
        }
        assert_eq!((failures, planted), (1000, 100), "seed {seed}");
        assert_eq!(excused, [""; 0], "seed {seed}: product failures excused");
        assert!(right >= 98, "seed {seed}: {right} of 100 told right: {missed:#?}");
    }
}

#[test]
fn every_kind_of_fault_and_of_failure_is_in_the_corpus_and_it_is_the_same_each_time() {
    let records = corpus(7);
    let mut kinds: Vec<&str> = records.iter().flat_map(|r| r.plants.iter().map(|plant| plant.kind)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert!(kinds.len() >= 40, "{kinds:?}");
    let again: Vec<_> = corpus(7).into_iter().map(|record| record.events).collect();
    assert!(again.iter().eq(records.iter().map(|record| &record.events)));
}

#[test]
fn what_shows_it_is_quoted_with_its_time() {
    let mut tape = Tape::new("mocker");
    tape.begin("a.py::test_a");
    tape.wait(500);
    tape.died("worker-1", 137, true);
    tape.red("a.py::test_a", Outcome::Failed, "httpx.ConnectError: [Errno 111] Connection refused", "");
    tape.lane_failed(
        "`worker-1` was killed for lack of memory",
        true,
        &["INFO kv cache 3.9 GiB", "INFO allocating"],
    );
    let told = of_record(&tape.events);
    let case = told.of_case(&tape.lane, "a.py::test_a").unwrap();
    assert_eq!((case.cause, case.rule), (Cause::Infrastructure, "service-out-of-memory"));
    assert_eq!(case.because, "it lost a service: the kernel killed a service for lack of memory");
    let quotes: Vec<(&str, &str)> =
        case.evidence.iter().map(|one| (one.source.as_str(), one.quote.as_str())).collect();
    assert_eq!(
        quotes,
        [
            (
                "event",
                "`worker-1` of stack `mocker` was killed for lack of memory (exit code 137), and no case had asked for it"
            ),
            ("log of `worker-1`", "INFO allocating"),
            ("message", "httpx.ConnectError: [Errno 111] Connection refused"),
        ]
    );
    assert!(case.evidence[0].elapsed_us >= 500_000 && case.evidence[0].at > jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(told.of_lane(&tape.lane).unwrap().cause, Cause::Infrastructure);
    assert_eq!(told.of_service("mocker", "worker-1").unwrap().cause, Cause::Infrastructure);
}

#[test]
fn a_service_that_crashes_by_itself_is_the_products_failure_whatever_its_code() {
    let trace = ["Traceback (most recent call last):", "  File \"/x.py\", line 3, in run", "ValueError: x"];
    for (code, log, cause) in [
        (1, &trace[..], Cause::Product),
        (0, &[][..], Cause::Product),
        (139, &[][..], Cause::Product),
        (137, &trace[..], Cause::Product),
        (137, &["INFO fine"][..], Cause::Infrastructure),
        (143, &["INFO fine"][..], Cause::Infrastructure),
    ] {
        let mut tape = Tape::new("mocker");
        tape.died("worker-0", code, false);
        tape.lane_failed(&format!("`worker-0` ended with code {code}"), true, log);
        let told = diagnoses(&tape.events);
        assert_eq!(told.of_lane(&tape.lane).unwrap().cause, cause, "{code} {log:?}");
        let failure = StackFailure {
            service: Some("worker-0".to_owned()),
            cause: StackFailureCause::Exited { exit_code: code, oom_killed: false },
            last_answer: None,
            log: log.iter().map(ToString::to_string).collect(),
            chain: Vec::new(),
        };
        assert_eq!(super::of_death(&failure), cause, "{code} {log:?}");
    }
}

#[test]
fn the_first_service_to_die_is_the_one_at_fault() {
    let mut tape = Tape::new("mocker");
    tape.died("nats", 137, true);
    tape.died("worker-0", 1, false);
    tape.lane_failed("`nats` was killed for lack of memory", true, &["fine"]);
    let told = diagnoses(&tape.events);
    assert_eq!(told.of_lane(&tape.lane).unwrap().rule, "service-out-of-memory");
    assert_eq!(told.of_service("mocker", "worker-0"), None);
}

#[test]
fn a_red_case_that_is_excused_makes_a_broken_environment_of_the_run() {
    let mut tape = Tape::new("mocker");
    tape.begin("a.py::test_a");
    tape.found(None, Finding::DiskFull { path: "/tmp".to_owned(), total_bytes: 1 << 20 });
    tape.red("a.py::test_a", Outcome::Failed, "OSError: [Errno 28] No space left on device", "");
    let excused = diagnoses(&tape.events);
    assert!(excused.weigh(Damage::default()).environment);
    let mut both = Tape::new("mocker");
    both.events.clone_from(&tape.events);
    both.red("a.py::test_b", Outcome::Failed, "assert 7 == 8", "");
    let both = diagnoses(&both.events);
    assert_eq!(both.weigh(Damage::default()), Damage::default(), "a product failure is not hidden behind it");
    tape.events.retain(|stamped| !matches!(stamped.event, crate::event::Event::Found { .. }));
    let plain = diagnoses(&tape.events);
    assert_eq!(plain.of_case(&tape.lane, "a.py::test_a").unwrap().cause, Cause::Product);
    assert_eq!(plain.weigh(Damage::default()), Damage::default());
    assert_eq!(plain.of(&Subject::Run), None);
}
