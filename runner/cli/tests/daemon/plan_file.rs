//! Runs by a plan file, budgets, and what a record says of cases that were withheld.

use testbed_model::case::Outcome;
use testbed_model::exit_code::ExitCode;

use crate::catalog::{project, project_with};
use crate::ground::Ground;

const TWO: &str = "def test_a():\n    pass\n\n\ndef test_b():\n    pass\n";

/// Keeps the plan of the tier before a merge in a file, whose name it gives, beside the project.
fn keep(ground: &Ground, change: impl Fn(String) -> String) -> String {
    let ended = ground.testbed(["plan", "premerge", "--json"]);
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.err);
    let file = ground.path().join("plan.json");
    std::fs::write(&file, change(ended.out)).unwrap();
    file.display().to_string()
}

#[test]
fn a_plan_file_is_executed_as_it_is_and_loses_no_case() {
    let ground = project(&[("test_a.py", TWO), ("test_gone.py", "def test_c():\n    pass\n")]);
    let file = keep(&ground, |plan| plan);
    let planned = ["tests/test_a.py::test_a", "tests/test_a.py::test_b", "tests/test_gone.py::test_c"];
    let run = ground.start(["run", "--json", "--plan", &file]).end();
    assert_eq!(
        (run.code, run.executed()),
        (ExitCode::Passed, planned.map(str::to_owned).into()),
        "{}",
        run.err
    );

    // One case more and a file more; and a case that is gone.
    let ground = ground
        .with("project/tests/test_a.py", &format!("{TWO}\n\ndef test_new():\n    pass\n"))
        .with("project/tests/test_new.py", TWO)
        .with("project/tests/test_gone.py", "def test_d():\n    pass\n");
    let run = ground.start(["run", "--json", "--plan", &file]).end();
    assert_eq!(
        (run.code, run.executed()),
        (ExitCode::TestFailed, planned.map(str::to_owned).into()),
        "{}",
        run.err
    );
    let outcomes = run.outcomes();
    let gone = &outcomes["tests/test_gone.py::test_c"];
    assert_eq!(*gone, (Outcome::Error, "it was planned, and its tool did not collect it".to_owned()));
    assert_eq!(outcomes.values().filter(|(outcome, _)| *outcome == Outcome::Passed).count(), 2);

    // The same where its file is gone as a whole.
    let ground = ground.without("project/tests/test_gone.py");
    let run = ground.start(["run", "--json", "--plan", &file]).end();
    assert_eq!(run.code, ExitCode::TestFailed, "{}", run.err);
    let outcomes = run.outcomes();
    assert_eq!(outcomes["tests/test_gone.py::test_c"].0, Outcome::Error, "{outcomes:?}");
    assert_eq!(outcomes["tests/test_a.py::test_a"].0, Outcome::Passed, "{outcomes:?}");
}

#[test]
fn a_plan_file_that_cannot_be_executed_is_refused() {
    let ground = project(&[("test_a.py", TWO)]);
    let refused = |change: &dyn Fn(String) -> String| {
        let file = keep(&ground, change);
        let ended = ground.testbed(["run", "--plan", &file]);
        assert_eq!((ended.code(), ended.out.as_str()), (ExitCode::Usage, ""), "{}", ended.err);
        ended.told()
    };
    insta::assert_snapshot!(refused(&|plan| plan.chars().take(20).collect()), @r"
    error: `[site]/plan.json` is no plan: EOF while parsing a string at line 1 column 20
    hint: `testbed plan TIER --json > FILE` writes one
    ");
    insta::assert_snapshot!(refused(&|_| "[]".to_owned()), @r"
    error: `[site]/plan.json` is no plan: it is no JSON object
    hint: `testbed plan TIER --json > FILE` writes one
    ");
    insta::assert_snapshot!(refused(&|plan| plan.replace("\"schema\":1", "\"schema\":99")), @r"
    error: `[site]/plan.json` is a plan of the format 99, and this version reads 1
    hint: `testbed plan TIER --json > FILE` writes one
    ");
    insta::assert_snapshot!(refused(&|plan| plan.replace("\"tier\"", "\"tear\"")), @r"
    error: `[site]/plan.json` is no plan: missing field `tier`
    hint: `testbed plan TIER --json > FILE` writes one
    ");
    let other = refused(&|plan| {
        let start = plan.find("testbed/tests:").unwrap() + "testbed/tests:".len();
        let end = start + plan[start..].find('"').unwrap();
        plan.replace(&plan[start..end], "another")
    });
    assert!(
        other.starts_with(
            "error: the plan wants the image `tests` as `testbed/tests:another`, and here it is"
        )
    );
    assert!(
        other.ends_with("\nhint: check out the revision that the plan was made in, or plan anew\n"),
        "{other}"
    );
    let ended = ground.testbed(["run", "--plan", "nowhere.json"]);
    assert_eq!(ended.code(), ExitCode::Usage);
    insta::assert_snapshot!(ended.told(), @r"
    error: cannot read `nowhere.json`: No such file or directory (os error 2)
    hint: `testbed plan TIER --json > FILE` writes one
    ");
}

#[test]
fn a_budget_is_a_warning_unless_it_is_to_be_enforced() {
    let more = "\n[budgets]\ntiers = { premerge = \"1ms\" }\n";
    let ground = project_with(more, &[("test_a.py", TWO)]);
    let over = "the tier `premerge` took";
    for (flags, code) in [(&[][..], ExitCode::Passed), (&["--enforce-budget"], ExitCode::BudgetExceeded)] {
        let ended = ground.testbed(["premerge"].iter().chain(flags).copied());
        assert_eq!(ended.code(), code, "{}", ended.err);
        assert!(ended.err.contains(over), "{}", ended.err);
    }
    // A red case is told before a budget.
    let ground = ground.with("project/tests/test_a.py", "def test_a():\n    assert False\n");
    assert_eq!(ground.testbed(["premerge", "--enforce-budget"]).code(), ExitCode::TestFailed);
}

#[test]
fn withheld_cases_are_told_as_skipped_with_their_reasons() {
    let cases = "import pytest\n\n\ndef test_runs():\n    pass\n\n\ndef test_mended():\n    assert False\n\n\n\
                 @pytest.mark.skip(reason=\"not today\")\ndef test_skipped():\n    assert False\n\n\n\
                 @pytest.mark.gpu_8\n@pytest.mark.h100\ndef test_hungry():\n    assert False\n\n\n\
                 @pytest.mark.nightly\ndef test_of_the_night():\n    assert False\n";
    let quarantine =
        "\n[[quarantine]]\ncases = [\"tests/*::test_mended\"]\nticket = \"T-9\"\nuntil = 9999-12-31\n";
    let ground = project_with(quarantine, &[("test_a.py", cases)]);
    let ended = ground.testbed(["premerge"]);
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.err);
    let junit = ground.record("junit.xml");
    for (case, reason) in [
        ("test_mended", "quarantined until 9999-12-31: T-9"),
        ("test_skipped", "marked skip: not today"),
        ("test_hungry", "it needs "),
    ] {
        let start =
            junit.find(&format!("name=\"tests/test_a.py::{case}\"")).unwrap_or_else(|| panic!("{junit}"));
        let end = start + junit[start..].find("</testcase>").unwrap();
        assert!(junit[start..end].contains(&format!("<skipped message=\"{reason}")), "{junit}");
    }
    // What was never asked for is counted in the plan, and is no part of the run.
    assert!(junit.contains(r#"tests="4" skipped="3""#), "{junit}");
    assert!(!junit.contains("test_of_the_night"), "{junit}");
}
