//! Reading the project file.

mod changes;
mod image;
mod lane;
mod markers;
mod naming;
mod suite;

use globset::{GlobBuilder, GlobMatcher};

use super::schema::{Choice, MAX_WORKERS, meaning, names_after};
use super::{FilePattern, Project, Vocabulary, preset};
use crate::document::{Document, Fields, Item};
use crate::hint::Hint as _;
use crate::selection::Expression;
use crate::span::Fault;
use crate::stack::Millis;
use crate::tier::{TestType, Tier};

/// The way out of a pattern that cannot be read.
const OPEN: &str = "close each `[` and `{`; `[[]` and `[{]` stand for the characters themselves";

/// Reads the whole file.
pub(super) fn project(document: Document) -> Result<Project, Fault> {
    let mut fields = table(&document.item(), &[])?;
    let head = fields.require("project").map_err(|fault| fault.with_hint("add `[project]` with `name`"))?;
    let mut head = table(&head, &["project"])?;
    let name_item = require(&mut head, &["project"], "name")?;
    let name = identifier(&name_item)?;
    let preset = head.take("preset").map(|item| preset::of_item(&item)).transpose()?;
    head.finish(&[])?;
    let vocabulary = match (fields.take("markers"), &preset) {
        (Some(item), _) => markers::vocabulary(&item)?,
        (None, Some(preset)) => preset.vocabulary.clone(),
        (None, None) => Vocabulary::dynamo(),
    };
    let mut project = preset.unwrap_or_else(|| Project::nothing(document.clone()));
    project.vocabulary = vocabulary;
    if let Some(item) = fields.take("image") {
        project.images = image::images(&item)?;
    }
    if let Some(item) = fields.take("suite") {
        project.suites = suite::suites(&item)?;
        project.forget_unknown_suites();
    }
    if project.suites.is_empty() {
        let fault = document.fault(name_item.mark(), format!("the project `{name}` has no suite"));
        return Err(fault.with_hint("add `[[suite]]` with `name`, `kind` and `paths`"));
    }
    if let Some(item) = fields.take("lane") {
        project.lanes = lane::lanes(&item, &project.suites)?;
    }
    if let Some(item) = fields.take("budgets") {
        project.budgets = lane::budgets(&item)?;
    }
    if let Some(item) = fields.take("changes") {
        project.changes = changes::changes(&item, &project.suites)?;
    }
    project.naming.patterns.retain(|pattern| naming::undeclared(pattern, &project.vocabulary).is_none());
    if let Some(item) = fields.take("naming") {
        project.naming = naming::naming(&item, &project.vocabulary)?;
    }
    if let Some(item) = fields.take("quarantine") {
        project.quarantines = naming::quarantines(&item)?;
    }
    fields.finish(&[])?;
    Ok(Project { name, document, ..project })
}

/// The keys of the table that has this path in the schema, none of which is unknown.
fn table<'d>(item: &Item<'d>, path: &[&str]) -> Result<Fields<'d>, Fault> {
    let known = names_after(path);
    let fields = item.fields()?;
    let within = if item.path().is_empty() { String::new() } else { format!(" in `{}`", item.path()) };
    let unknown = fields.keys().find(|(name, _)| !known.contains(name));
    match unknown {
        None => Ok(fields),
        Some((name, mark)) => {
            let fault = fields.fault_at(mark, format!("unknown key `{name}`{within}"));
            Err(fault.with_nearest(name, known))
        }
    }
}

/// A key that the table with this path must hold; where it is missing, its meaning is the way out.
fn require<'d>(fields: &mut Fields<'d>, path: &[&str], key: &str) -> Result<Item<'d>, Fault> {
    fields.require(key).map_err(|fault| match meaning(path, key) {
        Some(meaning) => fault.with_hint(format!("`{key}` is {meaning}")),
        None => fault,
    })
}

/// The one key of a choice that is there.
fn chosen<'d>(fields: &mut Fields<'d>, choice: Choice) -> Result<(&'static str, Item<'d>), Fault> {
    let mut found: Option<(&'static str, Item<'d>)> = None;
    for key in choice.keys {
        let Some(item) = fields.take(key) else { continue };
        if let Some((first, _)) = found {
            let fault = item.fault_at_key(format!("`{key}` cannot stand beside `{first}`"));
            return Err(fault.with_hint("leave one of them out"));
        }
        found = Some((key, item));
    }
    found.ok_or_else(|| {
        let keys = choice.keys.join("`, `");
        let fault = fields.fault(format!("`{}` has none of the keys `{keys}`", fields.path()));
        fault.with_hint("give it exactly one of them")
    })
}

fn type_words() -> [(&'static str, TestType); 8] {
    TestType::ALL.map(|test_type| (test_type.name(), test_type))
}

fn tier(item: &Item<'_>) -> Result<Tier, Fault> {
    let text = item.text()?;
    text.parse().map_err(|_| {
        item.fault(format!("is the unknown tier `{text}`"))
            .with_nearest(text, Tier::ALL.into_iter().map(Tier::name))
    })
}

/// A path below the project's root, without detours.
fn path(item: &Item<'_>) -> Result<String, Fault> {
    let text = item.full_text()?;
    if text.starts_with(['/', '~']) {
        let fault = item.fault(format!("is not below the project: `{text}`"));
        return Err(fault.with_hint("write it relative to the folder of testbed.toml"));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    let fault = item.fault(format!("leaves the project: `{text}`"));
                    return Err(fault.with_hint("name a path below the folder of testbed.toml"));
                }
            }
            part => parts.push(part),
        }
    }
    if parts.first().is_some_and(|part| part.starts_with('-')) {
        let fault = item.fault(format!("would be taken for an option: `{text}`"));
        return Err(fault.with_hint("give the file or folder another name"));
    }
    Ok(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

/// A marker expression.
fn markers(item: &Item<'_>) -> Result<Expression, Fault> {
    Expression::parse(item.full_text()?.trim()).map_err(|error| {
        let fault = item.fault(format!("cannot be read at its {error}"));
        fault.with_hint(error.hint().unwrap_or_default())
    })
}

/// A pattern of files below the project's root.
fn file_pattern(item: &Item<'_>) -> Result<FilePattern, Fault> {
    let text = item.full_text()?;
    let refuse = |what: &str, way_out: &str| Err(item.fault(format!("{what}: `{text}`")).with_hint(way_out));
    if text.starts_with('!') {
        return refuse("cannot leave files out", "name the files that are meant");
    }
    if text.starts_with(['/', '~']) || text.split('/').any(|part| matches!(part, "." | "..")) {
        return refuse("fits no path below the project", "write it as `docs/**` or `**/*.md`");
    }
    Ok(FilePattern { text: text.to_owned(), matcher: glob(item, text, true)? })
}

fn glob(item: &Item<'_>, pattern: &str, stays_in_folder: bool) -> Result<GlobMatcher, Fault> {
    let mut builder = GlobBuilder::new(pattern);
    builder.literal_separator(stays_in_folder).backslash_escape(false);
    crate::glob::compile(pattern, &builder)
        .map_err(|what| item.fault(format!("is not a pattern: {what}")).with_hint(OPEN))
}

/// A list of which something must be there.
fn filled<'d>(item: &Item<'d>, what: &str) -> Result<Vec<Item<'d>>, Fault> {
    let items = item.items()?;
    if items.is_empty() { Err(item.fault(format!("must name at least one {what}"))) } else { Ok(items) }
}

/// A duration that is more than nothing.
fn positive(item: &Item<'_>) -> Result<Millis, Fault> {
    match item.duration()? {
        0 => Err(item.fault("must be more than `0s`")),
        millis => Ok(millis),
    }
}

fn workers(item: &Item<'_>) -> Result<u32, Fault> {
    match item.integer()? {
        workers @ 1..=MAX_WORKERS => Ok(workers),
        other => Err(item.fault(format!("must be between 1 and {MAX_WORKERS}, not `{other}`"))),
    }
}

/// A name that is also a part of file names and of lane names.
fn identifier(item: &Item<'_>) -> Result<String, Fault> {
    let text = item.full_text()?;
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && text.chars().all(inner) && text.len() <= 64 {
        return Ok(text.to_owned());
    }
    let fault = item.fault(format!("cannot be `{text}`"));
    Err(fault.with_hint("use up to 64 letters, digits, `-`, `_` and `.`, with a letter or digit first"))
}
