//! What becomes of single cases, and that nothing is lost on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::{Stage, World, lanes, shown, skips};
use crate::catalog::{Announced, Finding, FindingKind, Gathering, SuiteCatalog, ToolWord};
use crate::changes::{CaseImpact, Impact};
use crate::plan::{Choice, Explained, Plan, PlanError, SkipReason, Verdict, diff, explain, plan as plan_of};
use crate::project::Vocabulary;
use crate::selection::{CasePattern, Expression, Mark};
use crate::shard::Shard;
use crate::tier::Tier;

pub(super) fn mark(name: &str) -> Mark {
    Mark { name: name.to_owned(), ..Mark::default() }
}

fn needs(fact: &str, value: &str) -> Mark {
    Mark { kwargs: BTreeMap::from([(fact.to_owned(), json!(value))]), ..mark("needs") }
}

pub(super) fn case(id: &str, marks: Vec<Mark>) -> Announced {
    let keywords = id.split("::").take(1).map(str::to_owned).collect();
    Announced { id: id.to_owned(), marks, keywords, ..Announced::default() }
}

pub(super) fn catalog(cases: Vec<Announced>) -> SuiteCatalog {
    let mut gathering = Gathering::default();
    for case in cases {
        gathering.add(case);
    }
    gathering.finish()
}

fn vocabulary() -> Vocabulary {
    let group = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), String::new())).collect();
    Vocabulary {
        groups: BTreeMap::from([
            ("tier".to_owned(), group(&["pre_merge", "post_merge", "nightly"])),
            ("hardware".to_owned(), group(&["gpu_0", "gpu_1"])),
            ("type".to_owned(), group(&["unit"])),
        ]),
        defaults: BTreeMap::from([("tier".to_owned(), "pre_merge".to_owned())]),
        aliases: BTreeMap::from([("premerge".to_owned(), "pre_merge".to_owned())]),
        ..Vocabulary::default()
    }
}

/// A world whose suites `python` and `e2e` are cataloged.
fn world() -> World {
    let mut world = World::new();
    world.vocabulary = vocabulary();
    let ignored = Announced { said: Some(ToolWord::LeftOut), ..case("u.py::test_taken", vec![]) };
    let skip = Mark { args: vec![json!("not yet")], ..mark("skip") };
    let python = catalog(vec![
        case("u.py::test_plain", vec![mark("unit")]),
        case("u.py::test_old[x]", vec![mark("premerge"), mark("router")]),
        case("u.py::test_night", vec![mark("nightly")]),
        case("u.py::test_gpu", vec![mark("gpus_needed_2")]),
        case("u.py::test_skip", vec![skip]),
        ignored,
    ]);
    let e2e = catalog(vec![
        case("e.py::test_any", vec![]),
        case("e.py::test_kv", vec![needs("router", "kv")]),
        case("e.py::test_file", vec![needs("discovery", "file")]),
        case("e.py::test_moon", vec![needs("router", "moon")]),
    ]);
    world.catalog.suites = BTreeMap::from([("python".to_owned(), python), ("e2e".to_owned(), e2e)]);
    world
}

fn asked(markers: Option<&str>, keyword: Option<&str>, cases: &[&str], suites: &[&str]) -> Choice {
    let parsed = |text: Option<&str>| text.map(|text| Expression::parse(text).unwrap());
    Choice {
        suites: suites.iter().map(|name| (*name).to_owned()).collect(),
        markers: parsed(markers),
        keyword: parsed(keyword),
        cases: cases.iter().map(|text| CasePattern::new(text)).collect(),
        ..Choice::default()
    }
}

fn executed(plan: &Plan) -> Vec<String> {
    let of_lane = |lane: &crate::lane::Lane| {
        let ids = lane.cases.as_ref().map_or(&[][..], |cases| &cases.ids);
        ids.iter().map(|id| format!("{} {id}", lane.id)).collect::<Vec<_>>()
    };
    plan.lanes.iter().flat_map(of_lane).collect()
}

pub(super) fn reasons(plan: &Plan, suite: &str) -> Vec<String> {
    let of_suite = plan.skips.iter().filter(|group| group.suite == suite);
    of_suite.map(|group| format!("{}: {}", group.cases.join(" "), group.reason)).collect()
}

#[test]
fn every_case_is_executed_once_or_skipped_for_one_reason() {
    let plan = world().plan(Tier::Premerge, &[], &["python", "e2e"]).unwrap();
    assert_eq!(
        executed(&plan),
        [
            "python u.py::test_plain",
            "python u.py::test_old[x]",
            "e2e@mocker e.py::test_any",
            "e2e@mocker e.py::test_kv",
            "e2e@mocker-file e.py::test_file",
        ]
    );
    insta::assert_snapshot!(reasons(&plan, "python").join("\n"), @"
    u.py::test_night: it belongs to `nightly`, which comes later
    u.py::test_gpu: it needs 2 GPUs; this host has none
    u.py::test_skip: marked skip: not yet
    u.py::test_taken: the project's own hooks leave it out
    ");
    let [moon] = reasons(&plan, "e2e").try_into().unwrap();
    assert!(
        moon.starts_with("e.py::test_moon: no profile has what it needs: mocker lacks router moon, has kv; "),
        "{moon}"
    );
    let told: Vec<&str> =
        plan.lanes[0].cases.iter().flat_map(|it| &it.withheld).map(|it| it.id.as_str()).collect();
    assert_eq!(
        told,
        ["u.py::test_gpu", "u.py::test_skip"],
        "the suite's first lane tells of what was asked for"
    );
    assert_eq!(lanes(&plan), ["python", "e2e@mocker", "e2e@mocker-file"]);
    assert_eq!(plan.stacks.len(), 2, "a stack without a case is not brought up");
    assert!(skips(&plan).iter().any(|skip| skip.starts_with("e2e@mocker-disagg: ")), "{:?}", skips(&plan));
}

#[test]
fn what_was_asked_for_narrows_and_is_told_with_its_flag() {
    let world = world();
    let planned = |choice: &Choice| world.with_inputs(Tier::Premerge, choice, plan_of).unwrap();
    let of = |choice: Choice| executed(&planned(&choice));
    let suites = ["python", "e2e"];
    assert_eq!(of(asked(Some("router"), None, &[], &suites)), ["python u.py::test_old[x]"]);
    assert_eq!(
        of(asked(Some("pre_merge and not unit"), None, &[], &["python"])),
        ["python u.py::test_old[x]"]
    );
    assert_eq!(of(asked(None, Some("PLAIN or kv"), &[], &suites)).len(), 2);
    assert_eq!(of(asked(None, Some("u.py and not router"), &[], &suites)), ["python u.py::test_plain"]);
    assert_eq!(of(asked(None, None, &["u.py::test_old"], &suites)), ["python u.py::test_old[x]"]);
    assert_eq!(of(asked(None, None, &["*::test_*l*"], &suites)).len(), 3);
    let plan = planned(&asked(Some("unit"), None, &[], &[]));
    assert_eq!(skips(&plan)[0], "lint: its cases are not known, and `-m` chooses among cases");
    assert!(reasons(&plan, "e2e")[0].ends_with("it does not fit -m `unit`"), "{:?}", plan.skips);
    assert!(skips(&plan).contains(&"e2e@mocker: no case of it fits what was asked for".to_owned()));
}

#[test]
fn a_profile_that_is_named_executes_all_that_applies_to_it() {
    let plan = world().plan(Tier::Premerge, &["mocker", "mocker-file"], &["e2e"]).unwrap();
    let twice = executed(&plan).iter().filter(|line| line.ends_with("test_any")).count();
    assert_eq!(twice, 2);
    assert!(executed(&plan).contains(&"e2e@mocker-file e.py::test_file".to_owned()));
}

#[test]
fn a_profile_that_says_so_executes_what_earlier_ones_execute_too() {
    let text = include_str!("../../../../../envs/mocker-file.toml");
    let world = world().profile("mocker-file", &format!("whole = true\n{text}"));
    let plan = world.plan(Tier::Premerge, &[], &["e2e"]).unwrap();
    assert_eq!(
        executed(&plan),
        [
            "e2e@mocker e.py::test_any",
            "e2e@mocker e.py::test_kv",
            "e2e@mocker-file e.py::test_any",
            "e2e@mocker-file e.py::test_file",
        ]
    );
}

#[test]
fn an_unknown_marker_is_refused_with_the_nearest_one() {
    let mut world = world();
    let error = |world: &World, text: &str, suites: &[&str]| {
        world.with_inputs(Tier::Premerge, &asked(Some(text), None, &[], suites), plan_of).unwrap_err()
    };
    insta::assert_snapshot!(shown(&error(&world, "unit and rooter", &["python"])), @"
    `-m`: column 10: unknown marker `rooter`
    unit and rooter
             ^
    hint: did you mean `router`?
    ");
    let choice = asked(Some("unit and rooter"), None, &[], &[]);
    assert!(
        world.with_inputs(Tier::Premerge, &choice, plan_of).is_ok(),
        "a suite that nobody knows may have it"
    );
    world.catalog.suites.remove("e2e");
    let error = error(&world, "zzzzzzzzz", &["python"]);
    assert!(matches!(error, PlanError::UnknownMarker { column: 1, .. }));
}

#[test]
fn a_case_tells_which_rules_it_passed_and_which_one_decided() {
    let world = world();
    let choice = asked(Some("nightly or gpu_0 or not gpu_0"), None, &[], &[]);
    let of = |id: &str| world.with_inputs(Tier::Premerge, &choice, |inputs| explain(inputs, id)).unwrap();
    let told = |explained: &[Explained]| {
        let step = |it: &crate::plan::Step| format!("{}: {}", it.rule, it.finding);
        explained.iter().flat_map(|it| it.steps.iter().map(step)).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(told(&of("u.py::test_night")), @"
    -m: lets it through
    -k: lets it through
    --case: lets it through
    tier: it belongs to `nightly`, which comes later
    ");
    let [file] = of("e.py::test_file").try_into().unwrap();
    let Verdict::Run(to) = file.verdict else { panic!("{file:?}") };
    assert_eq!(to.iter().map(ToString::to_string).collect::<Vec<_>>(), ["e2e@mocker-file"]);
    assert!(of("nobody").is_empty());
}

#[test]
fn a_suite_of_a_later_tier_is_left_out_case_by_case() {
    let mut world = world();
    let soak = catalog(vec![case("s.py::test_long", vec![])]);
    world.catalog.suites.insert("soak".to_owned(), soak);
    let plan = world.plan(Tier::Premerge, &[], &["soak"]).unwrap();
    let [group] =
        plan.skips.iter().filter(|group| group.suite == "soak").collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(group.reason, SkipReason::OtherTier { tier: Tier::Nightly });
}

#[test]
fn a_lane_that_has_all_its_tool_would_execute_says_so() {
    let mut world = world();
    let whole = |world: &World| {
        let plan = world.plan(Tier::Nightly, &[], &["python"]).unwrap();
        plan.lanes[0].cases.as_ref().unwrap().whole
    };
    assert!(!whole(&world));
    world.catalog.suites.insert(
        "python".to_owned(),
        catalog(vec![case("a", vec![]), Announced { said: Some(ToolWord::NotOfSuite), ..case("b", vec![]) }]),
    );
    assert!(whole(&world));
}

/// The lanes that try broken files, each with the files that it collects, in a world in which `x.py` is broken.
fn tried(world: &World, choice: &Choice) -> Vec<String> {
    let plan = world.with_inputs(Tier::Nightly, choice, plan_of).unwrap();
    let of_lane = |lane: &crate::lane::Lane| {
        let cases = lane.cases.as_ref()?;
        let files = if cases.files.is_empty() { "all paths".to_owned() } else { cases.files.join(" ") };
        (!cases.broken.is_empty()).then(|| format!("{}: {files}", lane.id))
    };
    plan.lanes.iter().filter_map(of_lane).collect()
}

#[test]
fn a_file_that_cannot_be_collected_is_tried_once_by_whoever_may_have_asked_for_it() {
    let mut world = world();
    let broken =
        Finding { kind: FindingKind::Error, file: "x.py".to_owned(), message: String::new(), details: None };
    world.catalog.suites.get_mut("python").unwrap().findings.push(broken.clone());
    let choose = |cases: &[&str]| asked(None, None, cases, &["python"]);
    assert_eq!(tried(&world, &choose(&[])), ["python: all paths"]);
    for none in [&["u.py"][..], &["u.py::test_plain"], &["u.*"]] {
        assert_eq!(tried(&world, &choose(none)), [""; 0], "{none:?}");
    }
    for its in [&["x.py"][..], &["x.py::test_any"], &["x.p*::test_any"], &["*_any"]] {
        assert_eq!(tried(&world, &choose(its)), ["python: x.py"], "{its:?}");
    }
    for (number, expected) in [(1, &["python: all paths"][..]), (2, &[])] {
        let shard = format!("{number}/2").parse().ok();
        assert_eq!(tried(&world, &Choice { shard, ..choose(&[]) }), expected);
    }
    // A suite that has nothing else is red all the same, and a second lane does not try it again.
    let alone = SuiteCatalog { findings: vec![broken], ..catalog(Vec::new()) };
    world.catalog.suites.insert("python".to_owned(), alone);
    assert_eq!(tried(&world, &choose(&[])), ["python: all paths"]);
    world.project.push_str(
        "\n[[lane]]\nname = \"a\"\nsuite = \"python\"\n[[lane]]\nname = \"b\"\nsuite = \"python\"\n",
    );
    assert_eq!(tried(&world, &choose(&[])), ["python/a: all paths"]);
}

#[test]
fn lanes_of_the_project_divide_a_suite_and_what_none_lets_through_is_told() {
    let mut world = world();
    world.project.push_str(
        r#"
[[lane]]
name = "routed"
suite = "python"
expression = "router"
workers = 7

[[lane]]
name = "late"
suite = "python"
expression = "nightly"
tier = "nightly"

[[lane]]
name = "rest"
suite = "e2e"
"#,
    );
    let plan = world.plan(Tier::Premerge, &[], &["python", "e2e"]).unwrap();
    assert_eq!(lanes(&plan), ["python/routed", "e2e/rest@mocker", "e2e/rest@mocker-file"]);
    assert_eq!((plan.lanes[0].workers, executed(&plan)[0].as_str()), (7, "python/routed u.py::test_old[x]"));
    let shut_out = "u.py::test_plain: no lane of its suite lets it through".to_owned();
    assert!(reasons(&plan, "python").contains(&shut_out), "{:?}", plan.skips);
    let nightly = world.plan(Tier::Nightly, &[], &["python"]).unwrap();
    assert_eq!(lanes(&nightly), ["python/routed", "python/late"]);
    let chosen = Choice { lanes: vec!["late".to_owned()], ..asked(None, None, &[], &["python"]) };
    let chosen = world.with_inputs(Tier::Nightly, &chosen, plan_of).unwrap();
    assert_eq!(lanes(&chosen), ["python/late"]);
    let wrong = Choice { lanes: vec!["rooted".to_owned()], ..Choice::default() };
    let error = world.with_inputs(Tier::Nightly, &wrong, plan_of).unwrap_err();
    assert_eq!(shown(&error), "unknown lane `rooted`\nhint: did you mean `routed`?");
}

#[test]
fn two_plans_are_told_apart_by_settings_and_by_what_became_of_cases() {
    let world = world();
    let before = world.plan(Tier::Premerge, &[], &["python"]).unwrap();
    assert!(diff(&before, &before).is_empty());
    let mut changed = World { catalog: world.catalog.clone(), ..World::new() };
    changed.vocabulary = vocabulary();
    changed.facts.gpus = 2;
    changed.project = changed.project.replace("workers = 2", "workers = 3");
    let quarantine = "[[quarantine]]\ncases = [\"u.py::test_p*\"]\nticket = \"T-1\"\nuntil = 2027-01-01\n";
    changed.project.push_str(quarantine);
    let after = changed.plan(Tier::Premerge, &[], &["python"]).unwrap();
    insta::assert_snapshot!(diff(&before, &after).readable(), @"
    lanes.python.workers
      - 2
      + 3
    1 case of python
      - run in python
      + skip: quarantined until 2027-01-01: T-1
          u.py::test_plain
    1 case of python
      - skip: it needs 2 GPUs; this host has none
      + run in python
          u.py::test_gpu
    ");
}

#[test]
fn a_quarantine_holds_until_its_last_day() {
    let until = |day: &str| {
        let mut world = world();
        let quarantine = "\n[[quarantine]]\ncases = [\"u.py::test_p*\"]\nticket = \"T-1\"\n";
        world.project.push_str(&format!("{quarantine}until = {day}\n"));
        reasons(&world.plan(Tier::Premerge, &[], &["python"]).unwrap(), "python")
    };
    let told = "u.py::test_plain: quarantined until 2026-11-21: T-1".to_owned();
    assert!(until("2026-11-21").contains(&told));
    assert!(!until("2026-11-20").iter().any(|reason| reason.contains("T-1")));
}

#[test]
fn what_a_change_does_not_concern_is_left_out_and_everything_means_everything() {
    let mut world = world();
    let all = executed(&world.plan(Tier::Premerge, &[], &["python"]).unwrap());
    let because = CaseImpact::Affected { because: "imports a.py, which changed".to_owned() };
    let impacts: Vec<CaseImpact> =
        (0..6).map(|at| if at == 1 { because.clone() } else { CaseImpact::NotAffected }).collect();
    world.impact = Some(Impact::Cases(BTreeMap::from([("python".to_owned(), impacts)])));
    let plan = world.plan(Tier::Premerge, &[], &["python"]).unwrap();
    assert_eq!(executed(&plan), ["python u.py::test_old[x]"]);
    let told = reasons(&plan, "python");
    // Who asks for what changed has not asked for the rest, so nobody withholds it.
    assert!(told[0].ends_with("u.py::test_skip: no changed file concerns it"), "{told:?}");
    world.impact = Some(Impact::Everything { why: "nobody knows x.bin".to_owned() });
    assert_eq!(executed(&world.plan(Tier::Premerge, &[], &["python"]).unwrap()), all);
}

/// Cases as they come: any mixture of markers that decide something.
fn any_case() -> impl Strategy<Value = Announced> {
    let marks = prop::collection::vec(
        prop::sample::select(vec![
            mark("unit"),
            mark("premerge"),
            mark("post_merge"),
            mark("nightly"),
            mark("gpu_1"),
            mark("skip"),
            mark("router"),
            needs("router", "kv"),
            needs("discovery", "file"),
            needs("router", "moon"),
        ]),
        0..4,
    );
    let said = prop::sample::select(vec![None, None, None, Some(ToolWord::LeftOut), Some(ToolWord::Ignored)]);
    ("[a-c]\\.py::test_[a-e]{1,2}", marks, said)
        .prop_map(|(id, marks, said)| Announced { said, ..case(&id, marks) })
}

fn any_catalog() -> impl Strategy<Value = Vec<Announced>> {
    prop::collection::vec(any_case(), 0..25).prop_map(|mut cases| {
        let mut seen = BTreeSet::new();
        cases.retain(|case| seen.insert(case.id.clone()));
        cases
    })
}

fn any_choice() -> impl Strategy<Value = (Option<String>, Option<String>)> {
    let markers =
        prop::sample::select(vec![None, Some("router"), Some("not unit"), Some("nightly or gpu_1")]);
    let keyword = prop::sample::select(vec![None, Some("a"), Some("b.py and not c")]);
    (markers, keyword).prop_map(|(m, k)| (m.map(str::to_owned), k.map(str::to_owned)))
}

fn of_world(cases: &[Announced]) -> World {
    let mut world = World::new();
    world.vocabulary = vocabulary();
    world
        .vocabulary
        .groups
        .insert("component".to_owned(), BTreeMap::from([("router".to_owned(), String::new())]));
    for suite in ["python", "e2e"] {
        world.catalog.suites.insert(suite.to_owned(), catalog(cases.to_vec()));
    }
    world
}

/// The texts of every world here are the same.
fn stage() -> &'static Stage {
    static STAGE: LazyLock<Stage> = LazyLock::new(|| Stage::of(&World::new()).unwrap());
    &STAGE
}

/// The plans of all shares of one tier, dealt out among machines that know the same.
pub(crate) fn any_shares() -> impl Strategy<Value = Vec<Plan>> {
    (any_catalog(), 2_u32..5, prop::collection::vec(0_u64..5000, 0..25)).prop_map(|(cases, count, times)| {
        let mut world = of_world(&cases);
        world.durations.cases = cases.iter().map(|case| case.id.clone()).zip(times).collect();
        let share = |number| {
            let shard = format!("{number}/{count}").parse().ok();
            let choice = Choice { shard, ..asked(None, None, &[], &["python", "e2e"]) };
            stage().ask(&world, Tier::Premerge, &choice, plan_of).unwrap()
        };
        (1..=count).map(share).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_is_lost_and_nothing_is_told_twice(
        cases in any_catalog(),
        tier in prop::sample::select(Tier::ALL.to_vec()),
        (markers, keyword) in any_choice(),
    ) {
        let world = of_world(&cases);
        let choice = asked(markers.as_deref(), keyword.as_deref(), &[], &["python", "e2e"]);
        let plan = stage().ask(&world, tier, &choice, plan_of).unwrap();
        for suite in ["python", "e2e"] {
            let of_lanes = plan.lanes.iter().filter(|lane| lane.id.suite == suite);
            let run = of_lanes.flat_map(|lane| lane.cases.iter().flat_map(|cases| cases.ids.clone()));
            let of_skips = plan.skips.iter().filter(|group| group.suite == suite);
            let mut told: Vec<String> = run.chain(of_skips.flat_map(|group| group.cases.clone())).collect();
            let mut known: Vec<String> = cases.iter().map(|case| case.id.clone()).collect();
            told.sort();
            known.sort();
            prop_assert_eq!(told, known);
        }
        let again: Plan = serde_json::from_slice(&plan.canonical_json().unwrap()).unwrap();
        prop_assert_eq!(again, plan);
    }

    #[test]
    fn shards_are_a_partition_of_the_whole(
        cases in any_catalog(),
        tier in prop::sample::select(Tier::ALL.to_vec()),
        count in 1_u32..5,
        times in prop::collection::vec(0_u64..5000, 0..25),
    ) {
        let mut world = of_world(&cases);
        world.durations.cases = cases.iter().map(|case| case.id.clone()).zip(times).collect();
        let run = |shard: Option<Shard>| {
            let choice = Choice { shard, ..asked(None, None, &[], &["python", "e2e"]) };
            let plan = stage().ask(&world, tier, &choice, plan_of).unwrap();
            let told: usize = plan.skips.iter().map(|group| group.cases.len()).sum();
            assert_eq!(told + executed(&plan).len(), 2 * cases.len());
            executed(&plan)
        };
        let mut dealt: Vec<String> =
            (1..=count).flat_map(|number| run(Some(format!("{number}/{count}").parse().unwrap()))).collect();
        let mut whole = run(None);
        dealt.sort();
        whole.sort();
        prop_assert_eq!(dealt, whole);
    }

    #[test]
    fn asking_for_less_never_adds_and_a_later_tier_never_takes_away(
        cases in any_catalog(),
        tier in prop::sample::select(Tier::ALL.to_vec()),
        (markers, keyword) in any_choice(),
    ) {
        let world = of_world(&cases);
        let run = |tier: Tier, choice: &Choice| -> BTreeSet<String> {
            let plan = stage().ask(&world, tier, choice, plan_of).unwrap();
            executed(&plan).iter().map(|line| line.replace("@mocker-disagg", "").replace("@mocker", "")).collect()
        };
        let all = asked(None, None, &[], &["python"]);
        let narrowed = asked(markers.as_deref(), keyword.as_deref(), &[], &["python"]);
        prop_assert!(run(tier, &narrowed).is_subset(&run(tier, &all)));
        for later in Tier::ALL.into_iter().filter(|later| *later > tier) {
            prop_assert!(run(tier, &all).is_subset(&run(later, &all)));
        }
    }
}
