//! What a project file can hold, and how the rest is refused.

mod rules;

use proptest::prelude::*;

use super::{Project, parse};
use crate::hint::Hint as _;
use crate::lane::{Habits, SuiteKind};
use crate::tier::{TestType, Tier};

const WHOLE: &str = r#"[project]
name = "dynamo"

[[suite]]
name = "lint"
kind = "pre-commit"

[[suite]]
name = "rust"
kind = "cargo"
expression = "not binary(daemon)"

[[suite]]
name = "e2e"
kind = "pytest"
type = "e2e"
tier = "post-merge"
paths = ["./suites/e2e/", "suites/x/../y"]
profiles = ["mocker*", "vllm-agg"]
expression = "not slow"
arguments = ["-x"]
environment = { A = "b", N = 1 }
workers = 4
image = "dynamo"
timeouts = { case = "30s", suite = "10m" }
"#;

fn read(text: &str) -> Project {
    parse("testbed.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(text: &str) -> String {
    match parse("testbed.toml", text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => {
            let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            format!("{error}\n{}{hint}", error.rendered().unwrap_or_default())
        }
    }
}

#[test]
fn a_whole_file_is_read() {
    let project = read(WHOLE);
    assert_eq!(project.name, "dynamo");
    let e2e = project.suite("e2e").unwrap();
    assert_eq!((e2e.kind, e2e.test_type, e2e.tier), (SuiteKind::Pytest, TestType::E2e, Tier::Postmerge));
    assert_eq!(e2e.paths, ["suites/e2e", "suites/y"]);
    assert!(e2e.can_run_in("mocker-disagg") && e2e.can_run_in("vllm-agg") && !e2e.can_run_in("vllm-disagg"));
    assert_eq!(e2e.environment["N"], "1");
    assert_eq!((e2e.case_ms, e2e.suite_ms), (Some(30_000), Some(600_000)));
}

#[test]
fn what_a_suite_leaves_out_follows_from_its_kind() {
    let project = read(WHOLE);
    let lint = project.suite("lint").unwrap();
    assert_eq!((lint.test_type, lint.tier, lint.workers), (TestType::Lint, Tier::Precommit, 1));
    assert_eq!((lint.paths.as_slice(), lint.image.as_str()), (["."].map(String::from).as_slice(), "tests"));
    assert!(!lint.needs_stack());
    let rust = project.suite("rust").unwrap();
    assert_eq!((rust.test_type, rust.tier), (TestType::Unit, Tier::Premerge));
}

#[test]
fn an_unknown_key_names_file_line_and_column() {
    insta::assert_snapshot!(refusal("[project]\nname = \"a\"\n\n[[suite]]\nname = \"x\"\n  kin = \"pytest\"\n"), @r#"
    testbed.toml:6:3: unknown key `kin` in `suite[0]`
    6 |   kin = "pytest"
      |   ^
    hint: did you mean `kind`?
    "#);
    insta::assert_snapshot!(refusal("[projct]\nname = \"a\"\n"), @"
    testbed.toml:1:2: unknown key `projct`
    1 | [projct]
      |  ^
    hint: did you mean `project`?
    ");
}

#[test]
fn two_suites_of_one_name_are_refused() {
    insta::assert_snapshot!(refusal("project.name = \"a\"\n[[suite]]\nname = \"x\"\nkind = \"cargo\"\n[[suite]]\nname = \"x\"\nkind = \"cargo\"\n"), @r#"
    testbed.toml:6:8: `suite[1].name` is `x` again, first in line 3
    6 | name = "x"
      |        ^
    hint: give each suite a name of its own
    "#);
}

#[test]
fn a_project_without_suites_is_refused() {
    insta::assert_snapshot!(refusal("project.name = \"a\"\n"), @r#"
    testbed.toml:1:16: the project `a` has no suite
    1 | project.name = "a"
      |                ^
    hint: add `[[suite]]` with `name`, `kind` and `paths`
    "#);
}

#[test]
fn values_that_make_no_sense_are_refused() {
    for (keys, message) in [
        ("kind = \"jest\"", "4:8: `suite[0].kind` cannot be `jest`"),
        ("kind = \"pytest\"\npaths = [\"a\"]", "2:1: the key `type` is missing in `suite[0]`"),
        ("kind = \"pytest\"\ntype = \"unit\"", "2:1: the key `paths` is missing in `suite[0]`"),
        ("kind = \"cargo\"\ntype = \"e2\"", "5:8: `suite[0].type` cannot be `e2`"),
        ("kind = \"cargo\"\ntier = \"merge\"", "5:8: `suite[0].tier` is the unknown tier `merge`"),
        ("kind = \"cargo\"\npaths = []", "5:9: `suite[0].paths` must name at least one path"),
        ("kind = \"cargo\"\npaths = [\"../x\"]", "5:10: `suite[0].paths[0]` leaves the project: `../x`"),
        ("kind = \"cargo\"\npaths = [\"/x\"]", "5:10: `suite[0].paths[0]` is not below the project: `/x`"),
        (
            "kind = \"cargo\"\npaths = [\"-x\"]",
            "5:10: `suite[0].paths[0]` would be taken for an option: `-x`",
        ),
        ("kind = \"cargo\"\nworkers = 0", "5:11: `suite[0].workers` must be between 1 and 256, not `0`"),
        ("kind = \"cargo\"\nprofiles = \"mocker\"", "5:12: `suite[0].profiles` must be a list, not text"),
        (
            "kind = \"cargo\"\nprofiles = [\"a[\"]",
            "5:13: `suite[0].profiles[0]` is not a pattern: unclosed character class; missing ']'",
        ),
        (
            "kind = \"pre-commit\"\nprofiles = [\"a\"]",
            "5:12: `suite[0].profiles` has no meaning for hooks, which need no stack",
        ),
        (
            "kind = \"pytest\"\ntype = \"unit\"\npaths = [\"a\"]\nexpression = \"a and (b\"",
            "7:14: `suite[0].expression` cannot be read at its column 9: expected right parenthesis; got end of input",
        ),
        ("kind = \"pre-commit\"\nexpression = \"a\"", "5:14: `suite[0].expression` has no meaning for hooks"),
        (
            "kind = \"cargo\"\ntimeouts = { case = \"0s\" }",
            "5:21: `suite[0].timeouts.case` must be more than `0s`",
        ),
        ("kind = \"cargo\"\ntimeouts = { cas = \"1s\" }", "5:14: unknown key `cas` in `suite[0].timeouts`"),
        (
            "kind = \"cargo\"\nenvironment = { TESTBED_FACTS = \"x\" }",
            "5:17: `TESTBED_FACTS` cannot be set: variables that start with `TESTBED_` are Testbed's own",
        ),
    ] {
        let text = format!("project.name = \"a\"\n[[suite]]\nname = \"x\"\n{keys}\n");
        let error = parse("testbed.toml", &text).unwrap_err();
        assert_eq!(error.to_string(), format!("testbed.toml:{message}"), "{keys}");
    }
}

#[test]
fn a_suite_may_bring_its_habits() {
    let text = "project.name = \"a\"\n[[suite]]\nname = \"x\"\nkind = \"pytest\"\ntype = \"unit\"\npaths = [\"a\"]\n\
                python = \"/opt/venv/bin/python3\"\nfolder = \"./components/\"\nuser = \"1001:0\"\n";
    let some = |text: &str| Some(text.to_owned());
    let expected =
        Habits { python: some("/opt/venv/bin/python3"), folder: some("components"), user: some("1001:0") };
    assert_eq!(read(text).suites[0].habits, expected);
    assert!(
        read(&text.replace("./components/", ".").replace("python", "workers = 1 #")).suites[0]
            .habits
            .folder
            .is_none()
    );
}

#[test]
fn habits_that_make_no_sense_are_refused() {
    for (keys, message) in [
        ("kind = \"cargo\"\nfolder = \"a\"", "5:10: `suite[0].folder` has no meaning for Rust tests"),
        ("kind = \"pre-commit\"\npython = \"a\"", "5:10: `suite[0].python` has no meaning for hooks"),
        ("kind = \"pre-commit\"\nuser = \"1:1\"", "5:8: `suite[0].user` has no meaning for hooks"),
        ("kind = \"cargo\"\nuser = \"0:0\"", "5:8: `suite[0].user` cannot be root"),
        ("kind = \"cargo\"\nuser = \"me\"", "5:8: `suite[0].user` must be `uid:gid` in numbers, not `me`"),
        (
            "kind = \"pytest\"\ntype = \"unit\"\npaths = [\"a\"]\npython = \".venv/bin/python\"",
            "7:10: `suite[0].python` is neither a program's name nor a path from `/`: `.venv/bin/python`",
        ),
    ] {
        let text = format!("project.name = \"a\"\n[[suite]]\nname = \"x\"\n{keys}\n");
        let error = parse("testbed.toml", &text).unwrap_err();
        assert_eq!(error.to_string(), format!("testbed.toml:{message}"), "{keys}");
    }
}

const LINT: &str = "project.name = \"a\"\n[[suite]]\nname = \"x\"\nkind = \"pre-commit\"\n";

#[test]
fn an_image_of_its_own_starts_from_tests_unless_it_says_otherwise() {
    let text = format!(
        "{LINT}[[image]]\nname = \"own\"\nrequirements = [\"./r/a.txt\", \"b.txt\"]\npackages = [\"g++\"]\n"
    );
    let project = read(&text);
    let image = &project.images[0];
    assert_eq!((image.name.as_str(), image.base.as_str()), ("own", "tests"));
    let files: Vec<(&str, u32)> =
        image.requirements.iter().map(|(file, mark)| (file.as_str(), mark.line)).collect();
    assert_eq!(files, [("r/a.txt", 7), ("b.txt", 7)]);
    assert_eq!(image.packages, ["g++"]);
}

#[test]
fn images_that_make_no_sense_are_refused() {
    for (keys, message) in [
        ("packages = [\"ab\"]", "5:1: the key `name` is missing in `image[0]`"),
        ("name = \"own\"", "5:1: the image adds nothing: it has neither `requirements` nor `packages`"),
        ("name = \"Own\"\npackages = [\"ab\"]", "6:8: `image[0].name` is wrong: `Own` cannot name an image"),
        ("name = \"own\"\npackages = []", "7:12: `image[0].packages` must name at least one package"),
        (
            "name = \"own\"\npackages = [\"ab=1\"]",
            "7:13: `image[0].packages[0]` cannot be a Debian package: `ab=1`",
        ),
        (
            "name = \"own\"\npackages = [\"-y\"]",
            "7:13: `image[0].packages[0]` cannot be a Debian package: `-y`",
        ),
        (
            "name = \"own\"\nrequirements = [\"../r.txt\"]",
            "7:17: `image[0].requirements[0]` leaves the project",
        ),
        ("name = \"own\"\nrequirements = [\"r\", \"./r\"]", "7:22: `image[0].requirements[1]` is `r` again"),
        ("name = \"own\"\nrequirement = [\"r\"]", "7:1: unknown key `requirement` in `image[0]`"),
        (
            "name = \"own\"\npackages = [\"ab\"]\n[[image]]\nname = \"own\"\npackages = [\"ab\"]",
            "9:8: `image[1].name` is `own` again, first in line 6",
        ),
    ] {
        let error = parse("testbed.toml", &format!("{LINT}[[image]]\n{keys}\n")).unwrap_err();
        assert!(error.to_string().starts_with(&format!("testbed.toml:{message}")), "{keys}: {error}");
    }
}

#[test]
fn a_suite_name_is_a_part_of_file_names() {
    for name in ["../x", "a b", "", "-a", "a/b", "a@b"] {
        let text = format!("project.name = \"a\"\n[[suite]]\nname = \"{name}\"\nkind = \"cargo\"\n");
        assert!(parse("testbed.toml", &text).is_err(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
        let _ = parse("testbed.toml", &text);
    }

    #[test]
    fn no_mutation_of_a_project_file_makes_the_reader_panic(
        from in 0_usize..700,
        length in 0_usize..60,
        inserted in "[\\PC\\n]{0,12}",
    ) {
        let chars: Vec<char> = WHOLE.chars().collect();
        let from = from.min(chars.len());
        let to = (from + length).min(chars.len());
        let mutated: String =
            chars[..from].iter().copied().chain(inserted.chars()).chain(chars[to..].iter().copied()).collect();
        let _ = parse("testbed.toml", &mutated);
    }

    #[test]
    fn a_path_that_is_accepted_stays_below_the_project(path in "[a-c./~-]{1,20}") {
        let text = format!("project.name = \"a\"\n[[suite]]\nname = \"x\"\nkind = \"cargo\"\npaths = [\"{path}\"]\n");
        if let Ok(project) = parse("testbed.toml", &text) {
            let path = &project.suites[0].paths[0];
            prop_assert!(!path.starts_with('/') && path.split('/').all(|part| part != ".."), "{path}");
        }
    }
}
