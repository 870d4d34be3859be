//! A part of a plan: the same environments, and of their cases only some. What is repeated is repeated as it was.

use std::collections::{BTreeMap, BTreeSet};

use super::{Plan, equip};
use crate::lane::{Cases, LaneId};

/// Cases to keep, by lane: each with its file, where one is known.
pub type Kept = BTreeMap<LaneId, Vec<(String, Option<String>)>>;

/// The plan with these cases alone, in its own order; lanes and stacks that nothing is left of are gone, and so are the images that
/// only they needed.
#[must_use]
pub fn narrowed(plan: &Plan, kept: &Kept) -> Plan {
    let mut plan = Plan { skips: Vec::new(), skipped: Vec::new(), whole: None, ..plan.clone() };
    plan.lanes.retain_mut(|lane| {
        let Some(cases) = kept.get(&lane.id).filter(|cases| !cases.is_empty()) else { return false };
        let wanted: BTreeSet<&str> = cases.iter().map(|(id, _)| id.as_str()).collect();
        let known = lane.cases.take().unwrap_or_default();
        let mut ids: Vec<String> = known.ids.into_iter().filter(|id| wanted.contains(id.as_str())).collect();
        // A lane whose cases nobody knew when it was planned has those that its tool announced.
        let planned: BTreeSet<String> = ids.iter().cloned().collect();
        ids.extend(wanted.into_iter().filter(|id| !planned.contains(*id)).map(str::to_owned));
        let files: BTreeSet<String> = cases.iter().filter_map(|(_, file)| file.clone()).collect();
        let all_known = cases.iter().all(|(_, file)| file.is_some());
        let files = if all_known { files.into_iter().collect() } else { Vec::new() };
        lane.cases = Some(Cases { ids, whole: false, files, broken: Vec::new(), withheld: Vec::new() });
        // What other stacks would have executed is decided already.
        lane.covered_by.clear();
        lane.covered_later.clear();
        true
    });
    let lanes = &plan.lanes;
    plan.stacks.retain(|stack| lanes.iter().any(|lane| lane.id.profile.as_deref() == Some(&stack.profile)));
    let services = plan.stacks.iter().flat_map(|stack| stack.services.values()).map(|service| &service.image);
    let needed: BTreeSet<&String> = services.chain(lanes.iter().map(|lane| &lane.image)).collect();
    plan.images.retain(|image, _| needed.contains(image));
    let mounted: BTreeSet<&str> = equip::mounted(&plan.stacks, &plan.lanes).collect();
    plan.models.retain(|model, _| mounted.contains(model.as_str()));
    plan
}

#[cfg(test)]
mod tests {
    use super::{Kept, narrowed};
    use crate::lane::{Cases, LaneId};
    use crate::plan::tests::premerge;

    fn lane(profile: &str) -> LaneId {
        LaneId { suite: "e2e".to_owned(), part: None, profile: Some(profile.to_owned()) }
    }

    #[test]
    fn what_is_kept_is_as_it_was_and_the_rest_is_gone() {
        let mut plan = premerge();
        for lane in &mut plan.lanes {
            let ids = ["a", "b", "c"].map(str::to_owned).to_vec();
            lane.cases = Some(Cases { ids, whole: true, ..Cases::default() });
        }
        let file = Some("x.py".to_owned());
        let kept: Kept =
            [(lane("mocker-file"), vec![("c".to_owned(), file.clone()), ("a".to_owned(), file)])].into();
        let less = narrowed(&plan, &kept);
        let names: Vec<String> = less.lanes.iter().map(|lane| lane.id.to_string()).collect();
        assert_eq!(names, ["e2e@mocker-file"]);
        let cases = less.lanes[0].cases.as_ref().unwrap();
        assert_eq!(
            (cases.ids.join(" "), cases.files.join(" "), cases.whole),
            ("a c".into(), "x.py".into(), false)
        );
        assert_eq!(less.stacks, [plan.stack("mocker-file").unwrap().clone()]);
        assert!(less.images.contains_key("dynamo") && less.images.contains_key("tests"));
        assert!(!less.images.contains_key("nats"), "nothing of this stack needs it");
    }

    #[test]
    fn a_lane_whose_cases_were_not_known_has_those_that_were_announced() {
        let plan = premerge();
        let kept: Kept = [(lane("mocker"), vec![("b".to_owned(), None), ("a".to_owned(), None)])].into();
        let less = narrowed(&plan, &kept);
        let cases = less.lanes[0].cases.as_ref().unwrap();
        assert_eq!((cases.ids.join(" "), cases.files.len()), ("a b".into(), 0));
    }

    #[test]
    fn nothing_kept_is_an_empty_plan() {
        let less = narrowed(&premerge(), &Kept::new());
        assert!(less.lanes.is_empty() && less.stacks.is_empty() && less.images.is_empty());
    }
}
