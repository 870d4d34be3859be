//! What is decided when, without any effect.

use std::collections::BTreeMap;

use proptest::prelude::*;
use testbed_model::lane::SuiteKind;
use testbed_model::plan::Plan;
use testbed_model::stack::Stack;
use testbed_model::tier::Tier;

use super::{Action, Capacity, Input, Order};
use crate::exec::site::tests::{lane, stack_site};

const ROOM: Capacity = Capacity { slots: 4, extra_slots: 1, rising: 2, memory_bytes: 1 << 40, gpus: 8 };

/// A plan of lanes such as `lint` and `e2e@a`; stacks in the order in which they are named.
pub(crate) fn plan(lanes: &[&str]) -> Plan {
    let mut stacks: Vec<Stack> = Vec::new();
    let lanes = lanes.iter().map(|name| {
        let (suite, profile) =
            name.split_once('@').map_or((*name, None), |(suite, profile)| (suite, Some(profile)));
        if let Some(profile) = profile
            && !stacks.iter().any(|stack| stack.profile == profile)
        {
            stacks.push(Stack { profile: profile.to_owned(), ..stack_site().stack });
        }
        lane(SuiteKind::Pytest, suite, profile)
    });
    let lanes = lanes.collect();
    Plan {
        schema: 1,
        tier: Tier::Premerge,
        project: "x".to_owned(),
        images: BTreeMap::new(),
        stacks,
        lanes,
        skipped: Vec::new(),
        skips: Vec::new(),
        models: BTreeMap::new(),
        whole: None,
    }
}

fn prepared(lane: usize) -> Input {
    Input::Prepared { lane, failure: None }
}

fn ended(lane: usize) -> Input {
    Input::LaneEnded { lane, broken: None }
}

fn start(lane: usize, stack: impl Into<Option<usize>>, waited_ms: u64) -> Action {
    Action::Start { lane, stack: stack.into(), waited_ms }
}

fn reported(actions: &[Action]) -> Vec<(usize, &str, bool)> {
    let report = |action: &'_ Action| match action {
        Action::Report { lane, .. } => Some(*lane),
        _ => None,
    };
    let lanes = actions.iter().filter_map(report);
    let failures = actions.iter().filter_map(|action| match action {
        Action::Report { failure, .. } => Some((failure.message.as_str(), failure.environment)),
        _ => None,
    });
    lanes.zip(failures).map(|(lane, (message, environment))| (lane, message, environment)).collect()
}

#[test]
fn preparation_and_stacks_begin_at_once_and_beside_each_other() {
    let mut order = Order::new(&plan(&["lint", "e2e@a", "e2e@b", "e2e@c"]), ROOM);
    let actions = order.step(Input::Begin, 0);
    let prepare = (0..4).map(|lane| Action::Prepare { lane });
    let raise = (0..2).map(|stack| Action::Raise { stack });
    assert_eq!(actions, prepare.chain(raise).collect::<Vec<_>>());
}

#[test]
fn a_lane_without_a_stack_starts_when_it_is_prepared() {
    let mut order = Order::new(&plan(&["lint", "e2e@a"]), ROOM);
    order.step(Input::Begin, 0);
    assert_eq!(order.step(prepared(0), 5), [start(0, None, 0)]);
}

#[test]
fn a_wait_for_a_stack_counts_only_while_nothing_else_is_missing() {
    let mut order = Order::new(&plan(&["e2e@a"]), ROOM);
    order.step(Input::Begin, 0);
    assert_eq!(order.step(prepared(0), 300), []);
    assert_eq!(order.step(Input::StackUp { stack: 0 }, 1000), [start(0, 0, 700)]);
    let mut order = Order::new(&plan(&["e2e@a"]), ROOM);
    order.step(Input::Begin, 0);
    order.step(Input::StackUp { stack: 0 }, 1000);
    assert_eq!(order.step(prepared(0), 3000), [start(0, 0, 0)]);
}

#[test]
fn while_other_lanes_keep_the_processors_busy_a_stack_is_not_waited_for() {
    let mut order = Order::new(&plan(&["lint", "e2e@a"]), Capacity { slots: 1, ..ROOM });
    order.step(Input::Begin, 0);
    // `lint` is still being prepared, which takes its processor too.
    order.step(prepared(1), 0);
    assert_eq!(order.step(prepared(0), 100), [start(0, None, 0)]);
    assert_eq!(order.step(ended(0), 400), []);
    assert_eq!(order.step(Input::StackUp { stack: 0 }, 600), [start(1, 0, 200)]);
}

#[test]
fn a_lane_whose_stack_stands_starts_beyond_the_processors() {
    let mut order = Order::new(&plan(&["lint", "unit", "e2e@a"]), Capacity { slots: 1, ..ROOM });
    order.step(Input::Begin, 0);
    assert_eq!(order.step(prepared(0), 0), [start(0, None, 0)]);
    assert_eq!(order.step(prepared(1), 0), []);
    order.step(prepared(2), 0);
    assert_eq!(order.step(Input::StackUp { stack: 0 }, 300), [start(2, 0, 0)]);
}

#[test]
fn a_lane_of_many_workers_is_not_kept_out_by_narrow_ones_and_keeps_others_out() {
    let mut plan = plan(&["lint", "rust", "unit"]);
    plan.lanes[1].workers = 8;
    let mut order = Order::new(&plan, Capacity { slots: 2, ..ROOM });
    order.step(Input::Begin, 0);
    assert_eq!(order.step(prepared(0), 0), [start(0, None, 0)]);
    assert_eq!(order.step(prepared(1), 0), [start(1, None, 0)]);
    assert_eq!(order.step(prepared(2), 0), []);
    assert_eq!(order.step(ended(0), 0), []);
    assert_eq!(order.step(ended(1), 0), [start(2, None, 0)]);
}

#[test]
fn lanes_of_one_stack_never_overlap_and_the_stack_goes_with_its_last() {
    let mut order = Order::new(&plan(&["integration@a", "e2e@a"]), ROOM);
    order.step(Input::Begin, 0);
    order.step(prepared(1), 0);
    order.step(prepared(0), 0);
    assert_eq!(order.step(Input::StackUp { stack: 0 }, 9), [start(0, 0, 9)]);
    assert_eq!(order.step(ended(0), 20), [start(1, 0, 0)]);
    assert_eq!(order.step(ended(1), 30), [Action::Lower { stack: 0 }]);
    assert_eq!(order.step(Input::StackDown { stack: 0 }, 40), []);
}

#[test]
fn a_stack_that_goes_makes_room_for_the_next() {
    let mut order = Order::new(&plan(&["e2e@a", "e2e@b"]), Capacity { memory_bytes: 5 << 30, ..ROOM });
    assert!(!order.step(Input::Begin, 0).contains(&Action::Raise { stack: 1 }));
    order.step(prepared(0), 0);
    order.step(prepared(1), 0);
    order.step(Input::StackUp { stack: 0 }, 0);
    assert_eq!(order.step(ended(0), 0), [Action::Lower { stack: 0 }]);
    assert_eq!(order.step(Input::StackDown { stack: 0 }, 0), [Action::Raise { stack: 1 }]);
}

#[test]
fn stacks_come_up_one_after_the_other_and_stand_together() {
    let mut order = Order::new(&plan(&["e2e@a", "e2e@b", "e2e@c"]), Capacity { rising: 1, ..ROOM });
    let raised = |actions: Vec<Action>| {
        let raise = |action: &Action| matches!(action, Action::Raise { .. });
        actions.into_iter().filter(raise).collect::<Vec<_>>()
    };
    assert_eq!(raised(order.step(Input::Begin, 0)), [Action::Raise { stack: 0 }]);
    assert_eq!(raised(order.step(Input::StackUp { stack: 0 }, 0)), [Action::Raise { stack: 1 }]);
    let failed = Input::StackFailed { stack: 1, message: "no".to_owned() };
    assert_eq!(raised(order.step(failed, 0)), [Action::Raise { stack: 2 }]);
}

#[test]
fn memory_bounds_the_stacks_but_one_may_always_stand() {
    let of = |memory_bytes| {
        let mut order = Order::new(&plan(&["e2e@a", "e2e@b"]), Capacity { memory_bytes, ..ROOM });
        let actions = order.step(Input::Begin, 0);
        actions.iter().filter(|action| matches!(action, Action::Raise { .. })).count()
    };
    // Four services of 1 GiB each.
    assert_eq!((of(1 << 30), of(7 << 30), of(8 << 30)), (1, 1, 2));
}

#[test]
fn a_stack_that_fails_fails_its_lanes_and_the_others_go_on() {
    let mut order = Order::new(&plan(&["e2e@a", "e2e@b", "unit"]), ROOM);
    order.step(Input::Begin, 0);
    order.step(prepared(1), 0);
    let actions = order.step(Input::StackFailed { stack: 0, message: "no".to_owned() }, 0);
    assert_eq!(reported(&actions), [(0, "no", true)]);
    assert_eq!(order.step(Input::StackUp { stack: 1 }, 0), [start(1, 1, 0)]);
    assert_eq!(order.step(prepared(0), 0), []);
}

#[test]
fn a_stack_that_breaks_under_a_lane_serves_no_other_and_goes() {
    let mut order = Order::new(&plan(&["integration@a", "e2e@a"]), ROOM);
    order.step(Input::Begin, 0);
    order.step(prepared(0), 0);
    order.step(prepared(1), 0);
    order.step(Input::StackUp { stack: 0 }, 0);
    let broken = Some(super::failure("`worker-0` ended with code 1".to_owned(), false));
    let actions = order.step(Input::LaneEnded { lane: 0, broken }, 0);
    assert_eq!(reported(&actions), [(1, "`worker-0` ended with code 1", false)]);
    assert_eq!(actions.last(), Some(&Action::Lower { stack: 0 }));
}

#[test]
fn a_lane_that_cannot_be_prepared_is_reported_and_its_stack_is_not_kept_for_it() {
    let mut order = Order::new(&plan(&["e2e@a"]), ROOM);
    order.step(Input::Begin, 0);
    let failure = super::failure("it does not compile".to_owned(), false);
    let actions = order.step(Input::Prepared { lane: 0, failure: Some(failure) }, 0);
    assert_eq!(reported(&actions), [(0, "it does not compile", false)]);
    assert_eq!(order.step(Input::StackUp { stack: 0 }, 0), [Action::Lower { stack: 0 }]);
}

#[test]
fn after_a_cancel_nothing_begins_and_what_stands_goes_when_it_is_free() {
    let mut order = Order::new(&plan(&["e2e@a", "e2e@b", "unit", "e2e@c"]), ROOM);
    order.step(Input::Begin, 0);
    for lane in 0..4 {
        order.step(prepared(lane), 0);
    }
    order.step(Input::StackUp { stack: 0 }, 0);
    let actions = order.step(Input::Cancel, 0);
    let waiting: Vec<usize> = reported(&actions).into_iter().map(|(lane, ..)| lane).collect();
    assert_eq!(waiting, [1, 3]);
    assert_eq!(order.step(ended(2), 0), []);
    assert_eq!(order.step(ended(0), 0), [Action::Lower { stack: 0 }]);
    assert_eq!(order.step(Input::StackUp { stack: 1 }, 0), [Action::Lower { stack: 1 }]);
}

#[test]
fn a_small_host_still_carries_one_of_everything() {
    assert_eq!(
        Capacity::of_host(2, 100, 3),
        Capacity { slots: 2, extra_slots: 1, rising: 1, memory_bytes: 75, gpus: 3 }
    );
    assert_eq!(
        Capacity::of_host(0, 0, 0),
        Capacity { slots: 1, extra_slots: 1, rising: 1, memory_bytes: 0, gpus: 0 }
    );
    let nothing = Capacity { slots: 0, extra_slots: 0, rising: 0, memory_bytes: 0, gpus: 0 };
    let mut order = Order::new(&plan(&["e2e@a"]), nothing);
    assert!(order.step(Input::Begin, 0).contains(&Action::Raise { stack: 0 }));
    order.step(prepared(0), 0);
    assert_eq!(order.step(Input::StackUp { stack: 0 }, 0), [start(0, 0, 0)]);
}

/// What the world does next, out of what it was asked to do.
fn world(pending: &mut Vec<Action>, choice: usize, fails: bool) -> Option<Input> {
    if pending.is_empty() {
        return None;
    }
    let broken = fails.then(|| "broken".to_owned());
    Some(match pending.swap_remove(choice % pending.len()) {
        Action::Prepare { lane } => {
            Input::Prepared { lane, failure: broken.map(|message| super::failure(message, false)) }
        }
        Action::Raise { stack } => match broken {
            Some(message) => Input::StackFailed { stack, message },
            None => Input::StackUp { stack },
        },
        Action::Start { lane, .. } => {
            Input::LaneEnded { lane, broken: broken.map(|message| super::failure(message, true)) }
        }
        Action::Lower { stack } => Input::StackDown { stack },
        Action::Report { .. } => return None,
    })
}

proptest! {
    /// However the world behaves: each lane is started or reported exactly once, never more lanes or stacks than there is
    /// room for, no two lanes on one stack, and in the end no stack stands.
    #[test]
    fn every_run_comes_to_its_end(
        lanes in proptest::collection::vec(prop_oneof![Just("unit"), Just("e2e@a"), Just("e2e@b"), Just("e2e@c")], 1..7),
        choices in proptest::collection::vec((0usize..8, 0u8..10), 0..200),
        cancel_at in proptest::option::of(0usize..20),
    ) {
        let capacity = Capacity { slots: 2, memory_bytes: 9 << 30, ..ROOM };
        let plan = plan(&lanes);
        let mut order = Order::new(&plan, capacity);
        let (mut running, mut standing) = (Vec::new(), Vec::new());
        let mut settled = vec![0; lanes.len()];
        let mut pending = Vec::new();
        let mut inputs = vec![Input::Begin];
        let mut choices = choices.into_iter().chain(std::iter::repeat((0, 9))).enumerate();
        while let Some(input) = inputs.pop() {
            match &input {
                Input::LaneEnded { lane, .. } => running.retain(|(l, _)| l != lane),
                Input::StackDown { stack } | Input::StackFailed { stack, .. } => standing.retain(|s| s != stack),
                _ => {}
            }
            for action in order.step(input, 0) {
                match &action {
                    Action::Start { lane, stack, .. } => {
                        settled[*lane] += 1;
                        prop_assert!(stack.is_none() || !running.iter().any(|(_, s)| s == stack));
                        running.push((*lane, *stack));
                    }
                    Action::Report { lane, .. } => settled[*lane] += 1,
                    Action::Raise { stack } => standing.push(*stack),
                    _ => {}
                }
                pending.push(action);
            }
            prop_assert!(running.len() <= 3 && standing.len() <= 2);
            while inputs.is_empty() && !pending.is_empty() {
                let Some((step, (choice, luck))) = choices.next() else { break };
                if cancel_at == Some(step) {
                    inputs.push(Input::Cancel);
                } else {
                    inputs.extend(world(&mut pending, choice, luck == 0));
                }
            }
        }
        prop_assert!(settled.iter().all(|count| *count == 1), "{:?}", settled);
        prop_assert!(standing.is_empty(), "{:?}", standing);
    }
}
