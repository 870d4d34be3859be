//! What pytest is asked to do, and what its plugin's events mean.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use testbed_model::case::Outcome;
use testbed_model::lane::SuiteKind;

use super::{Pytest, STEP, assemble};
use crate::exec::heard::{Decoder as _, Heard, Red};
use crate::exec::job::{Said, StepEnd, Stream};
use crate::exec::site::tests::{lane, site, stack_site};

fn hear(decoder: &mut Pytest, event: Value) -> Vec<Heard> {
    decoder.hear(&Said::Event { event })
}

fn finished(event: Value) -> testbed_model::case::CaseResult {
    match hear(&mut Pytest::default(), event).pop() {
        Some(Heard::Finished(result)) => result,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lane_without_a_stack_is_asked_for_plainly() {
    let mut lane = lane(SuiteKind::Pytest, "unit", None);
    lane.paths = vec!["suites/unit".to_owned()];
    let assembly = assemble(&lane, &site(), None);
    insta::assert_json_snapshot!(assembly.job);
    let plugin = assembly.container.mounts.last().unwrap();
    assert!(format!("{plugin:?}").contains("/checkout/suites/plugin"), "{plugin:?}");
}

#[test]
fn a_lane_with_a_stack_is_told_of_it() {
    let mut lane = lane(SuiteKind::Pytest, "e2e", Some("mocker"));
    lane.paths = vec!["suites/e2e".to_owned()];
    lane.expression = Some("e2e and pre_merge".to_owned());
    lane.workers = 4;
    lane.timeouts.case_ms = 2500;
    lane.arguments = vec!["--maxfail=3".to_owned()];
    let job = assemble(&lane, &site(), Some(&stack_site())).job;
    assert_eq!(job.environment["NATS_SERVER"], "nats://nats:4222");
    assert_eq!(job.environment["TESTBED_FACTS"], "/data/testbed/facts.json");
    assert_eq!(job.control.as_deref(), Some("/data/testbed/control.sock"));
    let argv = job.steps[0].argv.join(" ");
    assert_eq!(job.environment["PYTEST_TIMEOUT"], "2.500");
    let end = "-n 4 --dist=loadscope --max-worker-restart=4 -m e2e and pre_merge --maxfail=3 suites/e2e";
    assert!(argv.ends_with(end), "{argv}");
}

#[test]
fn a_suite_with_habits_keeps_the_ids_of_its_cases() {
    let mut lane = lane(SuiteKind::Pytest, "unit", None);
    lane.paths = vec!["components/tests".to_owned(), ".".to_owned()];
    lane.habits.python = Some("/opt/venv/bin/python3".to_owned());
    lane.habits.folder = Some("components".to_owned());
    let job = assemble(&lane, &site(), None).job;
    assert_eq!(job.folder, "/work/components");
    let argv = job.steps[0].argv.join(" ");
    assert!(
        argv.starts_with("/opt/venv/bin/python3 -m pytest ") && argv.contains(" --rootdir=/work "),
        "{argv}"
    );
    assert!(argv.ends_with(" /work/components/tests /work"), "{argv}");
    assert!(
        super::assemble_catalog(&lane, &site()).job.steps[0]
            .argv
            .join(" ")
            .ends_with(" /work/components/tests /work")
    );
}

#[test]
fn an_image_without_python_or_pytest_is_told_with_a_way_out() {
    let judge = |line: &str, end: StepEnd| {
        let mut decoder = Pytest::default();
        decoder.hear(&Said::Line { stream: Stream::Out, line: line.to_owned() });
        decoder.judge(&BTreeMap::from([(STEP.to_owned(), end)]), Red::None).unwrap()
    };
    let told = judge("", StepEnd::NotStarted("there is no program `python3`".to_owned()));
    assert!(
        told.starts_with(
            "the suite's image has no `python3`, so pytest could not be started; `python` of the suite"
        ),
        "{told}"
    );
    let told = judge("/usr/bin/python3: No module named pytest", StepEnd::Code(1));
    assert!(told.starts_with("`/usr/bin/python3` of the suite's image has no pytest; "), "{told}");
    let told = judge("__main__.py: error: unrecognized arguments: -n --dist=loadscope", StepEnd::Code(4));
    assert!(told.ends_with("a plugin that they need is not in the image: -n --dist=loadscope"), "{told}");
    let told = judge("", StepEnd::NotStarted("there is no folder `/work/x`".to_owned()));
    assert_eq!(told, "pytest could not be started: there is no folder `/work/x`");
    let told = judge("ModuleNotFoundError: No module named pytest_x", StepEnd::Code(1));
    assert_eq!(told, "pytest ended without a word from Testbed's plugin");
}

#[test]
fn each_outcome_of_pytest_has_its_own() {
    for (event, expected) in [
        (json!({"outcome": "passed"}), Outcome::Passed),
        (json!({"outcome": "xpassed"}), Outcome::Passed),
        (json!({"outcome": "failed"}), Outcome::Failed),
        (json!({"outcome": "failed", "timed_out": true}), Outcome::TimedOut),
        (json!({"outcome": "error", "phase": "setup", "timed_out": true}), Outcome::TimedOut),
        (json!({"outcome": "error"}), Outcome::Error),
        (json!({"outcome": "skipped"}), Outcome::Skipped),
        (json!({"outcome": "xfailed"}), Outcome::ExpectedFailure),
        (json!({"outcome": "unheard of"}), Outcome::Error),
    ] {
        let mut event = event;
        event["event"] = json!("finished");
        event["id"] = json!("t.py::test_a");
        assert_eq!(finished(event.clone()).outcome, expected, "{event}");
    }
}

#[test]
fn a_failure_keeps_its_account_its_output_and_its_place() {
    let result = finished(json!({
        "event": "finished", "id": "t.py::test_a", "outcome": "failed", "phase": "call", "attempt": 2,
        "duration_s": 1.2345, "timed_out": false, "message": "assert 1 == 2", "longrepr": "def test_a(): ...",
        "reason": null, "stdout": "out\n", "stderr": "err", "log": "", "file": "t.py", "line": 7, "worker": "main"
    }));
    assert_eq!((result.duration_ms, result.attempts), (1234, 2));
    assert_eq!(result.message.as_deref(), Some("assert 1 == 2"));
    assert_eq!(result.details.as_deref(), Some("def test_a(): ..."));
    assert_eq!(result.output, "out\n--- standard error ---\nerr\n");
    assert_eq!((result.case.file.as_deref(), result.case.line), (Some("t.py"), Some(7)));
}

#[test]
fn a_file_that_cannot_be_collected_is_an_error_and_one_that_skips_itself_is_skipped() {
    let result = finished(
        json!({"event": "collect_error", "file": "t.py", "message": "SyntaxError", "longrepr": "..."}),
    );
    assert_eq!((result.case.id.as_str(), result.outcome), ("t.py", Outcome::Error));
    let result = finished(json!({"event": "collect_skipped", "file": "t.py", "reason": "no torch"}));
    assert_eq!((result.outcome, result.message.as_deref()), (Outcome::Skipped, Some("no torch")));
}

#[test]
fn an_attempt_that_is_followed_by_another_ends_nothing() {
    let event = json!({"event": "finished", "id": "a", "outcome": "rerun", "attempt": 1});
    assert_eq!(hear(&mut Pytest::default(), event), []);
}

#[test]
fn the_session_is_judged_by_its_exit_code_and_by_what_was_heard() {
    let judge =
        |decoder: &Pytest, end: StepEnd, red| decoder.judge(&BTreeMap::from([(STEP.to_owned(), end)]), red);
    let mut decoder = Pytest::default();
    let silent = judge(&decoder, StepEnd::Code(0), Red::None).unwrap();
    assert!(silent.contains("without a word"), "{silent}");
    hear(&mut decoder, json!({"event": "collected", "cases": [], "deselected": 3}));
    for (end, red, expected) in [
        (StepEnd::Code(0), Red::None, None),
        (StepEnd::Code(5), Red::None, None),
        (StepEnd::Code(1), Red::Some, None),
        (StepEnd::Code(1), Red::None, Some("pytest failed although no case did")),
        (StepEnd::Code(4), Red::None, Some("pytest refused its arguments or configuration")),
        (StepEnd::Code(3), Red::None, Some("pytest ended with exit code 3")),
        (StepEnd::Signal(11), Red::None, Some("pytest was ended by signal 11")),
        (StepEnd::NotStarted("no".to_owned()), Red::None, Some("pytest could not be started: no")),
    ] {
        assert_eq!(judge(&decoder, end.clone(), red).as_deref(), expected, "{end:?}");
    }
    hear(&mut decoder, json!({"event": "internal_error", "message": "Traceback\n  x\nKeyError: 'a'\n"}));
    let failure = judge(&decoder, StepEnd::Code(3), Red::None).unwrap();
    assert_eq!(failure, "pytest had an internal error: KeyError: 'a'");
}

#[test]
fn what_is_not_an_event_of_the_plugin_goes_to_the_log() {
    let mut decoder = Pytest::default();
    for event in [
        json!({"event": "new"}),
        json!({"no": 1}),
        json!({"event": "started"}),
        json!({"event": "started", "id": 3}),
    ] {
        assert!(matches!(hear(&mut decoder, event.clone())[..], [Heard::Output(_)]), "{event}");
    }
    let line = Said::Line { stream: Stream::Out, line: "==== 3 passed ====".to_owned() };
    assert_eq!(decoder.hear(&line), [Heard::Output("==== 3 passed ====".to_owned())]);
}

proptest! {
    /// A real event with anything in any of its places is understood or logged, and never ends the runner.
    #[test]
    fn no_event_can_break_the_decoder(key in "(event|id|outcome|cases|duration_s|line|stdout|attempt)", value in anything()) {
        let mut event = json!({"event": "finished", "id": "a", "outcome": "passed", "duration_s": 1.0, "attempt": 1});
        event[key] = value;
        let _ = hear(&mut Pytest::default(), event);
    }
}

fn anything() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(json!([1, {"a": null}])),
        Just(json!({"id": ["x"]})),
        "(collected|started|finished|collect_error|session_finished|internal_error)".prop_map(Value::from),
    ]
}
