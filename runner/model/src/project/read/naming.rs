//! Reading `[naming]` and `[[quarantine]]`.

use super::{file_pattern, filled, glob, require, table};
use crate::document::Item;
use crate::project::{FilePattern, Naming, Quarantine, Vocabulary};
use crate::span::Fault;

const QUARANTINE: &[&str] = &["quarantine", "[]"];

/// Reads how test files are called.
pub(super) fn naming(item: &Item<'_>, vocabulary: &Vocabulary) -> Result<Naming, Fault> {
    let mut fields = table(item, &["naming"])?;
    let mut naming = Naming::default();
    for item in fields.take("patterns").map(|item| item.items()).transpose()?.unwrap_or_default() {
        naming.patterns.push(pattern(&item, vocabulary)?);
    }
    if let Some(item) = fields.take("exempt") {
        for item in filled(&item, "pattern")? {
            naming.exempt.push(file_pattern(&item)?.text);
        }
    }
    fields.finish(&[])?;
    Ok(naming)
}

fn pattern(item: &Item<'_>, vocabulary: &Vocabulary) -> Result<String, Fault> {
    const WAY_OUT: &str = "write it as `test_<component>_<flow>.py`";
    let text = item.full_text()?;
    if text.contains('/') {
        let fault = item.fault(format!("is about the name of a file, not its folders: `{text}`"));
        return Err(fault.with_hint(WAY_OUT));
    }
    let Some(placeholders) = placeholders(text) else {
        let fault = item.fault(format!("has a `<` or `>` without the other: `{text}`"));
        return Err(fault.with_hint(WAY_OUT));
    };
    if let Some(name) = placeholders.into_iter().find(|name| !Naming::PLACEHOLDERS.contains(name)) {
        let fault = item.fault(format!("holds the unknown placeholder `<{name}>`"));
        return Err(fault.with_nearest(name, Naming::PLACEHOLDERS));
    }
    if let Some(name) = undeclared(text, vocabulary) {
        let fault = item.fault(format!("holds `<{name}>`, but there is no group `{name}`"));
        return Err(fault.with_hint(format!("declare the markers of `{name}` in `[markers.groups]`")));
    }
    Ok(text.to_owned())
}

/// The first placeholder for whose group there are no markers.
pub(super) fn undeclared<'p>(pattern: &'p str, vocabulary: &Vocabulary) -> Option<&'p str> {
    let names = placeholders(pattern).unwrap_or_default();
    names.into_iter().find(|name| *name != Naming::FLOW && !vocabulary.groups.contains_key(*name))
}

/// The names in `<>`; nothing where one of these stands alone.
fn placeholders(pattern: &str) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    let mut rest = pattern;
    while let Some(at) = rest.find(['<', '>']) {
        let (name, tail) = rest[at..].strip_prefix('<')?.split_once('>')?;
        names.push(name);
        rest = tail;
    }
    Some(names)
}

/// Reads all quarantines.
pub(super) fn quarantines(item: &Item<'_>) -> Result<Vec<Quarantine>, Fault> {
    item.items()?.iter().map(quarantine).collect()
}

fn quarantine(item: &Item<'_>) -> Result<Quarantine, Fault> {
    let mut fields = table(item, QUARANTINE)?;
    let cases = filled(&require(&mut fields, QUARANTINE, "cases")?, "case")?;
    let quarantine = Quarantine {
        cases: cases.iter().map(case_pattern).collect::<Result<_, _>>()?,
        ticket: require(&mut fields, QUARANTINE, "ticket")?.full_text()?.to_owned(),
        until: require(&mut fields, QUARANTINE, "until")?.date()?,
        owner: fields.take("owner").map(|item| item.full_text().map(str::to_owned)).transpose()?,
        reason: fields.take("reason").map(|item| item.full_text().map(str::to_owned)).transpose()?,
        mark: item.mark(),
    };
    fields.finish(&[])?;
    Ok(quarantine)
}

/// A pattern of case ids. Ids hold brackets and braces, as `test_x[a-b]`, so these stand for themselves.
fn case_pattern(item: &Item<'_>) -> Result<FilePattern, Fault> {
    let text = item.full_text()?;
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '[' | ']' | '{' | '}' => escaped.extend(['[', c, ']']),
            c => escaped.push(c),
        }
    }
    Ok(FilePattern { text: text.to_owned(), matcher: glob(item, &escaped, false)? })
}
