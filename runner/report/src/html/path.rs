//! The critical paths: why the first case began when it did, and what the end waited for.

use std::fmt::Write as _;

use testbed_model::event::Stamped;
use testbed_model::record::critical::{self, CriticalPath, Step, StepKind, Target};

use super::markup::{bar, escape, thousandths};
use crate::quantity::duration;

/// What is shorter than this part of the whole, or than so many microseconds, nobody has to know of.
const LEAST_PART: u64 = 500;
const LEAST_US: u64 = 10_000;

/// The section; empty where nothing was heard.
pub fn write(events: &[Stamped]) -> String {
    let first = critical::to_first_case(events);
    // Where the first case itself needs a stack, its path says all.
    let on_stack = critical::to_first_case_on_stack(events)
        .filter(|path| first.as_ref().is_none_or(|first| first.steps != path.steps));
    let paths = [first, on_stack, critical::to_end(events)];
    let tables: String = paths.iter().flatten().filter(|path| !path.steps.is_empty()).map(table).collect();
    if tables.is_empty() {
        return String::new();
    }
    format!(
        "<section id=\"path\" aria-labelledby=\"path-title\">\n<h2 id=\"path-title\">Critical path</h2>\n<div class=\"paths\">{tables}</div></section>\n"
    )
}

fn table(path: &CriticalPath) -> String {
    let end = path.steps.last().map_or(0, |step| step.end_us);
    let took = duration(end / 1000);
    let title = match &path.to {
        Target::FirstCase(lane) => format!("Why did the first case, of {lane}, begin at {took}?"),
        Target::FirstCaseOnStack(lane) => {
            format!("Why did the first case on a stack, of {lane}, begin at {took}?")
        }
        Target::End => format!("Why did the run end at {took}?"),
    };
    let longest = path.steps.iter().map(length).max().unwrap_or(0);
    let mut rows = String::new();
    let least = (end / LEAST_PART).min(LEAST_US);
    for step in path.steps.iter().filter(|step| length(step) >= least) {
        let bar = bar(thousandths(step.begin_us, end), thousandths(step.end_us, end), class(step.kind));
        let _ = write!(
            rows,
            "<tr{strong}><th scope=\"row\">{name}</th><td class=\"track\">{bar}</td><td class=\"time\">{time}</td></tr>",
            strong = if length(step) == longest { " class=\"longest\"" } else { "" },
            name = escape(&step.to_string()),
            time = fine(length(step)),
        );
    }
    format!("<table class=\"path\"><caption>{}</caption><tbody>{rows}</tbody></table>\n", escape(&title))
}

/// A duration, in milliseconds where a person would otherwise read nothing.
fn fine(us: u64) -> String {
    if us < 100_000 { format!("{} ms", us / 1000) } else { duration(us / 1000) }
}

const fn length(step: &Step) -> u64 {
    step.end_us.saturating_sub(step.begin_us)
}

/// The colour of a step: that of the same state on the time axis.
const fn class(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Collect | StepKind::Image | StepKind::Resolve | StepKind::Prepare => "prepare",
        StepKind::Network | StepKind::Start => "create",
        StepKind::Probe | StepKind::Answer => "start",
        StepKind::Tool | StepKind::FirstCase => "tool",
        StepKind::Cases => "cases",
        StepKind::Stop => "stop",
        StepKind::Until => "until",
    }
}
