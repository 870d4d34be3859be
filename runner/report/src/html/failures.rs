//! What went wrong, each with all that explains it: stacks, lanes, then red cases, the most telling first.

use std::collections::HashMap;
use std::fmt::Write as _;

use testbed_model::event::LogWindow;
use testbed_model::lane::LaneId;
use testbed_model::triage::Diagnosis;

use super::markup::{escape, escape_block};
use crate::axis::Axis;
use crate::github::telling;
use crate::quantity::{count, duration};
use crate::stack_failure;
use crate::story::{CaseStory, Story};
use crate::style::Style;
use crate::summary::Rerun;

/// Red cases told in full here; the others are in the table of cases.
const MOST: usize = 50;
/// Of these, those that stand open.
const OPEN: usize = 2;
/// Lines of one account, and of one service's log.
const LINES: usize = 80;
const LOG_LINES: usize = 30;
/// Columns of a stack's failure.
const COLUMNS: usize = 110;

/// The section; empty where nothing went wrong.
pub fn write(story: &Story, axis: &Axis<'_>, rerun: Option<&Rerun<'_>>) -> String {
    let mut entries = String::new();
    for stack in &story.stacks {
        if let Some(failure) = &stack.failure {
            let lines = stack_failure::lines(failure, &Style::plain(COLUMNS)).join("\n");
            let name = format!("stack {} did not come up", stack.name);
            entries.push_str(&entry("broken", "environment", &name, "", &block("", &lines)));
        }
    }
    for lane in &story.lanes {
        if let Some(failure) = lane.failure.as_ref().filter(|_| !lane.interrupted) {
            let tone = if failure.environment { ("broken", "environment") } else { ("error", "lane failed") };
            let body = message(&failure.message) + &block("Its last lines", &failure.log.join("\n"));
            entries.push_str(&entry(tone.0, tone.1, &lane.id.to_string(), &failure.message, &body));
        }
    }
    let told = story.diagnoses();
    let red = telling(story, told);
    let places = places(axis);
    for (at, (lane, case)) in red.iter().take(MOST).enumerate() {
        let place = places.get(&(lane, case.result.case.id.as_str()));
        let fault = told.of_case(lane, &case.result.case.id).map(cause).unwrap_or_default();
        entries.push_str(&of_case(lane, case, place.copied(), rerun, &fault, at < OPEN));
    }
    if red.len() > MOST {
        let _ = writeln!(
            entries,
            "<p class=\"more\">… and {} more. With JavaScript the table of cases below has them all; the record and JUnit do too.</p>",
            red.len() - MOST
        );
    }
    if entries.is_empty() {
        return String::new();
    }
    format!(
        "<section id=\"failures\" aria-labelledby=\"failures-title\">\n<h2 id=\"failures-title\">Failures</h2>\n{entries}</section>\n"
    )
}

/// Where the script's cases stand: their indexes on the axis.
fn places<'e>(axis: &Axis<'e>) -> HashMap<(&'e LaneId, &'e str), usize> {
    let red = axis
        .cases
        .iter()
        .enumerate()
        .filter(|(_, case)| case.result.is_some_and(|result| result.outcome.is_red()));
    red.filter_map(|(at, case)| Some(((axis.lanes.get(case.lane)?.id, case.id), at))).collect()
}

fn entry(class: &str, word: &str, name: &str, message: &str, body: &str) -> String {
    format!(
        "<details class=\"failure {class}\" open><summary><span class=\"chip {class}\">{word}</span> \
         <b class=\"name\">{}</b><span class=\"headline\">{}</span></summary>\n<div class=\"body\">{body}</div></details>\n",
        escape(name),
        escape(message)
    )
}

fn of_case(
    lane: &LaneId,
    case: &CaseStory,
    place: Option<usize>,
    rerun: Option<&Rerun<'_>>,
    fault: &str,
    open: bool,
) -> String {
    let result = &case.result;
    let class = match result.outcome {
        testbed_model::case::Outcome::TimedOut => "timed-out",
        testbed_model::case::Outcome::Error => "error",
        _ => "failed",
    };
    let (folder, name) = split(&result.case.id);
    let mut body = String::new();
    let place_text =
        case.place().map(|place| format!("<code>{}</code> · ", escape(&place))).unwrap_or_default();
    let attempts =
        if result.attempts > 1 { format!(" · attempt {}", result.attempts) } else { String::new() };
    let on_axis = place
        .map(|at| format!(" · <a class=\"needs-script\" href=\"#case={at}\" hidden>on the time axis</a>"))
        .unwrap_or_default();
    let _ = write!(
        body,
        "<p class=\"place\">{place_text}in {} · {}{attempts}{on_axis}</p>",
        escape(&lane.to_string()),
        duration(result.duration_ms)
    );
    body.push_str(&message(result.message.as_deref().unwrap_or_default()));
    body.push_str(fault);
    body.push_str(&block("", result.details.as_deref().unwrap_or_default()));
    body.push_str(&block("What it printed", &result.output));
    for window in &case.service_logs {
        body.push_str(&log(window));
    }
    if let Some(command) = rerun.and_then(|rerun| rerun(lane, Some(&result.case))) {
        let _ = write!(body, "<h4>Again</h4><pre class=\"command\">{}</pre>", escape(&command));
    }
    format!(
        "<details class=\"failure {class}\"{open}><summary><span class=\"chip {class}\">{word}</span> \
         <b class=\"name\"><span class=\"folder\">{folder}</span>{name}</b><span class=\"headline\">{headline}</span></summary>\n\
         <div class=\"body\">{body}</div></details>\n",
        open = if open { " open" } else { "" },
        word = result.outcome.word(),
        folder = escape(folder),
        name = escape(name),
        headline = escape(case.headline().unwrap_or_default()),
    )
}

/// Whose fault it is, and what shows that.
fn cause(diagnosis: &Diagnosis) -> String {
    let mut out = format!(
        "<p class=\"cause\">cause: <b>{}</b>, {}</p>",
        diagnosis.cause.word(),
        escape(&diagnosis.because)
    );
    let evidence: Vec<String> = diagnosis
        .evidence
        .iter()
        .filter(|one| one.source != "message")
        .map(|one| format!("at {}, {}: {}", duration(one.elapsed_us / 1000), one.source, one.quote))
        .collect();
    out.push_str(&block("What shows it", &evidence.join("\n")));
    out
}

/// A case's id in two: where it is, and its own name.
pub fn split(id: &str) -> (&str, &str) {
    // Parameters may hold anything, so the last separator before them counts.
    let head = id.split_once('[').map_or(id, |(head, _)| head);
    head.rfind("::").map_or(("", id), |at| id.split_at(at + 2))
}

fn log(window: &LogWindow) -> String {
    let omitted = match window.omitted {
        0 => String::new(),
        n => format!(", {} before", count(usize::try_from(n).unwrap_or(usize::MAX), "line")),
    };
    let from = window.lines.len().saturating_sub(LOG_LINES);
    let lines = window.lines.get(from..).unwrap_or_default().join("\n");
    block(&format!("Log of {} meanwhile{omitted}", window.service), &lines)
}

/// The message, which is what is read first.
fn message(text: &str) -> String {
    let text = escape_block(text.trim_matches('\n'));
    if text.is_empty() { text } else { format!("<p class=\"message\">{text}</p>") }
}

fn block(title: &str, text: &str) -> String {
    let text = text.trim_matches('\n');
    if text.is_empty() {
        return String::new();
    }
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LINES);
    let cut = if from > 0 { format!("… {from} lines before\n") } else { String::new() };
    let title = if title.is_empty() { String::new() } else { format!("<h4>{}</h4>", escape(title)) };
    format!("{title}<pre>{cut}{}</pre>", escape_block(&lines.get(from..).unwrap_or_default().join("\n")))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_parameter_is_part_of_the_name() {
        assert_eq!(split("a/b.py::C::test_x[y::z]"), ("a/b.py::C::", "test_x[y::z]"));
        assert_eq!(split("testbed-model tier::tests::nest"), ("testbed-model tier::tests::", "nest"));
        assert_eq!(split("rustfmt"), ("", "rustfmt"));
    }
}
