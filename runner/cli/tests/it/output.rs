//! Where output goes: standard output for what was asked for, standard error for the rest; colours, pipes, full disks.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;
use testbed_model::exit_code::ExitCode;

use crate::site::terminal::{is_coloured, on_terminal};
use crate::site::{Ended, Site};

/// Commands that print and need no daemon.
const PRINTING: [&[&str]; 8] = [
    &["plan"],
    &["plan", "--json"],
    &["plan", "--explain"],
    &["check", "--no-collect"],
    &["check", "--no-collect", "--format", "sarif"],
    &["schema", "project"],
    &["completions", "bash"],
    &["--help"],
];

/// A variable and its value.
type Setting = (&'static str, &'static str);

/// A message, with settings of colours.
fn message(settings: &[Setting], flags: &[&str]) -> Ended {
    let site = Site::small();
    let mut plan = site.command(["plan", "--profile", "smal"]);
    plan.args(flags).envs(settings.iter().copied());
    site.ended(&mut plan)
}

#[test]
fn colours_follow_the_flag_then_the_environment_then_the_terminal() {
    // Standard error is no terminal here.
    let expected: [(&[Setting], &[&str], bool); 10] = [
        (&[], &[], false),
        (&[], &["--color", "always"], true),
        (&[], &["--color=never"], false),
        (&[("CLICOLOR_FORCE", "1")], &[], true),
        (&[("CLICOLOR_FORCE", "0")], &[], false),
        (&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], &[], false),
        (&[("NO_COLOR", "1")], &["--color", "always"], true),
        (&[("NO_COLOR", "")], &["--color", "always"], true),
        (&[("CLICOLOR_FORCE", "1")], &["--color", "never"], false),
        (&[("TERM", "dumb")], &[], false),
    ];
    for (settings, flags, coloured) in expected {
        let ended = message(settings, flags);
        assert_eq!(ended.code(), ExitCode::Usage);
        assert_eq!(ended.err.contains('\u{1b}'), coloured, "{settings:?} {flags:?}: {:?}", ended.err);
    }
}

#[test]
fn on_a_terminal_colours_are_there_unless_somebody_says_no() {
    let expected: [(&[Setting], &[&str], bool); 5] = [
        (&[], &[], true),
        (&[("NO_COLOR", "1")], &[], false),
        (&[("NO_COLOR", "1")], &["--color", "always"], true),
        (&[("CLICOLOR", "0")], &[], false),
        (&[], &["--color", "never"], false),
    ];
    for (settings, flags, coloured) in expected {
        let site = Site::small();
        let mut plan = site.command(["plan", "--profile", "smal"]);
        plan.args(flags).envs(settings.iter().copied());
        let (_, shown) = on_terminal(plan);
        assert!(shown.contains("unknown profile"), "{shown}");
        assert_eq!(is_coloured(&shown), coloured, "{settings:?} {flags:?}: {shown:?}");
    }
}

#[test]
fn colours_change_nothing_else() {
    let coloured = message(&[], &["--color", "always"]).err;
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    assert_eq!(plain, message(&[], &[]).err);
}

#[test]
fn what_was_asked_for_goes_to_standard_output_and_nothing_else_does() {
    let site = Site::small();
    for arguments in PRINTING {
        let ended = site.testbed(arguments);
        assert_eq!(ended.code(), ExitCode::Passed, "{arguments:?}: {}", ended.told());
        assert!(!ended.out.is_empty() && ended.err.is_empty(), "{arguments:?}: {}", ended.err);
        assert!(!ended.out.contains('\u{1b}'), "{arguments:?}");
    }
}

#[test]
fn a_plan_as_json_is_one_line_of_json() {
    let ended = Site::small().testbed(["plan", "--json"]);
    assert_eq!(ended.out.lines().count(), 1);
    let plan: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(plan["project"], "small");
}

#[test]
fn a_run_as_json_that_cannot_begin_prints_nothing_that_is_no_event() {
    let told = Site::small().refuses(["premerge", "--json"], ExitCode::Environment);
    assert!(told.contains("no container engine answers"), "{told}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let site = Site::small();
    for arguments in PRINTING {
        let mut command = site.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The reader goes before a byte is written.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(crate::site::code(output.status, &err), ExitCode::Passed, "{arguments:?}");
        assert_eq!(err, "", "{arguments:?}");
    }
}

#[test]
fn a_reader_that_leaves_after_one_line_has_it() {
    let site = Site::small();
    let mut child = site.command(["plan"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("plan "), "{line}");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn a_full_disk_behind_standard_output_is_told() {
    let site = Site::small();
    for arguments in PRINTING {
        let mut command = site.command(arguments);
        command.stdout(File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
        let output = command.output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(crate::site::code(output.status, &err), ExitCode::Environment, "{arguments:?}: {err}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(err, @r"
            error: cannot write to standard output: No space left on device (os error 28)
            hint: check the disk or the program that reads it
            ");
        }
    }
}
