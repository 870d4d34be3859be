//! The summary of a run in Markdown, as GitHub shows it below a job: the verdict first, then what is most telling, then what is
//! good to know, and never more than GitHub takes.

use std::fmt::Write as _;
use std::io::{self, Write};

use testbed_model::lane::LaneId;
use testbed_model::triage::{Diagnoses, Diagnosis, Subject};

use crate::github::telling;
use crate::quantity::{count, duration};
use crate::story::{CaseStory, LaneStory, Story};
use crate::style::Tone;
use crate::summary::Rerun;
use crate::verdict::{Verdict, environment_fault, not_a_red_test, sentence};

/// What GitHub takes of a step's summary is 1 MiB (docs.github.com, "Workflow commands", job summaries).
const LIMIT: usize = 1 << 20;
/// What the parts behind the failures may need.
const RESERVE: usize = 96 << 10;
/// The most lines of one failure's account.
const LINES: usize = 60;
/// The most entries of a list.
const MOST: usize = 20;

/// Writes the summary; `rerun` gives the command that repeats a lane or a case.
pub fn write(story: &Story, rerun: Option<&Rerun<'_>>, out: &mut dyn Write) -> io::Result<()> {
    let told = story.diagnoses();
    let mut text = head(story);
    failures(story, told, rerun, &mut text);
    lanes(story, &mut text);
    stacks(story, &mut text);
    left_out(story, &mut text);
    slowest(story, &mut text);
    out.write_all(text.as_bytes())
}

fn head(story: &Story) -> String {
    let verdict = Verdict::of(story);
    let sign = match verdict.tone() {
        Tone::Good => "✅",
        Tone::Bad => "❌",
        Tone::Broken => "💥",
        _ => "⚠️",
    };
    let mut text = format!("## {sign} {} · {}\n\n", verdict.word(), escape(&sentence(story)));
    if let Some(fault) = environment_fault(story) {
        let _ = writeln!(text, "**{}:** {}\n", capital(not_a_red_test(story)), escape(&fault));
    }
    if let Some(head) = &story.head {
        let plan = head.plan.as_ref().map(|plan| format!(" · plan `{plan}`")).unwrap_or_default();
        let _ = writeln!(text, "Run `{}`{plan}\n", head.run);
    }
    text
}

fn failures(story: &Story, told: &Diagnoses, rerun: Option<&Rerun<'_>>, text: &mut String) {
    let red = telling(story, told);
    let of_part = |one: &&Diagnosis| !matches!(one.subject, Subject::Case { .. } | Subject::Service { .. });
    let whole: Vec<&Diagnosis> = told.all().iter().filter(of_part).collect();
    if red.is_empty() && whole.is_empty() {
        return;
    }
    let _ = writeln!(text, "### Failures\n");
    for one in whole.iter().take(MOST) {
        let subject = match &one.subject {
            Subject::Lane(lane) => format!("lane {lane}"),
            Subject::Stack(stack) => format!("stack {stack}"),
            _ => "the run".to_owned(),
        };
        let _ = writeln!(text, "**{}**\n\n{}", escape(&subject), cause(one));
    }
    for (at, (lane, case)) in red.iter().enumerate() {
        let entry = failure(lane, case, told.of_case(lane, &case.result.case.id), rerun);
        if text.len() + entry.len() > LIMIT - RESERVE {
            let _ = writeln!(text, "\n… and {} more, in the record and in JUnit.\n", red.len() - at);
            return;
        }
        text.push_str(&entry);
    }
    text.push('\n');
}

/// Whose fault a failure is, and what shows it.
fn cause(diagnosis: &Diagnosis) -> String {
    let mut text = format!("- cause: **{}**, {}\n", diagnosis.cause.word(), escape(&diagnosis.because));
    for one in diagnosis.evidence.iter().filter(|one| one.source != "message") {
        let source = if one.source == "event" { String::new() } else { format!("{}: ", escape(&one.source)) };
        let _ = writeln!(text, "- at {}, {source}{}", duration(one.elapsed_us / 1000), escape(&one.quote));
    }
    text.push('\n');
    text
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn failure(lane: &LaneId, case: &CaseStory, its: Option<&Diagnosis>, rerun: Option<&Rerun<'_>>) -> String {
    let result = &case.result;
    let headline = case.headline().map(|line| format!(" — {}", code_free(line))).unwrap_or_default();
    let mut text = format!(
        "<details><summary><b>{}</b> <code>{}</code> in {lane}{headline}</summary>\n\n",
        result.outcome.word(),
        code_free(&result.case.id),
    );
    if let Some(place) = case.place() {
        let _ = writeln!(text, "At `{place}`, after {}.\n", duration(result.duration_ms));
    }
    text.extend(its.map(cause));
    let account = result.details.as_deref().or(result.message.as_deref()).unwrap_or_default();
    fence(account, &mut text);
    for window in &case.service_logs {
        let _ = writeln!(text, "Log of `{}` meanwhile:\n", window.service);
        fence(&window.lines.join("\n"), &mut text);
    }
    if let Some(command) = rerun.and_then(|rerun| rerun(lane, Some(&result.case))) {
        let _ = writeln!(text, "Again:\n");
        fence(&command, &mut text);
    }
    text + "</details>\n"
}

fn lanes(story: &Story, text: &mut String) {
    let _ = writeln!(
        text,
        "### Lanes\n\n| lane | passed | red | flaky | skipped | time | environment |\n|---|--:|--:|--:|--:|--:|---|"
    );
    for lane in &story.lanes {
        let LaneStory { id, counts, took_ms, environment, .. } = lane;
        let took = took_ms.map(duration).unwrap_or_default();
        let environment = environment.as_ref().map(|id| format!("`{id}`")).unwrap_or_default();
        let failure = lane.failure.as_ref().map(|failure| format!(" — {}", escape(&failure.message)));
        let _ = writeln!(
            text,
            "| {}{} | {} | {} | {} | {} | {took} | {environment} |",
            escape(&id.to_string()),
            failure.unwrap_or_default(),
            counts.passed,
            counts.red(),
            counts.flaky,
            counts.skipped,
        );
    }
    text.push('\n');
}

fn stacks(story: &Story, text: &mut String) {
    if story.stacks.is_empty() {
        return;
    }
    let _ = writeln!(text, "### Stacks\n\n| stack | ready in | gone in | |\n|---|--:|--:|---|");
    for stack in story.stacks.iter().take(MOST) {
        let time = |millis: Option<u64>| millis.map(duration).unwrap_or_default();
        let dead: Vec<String> =
            stack.dead().map(|service| format!("`{}` died", escape(&service.name))).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            escape(&stack.name),
            time(stack.ready_ms),
            time(stack.stop_ms),
            dead.join(", ")
        );
    }
    text.push('\n');
}

fn left_out(story: &Story, text: &mut String) {
    let all = story.left_out();
    if all.is_empty() {
        return;
    }
    let _ = writeln!(text, "<details><summary>Not run</summary>\n\n| what | why |\n|---|---|");
    for entry in all.iter().take(MOST) {
        let _ = writeln!(text, "| {} | {} |", escape(&entry.what), escape(&entry.reason));
    }
    if all.len() > MOST {
        let _ = writeln!(text, "| … {} more | |", all.len() - MOST);
    }
    let _ = writeln!(text, "\n</details>\n");
}

fn slowest(story: &Story, text: &mut String) {
    let slow = story.slowest(10);
    if slow.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "<details><summary>{} slowest</summary>\n\n| time | lane | case |\n|--:|---|---|",
        count(slow.len(), "case")
    );
    for (lane, case) in slow {
        let result = &case.result;
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            duration(result.duration_ms),
            escape(&lane.id.to_string()),
            escape(&result.case.id)
        );
    }
    let _ = writeln!(text, "\n</details>");
}

/// A text in a block whose fence is longer than any in it, so that nothing of it is taken for Markdown.
fn fence(body: &str, text: &mut String) {
    let lines: Vec<&str> = body.lines().collect();
    let from = lines.len().saturating_sub(LINES);
    let kept = lines.get(from..).unwrap_or_default().join("\n");
    let longest = kept.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let omitted = if from > 0 { format!("… {from} lines before\n") } else { String::new() };
    let _ = writeln!(text, "{fence}text\n{omitted}{kept}\n{fence}\n");
}

/// A text in a line or a cell, of which nothing is taken for Markdown or HTML.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(' '),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '#' | '\\' | '~' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// The same inside HTML, where Markdown is not read.
fn code_free(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\n', " ")
}
