//! Strips and facts, with and without colours.

use jiff::{SignedDuration, Timestamp};
use testbed_model::case::Outcome;
use testbed_model::history::{Growth, Observation, Overview, RunKey, Standing, Subject};
use testbed_model::record::EnvironmentId;

use super::{cases, overview};
use crate::style::{Glyphs, Style};

fn at(hour: i64) -> Timestamp {
    "2026-11-20T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hour)
}

fn standing(case: &str, letters: &str) -> Standing {
    let seen = |(hour, letter): (usize, char)| {
        let (outcome, executions, failures) = match letter {
            '.' => (Outcome::Passed, 1, 0),
            'r' => (Outcome::Passed, 2, 1),
            'T' => (Outcome::TimedOut, 1, 1),
            'E' => (Outcome::Error, 0, 0),
            '-' => (Outcome::Skipped, 0, 0),
            _ => (Outcome::Failed, 1, 1),
        };
        Observation {
            at: at(i64::try_from(hour).unwrap()),
            run: RunKey(format!("20261120-{hour:02}0000-abcdef")),
            revision: Some("0123456789abcdef0123456789abcdef01234567-dirty".to_owned()),
            environment: (hour > 2).then(|| EnvironmentId("0123456789abcdef".to_owned())),
            outcome,
            executions,
            failures,
            duration_ms: 10,
        }
    };
    let subject = Subject { case: case.to_owned(), lane: "e2e@mocker".to_owned() };
    let observations = letters.chars().enumerate().map(seen).collect();
    Standing::of(subject, observations, at(i64::try_from(letters.len()).unwrap()))
}

fn text(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn known() -> Overview {
    Overview { runs: 20, cases: 3, first: Some(at(0)), last: Some(at(30)) }
}

#[test]
fn the_overview_tells_the_worst_first_and_what_letters_mean() {
    let troubled = [
        standing("tests/router/test_kv.py::test_routes[a-b]", "................FFF"),
        standing("tests/test_bad.py::test_bad", ".F.F.FT.F.E-"),
        standing("tests/test_flaky.py::test_flaps", "......r.........."),
    ];
    let slower = Subject { case: "tests/test_slow.py::test_slow".to_owned(), lane: "unit".to_owned() };
    let growers = [(slower, Growth { before_ms: 1000, now_ms: 3500 })];
    let style = Style::plain(100);
    insta::assert_snapshot!(text(|out| overview(&known(), &troubled, &growers, &style, out)));
}

#[test]
fn without_trouble_and_without_runs_that_is_what_is_said() {
    let style = Style::plain(100);
    insta::assert_snapshot!(text(|out| overview(&known(), &[], &[], &style, out)), @r"
    20 runs from 2026-11-20 to 2026-11-21, 3 cases

    no case failed in the 7 days before the newest run
    ");
    let nothing = Overview::default();
    assert_eq!(text(|out| overview(&nothing, &[], &[], &style, out)), "no run is known yet\n");
}

#[test]
fn one_case_is_told_with_all_that_is_known_and_many_with_a_strip_each() {
    let style = Style::plain(100);
    let one = [standing("tests/router/test_kv.py::test_routes[a-b]", "................FFF")];
    insta::assert_snapshot!("one", text(|out| cases(&one, &style, out)));
    let many = [standing("a", "..F"), standing("b", "...")];
    insta::assert_snapshot!("many", text(|out| cases(&many, &style, out)));
}

#[test]
fn colours_take_the_place_of_letters_where_the_screen_has_both_colours_and_blocks() {
    let one = [standing("a", "..F")];
    let shown = |style: Style| text(|out| cases(&one, &style, out));
    let colours = Style { colours: true, ..Style::plain(80) };
    let coloured = shown(colours);
    assert!(coloured.contains('■') && coloured.contains('\u{1b}') && !coloured.contains("F failed"));
    let ascii = shown(Style { glyphs: Glyphs::Ascii, ..colours });
    assert!(!ascii.contains('■') && ascii.contains("F failed") && ascii.contains('\u{1b}'));
    assert!(shown(Style::plain(80)).contains("  ..F\n"));
}

#[test]
fn what_comes_from_outside_is_made_harmless_and_nothing_is_too_wide() {
    let hostile = [standing("a\u{1b}[31m\nb", &"F".repeat(200))];
    let shown = text(|out| cases(&hostile, &Style::plain(60), out));
    assert!(!shown.contains('\u{1b}'), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
}
