//! What the command line narrows a plan to, and what the host allows.

use std::collections::BTreeSet;

use super::{PROFILES, PROJECT, World, shown, skips};
use crate::exit_code::ExitCode;
use crate::facts::Facts;
use crate::hint::Hint as _;
use crate::plan::{PlanError, choose};
use crate::tier::Tier;

#[test]
fn a_profile_that_this_host_cannot_serve_is_left_out_or_an_error_when_named() {
    let mut world =
        World::new().profile("mocker-file", &format!("{}\n[requirements]\ngpus = 2\n", PROFILES[3].1));
    let plan = world.plan(Tier::Premerge, &[], &["e2e"]).unwrap();
    assert!(skips(&plan).contains(
        &"e2e@mocker-file: the profile cannot run here: it needs GPUs: 2, and this host has 0".to_owned()
    ));
    let error = world.plan(Tier::Premerge, &["mocker-file"], &[]).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Environment);
    insta::assert_snapshot!(shown(&error), @"
    the profile `mocker-file` cannot run here: it needs GPUs: 2, and this host has 0
    hint: leave `--profile` out to run what this host can run
    ");
    world.facts.gpu_trouble = Some("NVML: no answer".to_owned());
    let error = world.plan(Tier::Premerge, &["mocker-file"], &[]).unwrap_err();
    insta::assert_snapshot!(shown(&error), @"
    the profile `mocker-file` cannot run here: it needs GPUs: 2, and this host has 0 that can be asked (NVML: no answer)
    hint: mend the driver until `nvidia-smi` lists the GPUs; without `--profile` runs what this host can run
    ");
    world.facts.gpus = 2;
    world.facts.memory_bytes = 1 << 30;
    let error = world.plan(Tier::Premerge, &["mocker-file"], &[]).unwrap_err();
    assert!(error.to_string().ends_with("it needs 2GiB of memory, and this host has 1GiB"), "{error}");
}

#[test]
fn names_on_the_command_line_must_exist() {
    let world = World::new();
    let error = |profiles: &[&str], suites: &[&str]| {
        let error = world.plan(Tier::Premerge, profiles, suites).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Usage);
        shown(&error)
    };
    assert_eq!(error(&["mokcer"], &[]), "unknown profile `mokcer`\nhint: did you mean `mocker`?");
    assert_eq!(error(&[], &["e2"]), "unknown suite `e2`\nhint: did you mean `e2e`?");
    assert!(error(&["default"], &[]).starts_with("the profile `default` has no stack"));
}

#[test]
fn a_suite_that_names_an_unknown_profile_is_refused() {
    let mut world = World::new();
    world.project = PROJECT.replace("profiles = [\"mocker\"]", "profiles = [\"mockr\"]");
    insta::assert_snapshot!(world.refusal(), @r#"
    testbed.toml:37:13: the suite `soak` names the unknown profile `mockr`
    37 | profiles = ["mockr"]
       |             ^
    hint: did you mean `mocker`?
    "#);
    world.project = PROJECT.replace("profiles = [\"mocker\"]", "profiles = [\"vllm-*\"]");
    let plan = world.plan(Tier::Nightly, &[], &["soak"]).unwrap();
    assert!(skips(&plan).contains(&"soak: there is no profile that it can run in".to_owned()));
}

#[test]
fn the_default_profile_is_the_first_that_can_run_here() {
    let mut world = World::new();
    let environments = world.environments().unwrap();
    let profiles = BTreeSet::from(["mocker".to_owned()]);
    let choice = |named: Option<&str>, facts: &Facts| {
        choose(&environments, named, &profiles, facts).map(|chosen| chosen.profile.name.clone())
    };
    assert_eq!(choice(None, &world.facts).unwrap(), "mocker");
    assert_eq!(choice(Some("mocker-trtllm"), &world.facts).unwrap(), "mocker-trtllm");
    assert_eq!(
        shown(&choice(Some("moker"), &world.facts).unwrap_err()),
        "unknown profile `moker`\nhint: did you mean `mocker`?"
    );
    world.facts.memory_bytes = 1 << 20;
    let error = choice(None, &world.facts).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Environment);
    assert!(error.to_string().starts_with("no profile can run here (`mocker`: it needs 2GiB"), "{error}");
    assert!(matches!(choice(Some("mocker"), &world.facts), Err(PlanError::Unmet { .. })));
}

#[test]
fn every_combination_of_a_matrix_is_executed_whole() {
    let matrix =
        "extends = \"mocker\"\ntiers = [\"nightly\"]\norder = 60\n[axes]\nrouter = [\"random\", \"kv\"]\n";
    let overlay = |mode: &str| format!("[variables]\nDYN_ROUTER_MODE = \"{mode}\"\n");
    let world = World::new()
        .profile("overlays/random", &overlay("random"))
        .profile("overlays/kv", &overlay("kv"))
        .profile("mocker-matrix", matrix);
    let plan = world.plan(Tier::Nightly, &[], &["e2e"]).unwrap();
    let lanes: Vec<String> = plan.lanes.iter().map(|lane| lane.id.to_string()).collect();
    for lane in ["e2e@mocker-matrix+random", "e2e@mocker-matrix+kv"] {
        assert!(lanes.iter().any(|id| id == lane), "{lanes:?}");
    }
    let whole = plan.lanes.iter().filter(|lane| lane.id.to_string().contains('+'));
    assert!(whole.clone().all(|lane| lane.covered_by.is_empty()));
    assert_eq!(plan.stacks.iter().filter(|stack| stack.facts["router"] == "random").count(), 1);
    let environments = world.environments().unwrap();
    let error = choose(&environments, Some("mocker-matrix"), &BTreeSet::new(), &world.facts).unwrap_err();
    insta::assert_snapshot!(shown(&error), @"
    the profile `mocker-matrix` is a matrix, and one of its combinations is wanted
    hint: name one of them: `mocker-matrix+random`, `mocker-matrix+kv`
    ");
    let premerge = world.plan(Tier::Premerge, &[], &["e2e"]).unwrap();
    assert!(premerge.lanes.iter().all(|lane| !lane.id.to_string().contains('+')));
}

#[test]
fn an_overlay_that_means_nothing_to_a_profile_is_refused() {
    let world = World::new().profile("overlays/lost", "[variables]\nNOT_THERE = \"1\"\n");
    let message = shown(&world.environment("mocker+lost").unwrap_err());
    let refusal = "envs/overlays/lost.toml:2:1: `variables` sets `NOT_THERE`, which `compose/mocker.yaml` does not mention\n";
    assert!(
        message.starts_with(refusal) && message.contains("hint: known: `DYN_DISCOVERY_BACKEND`"),
        "{message}"
    );
}
