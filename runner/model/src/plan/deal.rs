//! The share of a plan that one of several machines executes, and the files that lanes then have to collect.

use std::collections::{BTreeMap, BTreeSet};

use super::{Choice, SkipGroup, SkipReason, SkippedLane};
use crate::budget::Durations;
use crate::lane::{Cases, Lane, SuiteKind};
use crate::shard::{Dealt, Shard, split};

/// Keeps of all lanes what belongs to a shard; every other case is skipped with the shard that has it. A lane whose cases are
/// not known cannot be divided: the first shard has it.
pub(super) fn keep_share(
    lanes: Vec<Lane>,
    shard: Shard,
    durations: &Durations,
) -> (Vec<Lane>, Vec<SkippedLane>, Vec<SkipGroup>) {
    let dealt: Vec<Dealt> = lanes.iter().flat_map(|lane| dealt_of(lane, durations)).collect();
    let owners: BTreeMap<(String, &str), u32> = split(&dealt, shard.count())
        .into_iter()
        .zip(1_u32..)
        .flat_map(|(share, number)| share.into_iter().map(move |at| (at, number)))
        .filter_map(|(at, number)| {
            dealt.get(at).map(|case| ((case.lane.to_string(), case.id.as_str()), number))
        })
        .collect();
    let mut kept = Vec::new();
    let mut skipped = Vec::new();
    let mut others: BTreeMap<(String, u32), Vec<String>> = BTreeMap::new();
    for mut lane in lanes {
        let name = lane.id.to_string();
        let Some(cases) = &mut lane.cases else {
            if shard.number() == 1 {
                kept.push(lane);
            } else {
                let reason = "its cases are not known, so the first shard executes it".to_owned();
                skipped.push(SkippedLane { lane: lane.id, reason });
            }
            continue;
        };
        let before = cases.ids.len();
        for id in std::mem::take(&mut cases.ids) {
            match owners.get(&(name.clone(), id.as_str())) {
                Some(number) if *number == shard.number() => cases.ids.push(id),
                Some(number) => others.entry((lane.id.suite.clone(), *number)).or_default().push(id),
                None => {}
            }
        }
        cases.whole &= cases.ids.len() == before;
        if shard.number() != 1 {
            cases.whole &= cases.broken.is_empty();
            cases.broken.clear();
            cases.withheld.clear();
        }
        if cases.ids.is_empty() && cases.broken.is_empty() {
            let reason = format!("none of its cases belongs to shard {shard}");
            skipped.push(SkippedLane { lane: lane.id, reason });
        } else {
            kept.push(lane);
        }
    }
    let group =
        |((suite, shard), cases)| SkipGroup { suite, reason: SkipReason::OtherShard { shard }, cases };
    (kept, skipped, others.into_iter().map(group).collect())
}

fn dealt_of(lane: &Lane, durations: &Durations) -> Vec<Dealt> {
    let ids = lane.cases.as_ref().map_or(&[][..], |cases| &cases.ids);
    let dealt = |id: &String| Dealt {
        lane: lane.id.clone(),
        file: Some(id.split("::").next().unwrap_or(id).to_owned()),
        id: id.clone(),
        cost_ms: durations.of(&lane.id.suite, lane.test_type, id).0,
    };
    ids.iter().map(dealt).collect()
}

/// Names the files that a lane of pytest has to collect, where these are fewer than its paths hold. A lane that tries broken files
/// again collects all of its paths, unless `--case` asks for them: a `conftest.py` that cannot be imported is one broken folder
/// then, while pytest gives up altogether when it is to begin with a file beside it.
pub(super) fn name_files(lanes: &mut [Lane], choice: &Choice) {
    let is_narrow = |cases: &Cases| !cases.whole && (cases.broken.is_empty() || !choice.cases.is_empty());
    for lane in lanes.iter_mut().filter(|lane| lane.kind == SuiteKind::Pytest) {
        let Some(cases) = lane.cases.as_mut().filter(|cases| is_narrow(cases)) else { continue };
        let of_cases = cases.ids.iter().map(|id| id.split("::").next().unwrap_or(id));
        let mut seen = BTreeSet::new();
        cases.files = of_cases
            .chain(cases.broken.iter().map(String::as_str))
            .filter(|file| seen.insert(*file))
            .map(str::to_owned)
            .collect();
    }
}
