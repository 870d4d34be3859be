//! The page's head: the verdict in a word and a sentence, how many cases came out how, and what the run was.

use std::fmt::Write as _;

use testbed_model::case::Counts;
use testbed_model::record::Record;

use super::markup::{escape, thousandths};
use crate::quantity::{bytes, count, duration};
use crate::story::Story;
use crate::style::Tone;
use crate::verdict::{Verdict, environment_fault, sentence};

/// The word of a tone in the style.
pub const fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Broken => "broken",
        _ => "warn",
    }
}

/// A picture for the browser's tab, in the verdict's colour.
pub fn icon(tone: Tone) -> String {
    let (colour, shape) = match tone {
        Tone::Good => ("%231a7f4b", "M4.5 8.5l2.5 2.5 4.5-5.5"),
        Tone::Bad => ("%23c62836", "M5 5l6 6M11 5l-6 6"),
        Tone::Broken => ("%238250df", "M8 4v5M8 11v1"),
        _ => ("%23a15c07", "M5 8h6"),
    };
    format!(
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' \
         fill='{colour}'/%3E%3Cpath d='{shape}' fill='none' stroke='white' stroke-width='1.8' stroke-linecap='round'/%3E%3C/svg%3E"
    )
}

/// The line that stays on top.
pub fn top(story: &Story, page: &str) -> String {
    format!(
        "<header class=\"bar-top\"><span class=\"badge\">{word}</span><span class=\"of\">{subject}</span>\
         <nav aria-label=\"Parts of this page\">{nav}</nav>\
         <button id=\"theme\" class=\"needs-script\" type=\"button\" hidden>theme</button></header>\n<main>\n",
        word = Verdict::of(story).word(),
        subject = escape(&story.subject()),
        nav = nav(page),
    )
}

/// The verdict, the counts and the facts.
pub fn write(record: &Record, story: &Story) -> String {
    let mut out = format!(
        "<section class=\"hero\" aria-labelledby=\"verdict\">\n\
         <h1 id=\"verdict\"><span class=\"badge\">{}</span> <span>{}</span></h1>\n",
        Verdict::of(story).word(),
        escape(&sentence(story)),
    );
    if let Some(fault) = environment_fault(story) {
        let _ = writeln!(
            out,
            "<p class=\"fault\"><b>{}</b> This is not a red test.</p>",
            escape(&format!("{fault}."))
        );
    }
    if record.damaged > 0 {
        let _ = writeln!(
            out,
            "<p class=\"fault\">{} of the journal cannot be read: it was cut, or changed later.</p>",
            count(record.damaged, "line")
        );
    }
    out.push_str(&counts(&story.counts()));
    out.push_str(&facts(record, story));
    out + "</section>\n"
}

/// Links to the parts that the page has.
fn nav(page: &str) -> String {
    let parts = [
        ("failures", "Failures"),
        ("axis", "Time axis"),
        ("cases", "Cases"),
        ("path", "Critical path"),
        ("lanes", "Lanes"),
        ("slowest", "Slowest"),
        ("not-run", "Not run"),
        ("environment", "Environment"),
    ];
    let link = |(id, word): &(&str, &str)| {
        let class = if matches!(*id, "axis" | "cases") { " class=\"needs-script\" hidden" } else { "" };
        page.contains(&format!("<section id=\"{id}\""))
            .then(|| format!("<a href=\"#{id}\"{class}>{word}</a>"))
    };
    parts.iter().filter_map(link).collect()
}

/// The counts: a bar of their proportions and, below it, their numbers.
fn counts(counts: &Counts) -> String {
    let parts = [
        ("failed", "failed", counts.failed),
        ("error", "error", counts.errors),
        ("timed-out", "timed out", counts.timed_out),
        ("interrupted", "interrupted", counts.interrupted),
        ("passed", "passed", counts.passed.saturating_sub(counts.flaky)),
        ("flaky", "flaky", counts.flaky),
        ("expected", "expected failure", counts.expected_failures),
        ("skipped", "skipped", counts.skipped),
    ];
    let whole: u64 = parts.iter().map(|(_, _, number)| u64::from(*number)).sum();
    if whole == 0 {
        return String::new();
    }
    let (mut at, mut pieces, mut legend) = (0, String::new(), String::new());
    for (class, word, number) in parts.iter().filter(|(_, _, number)| *number > 0) {
        // Even one red case of 50,000 is to be seen.
        let width = thousandths(u64::from(*number), whole).max(6);
        let _ = write!(pieces, "<rect class=\"{class}\" x=\"{at}\" width=\"{width}\" height=\"10\"/>");
        at += width;
        let _ = write!(legend, "<li class=\"{class}\"><b>{number}</b> {word}</li>");
    }
    format!(
        "<svg class=\"counts\" viewBox=\"0 0 {at} 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">{pieces}</svg>\n\
         <ul class=\"legend\" aria-label=\"Counts\">{legend}</ul>\n"
    )
}

fn facts(record: &Record, story: &Story) -> String {
    let manifest = &record.manifest;
    let mut rows: Vec<(&str, String)> = vec![("run", manifest.run.to_string())];
    let mut add = |word, value: Option<String>| rows.extend(value.map(|value| (word, value)));
    add("plan", manifest.plan.as_ref().map(|plan| plan.0.clone()));
    add("started", Some(manifest.started.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()));
    add("revision", manifest.facts.revision.as_ref().map(|revision| short(revision)));
    add("uncommitted", manifest.changes.as_ref().map(|changes| count(changes.files, "file")));
    let host = &manifest.facts;
    add("host", Some(format!("{} cores, {}, {}", host.cores, bytes(host.memory_bytes), host.architecture)));
    let rows: String = rows
        .iter()
        .map(|(word, value)| format!("<div><dt>{word}</dt><dd>{}</dd></div>", escape(value)))
        .collect();
    format!("<dl class=\"facts\">{rows}{}</dl>\n", budget(record, story))
}

/// A revision as people name it, with its mark of other changes.
fn short(revision: &str) -> String {
    let (hash, mark) = revision.split_once('-').map_or((revision, ""), |(hash, _)| (hash, "-dirty"));
    format!("{}{mark}", hash.chars().take(12).collect::<String>())
}

/// The tier's time against its budget.
fn budget(record: &Record, story: &Story) -> String {
    let Some(budget) = record.manifest.budget_ms else { return String::new() };
    let took = story.took_ms();
    let scale = took.max(budget);
    let (took_part, budget_part) = (thousandths(took, scale), thousandths(budget, scale));
    let (class, words) = if took > budget {
        ("over", format!("{} over", duration(took - budget)))
    } else {
        ("within", format!("{} left", duration(budget - took)))
    };
    format!(
        "<div class=\"budget\"><dt>budget</dt><dd>{} of {} <span class=\"{class}\">({words})</span>\
         <svg class=\"bar\" viewBox=\"0 0 1000 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"rail\" width=\"{budget_part}\" height=\"8\"/><rect class=\"{class}\" width=\"{took_part}\" height=\"8\"/>\
         <rect class=\"mark\" x=\"{mark}\" width=\"4\" height=\"8\"/></svg></dd></div>",
        duration(took),
        duration(budget),
        mark = budget_part.saturating_sub(4),
    )
}
