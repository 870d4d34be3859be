//! Project files that cannot be used.

use testbed_model::exit_code::ExitCode;

use crate::site::Site;

/// A fixture whose suite holds one more line.
fn with_line(line: &str) -> Site {
    let suite = "name = \"cases\"\nkind = \"pytest\"\ntype = \"e2e\"\npaths = [\"tests\"]\n";
    Site::small().with("testbed.toml", &format!("[project]\nname = \"small\"\n\n[[suite]]\n{suite}{line}\n"))
}

#[test]
fn a_project_without_a_project_file_is_told_from_its_layout_or_refused() {
    let ended = Site::small().without("testbed.toml").testbed(["plan"]);
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.told());
    assert!(
        ended.err.contains("there is no `testbed.toml`; the suites are told from `tests`"),
        "{}",
        ended.err
    );
    assert!(ended.out.contains("\nlanes\n  tests "), "{}", ended.out);
    let site = Site::small().with("empty/README.md", "nothing to test\n");
    insta::assert_snapshot!(site.refuses(["plan", "--project", "empty"], ExitCode::Usage), @"
    error: testbed.toml:1:1: the project `empty` has no such file, and nothing in it looks like tests
    hint: write one with `[project]` and `[[suite]]`
    ");
}

#[test]
fn a_stack_can_come_up_without_a_project() {
    let told = Site::small().without("testbed.toml").refuses(["up", "small"], ExitCode::Environment);
    assert!(told.contains("no container engine answers"), "the daemon is all that is missing:\n{told}");
}

#[test]
fn an_unknown_key_names_file_line_column_and_the_nearest_key() {
    insta::assert_snapshot!(with_line("▸profile = [\"small\"]").refuses(["plan"], ExitCode::Usage), @r#"
    error: testbed.toml:9:1: unknown key `profile` in `suite[0]`
      9 | profile = ["small"]
        | ^
    hint: did you mean `profiles`?
    "#);
    let site = Site::small().with("testbed.toml", "[project]\nname = \"x\"\n\n[[▸suites]]\nname = \"y\"\n");
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r"
    error: testbed.toml:4:3: unknown key `suites`
      4 | [[suites]]
        |   ^
    hint: did you mean `suite`?
    ");
}

#[test]
fn an_unknown_suite_offers_the_nearest() {
    insta::assert_snapshot!(Site::small().refuses(["plan", "--suite", "cases2"], ExitCode::Usage), @r"
    error: unknown suite `cases2`
    hint: did you mean `cases`?
    ");
    insta::assert_snapshot!(Site::small().refuses(["premerge", "--suite", "nothing-like-it"], ExitCode::Usage), @r"
    error: unknown suite `nothing-like-it`
    hint: known: `cases`
    ");
}

#[test]
fn a_suite_that_names_an_unknown_profile_offers_the_nearest() {
    insta::assert_snapshot!(with_line("profiles = [▸\"smalll\"]").refuses(["plan"], ExitCode::Usage), @r#"
    error: testbed.toml:9:13: the suite `cases` names the unknown profile `smalll`
      9 | profiles = ["smalll"]
        |             ^
    hint: did you mean `small`?
    "#);
}

#[test]
fn words_with_a_fixed_meaning_are_checked() {
    let told = [
        with_line("tier = ▸\"nightli\"").refuses(["plan"], ExitCode::Usage),
        with_line("image = ▸\"test\"").refuses(["plan"], ExitCode::Usage),
        with_line("workers = ▸0").refuses(["plan"], ExitCode::Usage),
        with_line("timeouts = { case = ▸\"60\" }").refuses(["plan"], ExitCode::Usage),
        Site::small()
            .with("testbed.toml", "[project]\nname = \"x\"\n[[suite]]\nname = \"y\"\nkind = ▸\"pytset\"\n")
            .refuses(["plan"], ExitCode::Usage),
    ];
    insta::assert_snapshot!(told.join("\n"), @r#"
    error: testbed.toml:9:8: `suite[0].tier` is the unknown tier `nightli`
      9 | tier = "nightli"
        |        ^
    hint: did you mean `nightly`?

    error: testbed.toml:9:9: the image `test` is neither in images/images.lock.json nor an `[[image]]` here
      9 | image = "test"
        |         ^
    hint: did you mean `tests`?

    error: testbed.toml:9:11: `suite[0].workers` must be between 1 and 256, not `0`
      9 | workers = 0
        |           ^

    error: testbed.toml:9:21: `suite[0].timeouts.case` must be a duration such as `30s` or `1m30s`, not `60`
      9 | timeouts = { case = "60" }
        |                     ^

    error: testbed.toml:5:8: `suite[0].kind` cannot be `pytset`
      5 | kind = "pytset"
        |        ^
    hint: did you mean `pytest`?
    "#);
}

#[test]
fn a_path_that_leaves_the_project_is_refused() {
    for path in ["../other", "/etc", "tests/../../x", "-rf"] {
        let text = format!(
            "[project]\nname = \"x\"\n[[suite]]\nname = \"y\"\nkind = \"pytest\"\ntype = \"unit\"\npaths = [▸\"{path}\"]\n"
        );
        let told = Site::small().with("testbed.toml", &text).refuses(["plan"], ExitCode::Usage);
        assert!(told.contains(path), "{told}");
    }
}

#[test]
fn a_suite_name_that_is_there_twice_names_both_lines() {
    let entry = |mark| format!("[[suite]]\nname = {mark}\"a\"\nkind = \"cargo\"\n");
    let text = format!("[project]\nname = \"x\"\n{}{}", entry(""), entry("▸"));
    let site = Site::small().with("testbed.toml", &text);
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r#"
    error: testbed.toml:7:8: `suite[1].name` is `a` again, first in line 4
      7 | name = "a"
        |        ^
    hint: give each suite a name of its own
    "#);
}

#[test]
fn a_project_without_suites_says_how_to_add_one() {
    let site = Site::small().with("testbed.toml", "[project]\nname = ▸\"x\"\n");
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r#"
    error: testbed.toml:2:8: the project `x` has no suite
      2 | name = "x"
        |        ^
    hint: add `[[suite]]` with `name`, `kind` and `paths`
    "#);
}

#[test]
fn variables_of_testbed_itself_cannot_be_set() {
    with_line("environment = { ▸TESTBED_FACTS = \"x\" }").refuses(["plan"], ExitCode::Usage);
}
