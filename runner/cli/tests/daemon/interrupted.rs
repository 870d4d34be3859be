//! Runs that are asked to end, at any moment: they end with 130, and nothing of them is left.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use testbed_model::exit_code::ExitCode;

use crate::ground::Ground;
use crate::running::{Finished, Running};

/// Some cases, the last of which takes long.
const SUITE: &str = "import time\n\nimport pytest\n\n\n\
    @pytest.mark.parametrize(\"number\", range(3))\ndef test_fast(number):\n    print(number)\n\n\n\
    def test_slow():\n    time.sleep(120)\n";

/// The same without the slow case, for moments behind it.
const FAST_SUITE: &str = "def test_fast():\n    pass\n";

/// Ends a run with a signal and checks what must hold whenever that was.
fn interrupt(ground: &Ground, mut run: Running, signal: impl FnOnce(&Running), moment: &str) -> Finished {
    let id = run.run_id();
    signal(&run);
    let run = run.end();
    assert_eq!(run.code, ExitCode::Interrupted, "{moment}: {}\n{:?}", run.err, run.events.last());
    run.left_nothing();
    assert_eq!(crate::engine::left_by_run(&id), [""; 0], "{moment}");
    let finished = run.only("run_finished");
    assert_eq!(finished["exit_code"], "interrupted", "{moment}");
    assert_eq!(run.events.last(), Some(finished), "{moment}");
    let manifest: Value = serde_json::from_str(&ground.record("manifest.json")).unwrap();
    assert_eq!(manifest["exit_code"], "interrupted", "{moment}");
    run
}

/// Interrupts a run right after an event.
fn interrupt_at(suite: &str, event: &str, signal: Signal) -> Finished {
    let ground = Ground::small(suite);
    let mut run = ground.start(["premerge", "--json"]);
    run.run_id();
    if event != "run_started" {
        assert!(run.until_event(event).is_some(), "the run ended without `{event}`");
    }
    interrupt(&ground, run, |run| run.signal(signal), event)
}

#[test]
fn ctrl_c_while_images_are_checked_leaves_nothing() {
    interrupt_at(SUITE, "run_started", Signal::INT);
    interrupt_at(SUITE, "image_ready", Signal::TERM);
}

#[test]
fn a_signal_while_the_stack_comes_up_leaves_nothing() {
    interrupt_at(SUITE, "stack_starting", Signal::TERM);
    interrupt_at(SUITE, "service_starting", Signal::INT);
    interrupt_at(SUITE, "service_started", Signal::HUP);
}

#[test]
fn a_signal_when_the_stack_is_ready_leaves_nothing() {
    interrupt_at(SUITE, "stack_ready", Signal::INT);
    interrupt_at(SUITE, "lane_started", Signal::TERM);
    interrupt_at(SUITE, "cases_collected", Signal::INT);
}

#[test]
fn a_signal_while_cases_are_executed_keeps_what_was_finished() {
    let run = interrupt_at(SUITE, "case_finished", Signal::INT);
    assert!(run.named("case_finished").any(|event| event["outcome"] == "passed"));
    let ground = Ground::small(SUITE);
    let mut slow = ground.start(["premerge", "--json"]);
    slow.until(|event| event["event"] == "case_started" && event["case"].to_string().contains("slow"))
        .unwrap();
    // What Ctrl-C in a terminal does: everybody in the foreground gets it.
    let run = interrupt(&ground, slow, |run| run.signal_group(Signal::INT), "in the slow case");
    let outcomes: Vec<&Value> = run.named("case_finished").map(|event| &event["outcome"]).collect();
    assert_eq!(outcomes, ["passed", "passed", "passed", "interrupted"]);
    assert_eq!(run.only("run_finished")["counts"]["interrupted"], 1);
}

#[test]
fn a_signal_during_the_teardown_changes_nothing_but_the_verdict() {
    interrupt_at(FAST_SUITE, "lane_finished", Signal::TERM);
    interrupt_at(FAST_SUITE, "stack_stopping", Signal::INT);
}

#[test]
fn ctrl_c_twice_and_more_is_heard_and_still_leaves_nothing() {
    let ground = Ground::small(SUITE);
    let mut run = ground.start(["premerge", "--json"]);
    assert!(run.until_event("case_started").is_some());
    run.signal_group(Signal::INT);
    run.until_event("interrupted").unwrap();
    for signal in [Signal::INT, Signal::TERM, Signal::INT] {
        run.signal_group(signal);
        run.for_a_while(Duration::from_millis(30));
    }
    let run = interrupt(&ground, run, |run| run.signal_group(Signal::INT), "the last one");
    let again = run.named("warning").filter(|event| event["message"].to_string().contains("again"));
    assert!(again.count() >= 1, "nobody said that it was heard");
}

#[test]
fn signals_at_moments_of_chance_leave_nothing() {
    let ground = Ground::small(SUITE);
    let mut chance = 0x2545_f491_u64 ^ u64::from(std::process::id());
    for round in 0..4 {
        // xorshift: the moments differ from run to run, and a failure tells its own.
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        let delay = Duration::from_millis(chance % 4000);
        let signal = if chance & 1 == 0 { Signal::INT } else { Signal::TERM };
        let mut run = ground.start(["premerge", "--json"]);
        run.run_id();
        run.for_a_while(delay);
        let moment = format!("round {round}, {signal:?} after {delay:?}");
        interrupt(&ground, run, |run| run.signal_group(signal), &moment);
    }
}

#[test]
fn up_is_held_until_it_is_asked_to_end_and_then_leaves_nothing() {
    let ground = Ground::small("");
    for (event, signal) in [("service_started", Signal::TERM), ("stack_ready", Signal::INT)] {
        let mut up = ground.start(["up", "small", "--json"]);
        assert!(up.until_event(event).is_some(), "it ended without `{event}`");
        up.signal(signal);
        let up = up.end();
        // Held and let go is what it was for; interrupted before that is an interrupt.
        let expected = if event == "stack_ready" { ExitCode::Passed } else { ExitCode::Interrupted };
        assert_eq!(up.code, expected, "{event}: {}", up.err);
        up.left_nothing();
    }
}
