//! How a run shows on a terminal, and what readers of its output do to it: nothing.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use testbed_model::exit_code::ExitCode;

use crate::cases::{Fate, Suite};
use crate::engine;
use crate::ground::Ground;
use crate::site::terminal::{is_coloured, on_terminal};

#[test]
fn a_reader_of_events_that_leaves_early_changes_nothing() {
    let ground = Ground::small(&Suite(&[Fate::Passes]).text());
    let mut child =
        ground.command(["premerge", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("run_started"), "{line}");
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(crate::site::code(output.status, &err), ExitCode::Passed, "{err}");
    assert!(!err.contains("panicked"), "{err}");
    assert_eq!(engine::left_by_process(pid), [""; 0]);
    let manifest: serde_json::Value = serde_json::from_str(&ground.record("manifest.json")).unwrap();
    assert_eq!(manifest["exit_code"], "passed");
}

#[test]
fn a_terminal_that_goes_away_changes_nothing() {
    let ground = Ground::small(&Suite(&[Fate::Passes]).text());
    let mut child =
        ground.command(["premerge"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    let pid = child.id();
    let status = child.wait().unwrap();
    assert_eq!(crate::site::code(status, ""), ExitCode::Passed);
    assert_eq!(engine::left_by_process(pid), [""; 0]);
}

#[test]
fn a_terminal_shows_progress_and_then_the_summary_alone() {
    let ground = Ground::small(&Suite(&[Fate::Passes]).text());
    for (no_color, coloured) in [("", true), ("1", false)] {
        let mut run = ground.command(["premerge"]);
        run.env("NO_COLOR", no_color);
        let (status, shown) = on_terminal(run);
        assert_eq!(crate::site::code(status, &shown), ExitCode::Passed);
        assert_eq!(is_coloured(&shown), coloured, "{shown:?}");
        // Lines are redrawn in place while the run goes on, and the summary stands below.
        let (progress, summary) = shown.split_once("PASSED").unwrap();
        assert!(progress.contains("\u{1b}[2K") && progress.contains("small"), "{shown:?}");
        assert!(!summary.contains("\u{1b}[2K") && summary.contains("record"), "{shown:?}");
        // A cursor that is hidden comes back.
        assert_eq!(shown.matches("\u{1b}[?25l").count(), shown.matches("\u{1b}[?25h").count());
    }
}
