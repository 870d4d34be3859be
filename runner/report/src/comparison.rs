//! What differs between two records, in two columns.

use std::io::{self, Write};

use testbed_model::plan::{Moved, Setting};
use testbed_model::record::compare::{Changed, Comparison, Difference};

use crate::fit;
use crate::neutral;
use crate::quantity::count;
use crate::row::Row;
use crate::style::{Style, Tone};
use crate::verdict::Verdict;

/// The most rows of a part.
const MOST: usize = 40;

/// Writes a comparison.
pub fn write(comparison: &Comparison, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(comparison, style);
    table.head();
    let environment: Vec<_> = comparison.environment.iter().map(difference).collect();
    let same = if comparison.same_environment { "the lanes' environments are the same" } else { "" };
    table.part("environment", &environment, Note::Always(same));
    let code: Vec<_> = comparison.code.iter().map(difference).collect();
    table.part("code", &code, Note::Alone("the same code, asked the same"));
    let moved = comparison.settings.iter().map(setting).chain(comparison.selection.iter().map(moved));
    let moved: Vec<_> = moved.collect();
    table.part("selection", &moved, Note::Alone("the same plan"));
    let outcomes: Vec<_> = comparison.outcomes.iter().map(changed).collect();
    let same = format!("the outcome of {} is the same", count(comparison.unchanged, "case"));
    table.part("outcomes", &outcomes, Note::Always(&same));
    for line in table.lines {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// What is said beside a part's title.
#[derive(Clone, Copy)]
enum Note<'n> {
    /// Where nothing differs.
    Alone(&'n str),
    /// In any case.
    Always(&'n str),
}

/// What differs, and the two sides of it, with a tone each.
type Entry = (String, Side, Side);
type Side = (Tone, String);

fn difference(difference: &Difference) -> Entry {
    let lanes = match difference.lanes.as_slice() {
        [] => String::new(),
        [lane] => format!(" of {lane}"),
        lanes => format!(" of {}", count(lanes.len(), "lane")),
    };
    (format!("{}{lanes}", difference.what), side(difference.before.as_ref()), side(difference.after.as_ref()))
}

fn setting(setting: &Setting) -> Entry {
    (setting.path.clone(), side(setting.before.as_ref()), side(setting.after.as_ref()))
}

fn moved(moved: &Moved) -> Entry {
    let what = match moved.cases.as_slice() {
        [case] => case.clone(),
        cases => format!("{} of {}", count(cases.len(), "case"), moved.suite),
    };
    (what, (Tone::Plain, moved.before.clone()), (Tone::Plain, moved.after.clone()))
}

fn changed(changed: &Changed) -> Entry {
    let tone = |red: bool| if red { Tone::Bad } else { Tone::Good };
    let first = changed.message.as_deref().and_then(|text| text.lines().find(|line| !line.trim().is_empty()));
    let word = |outcome: testbed_model::case::Outcome| {
        let message = first.filter(|_| outcome.is_red()).map(|text| format!(": {}", text.trim()));
        (tone(outcome.is_red()), format!("{}{}", outcome.word(), message.unwrap_or_default()))
    };
    (format!("{} in {}", changed.case, changed.lane), word(changed.before), word(changed.after))
}

fn side(value: Option<&String>) -> Side {
    value.map_or((Tone::Dim, "not there".to_owned()), |value| (Tone::Plain, value.clone()))
}

struct Table<'c> {
    comparison: &'c Comparison,
    style: &'c Style,
    lines: Vec<String>,
}

impl<'c> Table<'c> {
    const fn new(comparison: &'c Comparison, style: &'c Style) -> Self {
        Self { comparison, style, lines: Vec::new() }
    }

    /// The columns of one side.
    fn room(&self) -> usize {
        self.style.columns().saturating_sub(6) / 2
    }

    fn head(&mut self) {
        let [before, after] = [0, 1].map(|at: usize| {
            let verdict = self.comparison.verdicts.get(at).copied().flatten();
            let verdict: Verdict = verdict.map_or(Verdict::Unfinished, Verdict::Ended);
            let run = self.comparison.runs.get(at).map(String::as_str).unwrap_or_default();
            (verdict.tone(), format!("{} {run}", verdict.word()))
        });
        self.row(&before, &after, false);
    }

    fn part(&mut self, title: &str, entries: &[Entry], note: Note<'_>) {
        self.lines.push(String::new());
        let note = match note {
            Note::Alone(_) if !entries.is_empty() => "",
            Note::Alone(note) | Note::Always(note) => note,
        };
        let row = Row::new().with(Tone::Strong, title.to_owned()).dim(format!("  {note}"));
        self.lines.push(row.render(self.style));
        for (what, before, after) in entries.iter().take(MOST) {
            let what =
                fit::end(&neutral::line(what), self.style.columns().saturating_sub(3), self.style.glyphs);
            self.lines.push(format!("  {}", self.style.paint(Tone::Dim, &what)));
            self.row(before, after, true);
        }
        if entries.len() > MOST {
            let more = format!("  {} {} more", self.style.glyphs.ellipsis(), entries.len() - MOST);
            self.lines.push(self.style.paint(Tone::Dim, &more));
        }
    }

    /// Two sides next to each other; what is longer than its column goes on below.
    fn row(&mut self, before: &Side, after: &Side, indented: bool) {
        let room = self.room();
        let [left, right] = [before, after].map(|(_, text)| fit::wrap(&neutral::line(text), room));
        let indent = if indented { "    " } else { "" };
        for at in 0..left.len().max(right.len()) {
            let line = |side: &[String]| side.get(at).cloned().unwrap_or_default();
            let left = self.style.paint(before.0, &fit::left(&line(&left), room));
            let right = self.style.paint(after.0, &line(&right));
            self.lines.push(format!("{indent}{left}  {right}"));
        }
    }
}
