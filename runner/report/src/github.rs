//! Red cases as annotations of GitHub Actions: workflow commands on standard output, at file and line.
//!
//! A step shows at most 10 annotations of each kind and a job 50 (github.com/actions/toolkit, `docs/problem-matchers.md`), and
//! drops the rest without a word; so the most telling come first, and those beyond are counted in a notice of their own.

use std::io::{self, Write};

use testbed_model::lane::LaneId;
use testbed_model::triage::{Diagnoses, Diagnosis};

use crate::fit;
use crate::neutral;
use crate::story::{CaseStory, Story};
use crate::verdict::{Verdict, environment_fault, sentence};

/// Annotations of one kind that a step shows.
const SHOWN: usize = 10;
/// Lines of a message; GitHub cuts it at 64 KiB, and nobody reads so much in a margin.
const LINES: usize = 12;

/// Writes the annotations, and the log of each red case in a group that can be opened.
pub fn write(story: &Story, out: &mut dyn Write) -> io::Result<()> {
    let told = story.diagnoses();
    let red = telling(story, told);
    for (lane, case) in &red {
        group(lane, case, out)?;
    }
    // An environment that broke is no red test, and comes before every one.
    let fault = environment_fault(story);
    if let Some(fault) = &fault {
        writeln!(out, "::error title={}::{}", property("environment"), data(fault))?;
    }
    let shown = SHOWN - usize::from(fault.is_some());
    for (lane, case) in red.iter().take(shown) {
        writeln!(out, "{}", annotation(lane, case, told.of_case(lane, &case.result.case.id)))?;
    }
    let excused = |(lane, case): &&(&LaneId, &CaseStory)| {
        told.of_case(lane, &case.result.case.id).is_some_and(|one| one.cause.excuses())
    };
    let taken = red.iter().take(shown).filter(excused).count();
    for warning in story.warnings.iter().take(SHOWN - taken) {
        writeln!(out, "::warning title=testbed::{}", data(&warning.message))?;
    }
    let mut notice = format!("{}: {}", Verdict::of(story).word(), sentence(story));
    if red.len() > shown {
        notice += &format!("; {} more red cases are in the log and in the summary", red.len() - shown);
    }
    writeln!(out, "::notice title=testbed::{}", data(&notice))
}

/// Red cases, the most telling first: those that say something of the code under test, with a place, and of each message the
/// first before any is repeated.
pub(crate) fn telling<'s>(story: &'s Story, told: &Diagnoses) -> Vec<(&'s LaneId, &'s CaseStory)> {
    let mut seen = std::collections::HashMap::new();
    let red = story.results().filter(|(_, case)| case.result.outcome.is_red());
    let mut red: Vec<_> = red
        .map(|(lane, case)| {
            let again: &mut usize = seen.entry(case.headline().unwrap_or_default()).or_default();
            *again += 1;
            let its = told.of_case(&lane.id, &case.result.case.id);
            let excused = its.is_some_and(|one| one.cause.excuses());
            ((excused, *again, case.result.case.file.is_none()), (&lane.id, case))
        })
        .collect();
    red.sort_by_key(|(rank, _)| *rank);
    red.into_iter().map(|(_, case)| case).collect()
}

fn annotation(lane: &LaneId, case: &CaseStory, diagnosis: Option<&Diagnosis>) -> String {
    let its = &case.result.case;
    let mut properties = Vec::new();
    if let Some(file) = &its.file {
        properties.push(format!("file={}", property(file)));
        // A line without a file means nothing.
        properties.extend(its.line.map(|line| format!("line={line}")));
    }
    let name = its.id.rsplit("::").next().unwrap_or(&its.id);
    let whose = diagnosis.map(|one| format!("{}: ", one.cause.word())).unwrap_or_default();
    properties.push(format!("title={}", property(&format!("{whose}{name} ({lane})"))));
    let text = case.result.message.as_deref().unwrap_or(case.result.outcome.word());
    let mut text: Vec<String> = text.lines().take(LINES).map(str::to_owned).collect();
    // What broke around a case is no error of the line that it stands on.
    let kind = match diagnosis.filter(|one| one.cause.excuses()) {
        Some(one) => {
            text.insert(0, one.because.clone());
            text.extend(one.evidence.iter().map(|one| one.quote.clone()).take(1));
            "warning"
        }
        None => "error",
    };
    format!("::{kind} {}::{}", properties.join(","), data(&text.join("\n")))
}

/// What a case has to say, folded away. A line that looks like a command is none: GitHub reads them only at a line's start.
fn group(lane: &LaneId, case: &CaseStory, out: &mut dyn Write) -> io::Result<()> {
    let result = &case.result;
    let title = fit::end(&result.case.id, 160, crate::style::Glyphs::Unicode);
    writeln!(out, "::group::{} {} {}", result.outcome.word(), lane, data(&title))?;
    let texts = [result.details.as_deref().or(result.message.as_deref()), Some(result.output.as_str())];
    let windows = case.service_logs.iter().flat_map(|window| {
        std::iter::once(format!("--- log of {} ---", window.service)).chain(window.lines.iter().cloned())
    });
    let lines = texts.into_iter().flatten().flat_map(|text| text.lines().map(str::to_owned)).chain(windows);
    for line in lines {
        writeln!(out, "  {}", neutral::line(&line))?;
    }
    writeln!(out, "::endgroup::")
}

/// Escapes a message (actions/toolkit, `packages/core/src/command.ts`).
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes the value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
