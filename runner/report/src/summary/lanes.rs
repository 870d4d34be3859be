//! The lanes as a table: a row each, and only columns that say something.

use crate::fit;
use crate::quantity::{count, duration, waited};
use crate::row::Row;
use crate::story::{LanePhase, LaneStory, Story};
use crate::style::{Style, Tone};

struct Column {
    title: &'static str,
    tone: Tone,
    cells: Vec<String>,
}

/// The table's lines with an empty one before; none without lanes. At most so many rows: lanes that went wrong come in
/// before others.
pub(super) fn table(story: &Story, style: &Style, most_rows: usize) -> Vec<String> {
    let mut shown: Vec<&LaneStory> = story.lanes.iter().collect();
    if shown.len() > most_rows {
        // The sort is stable: lanes of one kind stay in the plan's order.
        shown.sort_by_key(|lane| !is_wrong(lane));
        shown.truncate(most_rows);
    }
    if shown.is_empty() {
        return Vec::new();
    }
    let zero = style.glyphs.dot();
    let counted = |title, tone, number: fn(&LaneStory) -> usize| Column {
        title,
        tone,
        cells: shown.iter().map(|lane| cell(number(lane), zero)).collect(),
    };
    let mut columns = vec![counted("passed", Tone::Good, |lane| wide(lane.counts.passed))];
    columns.extend(
        [
            counted("red", Tone::Bad, |lane| wide(lane.counts.red())),
            counted("flaky", Tone::Warn, |lane| wide(lane.counts.flaky)),
            counted("skipped", Tone::Dim, |lane| wide(lane.counts.skipped)),
            counted("xfailed", Tone::Dim, |lane| wide(lane.counts.expected_failures)),
            counted("not run", Tone::Warn, not_run),
        ]
        .into_iter()
        .filter(|column| column.cells.iter().any(|cell| cell != zero)),
    );
    columns.push(Column {
        title: "time",
        tone: Tone::Plain,
        cells: shown.iter().map(|lane| lane.took_ms.map_or_else(|| zero.to_owned(), duration)).collect(),
    });
    let names = shown.iter().map(|lane| fit::columns(&lane.id.to_string())).max().unwrap_or(0).max(4);
    // The record has every number; a lane whose name cannot be read is no use.
    for title in ["xfailed", "skipped", "flaky"] {
        if names + 2 + columns.iter().map(Column::width).sum::<usize>() > style.columns() {
            columns.retain(|column| column.title != title);
        }
    }
    let mut out = vec![String::new()];
    out.extend(rows(&shown, &columns, names, style));
    if story.lanes.len() > shown.len() {
        let more = count(story.lanes.len() - shown.len(), "more lane");
        out.push(style.paint(Tone::Dim, &format!("  {} {more}", style.glyphs.ellipsis())));
    }
    out
}

impl Column {
    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|cell| fit::columns(cell)).max().unwrap_or(0);
        cells.max(self.title.len()) + 2
    }
}

fn rows(lanes: &[&LaneStory], columns: &[Column], names: usize, style: &Style) -> Vec<String> {
    let width = style.columns();
    let widths: Vec<usize> = columns.iter().map(Column::width).collect();
    let numbers: usize = widths.iter().sum();
    let names = names.min(width.saturating_sub(numbers + 2)).max(8);
    let mut head = Row::new().dim(fit::left("  lane", names + 2));
    for (column, width) in columns.iter().zip(&widths) {
        head = head.dim(fit::right(column.title, *width));
    }
    let mut out = vec![head.render_within(style, width)];
    for (index, lane) in lanes.iter().enumerate() {
        let name = fit::end(&lane.id.to_string(), names, style.glyphs);
        let tone = name_tone(lane);
        let mut row = Row::new().plain("  ").with(tone, fit::left(&name, names));
        for (column, width) in columns.iter().zip(&widths) {
            let text = column.cells.get(index).map_or("", String::as_str);
            let tone = if text == style.glyphs.dot() { Tone::Dim } else { column.tone };
            row = row.with(tone, fit::right(text, *width));
        }
        let note = note(lane);
        if row.room(width) > fit::columns(&note) + 2 {
            row = row.dim(format!("  {note}"));
        }
        out.push(row.render_within(style, width));
    }
    out
}

/// What else there is to say of a lane, above all whether it had to wait for its stack.
fn note(lane: &LaneStory) -> String {
    if lane.environment_failed() {
        return "environment broke".to_owned();
    }
    if lane.failed_itself() {
        return "failed as a whole".to_owned();
    }
    if lane.interrupted {
        return "interrupted".to_owned();
    }
    match (&lane.phase, &lane.id.profile, lane.waited_ms) {
        (LanePhase::Waiting | LanePhase::Preparing { .. }, _, _) => "did not start".to_owned(),
        (LanePhase::Running, _, _) => "did not end".to_owned(),
        (LanePhase::Finished, Some(_), Some(millis)) => waited(millis),
        (LanePhase::Finished, _, _) => String::new(),
    }
}

fn name_tone(lane: &LaneStory) -> Tone {
    if lane.environment_failed() {
        Tone::Broken
    } else if is_wrong(lane) {
        Tone::Bad
    } else {
        Tone::Plain
    }
}

fn is_wrong(lane: &LaneStory) -> bool {
    lane.failed_itself() || lane.counts.red() > 0
}

fn not_run(lane: &LaneStory) -> usize {
    lane.without_result().len() + wide(lane.counts.interrupted)
}

fn wide(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn cell(number: usize, zero: &str) -> String {
    if number == 0 { zero.to_owned() } else { number.to_string() }
}
