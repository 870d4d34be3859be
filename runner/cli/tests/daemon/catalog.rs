//! The catalog of a project: who is asked for cases and when, what a file that cannot be collected comes to, and what is
//! refused before anything starts.

use testbed_model::exit_code::ExitCode;

use crate::ground::Ground;
use crate::repository::{commit, git, plan};
use crate::site::Ended;

/// A suite that needs no stack.
const PROJECT: &str = r#"
[project]
name = "small"

[[suite]]
name = "unit"
kind = "pytest"
type = "unit"
paths = ["tests"]
"#;

/// A project with files of tests in its one suite.
pub fn project(files: &[(&str, &str)]) -> Ground {
    let ground = Ground::bare().with("project/testbed.toml", PROJECT);
    files.iter().fold(ground, |ground, (name, text)| ground.with(&format!("project/tests/{name}"), text))
}

/// A project with more in its project file.
pub fn project_with(more: &str, files: &[(&str, &str)]) -> Ground {
    project(files).with("project/testbed.toml", &format!("{PROJECT}{more}"))
}

/// Two cases, and a file that imports what is not there.
fn broken() -> Ground {
    project(&[
        ("test_good.py", "def test_a():\n    pass\n\n\ndef test_b():\n    pass\n"),
        ("test_broken.py", "import no_such_module\n\n\ndef test_c():\n    pass\n"),
    ])
}

/// Lists the cases; standard error tells of every tool that is asked.
fn list(ground: &Ground) -> Ended {
    let ended = ground.testbed(["list"]);
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.err);
    ended
}

/// How a command is refused: its message, with its exit code for what is wrongly written.
fn refused<'a>(ground: &Ground, arguments: impl IntoIterator<Item = &'a str>) -> String {
    let ended = ground.testbed(arguments);
    assert_eq!((ended.code(), ended.out.as_str()), (ExitCode::Usage, ""), "{}", ended.err);
    ended.told()
}

#[test]
fn a_tool_is_asked_again_only_where_it_would_say_something_else() {
    let mut ground =
        project(&[("test_a.py", "def test_a():\n    pass\n")]).with("project/README.md", "one\n");
    let first = list(&ground);
    assert!(first.err.contains("collecting the cases of `unit`"), "{}", first.err);
    assert_eq!(first.out, "unit  1 cases\n  tests/test_a.py::test_a\n");

    let is_known = |ground: &Ground, out: &str| {
        for arguments in [&["list"][..], &["list", "--no-collect"]] {
            // Where nobody could be asked, nobody was.
            let mut command = ground.command(arguments.iter().copied());
            let output = command.env("DOCKER_HOST", "unix:///nonexistent.sock").output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
            assert_eq!(String::from_utf8_lossy(&output.stdout), out, "{arguments:?}");
        }
    };
    is_known(&ground, &first.out);
    ground = ground.with("project/README.md", "two\n").with("project/docs/new.md", "new\n");
    // A new folder in the root is told by the root's list of names, and only that is asked again.
    let after = list(&ground);
    assert_eq!(after.out, first.out);
    is_known(&ground, &first.out);
    ground = ground.with("project/README.md", "three\n").with("project/docs/more.md", "more\n");
    is_known(&ground, &first.out);

    ground = ground.with("project/tests/test_a.py", "def test_b():\n    pass\n");
    let unknown = ground.testbed(["list", "--no-collect"]);
    assert_eq!(unknown.out, "unit  not collected: nobody was asked for its cases (`--no-collect`)\n");
    let changed = list(&ground);
    assert_eq!(changed.out, "unit  1 cases\n  tests/test_a.py::test_b\n");
    is_known(&ground, &changed.out);

    let conftest = "def pytest_collection_modifyitems(items):\n    items.clear()\n";
    ground = ground.with("project/tests/conftest.py", conftest);
    let emptied = list(&ground);
    assert!(emptied.err.contains("collecting the cases of `unit`"), "{}", emptied.err);
    is_known(&ground, &emptied.out);
}

#[test]
fn a_file_that_cannot_be_collected_is_told_by_every_verb_and_the_others_are_executed() {
    let ground = broken();
    let why = "ModuleNotFoundError: No module named 'no_such_module'";
    let listed = list(&ground);
    assert_eq!(
        listed.out,
        format!(
            "unit  2 cases\n  tests/test_good.py::test_a\n  tests/test_good.py::test_b\n  \
             tests/test_broken.py could not be collected: {why}\n"
        )
    );
    let planned = ground.testbed(["plan"]);
    assert_eq!(planned.code(), ExitCode::Passed, "{}", planned.err);
    let told = format!("\nnot collected\n  unit                         tests/test_broken.py: {why}\n");
    assert!(planned.out.ends_with(&told), "{}", planned.out);

    let ended = ground.testbed(["premerge"]);
    assert_eq!(ended.code(), ExitCode::TestFailed, "{}", ended.err);
    for part in [
        &format!("Warning `tests/test_broken.py` of `unit` could not be collected: {why}"),
        "1 of 3 cases red",
        "rerun  testbed premerge --suite unit --case tests/test_broken.py",
    ] {
        assert!(ended.err.contains(part), "no `{part}`:\n{}", ended.err);
    }
    let junit = ground.record("junit.xml");
    assert!(junit.contains(r#"tests="3" skipped="0" failures="0" errors="1""#), "{junit}");

    // The command that the summary names executes nothing else, and who asks for another case does not meet the file.
    let ended = ground.testbed(["premerge", "--suite", "unit", "--case", "tests/test_broken.py"]);
    assert_eq!(ended.code(), ExitCode::TestFailed, "{}", ended.err);
    assert!(ended.err.contains("1 of 1 case red"), "{}", ended.err);
    let ended = ground.testbed(["premerge", "--case", "tests/test_good.py"]);
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.err);
    assert!(ground.record("junit.xml").contains(r#"tests="2""#));
}

#[test]
fn a_suite_of_nothing_but_a_broken_file_is_red() {
    let ground = project(&[("test_broken.py", "import no_such_module\n")]);
    let ended = ground.testbed(["premerge"]);
    assert_eq!(ended.code(), ExitCode::TestFailed, "{}", ended.err);
    assert!(ended.err.contains("1 of 1 case red"), "{}", ended.err);
}

#[test]
fn an_unknown_marker_is_refused_with_its_column_and_the_nearest_name() {
    let ground = project(&[("test_a.py", "def test_a():\n    pass\n")]);
    let message = "error: `-m`: column 10: unknown marker `slwo`\n  unit and slwo\n           ^\nhint: did you mean `slow`?\n";
    for verb in [&["plan"][..], &["premerge"], &["list"]] {
        let told = refused(&ground, verb.iter().copied().chain(["-m", "unit and slwo"]));
        // What was collected for it is told before.
        assert!(told.ends_with(message), "{verb:?}: {told}");
    }
}

#[test]
fn one_case_of_many_files_is_collected_and_executed_alone() {
    let text = "import sys\n\n\ndef test_it():\n    \
                assert [name for name in sys.modules if name.startswith(\"test_\")] == [__name__]\n";
    let names: Vec<String> = (0..40).map(|number| format!("test_{number:02}.py")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), text)).collect();
    let ground = project(&files);
    let case = "tests/test_17.py::test_it";
    let planned = plan(&ground, &["--case", case]);
    assert_eq!(planned.executed(), [case]);
    assert_eq!(planned.plan.lanes[0].cases.as_ref().unwrap().files, ["tests/test_17.py"]);
    let run = ground.start(["premerge", "--json", "--case", case]).end();
    assert_eq!(run.code, ExitCode::Passed, "{}", run.err);
    assert_eq!(run.executed(), [case]);
}

#[test]
fn two_shards_execute_each_case_once() {
    let text = "import pytest\n\n\n@pytest.mark.parametrize(\"n\", range(5))\ndef test_it(n):\n    pass\n";
    let ground =
        project(&[("test_a.py", text), ("test_b.py", text), ("test_c.py", text), ("test_d.py", text)]);
    let planned = plan(&ground, &[]);
    let mut whole = planned.executed();
    whole.sort_unstable();
    let of_shard = |shard| {
        let run = ground.start(["premerge", "--json", "--shard", shard]).end();
        assert_eq!(run.code, ExitCode::Passed, "{}", run.err);
        run.executed()
    };
    let (first, second) = (of_shard("1/2"), of_shard("2/2"));
    assert!(!first.is_empty() && !second.is_empty(), "{first:?} {second:?}");
    let mut both = [first, second].concat();
    both.sort_unstable();
    assert_eq!(both, whole);
}

#[test]
fn what_is_wrongly_named_is_refused_with_a_way_out() {
    let suite = PROJECT.split_once("\n[[suite]]").unwrap().1;
    let twice = project_with(&format!("\n[[suite]]{suite}"), &[("test_a.py", "def test_a():\n    pass\n")]);
    let told = refused(&twice, ["plan"]);
    assert!(told.contains("testbed.toml:") && told.contains("`unit`") && told.contains("hint: "), "{told}");

    let ground = project(&[("test_a.py", "def test_a():\n    pass\n")]);
    let told = refused(&ground, ["plan", "--since", "no-such-branch"]);
    assert!(
        told.contains("is not in a git checkout")
            && told.contains("hint: name the files by `--changed FILE`")
    );
    commit(&ground);
    insta::assert_snapshot!(refused(&ground, ["plan", "--since", "no-such-branch"]), @r"
    error: there is no revision `no-such-branch`
    hint: `git log --oneline` shows what there is; fetch the branch first
    ");
}

#[test]
fn a_shallow_clone_says_how_to_get_its_history() {
    let origin = project(&[("test_a.py", "def test_a():\n    pass\n")]);
    commit(&origin);
    let origin = origin.with("project/tests/test_a.py", "def test_b():\n    pass\n");
    commit(&origin);
    let clone = Ground::bare();
    let from = format!("file://{}", origin.project().display());
    git(&clone, &["clone", "--quiet", "--depth", "1", &from, "."]);
    insta::assert_snapshot!(refused(&clone, ["plan", "--since", "HEAD~1"]), @r"
    error: there is no revision `HEAD~1` in this shallow clone
    hint: `git fetch --unshallow` brings the history (actions/checkout: `fetch-depth: 0`)
    ");
}
