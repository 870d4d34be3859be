//! What a project file can say beyond its suites, and how the rest is refused.

use proptest::prelude::*;

use super::{read, refusal};
use crate::document::{Value, from_toml};
use crate::lane::SuiteKind;
use crate::project::schema::{EXAMPLE, KEYS, is_free};
use crate::project::{ChangeEffect, ChangedFiles, Vocabulary, parse, preset};
use crate::tier::{TestType, Tier};

/// A file with one suite of each tool, before what is tried.
const HEAD: &str = "project.name = \"a\"\n\
    [[suite]]\nname = \"rust\"\nkind = \"cargo\"\n\
    [[suite]]\nname = \"tests\"\nkind = \"pytest\"\ntype = \"unit\"\npaths = [\"tests\"]\n";

/// The line on which what is tried begins.
const START: u32 = 10;

fn message(tail: &str) -> String {
    let text = format!("{HEAD}{tail}\n");
    let Err(error) = parse("testbed.toml", &text) else { panic!("accepted:\n{tail}") };
    assert!(error.0.hint.is_some() || error.0.message.contains("must"), "no way out: {error}");
    assert!(error.0.place.line >= START, "{error}");
    format!("{}:{}: {}", error.0.place.line - START + 1, error.0.place.column, error.0.message)
}

fn check(cases: &[(&str, &str)]) {
    for (tail, expected) in cases {
        assert_eq!(message(tail), *expected, "{tail}");
    }
}

/// Every path of keys in a document, as the schema writes it.
fn paths(value: &Value, path: &[String], found: &mut Vec<Vec<String>>) {
    let parts = |part: &str| path.iter().cloned().chain([part.to_owned()]).collect::<Vec<_>>();
    match value {
        Value::List(items) => items.iter().for_each(|item| paths(&item.value, &parts("[]"), found)),
        Value::Map(entries) => entries.iter().for_each(|entry| {
            let path = parts(&entry.key);
            found.push(path.clone());
            paths(&entry.value.value, &path, found);
        }),
        Value::Scalar(_) => {}
    }
}

#[test]
fn the_example_uses_every_key() {
    read(EXAMPLE);
    let document = from_toml("example.toml", EXAMPLE).unwrap();
    let mut found = Vec::new();
    paths(&document.root.value, &[], &mut found);
    for key in KEYS {
        let is = |path: &Vec<String>| {
            path.len() == key.path.len()
                && path.iter().zip(key.path).all(|(name, part)| is_free(part) && name != "[]" || name == part)
        };
        assert!(found.iter().any(is), "`{}` is not in the example", key.path.join("."));
    }
}

#[test]
fn the_example_is_read_whole() {
    let project = read(EXAMPLE);
    assert_eq!(project.vocabulary.required, ["tier", "type", "hardware"]);
    assert_eq!(project.vocabulary.defaults["hardware"], "gpu_0");
    assert_eq!(project.vocabulary.groups["hardware"]["gpu_1"], "one GPU");
    assert_eq!(project.vocabulary.groups["tier"]["nightly"], "");
    assert_eq!(project.vocabulary.aliases["premerge"], "pre_merge");
    let lane = &project.lanes[0];
    assert_eq!((lane.name.as_str(), lane.suite.as_str(), lane.mark.line), ("cpu-parallel", "tests", 52));
    assert_eq!((lane.tier, lane.workers), (Some(Tier::Premerge), Some(4)));
    assert_eq!(
        lane.expression.as_ref().unwrap().source(),
        "parallel and not (vllm or sglang or trtllm) and gpu_0"
    );
    assert_eq!(project.budgets.tiers[&Tier::Premerge], 300_000);
    assert_eq!(project.budgets.suites[&TestType::Unit], 15_000);
    assert_eq!(project.budgets.cases_us[&(TestType::Unit, SuiteKind::Pytest)], 10_000);
    assert_eq!(project.budgets.cases_us[&(TestType::Unit, SuiteKind::Cargo)], 500);
    assert_eq!(project.changes.filters.as_deref(), Some(".github/filters.yaml"));
    assert_eq!(project.changes.always.unwrap().source(), "smoke");
    let [rust, router, lock, docs] = project.changes.rules.as_slice() else { panic!("four rules") };
    assert_eq!(rust.effect, ChangeEffect::Suites(vec!["rust".to_owned()]));
    assert!(matches!(&router.effect, ChangeEffect::Cases(cases) if cases.source() == "router"));
    assert_eq!((&lock.effect, &docs.effect), (&ChangeEffect::Everything, &ChangeEffect::Nothing));
    assert!(matches!(&docs.files, ChangedFiles::Filter(name) if name == "docs"));
    assert_eq!(project.naming.exempt, ["**/conftest.py"]);
    let quarantine = &project.quarantines[0];
    assert_eq!(
        (quarantine.ticket.as_str(), quarantine.until.to_string()),
        ("DYN-123", "2026-12-31".to_owned())
    );
}

#[test]
fn a_star_stays_within_a_folder_of_files_and_crosses_those_of_cases() {
    let text = format!(
        "{HEAD}[[changes.rule]]\nfiles = [\"lib/*.rs\", \"doc/**\"]\nnothing = true\n\
         [[quarantine]]\ncases = [\"tests/*.py::test_a[*]\", \"t::b[x-y]\", \"{{c}}\"]\nticket = \"T\"\nuntil = \"2026-01-02\"\n"
    );
    let project = read(&text);
    let ChangedFiles::Patterns(patterns) = &project.changes.rules[0].files else { panic!("patterns") };
    let fits = |path: &str| patterns.iter().any(|pattern| pattern.matcher.is_match(path));
    assert!(fits("lib/a.rs") && fits("doc/a/b.md") && !fits("lib/a/b.rs"));
    let cases = &project.quarantines[0].cases;
    let fits = |id: &str| cases.iter().any(|pattern| pattern.matcher.is_match(id));
    assert!(fits("tests/x/y.py::test_a[Qwen/Qwen3-0.6B]") && !fits("tests/y.py::test_a"));
    assert!(fits("t::b[x-y]") && !fits("t::bx") && fits("{c}") && !fits("c"));
}

#[test]
fn markers_that_make_no_sense_are_refused() {
    check(&[
        ("[markers]\nrequird = []", "2:1: unknown key `requird` in `markers`"),
        ("[markers]\nrequired = [\"tier\"]", "2:13: `markers.required[0]` is the unknown group `tier`"),
        (
            "[markers]\nrequired = [\"a\", \"a\"]\ngroups.a = [\"b\"]",
            "2:18: `markers.required[1]` is `a` again, first in line 11",
        ),
        ("[markers.groups]\na = []", "2:5: `markers.groups.a` must name at least one marker"),
        (
            "[markers.groups]\na = \"b\"",
            "2:5: `markers.groups.a` must be a list of names, or a table of names with their meanings, not text",
        ),
        (
            "[markers.groups]\na = [\n\"b\",\n\"b\"]",
            "4:1: `markers.groups.a[1]` is `b` again, first in line 12",
        ),
        ("[markers.groups]\na = [\"b(1)\"]", "2:6: `markers.groups.a[0]` cannot be `b(1)`"),
        ("[markers.groups]\na = [\"not\"]", "2:6: `markers.groups.a[0]` cannot be `not`"),
        ("[markers.groups]\na = { b = 1 }", "2:11: `markers.groups.a.b` must be text, not a number"),
        (
            "[markers]\ngroups.a = [\"b\"]\ndefaults = { a = \"c\" }",
            "3:18: `markers.defaults.a` is `c`, which is no marker of the group `a`",
        ),
        (
            "[markers]\ngroups.tier = [\"b\"]\ndefaults = { teir = \"b\" }",
            "3:14: `markers.defaults.teir` is for the unknown group `teir`",
        ),
        ("[markers.aliases]\na = \"a\"", "2:5: `markers.aliases.a` means itself"),
        (
            "[markers.aliases]\na = \"b\"\nb = \"c\"",
            "2:5: `markers.aliases.a` means `b`, which is another spelling itself",
        ),
        (
            "[markers]\ngroups.a = [\"router\"]\naliases = { kv = \"ruoter\" }",
            "3:18: `markers.aliases.kv` means the unknown marker `ruoter`",
        ),
        (
            "[markers]\ngroups.a = [\"b\", \"c\"]\naliases = { b = \"c\" }",
            "3:13: `b` is a marker itself, so it cannot mean another",
        ),
    ]);
}

#[test]
fn lanes_and_budgets_that_make_no_sense_are_refused() {
    check(&[
        ("[[lane]]\nname = \"x\"", "1:1: the key `suite` is missing in `lane[0]`"),
        ("[[lane]]\nname = \"x\"\nsuite = \"test\"", "3:9: `lane[0].suite` is the unknown suite `test`"),
        (
            "[[lane]]\nname = \"x\"\nsuite = \"tests\"\n[[lane]]\nname = \"x\"\nsuite = \"tests\"",
            "5:8: `lane[1].name` is `x` again, first in line 11",
        ),
        (
            "[[lane]]\nname = \"x\"\nsuite = \"tests\"\nexpression = \"a or\"",
            "4:14: `lane[0].expression` cannot be read at its column 5: expected not or left parenthesis or \
             identifier; got end of input",
        ),
        (
            "[[lane]]\nname = \"x\"\nsuite = \"tests\"\ntier = \"nigthly\"",
            "4:8: `lane[0].tier` is the unknown tier `nigthly`",
        ),
        ("[budgets]\ntiers = { merge = \"1s\" }", "2:11: unknown tier `merge` in `budgets.tiers`"),
        (
            "[budgets]\ntiers = { premerge = \"1s\", pre_merge = \"2s\" }",
            "2:28: `pre_merge` is the tier `premerge` again, first in line 11",
        ),
        ("[budgets]\ntiers = { premerge = \"0s\" }", "2:22: `budgets.tiers.premerge` must be more than `0s`"),
        ("[budgets]\nsuites = { unti = \"1s\" }", "2:12: unknown type `unti` in `budgets.suites`"),
        (
            "[budgets]\ncases = { unit = { pytst = \"1s\" } }",
            "2:20: unknown tool `pytst` in `budgets.cases.unit`",
        ),
        (
            "[budgets]\ncases = { unit = { pytest = \"1ns\" } }",
            "2:29: `budgets.cases.unit.pytest` must be a duration such as `10ms` or `500us`, not `1ns`",
        ),
        (
            "[budgets]\ncases = { unit = { pytest = \"0us\" } }",
            "2:29: `budgets.cases.unit.pytest` must be more than `0us`",
        ),
        (
            "[budgets]\nsuites = { unit = \"500us\" }",
            "2:19: `budgets.suites.unit` must be a duration such as `30s` or `1m30s`, not `500us`",
        ),
    ]);
}

#[test]
fn changes_that_make_no_sense_are_refused() {
    check(&[
        ("[changes]\nfilters = \"../x\"", "2:11: `changes.filters` leaves the project: `../x`"),
        ("[[changes.rule]]\nnothing = true", "1:1: `changes.rule[0]` has none of the keys `files`, `filter`"),
        (
            "[[changes.rule]]\nfiles = [\"a\"]",
            "1:1: `changes.rule[0]` has none of the keys `suites`, `cases`, `everything`, `nothing`",
        ),
        (
            "[[changes.rule]]\nfilter = \"docs\"\nfiles = [\"a\"]\nnothing = true",
            "2:1: `filter` cannot stand beside `files`",
        ),
        (
            "[[changes.rule]]\nfiles = [\"a\"]\neverything = true\nnothing = true",
            "4:1: `nothing` cannot stand beside `everything`",
        ),
        (
            "[[changes.rule]]\nfilter = \"docs\"\nnothing = true",
            "2:10: `changes.rule[0].filter` names a filter, but there is no file with filters",
        ),
        (
            "[[changes.rule]]\nfiles = [\"a\"]\nnothing = false",
            "3:11: `changes.rule[0].nothing` can only be `true`",
        ),
        (
            "[[changes.rule]]\nfiles = [\"a\"]\nsuites = [\"rsut\"]",
            "3:11: `changes.rule[0].suites[0]` is the unknown suite `rsut`",
        ),
        (
            "[[changes.rule]]\nfiles = []\nnothing = true",
            "2:9: `changes.rule[0].files` must name at least one pattern",
        ),
        (
            "[[changes.rule]]\nfiles = [\"!a\"]\nnothing = true",
            "2:10: `changes.rule[0].files[0]` cannot leave files out: `!a`",
        ),
        (
            "[[changes.rule]]\nfiles = [\"../a\"]\nnothing = true",
            "2:10: `changes.rule[0].files[0]` fits no path below the project: `../a`",
        ),
        (
            "[[changes.rule]]\nfiles = [\"a{\"]\nnothing = true",
            "2:10: `changes.rule[0].files[0]` is not a pattern: unclosed alternate group; missing '}' (maybe escape '{' \
             with '[{]'?)",
        ),
    ]);
}

#[test]
fn names_and_quarantines_that_make_no_sense_are_refused() {
    let quarantine = |keys: &str| format!("[[quarantine]]\ncases = [\"a\"]\n{keys}");
    check(&[
        (
            "[naming]\npatterns = [\"test_<componet>.py\"]",
            "2:13: `naming.patterns[0]` holds the unknown placeholder `<componet>`",
        ),
        (
            "[markers]\n[naming]\npatterns = [\"test_<tier>_<flow>.py\"]",
            "3:13: `naming.patterns[0]` holds `<tier>`, but there is no group `tier`",
        ),
        (
            "[naming]\npatterns = [\"test_<tier.py\"]",
            "2:13: `naming.patterns[0]` has a `<` or `>` without the other: `test_<tier.py`",
        ),
        (
            "[naming]\npatterns = [\"a/test_<flow>.py\"]",
            "2:13: `naming.patterns[0]` is about the name of a file, not its folders: `a/test_<flow>.py`",
        ),
        ("[naming]\nexempt = [\"/a\"]", "2:11: `naming.exempt[0]` fits no path below the project: `/a`"),
        (&quarantine("until = 2026-01-01"), "1:1: the key `ticket` is missing in `quarantine[0]`"),
        (
            &quarantine("ticket = \"T\"\nuntil = \"soon\""),
            "4:9: `quarantine[0].until` must be a date such as `2026-12-31`, not `soon`",
        ),
        (&quarantine("ticket = \" \"\nuntil = 2026-01-01"), "3:10: `quarantine[0].ticket` must not be empty"),
        ("[[quarantine]]\ncases = []", "2:9: `quarantine[0].cases` must name at least one case"),
    ]);
}

#[test]
fn a_refusal_shows_the_line_and_the_way_out() {
    insta::assert_snapshot!(refusal(&format!("{HEAD}[[lane]]\nname = \"x\"\nsuite = \"test\"\n")), @r#"
    testbed.toml:12:9: `lane[0].suite` is the unknown suite `test`
    12 | suite = "test"
       |         ^
    hint: did you mean `tests`?
    "#);
    insta::assert_snapshot!(refusal(&format!("{HEAD}[markers]\nrequired = [\"tier\"]\n")), @r#"
    testbed.toml:11:13: `markers.required[0]` is the unknown group `tier`
    11 | required = ["tier"]
       |             ^
    hint: declare it in `[markers.groups]`
    "#);
    insta::assert_snapshot!(
        refusal(&format!("{HEAD}[[changes.rule]]\nfiles = [\"a\"]\neverything = true\nnothing = true\n")),
        @"
    testbed.toml:13:1: `nothing` cannot stand beside `everything`
    13 | nothing = true
       | ^
    hint: leave one of them out
    "
    );
    insta::assert_snapshot!(refusal("[project]\nname = \"a\"\npreset = \"dynmo\"\n"), @r#"
    testbed.toml:3:10: `project.preset` cannot be `dynmo`
    3 | preset = "dynmo"
      |          ^
    hint: did you mean `dynamo`?
    "#);
}

#[test]
fn what_a_file_leaves_out_is_what_the_preset_says() {
    let preset = preset::dynamo().unwrap();
    let project =
        read("[project]\nname = \"mine\"\npreset = \"dynamo\"\n[budgets]\n[markers.groups]\na = [\"b\"]\n");
    assert_eq!((project.name.as_str(), project.suites.len()), ("mine", preset.suites.len()));
    assert_eq!(project.lanes.len(), preset.lanes.len());
    assert_eq!(project.budgets.tiers.len(), 0);
    assert_eq!(project.vocabulary.groups.len(), 1);
    assert!(project.naming.patterns.is_empty(), "there are no markers for its placeholders");
    let place = project.fault(project.suites[0].image_mark, "").place;
    assert_eq!((place.line, place.column), (3, 10), "what the preset says is where it is named");
}

#[test]
fn lanes_and_rules_of_a_preset_go_with_their_suites() {
    let project = read(&HEAD.replace("project.name", "project.preset = \"dynamo\"\nproject.name"));
    assert!(!project.lanes.is_empty() && project.lanes.iter().all(|lane| lane.suite == "tests"));
    let suites = project.changes.rules.iter().filter_map(|rule| match &rule.effect {
        ChangeEffect::Suites(names) => Some(names.join(" ")),
        _ => None,
    });
    assert_eq!(suites.collect::<Vec<_>>(), ["rust"]);
}

#[test]
fn a_project_without_markers_has_those_of_dynamo() {
    assert_eq!(read(HEAD).vocabulary, Vocabulary::dynamo());
    assert_eq!(read(&format!("{HEAD}[markers]\n")).vocabulary, Vocabulary::default());
}

#[test]
fn the_preset_holds_what_dynamos_tests_and_ci_say() {
    let project = preset::dynamo().unwrap();
    let names: Vec<&str> = project.suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(names, ["lint", "tests", "components", "rust", "rust-bindings", "rust-examples", "rust-kvbm"]);
    let groups: Vec<&str> = project.vocabulary.groups.keys().map(String::as_str).collect();
    assert_eq!(
        groups,
        ["backend", "component", "deployment", "execution", "hardware", "tier", "type", "vram"]
    );
    let known = |name: &str| project.vocabulary.groups.values().any(|group| group.contains_key(name));
    for lane in &project.lanes {
        for name in lane.expression.as_ref().unwrap().names() {
            assert!(known(&name.text), "`{}` asks for the unknown marker `{}`", lane.name, name.text);
        }
    }
    for tier in Tier::ALL.into_iter().filter(|tier| *tier != Tier::Precommit) {
        assert!(known(tier.marker()), "{tier}");
    }
}

#[test]
fn the_preset_knows_every_marker_that_the_plugin_knows() {
    let plugin = include_str!("../../../../../suites/plugin/testbed_pytest/markers.py");
    let vocabulary = Vocabulary::dynamo();
    let mut count = 0;
    for line in plugin.lines() {
        let Some((name, _)) = line.strip_prefix("    \"").and_then(|rest| rest.split_once("\": ")) else {
            continue;
        };
        let name = name.split('(').next().unwrap_or_default();
        let is_marker = vocabulary.groups.values().any(|group| group.contains_key(name));
        assert!(is_marker || vocabulary.aliases.contains_key(name), "{name}");
        count += 1;
    }
    assert!(count > 60, "the plugin's file was read for only {count} markers");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn no_mutation_of_the_example_makes_the_reader_panic(
        from in 0_usize..2300,
        length in 0_usize..40,
        inserted in "(\\PC{0,6}|\n\\[\\[[a-z.]{1,9}\\]\\]\n|<[a-z]{0,4}>?)",
    ) {
        let from = from.min(EXAMPLE.len());
        let to = (from + length).min(EXAMPLE.len());
        let _ = parse("testbed.toml", &format!("{}{inserted}{}", &EXAMPLE[..from], &EXAMPLE[to..]));
    }

    #[test]
    fn whatever_an_expression_can_ask_for_can_be_a_marker(name in "[a-zé0-9_.:+-]{1,8}") {
        prop_assume!(!["and", "or", "not"].contains(&name.as_str()));
        let project = read(&format!("{HEAD}[markers.groups]\na = [\"{name}\"]\n"));
        prop_assert!(project.vocabulary.groups["a"].contains_key(&name));
    }
}
