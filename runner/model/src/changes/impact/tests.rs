//! What changes of files concern, by rules, imports and crates.

use globset::GlobBuilder;
use proptest::prelude::*;

use super::{CaseImpact, Changes, Impact, Subject, impact};
use crate::catalog::{Announced, Gathering, SuiteCatalog};
use crate::changes::{ChangeKind, ChangedFile, Crates, Filters, Reading};
use crate::document::Mark as Position;
use crate::hint::Hint as _;
use crate::lane::SuiteKind;
use crate::project::{ChangeEffect, ChangeRule, ChangeRules, ChangedFiles, FilePattern};
use crate::selection::{Expression, Mark};

const FILTERS: &str = "docs: ['**/*.md']\nvllm: ['components/vllm/**']\n";

const METADATA: &str = r#"{"packages": [
    {"name": "core", "manifest_path": "/p/lib/core/Cargo.toml", "dependencies": []},
    {"name": "llm", "manifest_path": "/p/lib/llm/Cargo.toml", "dependencies": [{"path": "/p/lib/core"}]},
    {"name": "alone", "manifest_path": "/p/lib/alone/Cargo.toml", "dependencies": []}
]}"#;

fn gathered(cases: &[(&str, Option<&str>, &[&str])]) -> SuiteCatalog {
    let mut gathering = Gathering::default();
    for (id, file, marks) in cases {
        let mark = |name: &&str| Mark { name: (*name).to_owned(), ..Mark::default() };
        gathering.add(Announced {
            id: (*id).to_owned(),
            file: file.map(str::to_owned),
            marks: marks.iter().map(mark).collect(),
            ..Announced::default()
        });
    }
    gathering.finish()
}

fn pytest() -> SuiteCatalog {
    let mut catalog = gathered(&[
        ("t/test_a.py::test_1", Some("t/test_a.py"), &["unit"]),
        ("t/test_b.py::test_2", Some("t/test_b.py"), &["vllm"]),
        ("t/sub/test_c.py::test_3", Some("t/sub/test_c.py"), &["smoke"]),
    ]);
    for (file, imported) in
        [("t/test_a.py", "src/x.py"), ("t/sub/conftest.py", "src/y.py"), ("plugin.py", "src/w.py")]
    {
        catalog.imports.insert(file.to_owned(), vec![imported.to_owned()]);
    }
    catalog
}

fn cargo() -> SuiteCatalog {
    gathered(&[("core a::b", None, &[]), ("llm::it c", None, &[]), ("alone::bin/x d", None, &[])])
}

fn rule(files: &str, effect: ChangeEffect) -> ChangeRule {
    let matcher = GlobBuilder::new(files).literal_separator(true).build().unwrap().compile_matcher();
    let files = ChangedFiles::Patterns(vec![FilePattern { text: files.to_owned(), matcher }]);
    ChangeRule { files, effect, mark: Position::START }
}

fn rules() -> ChangeRules {
    let cases = |text: &str| ChangeEffect::Cases(Expression::parse(text).unwrap());
    let filter = |name: &str, effect| ChangeRule {
        files: ChangedFiles::Filter(name.to_owned()),
        effect,
        mark: Position::START,
    };
    ChangeRules {
        filters: Some("filters.yaml".to_owned()),
        always: Some(Expression::parse("smoke").unwrap()),
        rules: vec![
            filter("docs", ChangeEffect::Nothing),
            filter("vllm", cases("vllm")),
            rule("lib/core/wide/**", ChangeEffect::Suites(vec!["py".to_owned()])),
            rule("container/**", ChangeEffect::Everything),
            rule("t/data/*", cases("unit or vllm")),
        ],
        built_in: false,
    }
}

fn decide(rules: &ChangeRules, paths: &[&str]) -> Result<Impact, super::UnknownFilter> {
    let (py, rust) = (pytest(), cargo());
    let hooks = gathered(&[("ruff", None, &[])]);
    let filters = Filters::parse("filters.yaml", FILTERS, Reading::default()).unwrap();
    let crates = Crates::from_metadata(METADATA, "/p").unwrap();
    let subject = |name, kind, catalog| Subject { name, kind, catalog, marks: &catalog.marks };
    let suites = [
        subject("lint", SuiteKind::PreCommit, &hooks),
        subject("py", SuiteKind::Pytest, &py),
        subject("rust", SuiteKind::Cargo, &rust),
    ];
    let files: Vec<ChangedFile> = paths
        .iter()
        .map(|path| ChangedFile { path: (*path).to_owned(), kind: ChangeKind::Modified })
        .collect();
    impact(&Changes { rules, filters: Some(&filters), crates: &crates, suites: &suites, files: &files })
}

/// One line a concerned case, without the hooks that every change concerns.
fn told(paths: &[&str]) -> String {
    match decide(&rules(), paths).unwrap() {
        Impact::Everything { why } => format!("everything: {why}"),
        Impact::Cases(suites) => {
            let mut lines = Vec::new();
            for (suite, cases) in suites.iter().filter(|(suite, _)| *suite != "lint") {
                for (at, case) in cases.iter().enumerate() {
                    if let CaseImpact::Affected { because } = case {
                        lines.push(format!("{suite} {}: {because}", at + 1));
                    }
                }
            }
            lines.join("\n")
        }
    }
}

#[test]
fn without_changes_only_what_is_always_kept_is_concerned() {
    insta::assert_snapshot!(told(&[]), @"py 3: every selection by changes keeps it");
}

#[test]
fn each_source_explains_its_files() {
    insta::assert_snapshot!(told(&["src/x.py", "t/test_b.py", "README.md"]), @r"
    py 1: imports `src/x.py`, which changed
    py 2: its file `t/test_b.py` changed
    py 3: every selection by changes keeps it
    ");
    insta::assert_snapshot!(told(&["lib/core/src/lib.rs"]), @r"
    py 3: every selection by changes keeps it
    rust 1: `lib/core/src/lib.rs` of its crate `core` changed
    rust 2: its crate `llm` depends on `core`, whose `lib/core/src/lib.rs` changed
    ");
    insta::assert_snapshot!(told(&["components/vllm/args.py", "lib/alone/a.rs"]), @r"
    py 2: `components/vllm/args.py` changed, and the rule for the filter `vllm` is for it
    py 3: every selection by changes keeps it
    rust 3: `lib/alone/a.rs` of its crate `alone` changed
    ");
}

#[test]
fn all_that_explains_a_file_counts() {
    insta::assert_snapshot!(told(&["lib/core/wide/a.rs"]), @r"
    py 1: `lib/core/wide/a.rs` changed, and the rule for `lib/core/wide/**` is for it
    py 2: `lib/core/wide/a.rs` changed, and the rule for `lib/core/wide/**` is for it
    py 3: every selection by changes keeps it
    rust 1: `lib/core/wide/a.rs` of its crate `core` changed
    rust 2: its crate `llm` depends on `core`, whose `lib/core/wide/a.rs` changed
    ");
}

#[test]
fn what_nothing_explains_concerns_everything() {
    insta::assert_snapshot!(told(&["new/a", "README.md"]), @"everything: nothing says which cases `new/a` concerns");
    insta::assert_snapshot!(told(&["g", "f", "e", "d", "c", "b", "a"]), @"everything: nothing says which cases `a`, `b`, `c`, `d`, `e` and 2 more concern");
    insta::assert_snapshot!(told(&["plugin.py"]), @"everything: nothing says which cases `plugin.py` concerns");
    insta::assert_snapshot!(told(&["lib/core/python/a.py"]), @"everything: nothing says which cases `lib/core/python/a.py` concerns");
}

#[test]
fn what_decides_everything_concerns_everything() {
    insta::assert_snapshot!(told(&["Cargo.lock"]), @"everything: `Cargo.lock` changed, which decides how all of them are executed");
    insta::assert_snapshot!(told(&["container/a"]), @"everything: `container/a` changed, and the rule for `container/**` is for all of them");
    for path in ["testbed.toml", "conftest.py", "uv.lock", "pyproject.toml"] {
        assert!(decide(&rules(), &[path]).unwrap().is_everything(), "{path}");
    }
    assert!(!decide(&rules(), &["t/data/uv.lock"]).unwrap().is_everything());
}

#[test]
fn any_change_concerns_the_hooks() {
    let impact = decide(&rules(), &["README.md"]).unwrap();
    assert_eq!(impact.because("lint", 0), Some("hooks look at every file, and `README.md` changed"));
    assert_eq!(
        (impact.because("py", 0), impact.because("py", 9), impact.because("no", 0)),
        (None, None, None)
    );
    let why = "`uv.lock` changed, which decides how all of them are executed";
    assert_eq!(decide(&rules(), &["uv.lock"]).unwrap().because("py", 0), Some(why));
}

#[test]
fn a_filter_that_is_not_there_is_told() {
    let mut rules = rules();
    rules.rules[0].files = ChangedFiles::Filter("vlm".to_owned());
    let error = decide(&rules, &[]).unwrap_err();
    assert_eq!(error.hint().unwrap(), "did you mean `vllm`?");
    insta::assert_snapshot!(error, @"a rule for changes in line 1 names the filter `vlm`, which the filters file does not have");
}

#[test]
fn a_preset_serves_revisions_that_lack_a_filter_of_its_own() {
    let mut rules = ChangeRules { built_in: true, ..rules() };
    rules.rules[0].files = ChangedFiles::Filter("not_there_yet".to_owned());
    assert!(!decide(&rules, &["src/x.py"]).unwrap().is_everything());
}

/// The concerned cases by suite and number; nothing stands for all.
fn concerned(paths: &[&str]) -> Option<Vec<(String, usize)>> {
    let Impact::Cases(suites) = decide(&rules(), paths).unwrap() else { return None };
    let of = |(suite, cases): (&String, &Vec<CaseImpact>)| {
        let affected = cases.iter().enumerate().filter(|(_, case)| **case != CaseImpact::NotAffected);
        affected.map(|(at, _)| (suite.clone(), at)).collect::<Vec<_>>()
    };
    Some(suites.iter().flat_map(of).collect())
}

const PATHS: [&str; 12] = [
    "README.md",
    "components/vllm/a.py",
    "lib/core/a.rs",
    "lib/llm/a.rs",
    "lib/alone/a.rs",
    "lib/core/wide/a.rs",
    "src/x.py",
    "src/y.py",
    "t/test_b.py",
    "t/data/x",
    "src/w.py",
    "Cargo.lock",
];

proptest! {
    #[test]
    fn more_changed_files_never_concern_fewer_cases(
        some in proptest::sample::subsequence(&PATHS, 0..=PATHS.len()),
        more in proptest::sample::subsequence(&PATHS, 0..=PATHS.len()),
    ) {
        let both: Vec<&str> = some.iter().chain(&more).copied().collect();
        match (concerned(&some), concerned(&both)) {
            (_, None) => {}
            (None, Some(_)) => prop_assert!(false, "everything became something"),
            (Some(few), Some(many)) => prop_assert!(few.iter().all(|case| many.contains(case))),
        }
    }

    #[test]
    fn a_file_that_nothing_knows_concerns_everything_whatever_else_changed(
        some in proptest::sample::subsequence(&PATHS, 0..=PATHS.len()),
        unknown in "other/[a-z]{1,8}(\\.rs|\\.toml|)",
    ) {
        let mut paths = some;
        paths.push(&unknown);
        prop_assert_eq!(concerned(&paths), None);
    }

    #[test]
    fn the_order_of_the_files_means_nothing(
        paths in proptest::sample::subsequence(&PATHS, 0..=PATHS.len()),
        turn in 0..PATHS.len(),
    ) {
        let mut turned = paths.clone();
        turned.rotate_left(turn.min(paths.len()));
        turned.reverse();
        prop_assert_eq!(told(&paths), told(&turned));
    }
}
