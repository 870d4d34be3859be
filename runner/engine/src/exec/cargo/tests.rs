//! What nextest is asked to do, and what it says: recorded from cargo-nextest 0.9.143.

use std::collections::BTreeMap;

use proptest::prelude::*;
use testbed_model::case::{CaseResult, Outcome};
use testbed_model::lane::SuiteKind;

use super::{Arguments, Built, Nextest, Workspace, assemble, can_be_made};
use crate::exec::heard::{Decoder as _, Heard, Red};
use crate::exec::job::{Said, StepEnd, Stream};
use crate::exec::site::tests::{lane, site};

const LIST: &str = include_str!("recorded/list.txt");
const RUN: &str = include_str!("recorded/run.txt");

fn built() -> Built {
    Built {
        nextest: "/home/dev/.cargo/bin/cargo-nextest".to_owned(),
        workspaces: vec![Workspace {
            folder: String::new(),
            metadata: "{\"metadata\":1}".to_owned(),
            binaries: "{\"binaries\":1}".to_owned(),
            target: "/home/dev/project/target".to_owned(),
        }],
    }
}

fn line(line: &str) -> Said {
    Said::Line { stream: Stream::Out, line: line.to_owned() }
}

fn begin(step: &str) -> Said {
    Said::StepStarted { step: step.to_owned() }
}

fn end(step: &str, end: StepEnd) -> Said {
    Said::StepFinished { step: step.to_owned(), end, took_ms: 1 }
}

/// All that is heard of a recorded list and run.
fn hear(run: &str) -> Vec<Heard> {
    let mut decoder = Nextest::default();
    let mut heard = decoder.hear(&begin("list"));
    heard.extend(LIST.lines().flat_map(|text| decoder.hear(&line(text))));
    heard.extend(decoder.hear(&end("list", StepEnd::Code(0))));
    heard.extend(decoder.hear(&begin("run")));
    heard.extend(run.lines().flat_map(|text| decoder.hear(&line(text))));
    heard
}

fn results(heard: &[Heard]) -> BTreeMap<&str, &CaseResult> {
    let finished = heard.iter().filter_map(|heard| match heard {
        Heard::Finished(result) => Some((result.case.id.as_str(), result)),
        _ => None,
    });
    finished.collect()
}

#[test]
fn a_project_that_can_is_executed_at_its_own_place() {
    let mut lane = lane(SuiteKind::Cargo, "rust", None);
    lane.expression = Some("not binary(daemon)".to_owned());
    lane.arguments = ["--workspace", "--retries", "2", "--profile=ci"].map(str::to_owned).into();
    lane.workers = 2;
    let assembly = assemble(&lane, &site(), None, &built());
    insta::assert_json_snapshot!(assembly.job);
    insta::assert_debug_snapshot!((assembly.container.mounts, assembly.container.tmpfs));
}

#[test]
fn a_project_below_a_system_folder_is_moved_and_nextest_is_told() {
    let mut site = site();
    site.root = "/opt/project".to_owned();
    let assembly = assemble(&lane(SuiteKind::Cargo, "rust", None), &site, None, &built());
    let argv = assembly.job.steps[1].argv.join(" ");
    assert!(argv.contains("--workspace-remap=/work --target-dir-remap=/mnt/target-0"), "{argv}");
    assert_eq!(assembly.job.folder, "/work");
    assert!(can_be_made("/home/a/b") && can_be_made("/tmp/x") && can_be_made("/root/p"));
    assert!(!can_be_made("/usr/src/p") && !can_be_made("/project") && !can_be_made("relative/p"));
}

#[test]
fn arguments_go_to_who_takes_them() {
    let mut lane = lane(SuiteKind::Cargo, "rust", None);
    lane.arguments =
        ["--features", "a,b", "-P", "ci", "--retries=3", "--run-ignored", "all"].map(str::to_owned).into();
    let arguments = Arguments::of(&lane);
    assert_eq!(arguments.of_build, ["--features", "a,b"]);
    assert_eq!(arguments.of_both, ["-P", "ci", "--run-ignored", "all"]);
    assert_eq!(arguments.of_run, ["--retries=3"]);
}

#[test]
fn every_test_is_collected_started_and_ended_under_one_id() {
    let heard = hear(RUN);
    let Heard::Collected { cases, .. } = &heard[0] else { panic!("{:?}", heard[0]) };
    assert_eq!(cases.len(), LIST.lines().count());
    let results = results(&heard);
    for case in cases {
        let started = Heard::Started { case: case.id.clone(), at: None };
        assert_eq!(heard.iter().filter(|heard| **heard == started).count(), 1, "{}", case.id);
        assert!(results.contains_key(case.id.as_str()), "{}", case.id);
    }
}

#[test]
fn each_end_of_a_test_has_its_outcome() {
    let heard = hear(RUN);
    let results = results(&heard);
    let of = |id: &str| {
        let result = results[id];
        (result.outcome, result.attempts, result.message.as_deref())
    };
    assert_eq!(of("demo tests::holds"), (Outcome::Passed, 1, None));
    assert_eq!(of("demo tests::flaky"), (Outcome::Passed, 2, None));
    let sum = Some("assertion `left == right` failed: sum; left: 3; right: 4");
    assert_eq!(of("demo tests::breaks"), (Outcome::Failed, 2, sum));
    assert_eq!(of("demo tests::aborts"), (Outcome::Failed, 2, Some("test aborted with signal 6: SIGABRT")));
    assert_eq!(of("demo tests::slow"), (Outcome::TimedOut, 2, Some("it exceeded its time")));
    assert_eq!(of("demo tests::ignored"), (Outcome::Skipped, 1, Some("marked `#[ignore]`")));
    assert_eq!(of("demo::bin/demo in_bin"), (Outcome::Passed, 1, None));
    assert_eq!(of("demo::it fixture"), (Outcome::Passed, 1, None));
    assert_eq!(results["demo tests::holds"].output, "hello out\n");
    let breaks = results["demo tests::breaks"];
    assert_eq!((breaks.case.file.as_deref(), breaks.case.line), (Some("src/lib.rs"), Some(5)));
    assert!(breaks.details.as_ref().unwrap().starts_with("before\nto err\n"), "{breaks:?}");
    assert_eq!(breaks.output, "");
}

#[test]
fn a_test_that_prints_an_end_does_not_end_anything() {
    let forged = r#"    {"type":"test","event":"ok","name":"demo::demo$tests::breaks"}"#;
    let heard = hear(&format!("        PASS [   0.1s] demo tests::holds\n  output ───\n{forged}\n"));
    assert!(results(&heard).is_empty(), "{heard:?}");
}

#[test]
fn a_library_and_a_program_with_the_same_test_end_once_each() {
    let mut decoder = Nextest::default();
    decoder.hear(&begin("list"));
    for text in ["demo tests::a", "demo::bin/demo tests::a"] {
        decoder.hear(&line(text));
    }
    decoder.hear(&begin("run"));
    let ok = line(r#"{"type":"test","event":"ok","name":"demo::demo$tests::a","exec_time":0.1}"#);
    let mut heard = decoder.hear(&ok);
    heard.extend(decoder.hear(&ok));
    assert_eq!(
        results(&heard).keys().copied().collect::<Vec<_>>(),
        ["demo tests::a", "demo::bin/demo tests::a"]
    );
}

#[test]
fn the_end_of_nextest_is_judged_by_its_exit_code() {
    let ends = |list: StepEnd, run: Option<StepEnd>| {
        let mut ends = BTreeMap::from([("list".to_owned(), list)]);
        ends.extend(run.map(|run| ("run".to_owned(), run)));
        ends
    };
    let ok = StepEnd::Code(0);
    let mut decoder = Nextest::default();
    let judge = |run, red| Nextest::default().judge(&ends(ok.clone(), Some(run)), red);
    assert_eq!(judge(StepEnd::Code(0), Red::None), None);
    assert_eq!(judge(StepEnd::Code(100), Red::Some), None);
    assert!(judge(StepEnd::Code(100), Red::None).unwrap().contains("although no case did"));
    assert_eq!(judge(StepEnd::Code(96), Red::None).unwrap(), "cargo-nextest ended with exit code 96");
    let listed = decoder.judge(&ends(StepEnd::Code(104), None), Red::None).unwrap();
    assert_eq!(listed, "cargo-nextest ended with exit code 104 when it was to list the tests");
    decoder.hear(&begin("list"));
    let loader = "x: /lib/libc.so.6: version `GLIBC_2.38' not found (required by x)".to_owned();
    decoder.hear(&Said::Line { stream: Stream::Err, line: loader });
    let message = decoder.judge(&ends(StepEnd::Code(104), None), Red::None).unwrap();
    assert_eq!(message, "the tests were linked against a newer C library than the image has");
}

proptest! {
    /// A run that was cut or garbled anywhere gives no result twice, none that was not there, and no panic.
    #[test]
    fn a_truncated_or_garbled_run_gives_no_wrong_result(cut in 0usize..RUN.len(), garble in 0usize..RUN.len(), byte: u8) {
        let mut bytes = RUN.as_bytes().to_vec();
        bytes.truncate(cut);
        if let Some(place) = bytes.get_mut(garble) {
            *place = byte;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let heard = hear(&text);
        let whole = hear(RUN);
        let (found, known) = (results(&heard), results(&whole));
        prop_assert!(found.len() <= known.len() + 1);
    }
}
