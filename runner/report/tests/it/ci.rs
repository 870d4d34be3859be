//! What CI systems and programs are given: within their limits, and with nothing of a test's text taken for a command.

use testbed_model::case::{Case, Outcome};
use testbed_model::event::{Event, Stamped};
use testbed_model::exit_code::ExitCode;
use testbed_model::lane::LaneId;
use testbed_report::{Story, github, markdown};

use crate::canned;

fn rerun(lane: &LaneId, case: Option<&Case>) -> Option<String> {
    Some(format!("testbed premerge --suite {} --case '{}'", lane.suite, case?.id))
}

fn annotations(events: &[Stamped]) -> String {
    let mut out = Vec::new();
    github::write(&Story::of(events), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn summary(events: &[Stamped]) -> String {
    let mut out = Vec::new();
    markdown::write(&Story::of(events), Some(&rerun), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn annotations_of_canned_runs() {
    for name in ["green", "red", "environment", "dead-worker", "interrupted"] {
        insta::assert_snapshot!(format!("github_{name}"), annotations(&canned::named(name).unwrap()));
    }
}

#[test]
fn markdown_of_canned_runs() {
    for name in ["green", "red", "environment", "interrupted"] {
        insta::assert_snapshot!(format!("markdown_{name}"), summary(&canned::named(name).unwrap()));
    }
}

/// A run of which every case failed, each with as much to say as a report keeps.
fn five_thousand_failures() -> Vec<Stamped> {
    let mut events = canned::named("red").unwrap();
    let (at, red) = events
        .iter()
        .enumerate()
        .find_map(|(at, stamped)| match &stamped.event {
            Event::CaseFinished { result, .. } if result.outcome == Outcome::Failed => {
                Some((at, stamped.clone()))
            }
            _ => None,
        })
        .unwrap();
    let many = (0..5000).map(|number| {
        let mut one = red.clone();
        if let Event::CaseFinished { result, .. } = &mut one.event {
            result.case.id = format!("a.py::test_{number}");
            result.message = Some(format!("assert {} == 2", number % 50));
            result.details = Some("a line of an account | with `ticks` and <b>tags</b>\n".repeat(40));
        }
        one
    });
    events.splice(at..at, many);
    events
}

#[test]
fn five_thousand_failures_stay_within_githubs_limits() {
    let events = five_thousand_failures();
    let told = annotations(&events);
    for (kind, most) in [("::error ", 10), ("::warning ", 10), ("::notice ", 10)] {
        let count = told.lines().filter(|line| line.starts_with(kind)).count();
        assert!(count <= most, "{count} of {kind}");
        assert!(kind != "::error " || count == 10);
    }
    assert!(told.lines().all(|line| line.len() < 64 << 10));
    assert!(told.contains(" more red cases are in the log and in the summary"));
    let firsts: Vec<&str> = told.lines().filter(|line| line.starts_with("::error ")).collect();
    let distinct: std::collections::BTreeSet<&str> =
        firsts.iter().filter_map(|line| line.rsplit("::").next()).collect();
    assert_eq!(distinct.len(), firsts.len(), "one message is told once before any is repeated");
    let page = summary(&events);
    assert!(page.len() <= 1 << 20, "{} bytes", page.len());
    assert!(page.contains("more, in the record and in JUnit") && page.contains("### Lanes"));
    assert_eq!(page.matches("<details>").count(), page.matches("</details>").count());
}

#[test]
fn nothing_that_a_test_prints_is_taken_for_a_command_or_for_markup() {
    let mut events = canned::named("red").unwrap();
    let evil = "::error file=x::planted\n::endgroup::\n````\n</details><script>alert(1)</script>\n::stop-commands::x\n";
    for stamped in &mut events {
        if let Event::CaseFinished { result, .. } = &mut stamped.event {
            result.output = evil.to_owned();
            result.details = Some(evil.to_owned());
            result.message = Some(evil.to_owned());
            result.case.id = format!("{}[::error::|`<b>]", result.case.id);
        }
    }
    let told = annotations(&events);
    let commands: Vec<&str> = told.lines().filter(|line| line.starts_with("::")).collect();
    assert!(!commands.iter().any(|line| line.contains("planted") && line.starts_with("::error file=x")));
    assert!(!commands.iter().any(|line| line.starts_with("::stop-commands")));
    let (opened, closed) = (told.matches("\n::group::").count(), told.matches("\n::endgroup::").count());
    assert!(opened.abs_diff(closed) <= 1, "{opened} {closed}");
    let page = summary(&events);
    // What is inside a fence is text; outside of it no tag of the test's is left.
    let mut fence: Option<usize> = None;
    for line in page.lines() {
        let ticks = line.chars().take_while(|c| *c == '`').count();
        match fence {
            Some(length) if ticks >= length => fence = None,
            Some(_) => {}
            None if ticks >= 3 => fence = Some(ticks),
            None => assert!(!line.contains("<script>"), "{line}"),
        }
    }
    assert_eq!(fence, None);
}

#[test]
fn an_environment_that_broke_is_the_first_error() {
    let events = canned::named("environment").unwrap();
    assert_eq!(Story::of(&events).end.map(|end| end.exit_code), Some(ExitCode::Environment));
    let told = annotations(&events);
    let first = told.lines().find(|line| line.starts_with("::error ")).unwrap();
    assert!(first.starts_with("::error title=environment::"), "{first}");
}
