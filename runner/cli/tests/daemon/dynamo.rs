//! A small repository with Dynamo's layout: what is planned, found and selected there equals what is written down.

use insta::assert_snapshot;
use testbed_model::exit_code::ExitCode;

use crate::ground::Ground;
use crate::repository::{commit, dynamo, git, plan, warnings};

/// Said of every plan while there is no project file.
const DETECTED: &str = "there is no `testbed.toml`; the suites are told from Dynamo's layout: `lib/runtime/`, `components/`, \
                        `.github/filters.yaml`, `lib/bindings/python/Cargo.toml`, `pyproject.toml`";

/// The hooks look at every file, so every change concerns them.
const ALWAYS: &str = "end-of-file";

const ROUTER: &str = "components/src/dynamo/router/tests";

const PROJECT: &str = r#"
[project]
name = "dynamo"
preset = "dynamo"

[changes]
filters = ".github/filters.yaml"

[[changes.rule]]
filter = "docs"
nothing = true

[[changes.rule]]
filter = "planner"
cases = "planner or router"

[[quarantine]]
cases = ["components/src/dynamo/router/tests/test_selection.py::*"]
ticket = "DYN-7"
until = 9999-12-31

[[lane]]
name = "router"
suite = "components"
expression = "pre_merge and router and gpu_0"
workers = 2
"#;

/// A text without what differs between hosts, images and runs.
fn redacted(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let cut = |line: &str, start: &str| line.find(start).map(|at| at + start.len());
        let line = if let Some(rest) = line.strip_prefix("plan ") {
            format!("plan [id]{}", &rest[rest.find(' ').unwrap()..])
        } else if let Some(rest) = line.strip_prefix("predicted ") {
            format!("predicted [time]{}", &rest[rest.find(',').unwrap()..])
        } else if let Some(at) = cut(line, "testbed/tests:") {
            format!("{}[hash]", &line[..at])
        } else if let Some(at) = cut(line, "this host has ") {
            format!("{}[GPUs]", &line[..at])
        } else {
            line.to_owned()
        };
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// The cases that a change of one file concerns; the hook, which every change concerns, must be first.
fn concerned(ground: &Ground, file: &str) -> Vec<String> {
    let planned = plan(ground, &["--changed", file]);
    assert_eq!(planned.warnings, [DETECTED], "{file}");
    let executed = planned.executed();
    assert_eq!(executed[0], ALWAYS, "{file}");
    executed[1..].iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn a_repository_with_dynamos_layout_is_planned_and_checked_as_written_down() {
    let ground = dynamo();
    let listed = ground.testbed(["list"]);
    assert_eq!(listed.code(), ExitCode::Passed, "{}", listed.err);
    assert_snapshot!("list", listed.out);

    let planned = plan(&ground, &[]);
    assert_eq!(planned.warnings, [DETECTED]);
    assert_snapshot!("verdicts", redacted(&planned.verdicts()));
    let readable = ground.testbed(["plan", "premerge"]);
    assert_eq!((readable.code(), warnings(&readable)), (ExitCode::Passed, vec![DETECTED.to_owned()]));
    assert_snapshot!("plan", redacted(&readable.out));

    let checked = ground.testbed(["check", "--format", "text"]);
    assert_eq!((checked.code(), checked.err.as_str()), (ExitCode::TestFailed, ""));
    assert_snapshot!("check", checked.out);

    // And so it is executed: also the workspaces below the root, with what the compiler put into their tests.
    let run = ground.start(["premerge", "--json"]).end();
    assert_eq!(run.code, ExitCode::Passed, "{}", run.err);
    let mut executed: Vec<&str> = planned.executed();
    executed.sort_unstable();
    assert_eq!(run.executed(), executed);
    run.left_nothing();
}

#[test]
fn mending_replaces_older_spellings_and_leaves_what_needs_a_thought() {
    let ground = dynamo();
    let mended = ground.testbed(["check", "--fix"]);
    assert_eq!(mended.code(), ExitCode::TestFailed, "{}", mended.err);
    let path = format!("{ROUTER}/test_router_legacy.py");
    let told: Vec<&str> = mended.err.lines().filter(|line| line.starts_with("mended")).collect();
    let replaced = [("gpus_needed_0", "gpu_0"), ("kv_router", "router"), ("premerge", "pre_merge")];
    let expected = replaced.map(|(old, new)| format!("mended {path}: replace `{old}` by `{new}`"));
    assert_eq!(told, expected);
    let text = std::fs::read_to_string(ground.project().join(&path)).unwrap();
    let marks =
        "pytestmark = [pytest.mark.pre_merge, pytest.mark.unit, pytest.mark.gpu_0, pytest.mark.router]";
    assert!(text.lines().any(|line| line == marks), "{text}");

    // The spelling that is no name in Python stays, and nothing else is found then.
    let again = ground.testbed(["check", "--fix"]);
    let of_spelling: Vec<&str> = again.out.lines().filter(|line| line.contains("aliased-spelling")).collect();
    assert_eq!(of_spelling.len(), 1, "{}", again.out);
    assert!(of_spelling[0].contains("`pre-merge`"), "{}", again.out);
    assert_eq!(again.out, mended.out);
    assert!(!again.err.contains("mended"), "{}", again.err);
}

#[test]
fn a_changed_file_selects_what_is_written_down() {
    let ground = dynamo();
    let whole = plan(&ground, &[]);
    let router: Vec<String> = [
        format!("{ROUTER}/test_router_selector.py::test_the_cheapest_wins"),
        // It asks the router inside a function.
        "components/src/dynamo/planner/tests/test_planner_replay.py::test_the_idle_worker_is_chosen"
            .to_owned(),
        format!("{ROUTER}/test_router_legacy.py::test_overlap_is_cheap"),
        format!("{ROUTER}/test_router_legacy.py::test_a_spelling_that_is_no_name"),
        format!("{ROUTER}/test_selection.py::test_one_worker_is_chosen"),
        "tests/router/test_router_failover.py::test_the_next_worker_takes_over".to_owned(),
    ]
    .into();
    assert_eq!(concerned(&ground, "components/src/dynamo/router/cost.py"), router);

    let tokens = [
        "dynamo-llm tests::a_prompt_has_blocks",
        "dynamo-llm::serving a_model_has_a_component",
        "dynamo-tokens tests::a_block_is_begun_and_counts",
        "dynamo-py3 tests::its_manifest_is_where_it_was_compiled",
        "dynamo-py3 tests::python_serves",
        "kvbm-py3 tests::blocks_are_held",
    ];
    assert_eq!(concerned(&ground, "lib/tokens/src/lib.rs"), tokens);
    let llm = ["dynamo-llm tests::a_prompt_has_blocks", "dynamo-llm::serving a_model_has_a_component"];
    let bindings =
        ["dynamo-py3 tests::its_manifest_is_where_it_was_compiled", "dynamo-py3 tests::python_serves"];
    let llm_and_bindings = [&llm[..], &bindings].concat();
    assert_eq!(concerned(&ground, "lib/llm/src/lib.rs"), llm_and_bindings);
    // The key `rust` is for all Rust suites, and leaves the examples out.
    let rust: Vec<&str> = whole.executed().into_iter().filter(|id| id.contains(' ')).collect();
    assert_eq!(rust.len(), 8, "{rust:?}");
    assert_eq!(concerned(&ground, "lib/runtime/src/lib.rs"), rust);
    let example = "lib/runtime/examples/hello_world/src/lib.rs";
    assert_eq!(concerned(&ground, example), ["hello_world tests::it_says_hello"]);

    let of_nobody: [String; 0] = [];
    for file in ["docs/router.md", "deploy/README.md", "components/src/dynamo/planner/README.md"] {
        assert_eq!(concerned(&ground, file), of_nobody, "{file}");
    }
    let of_planner = concerned(&ground, "components/src/dynamo/planner/scaling.py");
    assert!(of_planner.iter().all(|id| id.contains("/planner/")), "{of_planner:?}");
    assert_eq!(of_planner.len(), 4);
    let below = concerned(&ground, "tests/conftest.py");
    assert!(below.iter().all(|id| id.starts_with("tests/")) && below.len() == 3, "{below:?}");

    for (file, why) in [
        ("strange/file.bin", "nothing says which cases `strange/file.bin` concerns"),
        (
            ".github/filters.yaml",
            "`.github/filters.yaml` changed, and the rule for the filter `core` is for all of them",
        ),
        (
            "deploy/stack.yaml",
            "`deploy/stack.yaml` changed, and the rule for the filter `core` is for all of them",
        ),
        ("pyproject.toml", "`pyproject.toml` changed, which decides how all of them are executed"),
    ] {
        let widened = plan(&ground, &["--changed", file]);
        let loud = format!("the whole tier runs, not only what the changes concern: {why}");
        assert_eq!(widened.warnings, [DETECTED.to_owned(), loud]);
        assert_eq!(widened.executed(), whole.executed());
    }

    // The same from revisions: a committed change, and one that is not committed yet.
    let append = |file: &str, text: &str| {
        let path = ground.project().join(file);
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(path, old + text).unwrap();
    };
    append("components/src/dynamo/router/cost.py", "\n\nFREE = 0\n");
    commit(&ground);
    assert_eq!(plan(&ground, &["--since", "HEAD~1"]).executed()[1..], router);
    append("docs/router.md", "\nMore.\n");
    append("docs/new.md", "New.\n");
    assert_eq!(plan(&ground, &["--since", "HEAD"]).executed(), [ALWAYS]);
    git(&ground, &["add", "--all"]);
    assert_eq!(plan(&ground, &["--since", "HEAD"]).executed(), [ALWAYS]);
}

#[test]
fn a_project_file_over_the_preset_adds_what_it_says() {
    let ground = dynamo().with("project/testbed.toml", PROJECT);
    commit(&ground);
    let planned = plan(&ground, &[]);
    assert_eq!(planned.warnings, [""; 0]);
    assert_snapshot!("verdicts-with-a-project-file", redacted(&planned.verdicts()));
    // Its own rule for changes counts, and the preset's do not: the router's cases are concerned, and Rust by its crates.
    let planned = plan(&ground, &["--changed", "components/src/dynamo/planner/scaling.py"]);
    assert_snapshot!("a-planner-change-with-a-project-file", redacted(&planned.verdicts()));
    let planned = plan(&ground, &["--changed", "deploy/stack.yaml"]);
    assert_eq!(planned.warnings.len(), 1, "{:?}", planned.warnings);
    assert!(planned.warnings[0].contains("nothing says which cases `deploy/stack.yaml` concerns"));
}
