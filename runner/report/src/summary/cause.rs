//! Whose fault a failure is, and what shows it.

use testbed_model::triage::{Cause, Diagnoses, Diagnosis};

use crate::fit;
use crate::quantity::duration;
use crate::style::{Style, Tone};

/// Columns of the word at a line's start.
const LABEL_WIDTH: usize = 7;
/// The most columns of a piece of evidence.
const MOST_COLUMNS: usize = 400;

/// The tone of a cause.
pub(super) const fn tone(cause: Cause) -> Tone {
    if cause.excuses() { Tone::Broken } else { Tone::Bad }
}

/// The lines of a diagnosis; none where there is none.
pub(super) fn lines(diagnosis: Option<&Diagnosis>, style: &Style) -> Vec<String> {
    let Some(diagnosis) = diagnosis else { return Vec::new() };
    let Diagnosis { cause, because, evidence, .. } = diagnosis;
    let label = |word: &str| style.paint(Tone::Step, &fit::left(word, LABEL_WIDTH));
    let mut out = Vec::new();
    let sentence = format!("{}: {because}", cause.word());
    for (index, line) in fit::wrap(&sentence, style.columns() - LABEL_WIDTH).into_iter().enumerate() {
        let word = if index == 0 { "cause" } else { "" };
        out.push(format!("{}{}", label(word), style.paint(tone(*cause), &line)));
    }
    // The message itself stands above already.
    for one in evidence.iter().filter(|one| one.source != "message") {
        let source = if one.source == "event" { String::new() } else { format!("{}: ", one.source) };
        let text = format!("at {}, {source}{}", duration(one.elapsed_us / 1000), one.quote);
        out.push(format!("{}{}", label(""), fit::start(&text, MOST_COLUMNS, style.glyphs)));
    }
    out
}

/// How many failures have which cause, as words; none where nothing failed.
pub(super) fn counts(told: &Diagnoses) -> Option<String> {
    let words: Vec<String> = Cause::ALL
        .into_iter()
        .map(|cause| (cause, told.count(cause)))
        .filter(|(_, number)| *number > 0)
        .map(|(cause, number)| format!("{number} {}", cause.word()))
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}
