//! One snapshot per format and situation.

use testbed_model::case::Case;
use testbed_model::event::Stamped;
use testbed_model::lane::LaneId;
use testbed_report::json::JsonLines;
use testbed_report::log::Log;
use testbed_report::style::Glyphs;
use testbed_report::summary::{self, Options};
use testbed_report::{Reporter, Story, Style, junit};

use crate::canned;

/// The command that repeats a lane or a case, as the command line has it.
fn rerun(lane: &LaneId, case: Option<&Case>) -> Option<String> {
    if lane.suite == "unit" {
        return None;
    }
    let profile = lane.profile.as_ref().map(|name| format!(" --profile {name}")).unwrap_or_default();
    let case = case.map(|case| format!(" --case '{}'", case.id)).unwrap_or_default();
    Some(format!("testbed premerge --suite {}{profile}{case}", lane.suite))
}

fn case_log(lane: &LaneId, case: &Case) -> Option<String> {
    Some(format!(".testbed/runs/20261121-143005-a1b2c3/cases/{lane}/{}.log", case.id.rsplit(':').next()?))
}

fn summary_of(events: &[Stamped], style: Style) -> String {
    let mut out = Vec::new();
    let options = Options { style, rerun: Some(&rerun), case_log: Some(&case_log), page: None };
    summary::write(&Story::of(events), &options, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn told<R: Reporter>(events: &[Stamped], mut reporter: R) {
    for event in events {
        reporter.on(event).unwrap();
    }
    reporter.finish().unwrap();
}

fn log_of(events: &[Stamped], style: Style) -> String {
    let mut out = Vec::new();
    told(events, Log::new(&mut out, style));
    String::from_utf8(out).unwrap()
}

fn junit_of(events: &[Stamped]) -> String {
    let mut out = Vec::new();
    junit::write(&Story::of(events), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn summaries_at_eighty_columns() {
    for (name, make) in canned::ALL {
        insta::assert_snapshot!(format!("summary_{name}_80"), summary_of(&make(), Style::plain(80)));
    }
}

#[test]
fn summaries_at_a_hundred_and_twenty_and_at_sixty_columns() {
    for name in ["green", "red", "environment"] {
        let events = canned::named(name).unwrap();
        for width in [60, 120] {
            let shown = summary_of(&events, Style::plain(width));
            insta::assert_snapshot!(format!("summary_{name}_{width}"), shown);
        }
    }
}

#[test]
fn the_page_is_named_beside_the_record() {
    let page = ".testbed/runs/20261121-143005-a1b2c3/report.html";
    let options = Options { page: Some(page), ..Options::new(Style::plain(80)) };
    let mut out = Vec::new();
    summary::write(&Story::of(&canned::green()), &options, &mut out).unwrap();
    let shown = String::from_utf8(out).unwrap();
    let record = shown.lines().position(|line| line.starts_with("  record")).unwrap();
    assert_eq!(shown.lines().nth(record + 1), Some(format!("  page     {page}").as_str()), "{shown}");
}

#[test]
fn summaries_in_colour_differ_by_their_colours_only() {
    for (name, make) in canned::ALL {
        let coloured = summary_of(&make(), Style { colours: true, ..Style::plain(80) });
        let plain = summary_of(&make(), Style::plain(80));
        assert_eq!(trimmed(&console::strip_ansi_codes(&coloured)), trimmed(&plain), "{name}");
    }
    let events = canned::environment();
    let coloured = summary_of(&events, Style { colours: true, ..Style::plain(80) });
    insta::assert_snapshot!("summary_environment_80_coloured", coloured.replace('\u{1b}', "ESC"));
}

fn trimmed(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_end).collect()
}

#[test]
fn the_last_screen_holds_the_verdict_and_the_way_out() {
    for (name, make) in canned::ALL {
        let shown = summary_of(&make(), Style::plain(80));
        let lines: Vec<&str> = shown.lines().collect();
        let last: Vec<&str> = lines.iter().rev().take(24).copied().collect();
        assert_eq!(lines[0], "", "{name}");
        let first = lines[1];
        // The verdict is a whole line, so that it is found again word by word.
        assert!(last.contains(&first) || lines.len() <= 24, "{name}:\n{shown}");
        assert!(last.iter().any(|line| line.trim_start().starts_with("exit ")), "{name}:\n{shown}");
        assert!(last.iter().any(|line| line.contains(".testbed/runs/")), "{name}:\n{shown}");
    }
}

#[test]
fn a_broken_environment_and_a_red_test_have_nothing_in_common_at_first_sight() {
    let first = |events: &[Stamped]| {
        let shown = summary_of(events, Style { colours: true, ..Style::plain(80) });
        shown.lines().nth(1).unwrap().to_owned()
    };
    let (red, broken) = (first(&canned::red()), first(&canned::environment()));
    assert!(red.contains("FAILED") && red.contains("\u{1b}[31m"), "{red:?}");
    assert!(broken.contains("ENVIRONMENT BROKEN") && broken.contains("\u{1b}[35m"), "{broken:?}");
    assert!(!broken.contains("FAILED") && !broken.contains("\u{1b}[31m"), "{broken:?}");
}

#[test]
fn logs_have_one_line_per_thing_and_neither_redraw_nor_escape() {
    for (name, make) in canned::ALL.iter().filter(|(name, _)| *name != "many") {
        let shown = log_of(&make(), Style::plain(80));
        assert!(!shown.contains(['\r', '\u{1b}']), "{name}");
        insta::assert_snapshot!(format!("log_{name}"), shown);
    }
}

#[test]
fn a_log_in_colour() {
    let shown = log_of(&canned::environment(), Style { colours: true, ..Style::plain(80) });
    insta::assert_snapshot!("log_environment_coloured", shown.replace('\u{1b}', "ESC"));
}

#[test]
fn junit_of_every_situation() {
    for (name, make) in canned::ALL.iter().filter(|(name, _)| *name != "many") {
        insta::assert_snapshot!(format!("junit_{name}"), junit_of(&make()));
    }
}

#[test]
fn json_of_every_situation() {
    for name in ["environment", "interrupted", "nothing"] {
        let mut out = Vec::new();
        told(&canned::named(name).unwrap(), JsonLines::new(&mut out));
        insta::assert_snapshot!(format!("json_{name}"), String::from_utf8(out).unwrap());
    }
}

#[test]
fn a_stored_journal_tells_the_same_as_the_run_itself() {
    for (name, make) in canned::ALL {
        let events = make();
        let mut stored = Vec::new();
        told(&events, JsonLines::new(&mut stored));
        let stored = String::from_utf8(stored).unwrap();
        // The journal keeps neither the services' nor the tools' lines.
        let read: Vec<Stamped> = stored
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|stamped: &Stamped| {
                let event = serde_json::to_value(&stamped.event).unwrap();
                !matches!(event["event"].as_str(), Some("lane_output" | "service_log"))
            })
            .collect();
        let style = Style::plain(100);
        assert_eq!(summary_of(&read, style), summary_of(&events, style), "{name}");
        assert_eq!(junit_of(&read), junit_of(&events), "{name}");
    }
}

#[test]
fn a_run_that_was_killed_is_told_as_far_as_it_came() {
    let events = canned::red();
    let cut: Vec<Stamped> =
        events.into_iter().take_while(|stamped| stamped.elapsed_us < 29_000_000).collect();
    insta::assert_snapshot!("summary_killed_80", summary_of(&cut, Style::plain(80)));
    let xml = junit_of(&cut);
    assert!(xml.contains("testbed.unfinished") && xml.contains("not run: the run has no end"), "{xml}");
}

#[test]
fn a_screen_without_unicode_gets_nothing_but_ascii() {
    let style = Style { glyphs: Glyphs::Ascii, ..Style::plain(80) };
    for (name, make) in canned::ALL {
        let shown = format!("{}{}", log_of(&make(), style), summary_of(&make(), style));
        assert_eq!(shown.chars().find(|c| !c.is_ascii()), None, "{name}");
    }
}
