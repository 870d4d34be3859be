//! The cases for the page: their columns, and apart from these, for the script to unpack when asked, the long texts.

use std::collections::{BTreeMap, HashMap};
use std::io;

use serde::Serialize;
use testbed_model::case::Outcome;

use super::pack;
use crate::axis::{Axis, CaseSpan};
use crate::story::Story;

/// Bytes of the long texts at first, and of what they may come to when packed.
const ROOM: usize = 12 << 20;
const PACKED: usize = 3 << 19;
/// Bytes of one text.
const TEXT: usize = 64 << 10;
/// Characters of a message in the table.
const MESSAGE: usize = 300;

/// The columns of the table: a value for each case, in the order of their beginning.
#[derive(Default, Serialize)]
pub struct Columns<'e> {
    /// Ids, each with an end of line.
    id: String,
    /// Outcomes: the numbers of [`OUTCOMES`] as digits.
    o: String,
    lane: Vec<usize>,
    slot: Vec<u32>,
    /// Begin, in microseconds after that of the case before; none of these began before it.
    t: Vec<u64>,
    /// How long it stood on the axis, in microseconds.
    d: Vec<u64>,
    /// Duration as the tool has it, in milliseconds.
    ms: Vec<u64>,
    /// Files, lines, messages and sets of markers, by their number in the tables below, from one; zero for none.
    file: Vec<usize>,
    line: Vec<u32>,
    message: Vec<usize>,
    markers: Vec<usize>,
    /// Cases that needed more than one attempt.
    attempts: BTreeMap<usize, u32>,
    /// Cases with long texts.
    texts: Vec<usize>,
    files: Vec<&'e str>,
    messages: Vec<String>,
    sets: Vec<String>,
}

/// The outcomes in the order of their numbers.
pub const OUTCOMES: [&str; 10] = [
    "passed",
    "failed",
    "error",
    "timed out",
    "skipped",
    "expected failure",
    "interrupted",
    "flaky",
    "no end",
    "not run",
];

fn number(case: &CaseSpan<'_>) -> u8 {
    match case.result.map(|result| (result.outcome, result.attempts)) {
        Some((Outcome::Passed, 2..)) => 7,
        Some((Outcome::Passed, _)) => 0,
        Some((Outcome::Failed, _)) => 1,
        Some((Outcome::Error, _)) => 2,
        Some((Outcome::TimedOut, _)) => 3,
        Some((Outcome::Skipped, _)) => 4,
        Some((Outcome::ExpectedFailure, _)) => 5,
        Some((Outcome::Interrupted, _)) => 6,
        None => 8,
    }
}

/// Texts that many cases share, each once.
struct Table<T> {
    known: HashMap<T, usize>,
    texts: Vec<T>,
}

impl<T: Clone + Eq + std::hash::Hash> Table<T> {
    fn new() -> Self {
        Self { known: HashMap::new(), texts: Vec::new() }
    }

    /// The number of a text, from one.
    fn add(&mut self, text: T) -> usize {
        let texts = &mut self.texts;
        *self.known.entry(text).or_insert_with_key(|text| {
            texts.push(text.clone());
            texts.len()
        })
    }
}

/// Makes the columns. Announced cases that nothing was heard of come last.
pub fn columns<'e>(axis: &Axis<'e>, story: &Story) -> Columns<'e> {
    let mut out = Columns::default();
    let (mut files, mut messages, mut sets) = (Table::new(), Table::new(), Table::new());
    let mut before = 0;
    for (at, case) in axis.cases.iter().enumerate() {
        out.id.push_str(case.id);
        out.id.push('\n');
        out.o.push(char::from(b'0' + number(case)));
        out.lane.push(case.lane);
        out.slot.push(case.slot);
        out.t.push(case.begin_us - before);
        before = case.begin_us;
        out.d.push(case.end_us.saturating_sub(case.begin_us));
        let result = case.result;
        out.ms.push(result.map_or(0, |result| result.duration_ms));
        let of = result.map(|result| &result.case);
        out.file.push(of.and_then(|case| case.file.as_deref()).map_or(0, |file| files.add(file)));
        out.line.push(of.and_then(|case| case.line).unwrap_or(0));
        let message = result.and_then(|result| result.message.as_deref());
        let headline = message.and_then(|text| text.lines().find(|line| !line.trim().is_empty()));
        let headline = headline.map(|line| line.trim().chars().take(MESSAGE).collect::<String>());
        out.message.push(headline.map_or(0, |line| messages.add(line)));
        let markers = of.map(|case| case.markers.join(" ")).unwrap_or_default();
        out.markers.push(if markers.is_empty() { 0 } else { sets.add(markers) });
        if let Some(attempts) = result.map(|result| result.attempts).filter(|attempts| *attempts > 1) {
            out.attempts.insert(at, attempts);
        }
        if Text::of(case, usize::MAX).is_some() {
            out.texts.push(at);
        }
    }
    not_run(axis, story, &mut out);
    (out.files, out.messages, out.sets) = (files.texts, messages.texts, sets.texts);
    out
}

fn not_run(axis: &Axis<'_>, story: &Story, out: &mut Columns<'_>) {
    let known: std::collections::HashSet<(&str, usize)> =
        axis.cases.iter().map(|case| (case.id, case.lane)).collect();
    for lane in &story.lanes {
        let Some(at) = axis.lanes.iter().position(|it| *it.id == lane.id) else { continue };
        for case in lane.without_result().into_iter().filter(|case| !known.contains(&(case.id.as_str(), at)))
        {
            out.id.push_str(&case.id);
            out.id.push('\n');
            out.o.push('9');
            out.lane.push(at);
            out.slot.push(0);
            out.t.push(0);
            out.d.push(0);
            out.ms.push(0);
            out.file.push(0);
            out.line.push(case.line.unwrap_or(0));
            out.message.push(0);
            out.markers.push(0);
        }
    }
}

/// The long texts of a case.
#[derive(Serialize)]
struct Text<'e> {
    #[serde(rename = "m", skip_serializing_if = "str::is_empty")]
    message: &'e str,
    #[serde(rename = "d", skip_serializing_if = "str::is_empty")]
    details: &'e str,
    #[serde(rename = "o", skip_serializing_if = "str::is_empty")]
    output: &'e str,
    /// Service, how many of its lines came before, and the lines.
    #[serde(rename = "w", skip_serializing_if = "Vec::is_empty")]
    windows: Vec<(&'e str, u32, String)>,
}

impl<'e> Text<'e> {
    fn of(case: &CaseSpan<'e>, most: usize) -> Option<Self> {
        let result = case.result?;
        let message = result.message.as_deref().filter(|text| text.contains('\n') || text.len() > MESSAGE);
        let windows = case.service_logs.iter();
        let text = Self {
            message: end(message.unwrap_or_default(), most),
            details: end(result.details.as_deref().unwrap_or_default(), most),
            output: end(&result.output, most),
            windows: windows.map(|log| (log.service.as_str(), log.omitted, log.lines.join("\n"))).collect(),
        };
        (text.size() > 0).then_some(text)
    }

    fn size(&self) -> usize {
        let windows: usize = self.windows.iter().map(|(_, _, lines)| lines.len() + 20).sum();
        self.message.len() + self.details.len() + self.output.len() + windows
    }
}

/// The end of a text, which tells more than its beginning.
fn end(text: &str, most: usize) -> &str {
    let from = (text.len().saturating_sub(most)..=text.len()).find(|at| text.is_char_boundary(*at));
    text.get(from.unwrap_or(0)..).unwrap_or_default()
}

/// The long texts by the number of their case: those of red cases first, as many as there is room for.
pub fn texts(axis: &Axis<'_>) -> io::Result<String> {
    let mut order: Vec<(usize, &CaseSpan<'_>)> = axis.cases.iter().enumerate().collect();
    order.sort_by_key(|(at, case)| (!matches!(number(case), 1..=3 | 6..=8), *at));
    pack::within(ROOM, PACKED, |room| {
        let mut left = room;
        let mut kept = BTreeMap::new();
        for (at, case) in &order {
            let Some(text) = Text::of(case, TEXT) else { continue };
            let Some(rest) = left.checked_sub(text.size() + 16) else { break };
            left = rest;
            kept.insert(*at, text);
        }
        kept
    })
}

#[cfg(test)]
mod tests {
    use super::end;

    #[test]
    fn the_end_of_a_text_is_cut_between_characters() {
        assert_eq!(end("aäb", 2), "b");
        assert_eq!(end("aäb", 3), "äb");
        assert_eq!(end("ab", 9), "ab");
    }
}
