//! What is recognised in a folder without a project file.

use proptest::prelude::*;

use super::{Layout, detect};
use crate::hint::Hint as _;
use crate::project::Project;

/// A layout of files, those with a text given as `(path, text)`.
fn layout(files: &[(&str, &str)]) -> Layout {
    let mut names: Vec<String> = files.iter().map(|(path, _)| (*path).to_owned()).collect();
    names.sort();
    let texts = files.iter().filter(|(path, _)| Layout::wants(path));
    Layout {
        name: "some project".to_owned(),
        files: names,
        texts: texts.map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect(),
    }
}

/// Each suite as `name: paths`.
fn suites(project: &Project) -> Vec<String> {
    project.suites.iter().map(|suite| format!("{}: {}", suite.name, suite.paths.join(" "))).collect()
}

fn check(files: &[(&str, &str)], expected: &[&str], detected: &str) {
    let project = detect(&layout(files)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(suites(&project), expected, "{files:?}");
    assert_eq!(project.detected.as_deref(), Some(detected), "{files:?}");
}

#[test]
fn folders_with_odd_names_are_found_or_left_out_and_no_error_names_a_file_that_is_not_there() {
    check(&[("~/test_a.py", "")], &["tests: ~"], "`~`");
    check(&[(" /test_a.py", "")], &["tests:  "], "` `");
    check(&[("~a/Cargo.toml", "[package]\n")], &["rust--a: ~a"], "`~a/Cargo.toml`");
    check(&[("-a/Cargo.toml", "[package]\n"), ("t/test_a.py", "")], &["tests: t"], "`t`");
}

const PACKAGE: &str = "[package]\nname = \"a\"\n";
const DYNAMO: [(&str, &str); 8] = [
    (".github/filters.yaml", ""),
    (".pre-commit-config.yaml", ""),
    ("Cargo.toml", "[workspace]\n"),
    ("components/src/dynamo/vllm/tests/test_a.py", ""),
    ("lib/bindings/python/Cargo.toml", "[workspace]\n"),
    ("lib/runtime/src/lib.rs", ""),
    ("pyproject.toml", "[project]\nname = \"ai-dynamo\"\n"),
    ("tests/test_a.py", ""),
];

#[test]
fn a_repository_with_dynamos_layout_is_what_the_preset_says() {
    check(
        &DYNAMO,
        &[
            "lint: .",
            "tests: tests",
            "components: components",
            "rust: .",
            "rust-bindings: lib/bindings/python",
        ],
        "Dynamo's layout: `lib/runtime/`, `components/`, `.github/filters.yaml`, \
         `lib/bindings/python/Cargo.toml`, `pyproject.toml`",
    );
}

#[test]
fn of_the_preset_only_that_holds_for_which_there_are_paths() {
    let project = detect(&layout(&DYNAMO[2..])).unwrap();
    assert_eq!(project.changes.filters, None);
    assert!(project.changes.rules.is_empty());
    let without_tests: Vec<_> = DYNAMO.into_iter().filter(|(path, _)| !path.starts_with("tests/")).collect();
    let project = detect(&layout(&without_tests)).unwrap();
    assert!(project.lanes.iter().all(|lane| lane.suite == "components"), "{:?}", project.lanes);
    assert!(!project.lanes.is_empty());
}

#[test]
fn two_signs_of_dynamo_are_not_enough() {
    check(
        &[("components/a.py", ""), ("lib/runtime/Cargo.toml", PACKAGE)],
        &["rust-lib-runtime: lib/runtime"],
        "`lib/runtime/Cargo.toml`",
    );
}

#[test]
fn hooks_workspaces_and_tests_are_suites() {
    check(
        &[
            (".pre-commit-config.yaml", ""),
            ("Cargo.toml", "[workspace]\nmembers = [\"a\"]\nexclude = [\"out\", \"./tools/\"]\n"),
            ("a/Cargo.toml", PACKAGE),
            ("a/own/Cargo.toml", "[workspace]\n"),
            ("a/template/Cargo.toml", "{{ broken }}"),
            ("out/Cargo.toml", PACKAGE),
            ("out/inner/Cargo.toml", PACKAGE),
            ("outer/Cargo.toml", PACKAGE),
            ("tools/x/Cargo.toml", PACKAGE),
            ("vendor/x/Cargo.toml", "[workspace]\n"),
            ("tests/fixtures/x/Cargo.toml", "[workspace]\n"),
            ("src/b/tests/unit/test_b.py", ""),
            ("src/b/tests/b_test.py", ""),
            ("tests/test_a.py", ""),
            ("node_modules/x/test_x.py", ""),
            (".hidden/test_x.py", ""),
            ("test_root.py", ""),
            ("scripts/test_one.py", ""),
        ],
        &[
            "lint: .",
            "rust: .",
            "rust-out: out",
            "rust-a-own: a/own",
            "rust-tools-x: tools/x",
            "tests: scripts src/b/tests test_root.py tests",
        ],
        "`.pre-commit-config.yaml`, `Cargo.toml`, `out/Cargo.toml`, `a/own/Cargo.toml`, `tools/x/Cargo.toml`, `scripts`",
    );
}

#[test]
fn pytest_is_told_where_to_look_by_its_configuration() {
    let tests = [("one/test_a.py", ""), ("two/test_b.py", ""), ("three/a/test_c.py", "")];
    for (file, text, expected) in [
        ("pyproject.toml", "[tool.pytest.ini_options]\ntestpaths = [\"one\", \"two/\"]\n", "tests: one two"),
        ("pyproject.toml", "[tool.pytest.ini_options]\ntestpaths = \"one ./two\"\n", "tests: one two"),
        ("pyproject.toml", "[tool.pytest.ini_options]\n", "tests: one three/a two"),
        (
            "pytest.ini",
            "[pytest]\naddopts = -x\ntestpaths =\n    one\n    # two\n    three\n",
            "tests: one three",
        ),
        ("pytest.ini", "[pytest]\ntestpaths = gone\n", "tests: one three/a two"),
        ("setup.cfg", "[a]\ntestpaths = two\n[tool:pytest]\ntestpaths = three/*\n[b]\n", "tests: three/a"),
        ("tox.ini", "[pytest]\ntestpaths: .\n", "tests: ."),
    ] {
        let mut files = tests.to_vec();
        files.push((file, text));
        check(&files, &[expected], &format!("`{file}`"));
    }
    check(&[("pytest.ini", "[pytest]\n")], &["tests: ."], "`pytest.ini`");
    check(&[("setup.cfg", "[a]\n"), ("t/test_a.py", "")], &["tests: t"], "`t`");
}

#[test]
fn a_folder_without_tests_is_refused_with_a_way_out() {
    let error = detect(&layout(&[("README.md", ""), ("main.py", "")])).unwrap_err();
    insta::assert_snapshot!(
        format!("{error}\nhint: {}", error.hint().unwrap()),
        @"
    testbed.toml:1:1: the project `some project` has no such file, and nothing in it looks like tests
    hint: write one with `[project]` and `[[suite]]`
    "
    );
}

#[test]
fn a_broken_file_is_told_with_its_place() {
    let error = detect(&layout(&[("lib/Cargo.toml", "[package\n")])).unwrap_err();
    insta::assert_snapshot!(error, @"lib/Cargo.toml:1:9: not valid TOML: unclosed table, expected `]`");
}

#[test]
fn names_become_such_as_a_project_file_can_hold() {
    let mut odd = layout(&[("ä b/Cargo.toml", PACKAGE), ("ö b/Cargo.toml", PACKAGE)]);
    odd.name = "--".to_owned();
    let project = detect(&odd).unwrap();
    assert_eq!(project.name, "project");
    assert_eq!(suites(&project), ["rust---b: ä b", "rust---b-2: ö b"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_layout_makes_the_detection_panic(
        name in "\\PC{0,70}",
        files in prop::collection::btree_map(
            "(lib|components|tests|-x|\\PC{1,4})(/(a|tests|\\PC{1,4})){0,2}/(test_a.py|Cargo.toml|pytest.ini)",
            "(\\[workspace\\]\n|\\[package\\]\n|exclude = \\[\"\\PC{0,3}\"\\]\n|testpaths = \\PC{0,4}\n|\\[pytest\\]\n){0,4}",
            0..6,
        ),
    ) {
        let layout = Layout { name, files: files.keys().cloned().collect(), texts: files };
        let _ = detect(&layout);
    }
}
