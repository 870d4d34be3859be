//! `testbed history`: what is imported, told, merged and written down.

use std::path::Path;

use serde_json::Value;
use testbed_model::exit_code::ExitCode;

use crate::site::terminal::{is_coloured, printed_on_terminal};
use crate::site::{SMALL_PROJECT, Site};

/// A report of pytest's of a day of November, in which one case a letter passed, failed or took its time.
fn report(day: usize, letters: &str) -> String {
    let case = |(number, letter): (usize, char)| {
        let failure = if letter == 'F' { "<failure message=\"assert 1 == 2\"/>" } else { "" };
        let time = if letter == 's' { "4.0" } else { "1.0" };
        format!(
            "<testcase classname=\"tests.test_small\" name=\"test_{number}\" time=\"{time}\">{failure}</testcase>"
        )
    };
    let cases: String = letters.chars().enumerate().map(case).collect();
    format!(
        "<testsuites><testsuite name=\"pytest\" tests=\"{}\" timestamp=\"2026-11-{day:02}T10:00:00\">{cases}</testsuite></testsuites>",
        letters.len()
    )
}

/// A project with reports of some days, one text of letters each: cases beside each other.
fn with_reports(days: &[&str]) -> Site {
    let site = Site::small();
    for (day, letters) in days.iter().enumerate() {
        site.write(&format!("ci/{day:02}.xml"), report(day + 1, letters).as_bytes());
    }
    site
}

fn imported(days: &[&str]) -> Site {
    let site = with_reports(days);
    let ended = site.testbed(["history", "import"].iter().map(ToString::to_string).chain(paths(days.len())));
    assert_eq!((ended.code(), ended.err.as_str()), (ExitCode::Passed, ""));
    site
}

fn paths(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|day| format!("ci/{day:02}.xml"))
}

/// A fortnight: the first case breaks, the second flaps, the third grows slower, the fourth is well.
const FORTNIGHT: [&str; 14] = [
    "....", "....", "....", "....", "....", "....", "....", "..s.", "..s.", "..s.", ".Fs.", "F.s.", "F.s.",
    "F.s.",
];

#[test]
fn without_a_run_that_is_what_is_said() {
    let ended = Site::small().testbed(["history"]);
    assert_eq!((ended.code(), ended.err.as_str()), (ExitCode::Passed, ""));
    assert_eq!(ended.out, "no run is known yet\n");
    insta::assert_snapshot!(Site::small().refuses(["history", "tests/test_small.py"], ExitCode::Usage), @r"
    error: the history knows no case `tests/test_small.py`
    hint: no run is known yet: every run adds to the history, and so does `testbed history import`
    ");
    assert!(!Site::small().path().join(".testbed").exists(), "asking makes nothing");
}

#[test]
fn what_was_imported_is_told_the_worst_first_and_again_nothing_changes() {
    let site = imported(&FORTNIGHT);
    let ended = site.testbed(["history"]);
    assert_eq!((ended.code(), ended.err.as_str()), (ExitCode::Passed, ""));
    insta::assert_snapshot!("history-overview", ended.out);
    let again = site.testbed(["history", "import", "ci/00.xml", "ci/13.xml"]);
    assert_eq!(again.out, "added 0 runs, 2 known already; the history knows 14 runs and 4 cases\n");
    assert_eq!(site.testbed(["history"]).out, ended.out);
    let ignored = site.path().join(".testbed/.gitignore");
    assert!(ignored.is_file(), "git sees nothing of it");
}

#[test]
fn a_case_is_told_with_all_that_is_known_and_a_file_with_a_strip_for_each() {
    let site = imported(&FORTNIGHT);
    let told = |case: &str| {
        let ended = site.testbed(["history", case]);
        assert_eq!((ended.code(), ended.err.as_str()), (ExitCode::Passed, ""));
        // The keys are hashes of the reports, the same everywhere.
        ended.out
    };
    insta::assert_snapshot!("history-case", told("tests/test_small.py::test_0"));
    let all = told("tests/test_small.py");
    assert_eq!(all.lines().filter(|line| line.contains(" in pytest")).count(), 4, "{all}");
    assert_eq!(told("*small*"), all);
    let json: Value =
        serde_json::from_str(&site.testbed(["history", "tests/test_small.py::test_1", "--json"]).out)
            .unwrap();
    assert_eq!((&json[0]["rule"], &json[0]["rate"]["executions"]), (&"flaky".into(), &14.into()), "{json}");
    let json: Value = serde_json::from_str(&site.testbed(["history", "--json"]).out).unwrap();
    assert_eq!(json["troubled"][0]["subject"]["case"], "tests/test_small.py::test_0");
    assert_eq!(json["slower"][0]["now_ms"], 4000);
}

#[test]
fn a_case_that_nobody_knows_offers_the_nearest() {
    let site = imported(&FORTNIGHT);
    insta::assert_snapshot!(site.refuses(["history", "tests/test_small.py::test_00"], ExitCode::Usage), @r"
    error: the history knows no case `tests/test_small.py::test_00`
    hint: did you mean `tests/test_small.py::test_0`?
    ");
}

#[test]
fn stores_merged_in_any_order_say_the_same() {
    let (left, right) = (imported(&FORTNIGHT[..9]), with_reports(&FORTNIGHT));
    let late: Vec<String> =
        ["history", "import"].map(str::to_owned).into_iter().chain(paths(14).skip(6)).collect();
    assert_eq!(right.testbed(&late).code(), ExitCode::Passed);
    let store = |site: &Site| site.path().join(".testbed/history.sqlite").display().to_string();
    let merged = |into: &Site, from: &Site| {
        let ended = into.testbed(["history", "merge", &store(from)]);
        assert_eq!((ended.code(), ended.err.as_str()), (ExitCode::Passed, ""));
        ended.out
    };
    assert_eq!(
        merged(&left, &right),
        "added 5 runs, 3 known already; the history knows 14 runs and 4 cases\n"
    );
    assert_eq!(
        merged(&right, &left),
        "added 6 runs, 8 known already; the history knows 14 runs and 4 cases\n"
    );
    assert_eq!(
        merged(&right, &left),
        "added 0 runs, 14 known already; the history knows 14 runs and 4 cases\n"
    );
    let told = |site: &Site| site.testbed(["history", "--json"]).out;
    assert_eq!(told(&left), told(&right));
    assert_eq!(told(&left), told(&imported(&FORTNIGHT)));
    let told = left.refuses(["history", "merge", "nowhere.sqlite"], ExitCode::Usage);
    assert!(told.contains("there is no history"), "{told}");
}

#[test]
fn colours_are_for_terminals_and_letters_for_everybody_else() {
    let site = imported(&FORTNIGHT);
    let shown = |settings: &[(&str, &str)]| {
        let mut history = site.command(["history"]);
        history.envs(settings.iter().copied());
        printed_on_terminal(history)
    };
    let coloured = shown(&[]);
    assert!(is_coloured(&coloured) && coloured.contains('■'), "{coloured}");
    let plain = shown(&[("NO_COLOR", "1")]);
    assert!(!is_coloured(&plain) && plain.contains("FFF"), "{plain}");
}

#[test]
fn a_store_that_cannot_be_understood_is_told_of_and_left_alone() {
    let site = Site::small();
    let broken = b"this was a database, before somebody edited it by hand and saved it";
    site.write(".testbed/history.sqlite", broken);
    for verb in [&["history"][..], &["history", "x"], &["history", "import", "ci.xml"]] {
        site.write("ci.xml", report(1, ".").as_bytes());
        let told = site.refused(&mut site.command(verb), ExitCode::Usage);
        assert!(told.contains("is no history of Testbed"), "{told}");
    }
    assert_eq!(std::fs::read(site.path().join(".testbed/history.sqlite")).unwrap(), broken);
    let plan = site.testbed(["plan"]);
    assert_eq!(plan.code(), ExitCode::Passed, "predictions go without it: {}", plan.told());
}

#[test]
fn what_is_no_record_and_no_report_adds_nothing() {
    let site = with_reports(&["."]).with("notes.txt", "hello").with("bad.xml", "<testsuites><testsuite");
    for (path, expected) in [
        ("nowhere.xml", "cannot open"),
        ("notes.txt", "neither the folder of a run nor a JUnit report"),
        ("bad.xml", "is no JUnit report"),
        ("tests", "neither the folder of a run nor a JUnit report"),
    ] {
        let told = site.refuses(["history", "import", "ci/00.xml", path], ExitCode::Usage);
        assert!(told.contains(expected), "{told}");
    }
    assert!(!site.path().join(".testbed/history.sqlite").exists());
    site.write("undated.xml", b"<testsuite name=\"x\" tests=\"1\"><testcase name=\"a\"/></testsuite>");
    let told = site.refuses(["history", "import", "undated.xml"], ExitCode::Usage);
    assert!(told.contains("`--at`"), "{told}");
    let at = ["history", "import", "undated.xml", "--at", "2026-11-21T00:00:00Z", "--lane", "unit"];
    assert_eq!(site.testbed(at).code(), ExitCode::Passed);
}

#[test]
fn predictions_are_made_from_the_history() {
    let site = Site::small();
    let predicted = |site: &Site| site.testbed(["plan", "--no-collect"]).out;
    let before = predicted(&site);
    site.write("ci.xml", report(1, "....").as_bytes());
    assert_eq!(site.testbed(["history", "import", "ci.xml"]).code(), ExitCode::Passed);
    // Cases that no tool has told of change nothing; what matters here is that the plan stays the same.
    assert_eq!(predicted(&site), before);
}

#[test]
fn a_quarantine_is_written_behind_everything_that_is_there() {
    let site = imported(&FORTNIGHT);
    let head = format!("# ours\n{SMALL_PROJECT}# the end\n");
    site.write("testbed.toml", head.as_bytes());
    let quarantine = |case: &str, until: &str, more: &[&str]| {
        let line = ["history", "quarantine", case, "--ticket", "T-7", "--until", until];
        site.testbed(line.iter().chain(more))
    };
    let ended = quarantine("tests/test_small.py::test_1", "9999-12-31", &["--owner", "kim"]);
    assert_eq!((ended.code(), ended.err.as_str()), (ExitCode::Passed, ""));
    assert_eq!(
        ended.out,
        "`tests/test_small.py::test_1` is in quarantine until 9999-12-31 for `T-7`, in testbed.toml\n"
    );
    let text = std::fs::read_to_string(site.path().join("testbed.toml")).unwrap();
    let written = "
[[quarantine]]
cases = [\"tests/test_small.py::test_1\"]
ticket = \"T-7\"
until = 9999-12-31
owner = \"kim\"
# the end
";
    assert_eq!(text, head.replace("# the end\n", written));
    assert_eq!(site.testbed(["plan"]).code(), ExitCode::Passed);
    let refused = |case: &str, until: &str| {
        let line = ["history", "quarantine", case, "--ticket", "T-7", "--until", until];
        site.refused(&mut site.command(line), ExitCode::Usage)
    };
    assert!(
        refused("tests/test_small.py::test_1", "9999-12-30")
            .contains("in quarantine until 9999-12-31 already")
    );
    assert!(refused("tests/test_small.py::test_2", "2020-01-31").contains("is over already"));
    assert!(
        refused("tests/test_small.py::test_9", "9999-12-31")
            .contains("did you mean `tests/test_small.py::test_")
    );
    assert!(refused("tests/test_small.py::test_2", "soon").contains("`--until <DATE>`"));
    assert_eq!(std::fs::read_to_string(site.path().join("testbed.toml")).unwrap(), text);
    assert_eq!(quarantine("tests/*::test_3", "9999-12-31", &[]).code(), ExitCode::Passed);
}

#[test]
fn where_there_is_no_project_file_no_quarantine_is_written() {
    let site = imported(&["."]).without("testbed.toml");
    let line = ["history", "quarantine", "x", "--ticket", "T", "--until", "9999-12-31"];
    let told = site.refused(&mut site.command(line), ExitCode::Usage);
    assert!(told.contains("has no `testbed.toml`"), "{told}");
    assert!(!Path::new(&site.path().join("testbed.toml")).exists());
}
