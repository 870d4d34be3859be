//! Shares put together, and what is no whole.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{MergeError, merge, stack_name};
use crate::case::{Case, CaseResult, Counts, Outcome};
use crate::event::{Event, Stamped};
use crate::exit_code::ExitCode;
use crate::facts::Facts;
use crate::hint::Hint as _;
use crate::id::RunId;
use crate::lane::{Cases, LaneId};
use crate::plan::Plan;
use crate::plan::tests::cases::any_shares;
use crate::plan::tests::premerge;
use crate::record::{Manifest, Record, RecordedImage, SCHEMA};

fn run_id(number: usize) -> RunId {
    format!("20261121-14300{number}-a1b2c3").parse().unwrap()
}

fn start(number: usize) -> Timestamp {
    let seconds = i64::try_from(number).unwrap();
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + seconds)
}

fn result(id: &str, outcome: Outcome) -> CaseResult {
    let case = Case { id: id.to_owned(), file: None, line: None, markers: Vec::new() };
    CaseResult { duration_ms: 1, ..CaseResult::new(case, outcome) }
}

/// What a machine that executed a plan leaves behind: every case passed.
fn record_of(number: usize, plan: Plan) -> Record {
    let mut told = Vec::new();
    let mut total = Vec::new();
    let started = Event::RunStarted {
        run: run_id(number),
        tier: Some(plan.tier),
        plan: plan.id().ok(),
        profiles: Vec::new(),
        lanes: plan.lanes.iter().map(|lane| lane.id.clone()).collect(),
        skipped: plan.skipped.clone(),
        left_out: plan.left_out(),
        folder: String::new(),
    };
    told.push(started);
    for stack in &plan.stacks {
        told.push(Event::StackStarting { stack: stack.profile.clone(), services: Vec::new() });
        told.push(Event::StackReady { stack: stack.profile.clone(), took_ms: 3 });
    }
    for lane in &plan.lanes {
        let id = || lane.id.clone();
        let ids = lane.cases.clone().unwrap_or_default().ids;
        told.push(Event::LaneStarted { lane: id(), waited_ms: 0 });
        let mut counts = Counts::default();
        for case in ids {
            let result = result(&case, Outcome::Passed);
            counts.add(&result);
            told.push(Event::CaseFinished { lane: id(), result, service_logs: Vec::new() });
        }
        told.push(Event::LaneFinished { lane: id(), counts, took_ms: 10, failure: None });
        total.push(counts);
    }
    let counts = Counts::sum(total);
    told.push(Event::RunFinished { run: run_id(number), counts, exit_code: ExitCode::Passed, took_ms: 50 });
    let stamp = |(seq, event): (u64, Event)| {
        let later = SignedDuration::from_millis(i64::try_from(seq).unwrap());
        Stamped { seq, at: start(number) + later, elapsed_us: seq * 1000, event }
    };
    let image = RecordedImage { reference: "testbed/tests:x".to_owned(), id: "sha256:1".to_owned() };
    let manifest = Manifest {
        schema: SCHEMA,
        run: run_id(number),
        testbed: "0.1.0".to_owned(),
        arguments: vec!["testbed".to_owned()],
        tier: Some(plan.tier),
        plan: plan.id().ok(),
        images: [("tests".to_owned(), image)].into(),
        environments: Vec::new(),
        facts: Facts::default(),
        changes: None,
        seed: 0,
        budget_ms: None,
        shares: Vec::new(),
        started: start(number),
        finished: Some(start(number) + SignedDuration::from_secs(5)),
        counts: Some(counts),
        exit_code: Some(ExitCode::Passed),
    };
    Record { manifest, plan: Some(plan), events: (0..).zip(told).map(stamp).collect(), damaged: 0 }
}

fn lane(profile: &str) -> LaneId {
    LaneId { suite: "e2e".to_owned(), part: None, profile: Some(profile.to_owned()) }
}

/// A whole of four cases in one lane, and its two shares.
fn two() -> [Record; 2] {
    let mut whole = premerge();
    whole.lanes.retain(|its| its.id == lane("mocker"));
    let with = |plan: &mut Plan, ids: &[&str]| {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        plan.lanes[0].cases = Some(Cases { ids, ..Cases::default() });
    };
    with(&mut whole, &["a", "b", "c", "d"]);
    let share = |ids: &[&str]| {
        let mut plan = Plan { whole: Some(Box::new(whole.clone())), ..whole.clone() };
        with(&mut plan, ids);
        plan
    };
    [record_of(1, share(&["a", "c"])), record_of(2, share(&["b", "d"]))]
}

fn told(error: &MergeError) -> String {
    format!("{error}\nhint: {}", error.hint().unwrap())
}

fn finished(record: &Record) -> Vec<String> {
    let of = |stamped: &Stamped| match &stamped.event {
        Event::CaseFinished { lane, result, .. } => Some(format!("{lane} {}", result.case.id)),
        _ => None,
    };
    let mut all: Vec<String> = record.events.iter().filter_map(of).collect();
    all.sort();
    all
}

#[test]
fn two_shares_give_the_plan_the_counts_and_the_axis_of_the_whole() {
    let shares = two();
    let whole = merge(run_id(9), "there", &shares).unwrap();
    let plan = whole.plan.as_ref().unwrap();
    assert_eq!(whole.manifest.plan, plan.id().ok());
    assert_eq!(plan.whole, None);
    assert_eq!(whole.manifest.counts.map(|counts| counts.passed), Some(4));
    assert_eq!(whole.manifest.exit_code, Some(ExitCode::Passed));
    assert_eq!(whole.manifest.shares, [run_id(1), run_id(2)]);
    assert_eq!((whole.manifest.started, whole.manifest.finished), (start(1), Some(start(7))));
    let kinds: Vec<String> = whole
        .events
        .iter()
        .map(|stamped| {
            let value = serde_json::to_value(&stamped.event).unwrap();
            format!("{} {}", stamped.elapsed_us / 1000, value["event"].as_str().unwrap())
        })
        .collect();
    insta::assert_snapshot!(kinds.join("\n"));
}

#[test]
fn a_lane_ends_once_with_the_counts_of_all_and_the_first_failure() {
    let mut shares = two();
    for share in &mut shares {
        for stamped in &mut share.events {
            if let Event::LaneFinished { took_ms, failure, .. } = &mut stamped.event {
                *took_ms = if share.manifest.run == run_id(1) { 70 } else { 20 };
                *failure = (share.manifest.run == run_id(2)).then(|| crate::event::LaneFailure {
                    message: "the tool crashed".to_owned(),
                    environment: false,
                    log: Vec::new(),
                });
            }
        }
    }
    let whole = merge(run_id(9), "there", &shares).unwrap();
    let ends: Vec<_> = whole
        .events
        .iter()
        .filter_map(|stamped| match &stamped.event {
            Event::LaneFinished { counts, took_ms, failure, .. } => {
                Some((counts.passed, *took_ms, failure.clone().map(|failure| failure.message)))
            }
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(4, 70, Some("the tool crashed".to_owned()))]);
}

#[test]
fn a_share_that_was_killed_leaves_its_results_and_no_verdict() {
    let mut shares = two();
    shares[1].manifest.finished = None;
    shares[1].manifest.counts = None;
    shares[1].manifest.exit_code = None;
    shares[1].events.retain(|stamped| {
        !matches!(stamped.event, Event::RunFinished { .. } | Event::LaneFinished { .. })
            && !matches!(&stamped.event, Event::CaseFinished { result, .. } if result.case.id == "d")
    });
    let whole = merge(run_id(9), "there", &shares).unwrap();
    assert_eq!(whole.manifest.counts.map(|counts| counts.passed), Some(3));
    assert_eq!(whole.manifest.exit_code, Some(ExitCode::Interrupted));
    assert_eq!(whole.manifest.finished, None);
    assert!(!whole.events.iter().any(|stamped| matches!(stamped.event, Event::RunFinished { .. })));
}

#[test]
fn what_is_no_whole_is_told_with_the_way_out() {
    let [first, second] = two();
    let mut less = second.clone();
    less.plan.as_mut().unwrap().lanes.clear();
    let mut other_plan = second.clone();
    other_plan.plan.as_mut().unwrap().whole.as_mut().unwrap().project = "another".to_owned();
    let mut other_image = second;
    other_image.manifest.images.get_mut("tests").unwrap().id = "sha256:2".to_owned();
    let again = record_of(3, first.plan.clone().unwrap());
    let second =
        [None, Some(record_of(3, premerge())), Some(again), Some(less), Some(other_plan), Some(other_image)];
    let refusals = second.into_iter().map(|second| {
        let records: Vec<Record> = std::iter::once(first.clone()).chain(second).collect();
        told(&merge(run_id(9), "there", &records).unwrap_err())
    });
    insta::assert_snapshot!(refusals.collect::<Vec<_>>().join("\n\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn shares_of_any_tier_give_what_the_whole_would_have_left(plans in any_shares()) {
        let whole_plan = plans[0].whole.as_deref().unwrap().clone();
        let shares: Vec<Record> =
            plans.into_iter().enumerate().map(|(number, plan)| record_of(number, plan)).collect();
        let merged = merge(run_id(9), "there", &shares).unwrap();
        let alone = record_of(9, whole_plan);
        prop_assert_eq!(finished(&merged), finished(&alone));
        prop_assert_eq!(merged.manifest.counts, alone.manifest.counts);
        prop_assert_eq!(&merged.manifest.plan, &alone.manifest.plan);
        let mut turned = shares.clone();
        turned.reverse();
        prop_assert_eq!(merge(run_id(9), "there", &turned).unwrap(), merged);
    }
}

#[test]
fn stacks_of_shares_are_told_apart() {
    assert_eq!(stack_name("mocker", 1), "mocker.2");
}
