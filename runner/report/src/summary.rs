//! What a person reads after a run: the verdict first, what went wrong with all that explains it, and, in the last screen,
//! the verdict again with what to do next.

use std::io::{self, Write};

use testbed_model::case::Case;
use testbed_model::lane::LaneId;

use crate::fit;
use crate::quantity::count;
use crate::row::Row;
use crate::story::Story;
use crate::style::{Style, Tone};
use crate::verdict::{Verdict, environment_fault, not_a_red_test, sentence};

mod cause;
mod facts;
mod failures;
mod lanes;
mod next;

/// Gives the command line that repeats a lane, or one case of it.
pub type Rerun<'a> = dyn Fn(&LaneId, Option<&Case>) -> Option<String> + 'a;

/// Gives the path of a case's log.
pub type CaseLog<'a> = dyn Fn(&LaneId, &Case) -> Option<String> + 'a;

/// How to write a summary.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// How it looks.
    pub style: Style,
    /// The command line that repeats a lane, or one case of it; none where there is no such command.
    pub rerun: Option<&'a Rerun<'a>>,
    /// Where a case's whole log is; none where it has none.
    pub case_log: Option<&'a CaseLog<'a>>,
    /// Where the run lies as a page for a browser; none where it does not.
    pub page: Option<&'a str>,
}

impl Options<'_> {
    /// Without commands to repeat anything.
    pub const fn new(style: Style) -> Self {
        Self { style, rerun: None, case_log: None, page: None }
    }

    fn rerun(&self, lane: &LaneId, case: Option<&Case>) -> Option<String> {
        self.rerun.and_then(|command| command(lane, case))
    }
}

/// Rows of the smallest usual screen, without the shell's prompt.
const SCREEN_ROWS: usize = 23;

/// Writes the summary of a story, after an empty line that sets it apart from what stands above.
pub fn write(story: &Story, options: &Options<'_>, out: &mut dyn Write) -> io::Result<()> {
    let style = &options.style;
    let verdict = verdict(story, style);
    let told = story.diagnoses();
    let next = next::lines(story, told, options);
    let failures = failures::lines(story, told, options);
    let facts = facts::lines(story, told, style);
    let rows = SCREEN_ROWS.saturating_sub(height(&verdict, style) + height(&next, style) + 3);
    let lanes = lanes::table(story, style, rows.clamp(3, 12));
    let parts = [&verdict, &failures, &facts, &lanes, &next];
    let rows: usize = parts.iter().map(|lines| height(lines, style)).sum();
    let parts = match (rows <= SCREEN_ROWS, failures.is_empty()) {
        // What fits into one screen is not said twice.
        (true, true) => vec![verdict, lanes, facts, next],
        (true, false) => vec![verdict, failures, facts, lanes, next],
        (false, _) => vec![verdict.clone(), failures, facts, vec![String::new()], verdict, lanes, next],
    };
    writeln!(out)?;
    for line in parts.concat() {
        writeln!(out, "{}", line.trim_end())?;
    }
    out.flush()
}

/// The rows that lines take on the screen.
fn height(lines: &[String], style: &Style) -> usize {
    lines.iter().map(|line| console::measure_text_width(line).div_ceil(style.columns()).max(1)).sum()
}

/// The verdict: its word, its sentence, and whose fault it is where it is not a test's.
fn verdict(story: &Story, style: &Style) -> Vec<String> {
    let verdict = Verdict::of(story);
    let word = style.badge(verdict.tone(), verdict.word());
    let room = style.columns().saturating_sub(fit::columns(verdict.word()) + 4);
    let mut lines = Vec::new();
    for (index, line) in fit::wrap(&sentence(story), room).into_iter().enumerate() {
        let lead = if index == 0 { word.clone() } else { " ".repeat(fit::columns(verdict.word()) + 2) };
        lines.push(format!("{lead} {}", style.paint(Tone::Strong, &line)));
    }
    if verdict.tone() == Tone::Broken {
        if let Some(fault) = environment_fault(story) {
            lines.extend(indented(&fault, Tone::Broken, style));
        }
        let counts = story.counts();
        let passed = count(usize::try_from(counts.passed).unwrap_or(usize::MAX), "case");
        let so_far = match (counts.passed, counts.red()) {
            (0, 0) => "no case had ended".to_owned(),
            (_, 0) => format!("{passed} had passed, none was red"),
            (_, red) => format!("{passed} had passed, {red} red"),
        };
        lines.extend(indented(&format!("{}; {so_far}", not_a_red_test(story)), Tone::Plain, style));
    }
    lines
}

fn indented(text: &str, tone: Tone, style: &Style) -> Vec<String> {
    fit::wrap(text, style.columns().saturating_sub(3))
        .into_iter()
        .map(|line| format!(" {}", style.paint(tone, &line)))
        .collect()
}

/// A heading across the screen.
fn heading(words: &[(Tone, &str)], style: &Style) -> String {
    let rule = style.glyphs.rule();
    let mut row = Row::new().dim(format!("{rule}{rule} "));
    for (tone, word) in words {
        row = row.with(*tone, *word).plain(" ");
    }
    let room = row.room(style.columns().min(110)).max(2);
    row.dim(std::iter::repeat_n(rule, room).collect::<String>()).render(style)
}
