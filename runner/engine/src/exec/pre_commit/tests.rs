//! Which hooks there are, what pre-commit is asked to do, and what it prints: recorded from pre-commit 4.7.0.

use std::collections::BTreeMap;

use proptest::prelude::*;
use testbed_model::case::{CaseResult, Outcome};
use testbed_model::hint::Hint as _;
use testbed_model::lane::SuiteKind;

use super::{Hook, PreCommit, Report, RustForHooks, assemble, configuration_of, hooks};
use crate::exec::heard::{Decoder as _, Heard, Red};
use crate::exec::job::{Said, StepEnd, Stream};
use crate::exec::site::tests::{lane, site};

const CONFIGURATION: &str = r#"
default_stages: [pre-commit]
repos:
  - repo: local
    hooks:
      - id: rustfmt
        name: rustfmt
        entry: cargo fmt --check
        language: system
      - id: "ruff"
        entry: ruff check
        language: system
      - { id: at-push, entry: x, language: system, stages: [pre-push] }
  - repo: meta
    hooks:
      - id: check
        alias: check-one
        stages: [commit, manual]
      - id: ruff
"#;

fn hook(name: &str) -> Hook {
    Hook { name: name.to_owned(), line: None }
}

fn decoder(names: &[&str]) -> PreCommit {
    PreCommit::new(&lane(SuiteKind::PreCommit, "lint", None), names.iter().map(|name| hook(name)).collect())
}

fn line(line: &str) -> Said {
    Said::Line { stream: Stream::Out, line: line.to_owned() }
}

/// The result of one hook that printed `text` and ended with `end`.
fn result(text: &str, end: StepEnd) -> Option<CaseResult> {
    let mut decoder = decoder(&["ruff"]);
    decoder.hear(&Said::StepStarted { step: "ruff".to_owned() });
    for text in text.lines() {
        assert_eq!(decoder.hear(&line(text)), []);
    }
    let heard = decoder.hear(&Said::StepFinished { step: "ruff".to_owned(), end, took_ms: 12 });
    heard.into_iter().next().map(|heard| match heard {
        Heard::Finished(result) => result,
        other => panic!("{other:?}"),
    })
}

#[test]
fn hooks_of_other_stages_are_left_out_and_a_name_counts_once() {
    let found = hooks("x.yaml", CONFIGURATION).unwrap();
    let names: Vec<_> = found.iter().map(|hook| (hook.name.as_str(), hook.line)).collect();
    assert_eq!(names, [("rustfmt", Some(6)), ("ruff", Some(10)), ("check-one", Some(17))]);
}

#[test]
fn a_configuration_that_is_none_is_named_with_a_way_out() {
    let error = hooks("x.yaml", "repos: 3").unwrap_err();
    assert!(error.to_string().starts_with("x.yaml:1:8: "), "{error}");
    assert!(error.rendered().unwrap().contains("repos: 3"));
    assert_eq!(error.hint().unwrap(), "check it with `pre-commit validate-config x.yaml`");
    assert!(hooks("x.yaml", "repos: []").unwrap_err().to_string().contains("no hook for the stage"));
}

#[test]
fn a_lane_names_its_configuration_or_the_folder_that_has_it() {
    let of = |path: &str| {
        let mut lane = lane(SuiteKind::PreCommit, "lint", None);
        lane.paths = vec![path.to_owned()];
        configuration_of(&lane)
    };
    assert_eq!((of("."), of("lint.yaml")), (".pre-commit-config.yaml".to_owned(), "lint.yaml".to_owned()));
    assert_eq!(of("sub/"), "sub/.pre-commit-config.yaml");
}

#[test]
fn each_hook_is_a_step_in_a_checkout_of_the_copy() {
    let rust = RustForHooks {
        sysroot: "/home/dev/.rustup/toolchains/stable".to_owned(),
        cargo: BTreeMap::from([("registry/cache".to_owned(), "/home/dev/.cargo/registry/cache".to_owned())]),
        target: "/home/dev/project/.testbed/cache/lint-target".to_owned(),
        sources: "/home/dev/project/.testbed/cache/lint-sources".to_owned(),
    };
    let lane = lane(SuiteKind::PreCommit, "lint", None);
    let assembly = assemble(&lane, &site(), &[hook("rustfmt"), hook("ruff")], Some(&rust));
    insta::assert_json_snapshot!(assembly.job);
    insta::assert_debug_snapshot!(assembly.container.mounts);
    let plain = assemble(&lane, &site(), &[hook("ruff")], None);
    assert_eq!((plain.job.path.len(), plain.job.environment.get("CARGO_HOME")), (0, None));
}

#[test]
fn every_hook_is_announced_before_the_first_begins() {
    let mut decoder = decoder(&["rustfmt", "ruff"]);
    let prepared = Said::Prepared { files: 1, bytes: 1, took_ms: 1 };
    let heard = decoder.hear(&prepared);
    let [Heard::Collected { cases, .. }] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(cases.iter().map(|case| case.id.as_str()).collect::<Vec<_>>(), ["rustfmt", "ruff"]);
    assert_eq!(cases[0].file.as_deref(), Some(".pre-commit-config.yaml"));
    assert_eq!(decoder.hear(&prepared), []);
}

#[test]
fn a_hook_passes_fails_or_has_nothing_to_do() {
    let passed = result("ruff.....................Passed\n", StepEnd::Code(0)).unwrap();
    assert_eq!((passed.outcome, passed.message, passed.duration_ms), (Outcome::Passed, None, 12));
    let skipped = result("ruff...(no files to check)Skipped\n", StepEnd::Code(0)).unwrap();
    assert_eq!(skipped.outcome, Outcome::Skipped);
    let text =
        "ruff....Failed\n- hook id: ruff\n- exit code: 1\n\nF401 `os` imported but unused\n --> a.py:1:8\n\n";
    let failed = result(text, StepEnd::Code(1)).unwrap();
    assert_eq!(failed.outcome, Outcome::Failed);
    assert_eq!(failed.message.as_deref(), Some("F401 `os` imported but unused"));
    assert_eq!(failed.details.as_deref(), Some("F401 `os` imported but unused\n --> a.py:1:8\n"));
    let silent = result("ruff....Failed\n- hook id: ruff\n- exit code: 1\n", StepEnd::Code(1)).unwrap();
    assert_eq!(silent.message.as_deref(), Some("exit code: 1"));
}

#[test]
fn a_hook_that_changes_files_fails_with_its_diff() {
    let text = "fmt...Failed\n- hook id: fmt\n- files were modified by this hook\npre-commit hook(s) made changes.\n\
                All changes made by hooks:\ndiff --git a/x b/x\n-a\n+b\n";
    let failed = result(text, StepEnd::Code(1)).unwrap();
    assert_eq!(failed.message.as_deref(), Some("it changed files; the diff is below"));
    assert!(failed.details.unwrap().ends_with("-a\n+b\n"));
}

#[test]
fn what_is_pre_commits_own_fault_is_an_error() {
    let text = "An error has occurred: InvalidManifestError: \n=====> x\n";
    assert_eq!(result(text, StepEnd::Code(1)).unwrap().outcome, Outcome::Error);
    assert_eq!(
        result("", StepEnd::Code(3)).unwrap().message.as_deref(),
        Some("pre-commit ended with exit code 3")
    );
    assert_eq!(result("", StepEnd::TimedOut).unwrap().outcome, Outcome::TimedOut);
    assert_eq!(result("", StepEnd::Cancelled), None);
}

#[test]
fn a_lane_fails_as_a_whole_only_if_pre_commit_could_not_be_started() {
    let ends = |end| BTreeMap::from([("ruff".to_owned(), end)]);
    assert_eq!(decoder(&["ruff"]).judge(&ends(StepEnd::Code(1)), Red::Some), None);
    let absent = decoder(&["ruff"]).judge(&ends(StepEnd::NotStarted("no".to_owned())), Red::Some);
    assert_eq!(absent.as_deref(), Some("pre-commit could not be started: no"));
    assert!(decoder(&[]).judge(&BTreeMap::new(), Red::None).is_some());
}

proptest! {
    #[test]
    fn no_output_breaks_the_report(lines in proptest::collection::vec("(- |Failed|\\.\\.\\.|Skipped|é| ){0,6}", 0..8)) {
        let _ = Report::of(&lines);
    }

    #[test]
    fn no_text_breaks_the_configuration(text in "(repos|hooks|id|:|-|\\[|\\]|\\{|\n| |x|\"){0,40}") {
        let _ = hooks("x.yaml", &text);
    }
}
