//! Occasions, machines and limits follow from tiers, profiles and budgets.

use std::collections::BTreeMap;

use super::{Occasion, Pipeline};
use crate::profile::{self, Resolved};
use crate::project::Budgets;
use crate::tier::Tier;

fn profiles(texts: &[(&str, &str)]) -> Vec<Resolved> {
    let base = include_str!("../../../../envs/default.toml");
    let mut all: BTreeMap<String, String> = BTreeMap::from([("default".to_owned(), base.to_owned())]);
    all.extend(texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    texts.iter().map(|(name, _)| profile::resolve(name, &all, &[]).unwrap()).collect()
}

#[test]
fn every_tier_but_the_first_has_one_occasion_of_its_own() {
    let pipeline = Pipeline::new(".", &[], &Budgets::default());
    let tiers: Vec<Tier> = pipeline.tiers.iter().map(|(tier, _)| *tier).collect();
    assert_eq!(tiers, Tier::ALL[1..]);
    for (tier, occasion) in &pipeline.tiers {
        assert_eq!(pipeline.tier(*occasion), Some(*tier));
    }
    assert_eq!(pipeline.tier(Occasion::Proposal), Some(Tier::Premerge));
}

#[test]
fn machines_are_as_profiles_ask_for_them() {
    let all = profiles(&[
        ("mocker", "stack = \"a.yaml\"\ntiers = [\"premerge\"]\n"),
        ("vllm-tp2", "stack = \"a.yaml\"\ntiers = [\"nightly\"]\n[requirements]\ngpus = 2\n"),
        ("vllm", "stack = \"a.yaml\"\ntiers = [\"postmerge\"]\n[requirements]\ngpus = 1\n"),
        ("by-hand", "stack = \"a.yaml\"\ntiers = []\n[requirements]\ngpus = 8\n"),
    ]);
    let pipeline = Pipeline::new(".", &all, &Budgets::default());
    assert_eq!(pipeline.gpus, [1, 2]);
    assert_eq!(pipeline.plain, ["mocker"]);
    assert_eq!(pipeline.accelerated, ["vllm", "vllm-tp2"]);
    assert_eq!(Pipeline::new(".", &[], &Budgets::default()).gpus, [1]);
}

#[test]
fn a_job_is_ended_long_after_its_budget() {
    let mut budgets = Budgets::default();
    assert_eq!(Pipeline::new(".", &[], &budgets).minutes, 120);
    budgets.tiers.insert(Tier::Premerge, 30 * 60_000);
    budgets.tiers.insert(Tier::Nightly, 90 * 60_000 + 1);
    assert_eq!(Pipeline::new(".", &[], &budgets).minutes, 273);
}
