//! What is true of every plan.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{PROJECT, World};
use crate::plan::{Choice, Inputs, Plan, plan};
use crate::tier::Tier;
use crate::{profile, project};

#[test]
fn a_plan_reads_back_from_its_own_bytes() {
    let plan = World::new().plan(Tier::Release, &[], &[]).unwrap();
    let bytes = plan.canonical_json().unwrap();
    let again: Plan = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(again, plan);
    assert_eq!(again.id().unwrap(), plan.id().unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn equal_inputs_give_equal_bytes_in_whatever_order_they_come(
        tier in prop::sample::select(Tier::ALL.to_vec()),
        rotation in 0_usize..5,
        named in prop::collection::vec(prop::sample::select(vec!["mocker", "mocker-file", "mocker-trtllm"]), 0..3),
        cores in 1_u32..64,
    ) {
        let mut world = World::new();
        let first = world.plan(tier, &named, &[]).unwrap();
        // What another machine has more of, and how the command line orders names, decide nothing.
        world.facts.cores = cores;
        world.facts.kernel = "another".into();
        let mut environments = world.environments().unwrap();
        environments.rotate_left(rotation);
        let mut profiles: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
        profiles.reverse();
        let second = plan(&Inputs {
            tier,
            project: &project::parse("testbed.toml", &world.project).unwrap(),
            base: &world.resolve("default").unwrap(),
            environments: &environments,
            profiles: &profile::names(&world.profiles).into_iter().collect::<BTreeSet<_>>(),
            images: &world.images,
            facts: &world.facts,
            choice: &Choice { profiles, ..Choice::default() },
            catalog: &world.catalog,
            vocabulary: &world.vocabulary,
            today: super::TODAY,
            impact: None,
            durations: &world.durations,
        }).unwrap();
        prop_assert_eq!(first.canonical_json().unwrap(), second.canonical_json().unwrap());
        prop_assert_eq!(first.id().unwrap(), second.id().unwrap());
    }

    #[test]
    fn every_suite_gets_a_lane_or_a_reason_in_every_tier(
        tier in prop::sample::select(Tier::ALL.to_vec()),
        named in prop::collection::vec(prop::sample::select(vec!["mocker", "mocker-file"]), 0..2),
    ) {
        let world = World::new();
        let plan = world.plan(tier, &named, &[]).unwrap();
        for suite in project::parse("testbed.toml", PROJECT).unwrap().suites {
            let planned = plan.lanes.iter().any(|lane| lane.id.suite == suite.name);
            let skipped = plan.skipped.iter().any(|skip| skip.lane.suite == suite.name);
            prop_assert!(planned || skipped, "{}", suite.name);
        }
        for lane in &plan.lanes {
            prop_assert!(plan.images.contains_key(&lane.image));
            prop_assert!(!plan.skipped.iter().any(|skip| skip.lane == lane.id), "{}", lane.id);
            if let Some(profile) = &lane.id.profile {
                prop_assert!(plan.stack(profile).is_some());
            }
        }
        for stack in &plan.stacks {
            prop_assert!(plan.lanes.iter().any(|lane| lane.id.profile.as_ref() == Some(&stack.profile)));
        }
    }
}
