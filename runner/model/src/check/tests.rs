//! What a check finds in a small project with one trouble of each kind.

use std::collections::BTreeMap;

use globset::GlobBuilder;
use jiff::civil::date;
use proptest::prelude::*;

use super::{Feature, Finding, Inputs, Rule, apply, check};
use crate::catalog::{self, Announced, Catalog, FindingKind, Gathering, SuiteCatalog};
use crate::document::Mark as Position;
use crate::project::{self, FilePattern, LaneRule, Naming, Project, Quarantine, Vocabulary};
use crate::selection::{Expression, Mark};
use crate::stack::Millis;

const PROJECT: &str = r#"[project]
name = "p"

[[suite]]
name = "unit"
kind = "pytest"
type = "unit"
paths = ["t"]
expression = "not custom_build"

[[suite]]
name = "e2e"
kind = "pytest"
type = "e2e"
paths = ["e"]
"#;

/// A project that is checked; each test changes what it is about.
struct World {
    project: Project,
    catalog: Catalog,
    vocabulary: Vocabulary,
    lanes: Vec<LaneRule>,
    naming: Naming,
    quarantine: Vec<Quarantine>,
    durations: BTreeMap<String, Millis>,
    features: Vec<Feature>,
    texts: BTreeMap<String, String>,
}

impl World {
    fn new(cases: &[(&str, &[&str])]) -> Self {
        let group = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), String::new())).collect();
        let text = |text: &str| text.to_owned();
        let vocabulary = Vocabulary {
            groups: BTreeMap::from([
                (text("tier"), group(&["nightly", "post_merge", "pre_merge"])),
                (text("hardware"), group(&["gpu_0", "gpu_1"])),
                (text("type"), group(&["e2e", "unit"])),
            ]),
            required: vec![text("tier"), text("hardware")],
            defaults: BTreeMap::from([(text("hardware"), text("gpu_0"))]),
            aliases: BTreeMap::from([
                (text("gpus_needed_1"), text("gpu_1")),
                (text("premerge"), text("pre_merge")),
            ]),
        };
        let mut unit = gathered(cases);
        unit.declared =
            ["slow", "timeout", "custom_build"].map(|name| (name.to_owned(), String::new())).into();
        Self {
            project: project::parse("testbed.toml", PROJECT).unwrap(),
            catalog: Catalog { suites: BTreeMap::from([(text("unit"), unit)]), uncollected: BTreeMap::new() },
            vocabulary,
            lanes: Vec::new(),
            naming: Naming::default(),
            quarantine: Vec::new(),
            durations: BTreeMap::new(),
            features: Vec::new(),
            texts: BTreeMap::new(),
        }
    }

    fn findings(&self) -> Vec<Finding> {
        check(&Inputs {
            project_file: "testbed.toml",
            suites: &self.project.suites,
            catalog: &self.catalog,
            vocabulary: &self.vocabulary,
            lanes: &self.lanes,
            naming: &self.naming,
            quarantine: &self.quarantine,
            today: date(2026, 11, 20),
            durations: &self.durations,
            features: &self.features,
            texts: &self.texts,
        })
    }

    fn told(&self) -> String {
        self.findings().iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

fn line(finding: &Finding) -> String {
    let file = finding.file.as_deref().unwrap_or("-");
    let number = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
    let hint = finding.hint.as_ref().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
    format!("{file}{number} {}: {}{hint}", finding.rule.name(), finding.message)
}

fn gathered(cases: &[(&str, &[&str])]) -> SuiteCatalog {
    let mut gathering = Gathering::default();
    for (at, (id, marks)) in (1_u32..).zip(cases) {
        gathering.add(Announced {
            id: (*id).to_owned(),
            file: id.split("::").next().map(str::to_owned),
            line: Some(at * 10),
            marks: marks.iter().map(|name| Mark { name: (*name).to_owned(), ..Mark::default() }).collect(),
            ..Announced::default()
        });
    }
    gathering.finish()
}

/// A pattern of case ids: a parameter may hold `/`.
fn pattern(text: &str) -> FilePattern {
    let matcher = GlobBuilder::new(text).literal_separator(false).build().unwrap().compile_matcher();
    FilePattern { text: text.to_owned(), matcher }
}

#[test]
fn a_sound_project_has_no_findings() {
    let world = World::new(&[("t/test_a.py::test_1", &["pre_merge", "gpu_0", "parametrize"])]);
    assert_eq!(world.told(), "");
}

#[test]
fn cases_of_one_file_that_lack_the_same_groups_are_told_once() {
    let world = World::new(&[
        ("t/a.py::test_1", &["pre_merge"]),
        ("t/a.py::test_2", &["nightly"]),
        ("t/a.py::test_3", &["gpus_needed_1", "pre_merge"]),
        ("t/b.py::test_4", &["pre_merge"]),
    ]);
    insta::assert_snapshot!(world.told(), @r"
    t/a.py:10 missing-marker-group: 2 cases have no marker of the group `hardware`
      hint: add `gpu_0` or `gpu_1`; until then they count as `gpu_0`
    t/a.py:30 aliased-spelling: `test_3` has the marker `gpu_1` in the older spelling `gpus_needed_1`
      hint: write `gpu_1`
    t/b.py:40 missing-marker-group: `test_4` has no marker of the group `hardware`
      hint: add `gpu_0` or `gpu_1`; until then it counts as `gpu_0`
    ");
}

#[test]
fn what_nobody_marked_never_runs() {
    let world = World::new(&[
        ("t/a.py::test_1", &[]),
        ("t/a.py::test_2", &[]),
        ("t/b.py::T::test_3[x::y]", &["gpu_0"]),
    ]);
    insta::assert_snapshot!(world.told(), @r"
    t/a.py:10 missing-marker-group: 2 cases have no marker of the groups `tier` and `hardware`
      hint: add `nightly`, `post_merge` or `pre_merge`, and `gpu_0` or `gpu_1`; until then they count as `gpu_0`
    t/a.py:10 never-run: 2 cases never run: no tier lets them through
      hint: add the marker of a tier, such as `nightly`
    t/b.py:30 missing-marker-group: `test_3[x::y]` has no marker of the group `tier`
      hint: add `nightly`, `post_merge` or `pre_merge`
    t/b.py:30 never-run: `test_3[x::y]` never runs: no tier lets it through
      hint: add the marker of a tier, such as `nightly`
    ");
}

#[test]
fn a_default_tier_lets_unmarked_cases_run() {
    let mut world = World::new(&[("t/a.py::test_1", &["gpu_0"])]);
    world.vocabulary.defaults.insert("tier".to_owned(), "pre_merge".to_owned());
    insta::assert_snapshot!(world.told(), @r"
    t/a.py:10 missing-marker-group: `test_1` has no marker of the group `tier`
      hint: add `nightly`, `post_merge` or `pre_merge`; until then it counts as `pre_merge`
    ");
}

#[test]
fn a_case_needs_its_suites_expression_and_one_lane() {
    let mut world = World::new(&[
        ("t/a.py::test_1", &["pre_merge", "gpu_0", "custom_build"]),
        ("t/a.py::test_2", &["pre_merge", "gpu_0", "slow", "timeout"]),
        ("t/a.py::test_3", &["pre_merge", "gpus_needed_1"]),
        ("t/a.py::test_4", &["pre_merge", "gpu_0"]),
    ]);
    let lane = |name: &str, expression| LaneRule {
        name: name.to_owned(),
        suite: "unit".to_owned(),
        expression: Some(Expression::parse(expression).unwrap()),
        tier: None,
        workers: None,
        mark: Position::START,
    };
    world.lanes = vec![lane("cpu", "gpu_0 and not slow"), lane("gpu", "gpu_1")];
    insta::assert_snapshot!(world.told(), @r"
    t/a.py:10 never-run: `test_1` never runs: the suite's expression does not let it through
      hint: change its markers, or the `expression` of the suite `unit`
    t/a.py:20 never-run: `test_2` never runs: no lane lets it through
      hint: change its markers, or add a lane of the suite `unit` for it
    t/a.py:30 aliased-spelling: `test_3` has the marker `gpu_1` in the older spelling `gpus_needed_1`
      hint: write `gpu_1`
    ");
}

#[test]
fn a_file_that_two_suites_divide_is_told_once() {
    let cases: &[(&str, &[&str])] = &[
        ("t/a.py::test_1", &["pre_merge", "gpu_0", "custom_build"]),
        ("t/a.py::test_2", &["gpu_0"]),
        ("t/a.py::test_3", &["premerge", "gpu_0", "timeout"]),
    ];
    let mut world = World::new(cases);
    let mut twin = gathered(cases);
    twin.declared = world.catalog.suites["unit"].declared.clone();
    world.catalog.suites.insert("e2e".to_owned(), twin);
    insta::assert_snapshot!(world.told(), @r"
    t/a.py:10 no-timeout: `test_1` is of the type `e2e` and has no `timeout`
      hint: add `@pytest.mark.timeout(N)` with 2 to 3 times the seconds that it takes
    t/a.py:20 missing-marker-group: `test_2` has no marker of the group `tier`
      hint: add `nightly`, `post_merge` or `pre_merge`
    t/a.py:20 never-run: `test_2` never runs: no tier lets it through
      hint: add the marker of a tier, such as `nightly`
    t/a.py:30 aliased-spelling: `test_3` has the marker `pre_merge` in the older spelling `premerge`
      hint: write `pre_merge`
    ");
}

#[test]
fn a_case_that_a_suite_nobody_knows_may_execute_is_not_told_to_never_run() {
    let mut world = World::new(&[("e/a.py::test_1", &["gpu_0"]), ("t/a.py::test_2", &["gpu_0"])]);
    let never = |world: &World| {
        let findings = world.findings().into_iter().filter(|finding| finding.rule == Rule::NeverRun);
        findings.filter_map(|finding| finding.case).collect::<Vec<_>>()
    };
    assert_eq!(never(&world), ["t/a.py::test_2"]);
    world.catalog.suites.insert("e2e".to_owned(), SuiteCatalog::default());
    assert_eq!(never(&world), ["e/a.py::test_1", "t/a.py::test_2"]);
}

#[test]
fn an_unknown_marker_offers_the_nearest_known_one() {
    let world = World::new(&[
        ("t/a.py::test_1", &["pre_merge", "gpu_0", "slwo"]),
        ("t/a.py::test_2", &["pre_merge", "gpu_0", "slwo", "kubernetes"]),
    ]);
    insta::assert_snapshot!(world.told(), @r"
    t/a.py:10 unknown-marker: 2 cases have the marker `slwo`, which nobody declared
      hint: did you mean `slow`?
    t/a.py:20 unknown-marker: `test_2` has the marker `kubernetes`, which nobody declared
      hint: declare it in the project file or in pytest's `markers`
    ");
}

#[test]
fn an_older_spelling_is_mended_where_it_is_written() {
    let mut world = World::new(&[
        ("t/a.py::test_1", &["premerge", "gpu_0"]),
        ("t/a.py::test_2", &["premerge", "gpu_0"]),
        ("t/b.py::test_3", &["premerge", "gpu_0"]),
    ]);
    world.texts.insert("t/a.py".to_owned(), "import pytest\npytestmark = pytest.mark.premerge\n".to_owned());
    world.texts.insert("t/b.py".to_owned(), "from .base import *\n".to_owned());
    insta::assert_snapshot!(world.told(), @r"
    t/a.py:2 aliased-spelling: 2 cases have the marker `pre_merge` in the older spelling `premerge`
      hint: write `pre_merge`
    t/b.py:30 aliased-spelling: `test_3` has the marker `pre_merge` in the older spelling `premerge`
      hint: write `pre_merge`
    ");
    let findings = world.findings();
    let fix = findings[0].fix.as_ref().unwrap();
    assert_eq!(
        apply(&world.texts["t/a.py"], &fix.edits).unwrap(),
        "import pytest\npytestmark = pytest.mark.pre_merge\n"
    );
    assert!(findings[1].fix.is_none());
}

#[test]
fn what_may_take_long_needs_a_timeout() {
    let mut world = World::new(&[
        ("t/a.py::test_1", &["pre_merge", "gpu_0", "slow"]),
        ("t/a.py::test_2", &["pre_merge", "gpu_0", "slow", "timeout"]),
        ("t/a.py::test_3", &["pre_merge", "gpu_0"]),
        ("t/a.py::test_4", &["pre_merge", "gpu_0"]),
        ("t/a.py::test_5", &["pre_merge", "gpu_0"]),
    ]);
    for (id, took) in [("t/a.py::test_3", 42_500), ("t/a.py::test_4", 9_999), ("t/a.py::test_5", 10_000)] {
        world.durations.insert(id.to_owned(), took);
    }
    let e2e =
        gathered(&[("e/a.py::test_1", &["pre_merge", "gpu_0"]), ("e/a.py::test_2", &["pre_merge", "gpu_0"])]);
    world.catalog.suites.insert("e2e".to_owned(), e2e);
    insta::assert_snapshot!(world.told(), @r"
    e/a.py:10 no-timeout: 2 cases are of the type `e2e` and have no `timeout`
      hint: add `@pytest.mark.timeout(N)` with 2 to 3 times the seconds that it takes
    t/a.py:10 no-timeout: `test_1` is marked `slow` and has no `timeout`
      hint: add `@pytest.mark.timeout(N)` with 2 to 3 times the seconds that it takes
    t/a.py:30 no-timeout: 2 cases took up to 42s500ms and have no `timeout`
      hint: add `@pytest.mark.timeout(128)`, which is 3 times the longest time so far
    ");
}

#[test]
fn files_and_features_are_called_by_the_projects_words() {
    let mut world = World::new(&[
        ("t/test_unit_parsing.py::test_1", &["pre_merge", "gpu_0"]),
        ("t/test_parsing.py::test_2", &["pre_merge", "gpu_0"]),
        ("t/old/test_parsing.py::test_3", &["pre_merge", "gpu_0"]),
    ]);
    world.naming =
        Naming { patterns: vec!["test_<type>_<flow>.py".to_owned()], exempt: vec!["t/old/**".to_owned()] };
    for (name, line) in [("custom-build", 7), ("pre_merge", 8), ("testing-etcd", 9)] {
        world.features.push(Feature { name: name.to_owned(), file: "lib/Cargo.toml".to_owned(), line });
    }
    insta::assert_snapshot!(world.told(), @r"
    lib/Cargo.toml:7 feature-name: the feature `custom-build` is spelled unlike the marker `custom_build`
      hint: call it `custom_build`, or something that cannot be taken for it
    t/test_parsing.py file-name: the name `test_parsing.py` fits no pattern of the project
      hint: call it by `test_<type>_<flow>.py`
    ");
}

#[test]
fn a_quarantine_ends_and_must_hold_something() {
    let mut world = World::new(&[("t/a.py::test_1[a]", &["pre_merge", "gpu_0"])]);
    let quarantine = |cases: &[&str], until, line| Quarantine {
        cases: cases.iter().map(|text| pattern(text)).collect(),
        ticket: format!("T-{line}"),
        until,
        owner: None,
        reason: None,
        mark: Position { line, ..Position::START },
    };
    world.quarantine = vec![
        quarantine(&["t/a.py::*", "t/b.py::*"], date(2026, 11, 20), 3),
        quarantine(&["t/a.py::test_1[a]"], date(2026, 11, 19), 4),
    ];
    insta::assert_snapshot!(world.told(), @r"
    testbed.toml:3 quarantine-matches-nothing: the quarantine for `T-3` names `t/b.py::*`, which no case fits
      hint: take the pattern out, or write it as the ids that `testbed list` shows
    testbed.toml:4 quarantine-expired: the quarantine for `T-4` ended on 2026-11-19
      hint: mend the cases and take it out, or give it a later day with a reason
    ");
    world.catalog.uncollected.insert("e2e".to_owned(), "no pytest".to_owned());
    assert!(!world.findings().iter().any(|finding| finding.rule == Rule::QuarantineMatchesNothing));
}

#[test]
fn what_cannot_be_collected_is_an_error() {
    let mut world = World::new(&[("t/a.py::test_1", &["pre_merge", "gpu_0"])]);
    world.catalog.uncollected.insert("e2e".to_owned(), "the image `tests` has no pytest".to_owned());
    for (kind, file) in [(FindingKind::Error, "t/b.py"), (FindingKind::Skipped, "t/c.py")] {
        let told = catalog::Finding {
            kind,
            file: file.to_owned(),
            message: "ImportError: x".to_owned(),
            details: None,
        };
        world.catalog.suites.get_mut("unit").unwrap().findings.push(told);
    }
    insta::assert_snapshot!(world.told(), @r"
    - collection-error: the suite `e2e` cannot be collected: the image `tests` has no pytest
    t/b.py collection-error: `t/b.py` cannot be collected: ImportError: x
    ");
}

proptest! {
    #[test]
    fn the_order_of_cases_means_nothing_and_each_finding_is_told_once(
        cases in proptest::collection::vec(
            ("t/[ab]\\.py::test_[a-z]{2}", proptest::sample::subsequence(&["pre_merge", "premerge", "gpu_0", "slow", "odd"][..], 0..5)),
            0..12,
        ),
    ) {
        let borrowed: Vec<(&str, &[&str])> = cases.iter().map(|(id, marks)| (id.as_str(), marks.as_slice())).collect();
        let messages = |cases: &[(&str, &[&str])]| {
            let mut all: Vec<_> = World::new(cases)
                .findings()
                .into_iter()
                .map(|finding| (finding.rule, finding.file, finding.message))
                .collect();
            all.sort();
            all
        };
        let told = messages(&borrowed);
        let mut turned = borrowed.clone();
        turned.reverse();
        prop_assert_eq!(&messages(&turned), &told);
        let mut once = told.clone();
        once.dedup();
        prop_assert_eq!(once, told);
    }
}
