//! The time axis of the canned runs.

use super::{Axis, MomentKind, State};
use crate::canned;

#[test]
fn no_two_cases_of_a_slot_overlap_and_no_two_states_of_a_track() {
    for (name, make) in canned::ALL {
        let events = make();
        let axis = Axis::of(&events);
        for (at, lane) in axis.lanes.iter().enumerate() {
            for slot in 0..lane.slots {
                let of_slot = axis.cases.iter().filter(|case| case.lane == at && case.slot == slot);
                let times: Vec<(u64, u64)> = of_slot.map(|case| (case.begin_us, case.end_us)).collect();
                assert!(times.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{name}: {times:?}");
                assert!(times.iter().all(|(begin, end)| begin <= end && *end <= axis.end_us), "{name}");
            }
        }
        let services = axis.stacks.iter().flat_map(|stack| stack.services.iter().chain([&stack.track]));
        for track in services.chain(&axis.images) {
            let pairs = track.spans.windows(2);
            assert!(pairs.clone().all(|pair| pair[0].end_us <= pair[1].begin_us), "{name}: {track:?}");
        }
    }
}

#[test]
fn a_service_is_created_starts_serves_and_stops() {
    let events = canned::green();
    let axis = Axis::of(&events);
    let stack = &axis.stacks[0];
    let frontend = stack.services.iter().find(|service| service.name == "frontend").unwrap();
    let states: Vec<State> = frontend.spans.iter().map(|span| span.state).collect();
    assert_eq!((states.first(), states.last()), (Some(&State::Create), Some(&State::Stop)));
    assert!(!frontend.moments.is_empty());
}

#[test]
fn a_death_is_a_moment_and_what_it_cut_short_ends_with_its_lane() {
    let events = canned::dead_worker();
    let axis = Axis::of(&events);
    let worker = axis.stacks[0].services.iter().find(|service| service.name == "worker-1").unwrap();
    let died = worker.moments.iter().find(|moment| moment.kind == MomentKind::Died).unwrap();
    assert!(died.text.to_string().contains("lack of memory"), "{}", died.text);
    let cut = axis.cases.iter().find(|case| case.result.is_none()).unwrap();
    assert!(cut.end_us < axis.end_us && cut.end_us > cut.begin_us);
}
