//! `testbed check`: exit codes, formats and what can be found without asking any tool.

use serde_json::Value;
use testbed_model::exit_code::ExitCode;

use crate::site::terminal::{is_coloured, printed_on_terminal};
use crate::site::{SMALL_PROJECT, Site};

/// The usual project with more in its project file.
fn with(more: &str) -> Site {
    Site::small().with("testbed.toml", &format!("{SMALL_PROJECT}{more}"))
}

fn expired() -> Site {
    with("\n[[quarantine]]\ncases = [\"tests/test_small.py::*\"]\nticket = \"T-1\"\nuntil = \"2020-01-31\"\n")
}

/// Everything that was found, as programs read it.
fn found(site: &Site, arguments: &[&str]) -> (ExitCode, Value) {
    let ended = site.testbed(["check", "--json"].iter().chain(arguments));
    assert_eq!(ended.err, "", "{arguments:?}");
    (ended.code(), serde_json::from_str(&ended.out).unwrap())
}

#[test]
fn a_suite_that_cannot_be_collected_is_a_finding_and_no_failure() {
    let ended = Site::small().testbed(["check"]);
    assert_eq!((ended.code(), ended.err.as_str()), (ExitCode::TestFailed, ""));
    insta::assert_snapshot!(ended.out, @r"
    -  error    collection-error  the suite `cases` cannot be collected: no container engine answers at `unix:///nonexistent.sock`: there is no such socket

    1 error in 0 cases of 0 suites
    ");
}

#[test]
fn who_wants_nobody_to_be_asked_is_told_what_is_not_known() {
    let ended = Site::small().testbed(["check", "--no-collect"]);
    assert_eq!((ended.code(), ended.err.as_str()), (ExitCode::Passed, ""));
    insta::assert_snapshot!(ended.out, @r"
    -  warning  collection-error  the suite `cases` cannot be collected: nobody was asked for its cases (`--no-collect`)

    1 warning in 0 cases of 0 suites
    ");
}

#[test]
fn a_quarantine_that_is_over_is_an_error() {
    let ended = expired().testbed(["check", "--no-collect"]);
    assert_eq!((ended.code(), ended.err.as_str()), (ExitCode::TestFailed, ""));
    insta::assert_snapshot!(ended.out, @r"
    -  warning  collection-error  the suite `cases` cannot be collected: nobody was asked for its cases (`--no-collect`)

    testbed.toml:12  error    quarantine-expired  the quarantine for `T-1` ended on 2020-01-31
      hint: mend the cases and take it out, or give it a later day with a reason

    1 error and 1 warning in 0 cases of 0 suites
    ");
    let last_day = with(
        "\n[[quarantine]]\ncases = [\"tests/test_small.py::*\"]\nticket = \"T-1\"\nuntil = \"9999-12-31\"\n",
    );
    assert_eq!(last_day.testbed(["check", "--no-collect"]).code(), ExitCode::Passed);
}

#[test]
fn features_of_every_crate_of_the_project_are_looked_at() {
    let site = Site::small()
        .with("Cargo.toml", "[workspace]\nmembers = [\"lib/a\"]\n")
        .with(
            "lib/a/Cargo.toml",
            "[package]\nname = \"a\"\n\n[features]\ndefault = []\nfault-tolerance = []\n",
        )
        .with("lib/b/Cargo.toml", "not TOML")
        .with("lib/a/tests/fixtures/x/Cargo.toml", "[features]\nfault-tolerance = []\n")
        .with("vendor/x/Cargo.toml", "[features]\nfault-tolerance = []\n")
        .with("lib/notCargo.toml", "[features]\ngpu-1 = []\n");
    let (code, found) = found(&site, &["--no-collect"]);
    assert_eq!(code, ExitCode::Passed);
    let features: Vec<&Value> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["rule"] == "feature-name")
        .collect();
    assert_eq!(features.len(), 1, "{found}");
    assert_eq!((&features[0]["file"], &features[0]["line"]), (&"lib/a/Cargo.toml".into(), &6.into()));
}

#[test]
fn every_format_tells_of_the_same_findings() {
    let site = expired();
    let (code, json) = found(&site, &["--no-collect"]);
    assert_eq!(code, ExitCode::TestFailed);
    let count = json["findings"].as_array().unwrap().len();
    assert_eq!((count, &json["errors"], &json["warnings"]), (2, &1.into(), &1.into()));
    let print = |format: &str| {
        let ended = site.testbed(["check", "--no-collect", "--format", format]);
        assert_eq!((ended.code(), ended.err.as_str()), (ExitCode::TestFailed, ""), "{format}");
        ended.out
    };
    assert_eq!(serde_json::from_str::<Value>(&print("json")).unwrap(), json);
    let sarif: Value = serde_json::from_str(&print("sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), count);
    let github = print("github");
    let annotations = github.strip_prefix(&print("text")).unwrap();
    assert_eq!(annotations.lines().filter(|line| line.starts_with("::")).count(), count);
}

#[test]
fn with_a_suite_nothing_is_told_of_the_project_as_a_whole() {
    let (code, found) = found(&expired(), &["--no-collect", "--suite", "cases"]);
    assert_eq!(code, ExitCode::Passed);
    let rules: Vec<&Value> =
        found["findings"].as_array().unwrap().iter().map(|finding| &finding["rule"]).collect();
    assert_eq!(rules, ["collection-error"]);
    let told = expired().refuses(["check", "--suite", "case"], ExitCode::Usage);
    assert!(told.contains("did you mean `cases`?"), "{told}");
}

#[test]
fn a_project_file_that_cannot_be_read_is_a_failure() {
    let site = Site::small().with("testbed.toml", "[▸projekt]\nname = \"x\"\n");
    site.refuses(["check"], ExitCode::Usage);
}

#[test]
fn where_nothing_can_be_mended_nothing_is_changed() {
    let site = expired();
    let plain = site.testbed(["check", "--no-collect"]);
    let mended = site.testbed(["check", "--no-collect", "--fix"]);
    assert_eq!((mended.code(), &mended.out, mended.err.as_str()), (plain.code(), &plain.out, ""));
}

#[test]
fn colours_are_for_terminals_unless_somebody_says_no() {
    let site = expired();
    let shown = |flags: &[&str], settings: &[(&str, &str)]| {
        let mut check = site.command(["check", "--no-collect"].iter().chain(flags));
        check.envs(settings.iter().copied());
        printed_on_terminal(check)
    };
    assert!(is_coloured(&shown(&[], &[])));
    assert!(!is_coloured(&shown(&[], &[("NO_COLOR", "1")])));
    assert!(!is_coloured(&shown(&["--color", "never"], &[])));
    assert!(!is_coloured(&shown(&["--json"], &[])));
    let piped = |flags: &[&str]| site.testbed(["check", "--no-collect"].iter().chain(flags)).out;
    assert!(!is_coloured(&piped(&[])));
    assert!(is_coloured(&piped(&["--color", "always"])));
}
