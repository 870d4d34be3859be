//! Which models stacks and lanes are given, and what becomes of cases that name one.

use std::collections::BTreeMap;

use serde_json::json;

use super::cases::{case, catalog, mark, reasons};
use super::{World, shown};
use crate::models::{FILE, Models};
use crate::plan::Plan;
use crate::selection::Mark;
use crate::tier::Tier;

const QWEN: &str = "Qwen/Qwen3-0.6B";

fn model(name: &str) -> Mark {
    Mark { args: vec![json!(name)], ..mark("model") }
}

fn world() -> World {
    let mut world = World::new();
    let python = catalog(vec![
        case("u.py::test_plain", vec![]),
        case("u.py::test_tokens", vec![model(QWEN)]),
        case("u.py::test_moon", vec![model("moon/Moon-1B")]),
    ]);
    let e2e = catalog(vec![
        case("e.py::test_any", vec![]),
        case(
            "e.py::test_qwen",
            vec![Mark {
                kwargs: BTreeMap::from([("name".to_owned(), json!("qwen3-0.6b"))]),
                ..mark("model")
            }],
        ),
    ]);
    world.catalog.suites = BTreeMap::from([("python".to_owned(), python), ("e2e".to_owned(), e2e)]);
    world
}

fn mounted(plan: &Plan, lane: &str) -> Vec<String> {
    let lane = plan.lanes.iter().find(|it| it.id.to_string() == lane).unwrap();
    lane.mounts.iter().map(|mount| format!("{} {mount:?}", mount.model().unwrap())).collect()
}

#[test]
fn a_lane_gets_the_models_of_its_profile_and_of_its_cases() {
    let plan = world().plan(Tier::Premerge, &["mocker"], &["python", "e2e"]).unwrap();
    assert_eq!(
        mounted(&plan, "python"),
        ["qwen3-0.6b Model { model: \"qwen3-0.6b\", target: \"/models/qwen3-0.6b\" }"]
    );
    let of_e2e = mounted(&plan, "e2e@mocker");
    assert_eq!(of_e2e.len(), 2, "{of_e2e:?}");
    assert!(of_e2e[1].starts_with("tiny "), "{of_e2e:?}");
    let names: Vec<&String> = plan.models.keys().collect();
    assert_eq!(names, ["qwen3-0.6b", "tiny"]);
    assert!(plan.models.values().all(|content| content.0.len() == 16), "{:?}", plan.models);
}

#[test]
fn cases_that_are_not_chosen_ask_for_no_model() {
    let mut world = world();
    world.catalog.suites.get_mut("e2e").unwrap().cases.retain(|row| row.id == "e.py::test_any");
    let plan = world.plan(Tier::Premerge, &["mocker"], &["e2e"]).unwrap();
    assert_eq!(plan.models.keys().collect::<Vec<_>>(), ["tiny"]);
}

#[test]
fn a_case_whose_model_nobody_knows_is_skipped_and_says_so() {
    let plan = world().plan(Tier::Premerge, &[], &["python"]).unwrap();
    assert_eq!(
        reasons(&plan, "python"),
        ["u.py::test_moon: it needs the model `moon/Moon-1B`, which models/models.toml does not have"]
    );
    let of_python = plan.skips.iter().filter(|group| group.suite == "python");
    assert!(of_python.clone().count() == 1 && of_python.clone().all(|group| group.reason.is_withheld()));
}

#[test]
fn a_profile_may_name_a_repository_and_a_misspelt_model_is_refused_at_its_place() {
    let profile = |models: &str| {
        World::new().profile(
            "mocker",
            &format!("stack = \"compose/mocker.yaml\"\ntiers = [\"premerge\"]\nmodels = [{models}]\n"),
        )
    };
    let plan = profile("\"Qwen/Qwen3-0.6B\"").plan(Tier::Premerge, &["mocker"], &["e2e"]).unwrap();
    assert_eq!(plan.models.keys().collect::<Vec<_>>(), ["qwen3-0.6b"]);
    let error = profile("\"tny\"").plan(Tier::Premerge, &["mocker"], &["e2e"]).unwrap_err();
    insta::assert_snapshot!(shown(&error));
}

#[test]
fn a_model_that_nobody_has_pinned_says_so_in_the_plan() {
    let mut world = world();
    let text = include_str!("../../../../../models/models.toml");
    let (head, tail) = text.split_once("path = \"vocab.json\"").unwrap();
    let (_, rest) = tail.split_once('}').unwrap();
    world.models = Models::parse(FILE, &format!("{head}path = \"vocab.json\" }}{rest}")).unwrap();
    let plan = world.plan(Tier::Premerge, &[], &["python"]).unwrap();
    assert_eq!(plan.models["qwen3-0.6b"].0, "unpinned");
}

#[test]
fn a_profile_without_models_leaves_the_folder_as_it_is() {
    let world = World::new().profile("mocker", "stack = \"compose/mocker.yaml\"\ntiers = [\"premerge\"]\n");
    let plan = world.plan(Tier::Premerge, &["mocker"], &["e2e"]).unwrap();
    assert_eq!(crate::record::environment::mounted(&plan), ["models".to_owned()].into());
    assert!(plan.models.is_empty());
}
