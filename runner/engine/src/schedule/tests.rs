//! Whole runs with a fake executor.

use std::sync::Arc;
use std::time::Duration;

use testbed_model::case::Counts;
use testbed_model::event::{Event, LaneFailure};
use testbed_model::exit_code::ExitCode;
use testbed_model::plan::Plan;
use testbed_model::verdict::exit_code;
use tokio_util::sync::CancellationToken;

use super::order::tests::plan;
use super::{Capacity, RunOutcome, run};
use crate::events::Events;
use crate::exec::fake::{FakeExecutor, FakeLane, FakeStack};
use crate::host::clock::Clock;

const ROOM: Capacity = Capacity { slots: 4, extra_slots: 1, rising: 2, memory_bytes: 1 << 40, gpus: 8 };
const PASSED: Counts = Counts {
    passed: 2,
    failed: 0,
    errors: 0,
    timed_out: 0,
    skipped: 0,
    expected_failures: 0,
    interrupted: 0,
    flaky: 0,
};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn failure(environment: bool) -> LaneFailure {
    LaneFailure { message: "no".to_owned(), environment, log: Vec::new() }
}

/// Runs a plan, cancels it after a while if asked to, and gives what came of it with all events.
async fn finish(
    plan: &Plan,
    fake: FakeExecutor,
    cancel_after: Option<Duration>,
) -> (RunOutcome, Arc<FakeExecutor>, Vec<Event>) {
    let (events, mut receiver) = Events::channel(Clock::start());
    let cancel = CancellationToken::new();
    if let Some(after) = cancel_after {
        let cancel = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            cancel.cancel();
        });
    }
    let fake = Arc::new(fake);
    let running = run(plan, Arc::clone(&fake), ROOM, &events, &cancel);
    let outcome = tokio::time::timeout(ms(5000), running).await.unwrap();
    drop(events);
    let mut heard = Vec::new();
    while let Ok(stamped) = receiver.try_recv() {
        heard.push(stamped.event);
    }
    (outcome, fake, heard)
}

fn lane(takes: u64) -> FakeLane {
    FakeLane { takes: ms(takes), counts: PASSED, ..FakeLane::default() }
}

fn named<T, const N: usize>(entries: [(&str, T); N]) -> std::collections::BTreeMap<String, T> {
    entries.into_iter().map(|(name, entry)| (name.to_owned(), entry)).collect()
}

fn finished(events: &[Event]) -> Vec<(String, Option<String>)> {
    let finished = events.iter().filter_map(|event| match event {
        Event::LaneFinished { lane, failure, .. } => {
            Some((lane.to_string(), failure.as_ref().map(|failure| failure.message.clone())))
        }
        _ => None,
    });
    finished.collect()
}

#[tokio::test]
async fn a_stack_comes_up_beside_other_lanes_and_the_wait_for_it_is_told() {
    let fake = FakeExecutor::new(
        named([("lint", lane(300)), ("e2e@a", lane(10))]),
        named([("a", FakeStack { rises: ms(100), fails: None })]),
    );
    let (outcome, fake, events) = finish(&plan(&["lint", "e2e@a"]), fake, None).await;
    let log = fake.log();
    let at = |what: &str| log.iter().position(|entry| entry == what).unwrap();
    assert!(at("raise a") < at("executed lint") && at("lower a") < at("executed lint"), "{log:?}");
    let waited = events.iter().find_map(|event| match event {
        Event::LaneStarted { lane, waited_ms } if lane.suite == "e2e" => Some(*waited_ms),
        _ => None,
    });
    assert!(waited.is_some_and(|ms| (80..300).contains(&ms)), "{waited:?}");
    assert_eq!(outcome.counts.passed, 4);
    assert_eq!(exit_code(&outcome.counts, outcome.damage), ExitCode::Passed);
}

#[tokio::test]
async fn a_failed_stack_is_the_environments_fault_and_does_not_hold_up_the_rest() {
    let fake = FakeExecutor::new(
        named([("unit", lane(10))]),
        named([("a", FakeStack { rises: ms(10), fails: Some("no image".to_owned()) })]),
    );
    let (outcome, fake, events) = finish(&plan(&["e2e@a", "unit"]), fake, None).await;
    assert_eq!(exit_code(&outcome.counts, outcome.damage), ExitCode::Environment);
    assert!(fake.log().contains(&"executed unit".to_owned()));
    let (name, failure) = finished(&events).into_iter().find(|(name, _)| name == "e2e@a").unwrap();
    assert!(failure.unwrap().contains("no image"), "{name}");
}

#[tokio::test]
async fn a_lane_that_breaks_its_stack_takes_the_next_one_with_it() {
    let broken = FakeLane { failure: Some(failure(true)), breaks_stack: true, ..lane(10) };
    let fake = FakeExecutor::new(named([("integration@a", broken)]), named([]));
    let (outcome, fake, events) = finish(&plan(&["integration@a", "e2e@a"]), fake, None).await;
    assert!(outcome.damage.environment && fake.standing().is_empty());
    assert!(!fake.log().contains(&"execute e2e@a".to_owned()), "{:?}", fake.log());
    assert_eq!(finished(&events)[1].1.as_deref(), Some("a service of `a` ended"));
}

#[tokio::test]
async fn a_lane_that_fails_beyond_its_cases_makes_the_run_red() {
    let crashed = FakeLane { failure: Some(failure(false)), ..lane(1) };
    let unprepared = FakeLane { unprepared: Some(failure(false)), ..FakeLane::default() };
    for lane in [crashed, unprepared] {
        let fake = FakeExecutor::new(named([("unit", lane)]), named([]));
        let (outcome, ..) = finish(&plan(&["unit"]), fake, None).await;
        assert_eq!(exit_code(&outcome.counts, outcome.damage), ExitCode::TestFailed);
    }
}

#[tokio::test]
async fn a_cancel_at_any_moment_leaves_nothing_standing_and_every_lane_told() {
    for after in [0, 20, 60, 120, 200] {
        let fake = FakeExecutor::new(
            named([
                ("rust", FakeLane { prepares: ms(90), ..lane(500) }),
                ("integration@a", lane(50)),
                ("e2e@a", lane(500)),
                ("e2e@b", lane(500)),
            ]),
            named([
                ("a", FakeStack { rises: ms(40), fails: None }),
                ("b", FakeStack { rises: ms(150), fails: None }),
            ]),
        );
        let plan = plan(&["rust", "integration@a", "e2e@a", "e2e@b"]);
        let (outcome, fake, events) = finish(&plan, fake, Some(ms(after))).await;
        assert_eq!(fake.standing(), Vec::<String>::new(), "after {after}");
        assert_eq!(finished(&events).len(), 4, "after {after}: {events:?}");
        assert_eq!(exit_code(&outcome.counts, outcome.damage), ExitCode::Interrupted);
        assert!(!outcome.damage.environment, "after {after}");
    }
}
