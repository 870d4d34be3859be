//! Runners that die without a word: whoever comes next removes what they left, and only that.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use testbed_model::exit_code::ExitCode;

use crate::engine;
use crate::ground::Ground;

const SUITE: &str =
    "import time\n\n\ndef test_fast():\n    pass\n\n\ndef test_slow():\n    time.sleep(120)\n";

#[test]
fn what_a_killed_runner_left_is_removed_by_gc_and_what_lives_stays() {
    let living = Ground::small("");
    let mut up = living.start(["up", "small", "--json"]);
    up.until_event("stack_ready").unwrap();
    let alive = engine::left_by_process(up.pid());
    assert!(alive.len() >= 3, "a network, a service and its agent: {alive:?}");

    for event in ["service_starting", "service_started", "stack_ready", "case_finished", "stack_stopping"] {
        let suite = if event == "stack_stopping" { "def test_fast():\n    pass\n" } else { SUITE };
        let ground = Ground::small(suite);
        let mut run = ground.start(["premerge", "--json"]);
        let id = run.run_id();
        run.until_event(event).unwrap();
        run.signal(Signal::KILL);
        run.killed();
        collect(&ground, &id, event);

        // What was finished can still be read.
        let manifest: Value = serde_json::from_str(&ground.record("manifest.json")).unwrap();
        assert_eq!((&manifest["run"], &manifest["finished"]), (&id.into(), &Value::Null));
        for line in ground.record("events.jsonl").lines() {
            serde_json::from_str::<Value>(line).unwrap();
        }
    }

    assert_eq!(engine::left_by_process(up.pid()), alive, "a living run was disturbed");
    up.signal(Signal::INT);
    let up = up.end();
    assert_eq!(up.code, ExitCode::Passed, "{}", up.err);
    up.left_nothing();
}

/// Collects what a dead run left. The daemon goes on with what the dead had asked it for, and may be at that for a moment
/// after a collection; so one more is allowed.
fn collect(ground: &Ground, run: &str, moment: &str) {
    for _ in 0..2 {
        let gc = ground.testbed(["gc"]);
        assert_eq!(gc.code(), ExitCode::Passed, "{moment}: {}", gc.err);
        if engine::left_by_run(run).is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_secs(2));
    }
    assert_eq!(engine::left_by_run(run), [""; 0], "killed at {moment}");
}

#[test]
fn the_next_run_removes_what_a_killed_one_left() {
    let ground = Ground::small(SUITE);
    let mut run = ground.start(["premerge", "--json"]);
    let id = run.run_id();
    run.until_event("case_started").unwrap();
    run.signal(Signal::KILL);
    run.killed();
    let next = ground.start(["up", "small", "--once", "--json"]).end();
    assert_eq!(next.code, ExitCode::Passed, "{}", next.err);
    assert_eq!(engine::left_by_run(&id), [""; 0]);
    next.left_nothing();
}
