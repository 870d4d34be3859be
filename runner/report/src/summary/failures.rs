//! Each thing that went wrong, with all that explains it: stacks, lanes, then red cases.

use testbed_model::event::LogWindow;
use testbed_model::triage::{Diagnoses, Diagnosis};

use super::{Options, cause, heading};
use crate::fit::{self, Cut};
use crate::quantity::{count, duration};
use crate::stack_failure::{self, quoted, quoted_in};
use crate::story::{CaseStory, LaneStory, StackStory, Story};
use crate::style::{Style, Tone};
use crate::verdict::exited;

/// The most red cases told in full; all are listed by id at the end and kept in the record.
pub(super) const MOST_CASES: usize = 20;
/// A traceback says where it began and, at its end, what it came to.
const DETAILS: Cut = Cut { head: 12, tail: 28 };
/// What a case printed last.
const OUTPUT: Cut = Cut::tail(20);
/// What a service or a tool wrote last.
const LOG: Cut = Cut::tail(15);

/// The lines; none where nothing went wrong.
pub(super) fn lines(story: &Story, causes: &Diagnoses, options: &Options<'_>) -> Vec<String> {
    let style = &options.style;
    let mut out = Vec::new();
    for stack in &story.stacks {
        if let Some(failure) = &stack.failure {
            out.push(String::new());
            let name = format!("stack {}", stack.name);
            out.push(heading(&[(Tone::Broken, &name), (Tone::Broken, "did not come up")], style));
            out.extend(stack_failure::lines(failure, style));
            out.extend(cause::lines(causes.of_stack(&stack.name), style));
        }
    }
    // A lane that lost its environment says itself what died.
    let told = |stack: &StackStory| {
        let lanes = story.lanes.iter().filter(|lane| lane.failed_itself());
        stack.failure.is_some()
            || lanes.filter_map(|lane| lane.id.profile.as_ref()).any(|name| *name == stack.name)
    };
    for (stack, service) in story.dead_services().filter(|(stack, _)| !told(stack)) {
        out.push(String::new());
        let name = format!("{} of stack {}", service.name, stack.name);
        out.push(heading(&[(Tone::Broken, &name), (Tone::Broken, "died")], style));
        out.push(format!("{} {}, and no case had asked for it", service.name, exited(&service.phase)));
        out.extend(cause::lines(causes.of_service(&stack.name, &service.name), style));
    }
    // The stack's own account says more than that of each lane that needed it.
    for lane in story.lanes.iter().filter(|lane| !(lane.environment_failed() && story.lacks_stack(lane))) {
        out.extend(lane_failure(lane, causes.of_lane(&lane.id), style));
    }
    let red: Vec<_> = story.red().collect();
    for (index, (lane, case)) in red.iter().take(MOST_CASES).enumerate() {
        out.push(String::new());
        let its = causes.of_case(&lane.id, &case.result.case.id);
        out.extend(case_failure(lane, case, its, (index + 1, red.len()), options));
    }
    if red.len() > MOST_CASES {
        out.push(String::new());
        let more = count(red.len() - MOST_CASES, "more red case");
        out.push(style.paint(Tone::Bad, &format!("{} {more}: see the record", style.glyphs.ellipsis())));
    }
    out
}

fn lane_failure(lane: &LaneStory, its: Option<&Diagnosis>, style: &Style) -> Vec<String> {
    let Some(failure) = lane.failure.as_ref().filter(|_| lane.failed_itself()) else { return Vec::new() };
    let (tone, what) = if failure.environment {
        (Tone::Broken, "lost its environment")
    } else {
        (Tone::Bad, "failed as a whole")
    };
    let name = format!("lane {}", lane.id);
    let mut out = vec![String::new(), heading(&[(tone, &name), (tone, what)], style)];
    out.extend(failure.message.lines().map(str::to_owned));
    if !failure.log.is_empty() {
        out.push(style.paint(Tone::Dim, "last lines"));
        out.extend(quoted(&failure.log, LOG, style));
    }
    out.extend(cause::lines(its, style));
    out
}

fn case_failure(
    lane: &LaneStory,
    case: &CaseStory,
    its: Option<&Diagnosis>,
    (number, of): (usize, usize),
    options: &Options<'_>,
) -> Vec<String> {
    let style = &options.style;
    let result = &case.result;
    let position = format!("{number}/{of}");
    let name = lane.id.to_string();
    let word = result.outcome.word();
    let dot = (Tone::Dim, style.glyphs.dot());
    let title = [(Tone::Dim, position.as_str()), dot, (Tone::Bad, word), dot, (Tone::Strong, &name)];
    let mut out = vec![heading(&title, style)];
    out.push(style.paint(Tone::Strong, &result.case.id));
    out.push(style.paint(Tone::Dim, &circumstances(case, style)));
    if let Some(message) = &result.message {
        out.push(String::new());
        out.extend(message.trim_end().lines().map(|line| format!("  {}", style.paint(Tone::Bad, line))));
    }
    out.push(String::new());
    if let Some(details) = &result.details {
        out.extend(section("details", details, telling, DETAILS, style));
    }
    out.extend(section("output", &result.output, |_| Tone::Plain, OUTPUT, style));
    for window in &case.service_logs {
        out.extend(log_window(window, style));
    }
    if case.service_logs.is_empty() && lane.id.profile.is_some() {
        out.push(style.paint(Tone::Dim, "the services wrote nothing meanwhile"));
    }
    out.extend(cause::lines(its, style));
    let more = [
        ("log", options.case_log.and_then(|path| path(&lane.id, &result.case))),
        ("rerun", options.rerun(&lane.id, Some(&result.case))),
    ];
    out.extend(more.into_iter().filter_map(|(word, text)| {
        // Paths and commands are copied from here, so they are never cut.
        Some(format!("{} {}", style.paint(Tone::Step, &fit::left(word, 6)), text?))
    }));
    out
}

/// Where, for how long, at which attempt.
fn circumstances(case: &CaseStory, style: &Style) -> String {
    let mut parts: Vec<String> = case.place().into_iter().collect();
    parts.push(duration(case.result.duration_ms));
    if case.result.attempts > 1 {
        parts.push(format!("{} attempts", case.result.attempts));
    }
    parts.join(&format!(" {} ", style.glyphs.dot()))
}

fn log_window(window: &LogWindow, style: &Style) -> Vec<String> {
    let omitted = usize::try_from(window.omitted).unwrap_or(usize::MAX);
    let more = if omitted > 0 { format!(", {} before it", count(omitted, "line")) } else { String::new() };
    let title = format!("log of {} meanwhile{more}", window.service);
    let mut out = vec![style.paint(Tone::Dim, &title)];
    out.extend(quoted(&window.lines, LOG, style));
    out
}

/// A titled text of somebody else's; nothing where it is empty.
fn section(title: &str, text: &str, tone: fn(&str) -> Tone, cut: Cut, style: &Style) -> Vec<String> {
    let text = text.trim_matches('\n').trim_end();
    if text.trim().is_empty() {
        return Vec::new();
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut out = vec![style.paint(Tone::Dim, title)];
    out.extend(quoted_in(tone, &lines, cut, style));
    out
}

/// The lines of a traceback that say most, as pytest and Rust mark them.
fn telling(line: &str) -> Tone {
    if line.starts_with("E ") || (line.starts_with("thread '") && line.contains("panicked at")) {
        Tone::Bad
    } else if line.starts_with("> ") {
        Tone::Strong
    } else {
        Tone::Plain
    }
}
