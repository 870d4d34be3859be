//! Which suites run where, and in which order.

use std::collections::BTreeSet;

use super::{PROFILES, World, lanes, skips};
use crate::tier::Tier;

#[test]
fn premerge_is_lint_then_unit_then_each_profile_that_serves_it() {
    let plan = World::new().plan(Tier::Premerge, &[], &[]).unwrap();
    assert_eq!(
        lanes(&plan),
        [
            "lint",
            "python",
            "rust",
            "integration@mocker",
            "e2e@mocker",
            "integration@mocker-disagg",
            "e2e@mocker-disagg",
            "integration@mocker-file",
            "e2e@mocker-file",
        ]
    );
    let stacks: Vec<&str> = plan.stacks.iter().map(|stack| stack.profile.as_str()).collect();
    assert_eq!(stacks, ["mocker", "mocker-disagg", "mocker-file"]);
    insta::assert_snapshot!(skips(&plan).join("\n"), @"
    integration@mocker-sglang: the profile serves `postmerge`, which comes after `premerge`
    integration@mocker-trtllm: the profile serves `postmerge`, which comes after `premerge`
    e2e@mocker-sglang: the profile serves `postmerge`, which comes after `premerge`
    e2e@mocker-trtllm: the profile serves `postmerge`, which comes after `premerge`
    soak: it belongs to `nightly`, which comes after `premerge`
    ");
}

#[test]
fn this_repository_is_its_own_first_project() {
    let mut world = World::new();
    world.project = include_str!("../../../../../testbed.toml").to_owned();
    let plan = world.plan(Tier::Premerge, &[], &[]).unwrap();
    let types: BTreeSet<&str> = plan.lanes.iter().map(|lane| lane.test_type.name()).collect();
    assert_eq!(types, ["e2e", "integration", "lint", "unit"].into());
    for profile in ["mocker", "mocker-disagg", "mocker-file", "mocker-sglang", "mocker-trtllm"] {
        let plan = world.plan(Tier::Premerge, &[profile], &[]).unwrap();
        assert!(plan.stack(profile).is_some(), "{profile}");
    }
}

#[test]
fn precommit_is_lint_alone() {
    let plan = World::new().plan(Tier::Precommit, &[], &[]).unwrap();
    assert_eq!(lanes(&plan), ["lint"]);
    assert!(plan.stacks.is_empty());
    assert_eq!(plan.images.keys().collect::<Vec<_>>(), ["tests"]);
}

#[test]
fn later_tiers_hold_all_that_earlier_ones_hold() {
    let world = World::new();
    let mut earlier: BTreeSet<String> = BTreeSet::new();
    for tier in Tier::ALL {
        let now: BTreeSet<String> = lanes(&world.plan(tier, &[], &[]).unwrap()).into_iter().collect();
        assert!(now.is_superset(&earlier), "{tier}");
        earlier = now;
    }
    assert!(earlier.contains("e2e@mocker-trtllm") && earlier.contains("soak@mocker"));
}

#[test]
fn later_profiles_know_what_earlier_ones_cover() {
    let plan = World::new().plan(Tier::Premerge, &[], &[]).unwrap();
    let covered = |id: &str| -> Vec<String> {
        let lane = plan.lanes.iter().find(|lane| lane.id.to_string() == id).unwrap();
        lane.covered_by.iter().map(|facts| facts["profile"].clone()).collect()
    };
    assert!(covered("e2e@mocker").is_empty());
    assert_eq!(covered("e2e@mocker-disagg"), ["mocker"]);
    assert_eq!(covered("e2e@mocker-file"), ["mocker", "mocker-disagg"]);
    assert!(covered("lint").is_empty());
}

#[test]
fn earlier_profiles_know_what_later_ones_will_cover() {
    let plan = World::new().plan(Tier::Premerge, &[], &[]).unwrap();
    let later = |id: &str| -> Vec<String> {
        let lane = plan.lanes.iter().find(|lane| lane.id.to_string() == id).unwrap();
        lane.covered_later.iter().map(|facts| facts["profile"].clone()).collect()
    };
    assert_eq!(later("e2e@mocker"), ["mocker-disagg", "mocker-file"]);
    assert_eq!(later("e2e@mocker-disagg"), ["mocker-file"]);
    assert!(later("e2e@mocker-file").is_empty() && later("lint").is_empty());
}

#[test]
fn a_named_profile_is_executed_whole_even_when_it_serves_a_later_tier() {
    let plan = World::new().plan(Tier::Premerge, &["mocker-sglang"], &[]).unwrap();
    assert_eq!(lanes(&plan), ["lint", "python", "rust", "integration@mocker-sglang", "e2e@mocker-sglang"]);
    let plan = World::new().plan(Tier::Premerge, &["mocker-file", "mocker"], &["e2e"]).unwrap();
    assert_eq!(lanes(&plan), ["e2e@mocker", "e2e@mocker-file"]);
    assert!(plan.lanes.iter().all(|lane| lane.covered_by.is_empty()));
    assert!(skips(&plan).contains(&"e2e@mocker-disagg: `--profile` names others".to_owned()));
    assert!(skips(&plan).contains(&"lint: `--suite` names others".to_owned()));
}

#[test]
fn lanes_take_times_limits_and_expressions_from_suite_profile_and_tier() {
    let world = World::new().profile(
        "mocker",
        &format!("{}\n[limits.executor]\nmemory = \"8g\"\n", PROFILES[1].1.replace("\"5m\"", "\"3m\"")),
    );
    let plan = world.plan(Tier::Premerge, &[], &[]).unwrap();
    let lane = |id: &str| plan.lanes.iter().find(|lane| lane.id.to_string() == id).unwrap();
    let integration = lane("integration@mocker");
    assert_eq!((integration.timeouts.case_ms, integration.timeouts.suite_ms), (10_000, 180_000));
    assert_eq!(integration.limits.memory_bytes, 8 << 30);
    assert_eq!(integration.expression.as_deref(), Some("(pre_merge or premerge) and (not slow)"));
    assert_eq!(lane("python").timeouts.suite_ms, 900_000);
    assert_eq!(lane("python").workers, 2);
    assert_eq!(lane("rust").expression.as_deref(), Some("not binary(daemon)"));
    assert_eq!(lane("lint").expression, None);
    assert_eq!(lane("lint").image_reference, "testbed/tests:0123456789ab");
}
