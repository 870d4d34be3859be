//! Reading `[markers]`.

use std::collections::{BTreeMap, BTreeSet};

use super::table;
use crate::document::{Item, Value};
use crate::project::Vocabulary;
use crate::selection::Expression;
use crate::span::Fault;

type Groups = BTreeMap<String, BTreeMap<String, String>>;

/// Reads the vocabulary.
pub(super) fn vocabulary(item: &Item<'_>) -> Result<Vocabulary, Fault> {
    let mut fields = table(item, &["markers"])?;
    let groups = fields.take("groups").map(|item| groups(&item)).transpose()?.unwrap_or_default();
    let required = fields.take("required").map(|item| required(&item, &groups)).transpose()?;
    let defaults = fields.take("defaults").map(|item| defaults(&item, &groups)).transpose()?;
    let aliases = fields.take("aliases").map(|item| aliases(&item, &groups)).transpose()?;
    fields.finish(&[])?;
    Ok(Vocabulary {
        groups,
        required: required.unwrap_or_default(),
        defaults: defaults.unwrap_or_default(),
        aliases: aliases.unwrap_or_default(),
    })
}

fn groups(item: &Item<'_>) -> Result<Groups, Fault> {
    let mut groups = Groups::new();
    for (name, item) in item.fields()?.take_rest() {
        if !is_marker(name) {
            return Err(item.fault_at_key(format!("`{name}` cannot be the name of a group")));
        }
        let members = members(&item)?;
        if members.is_empty() {
            return Err(item.fault("must name at least one marker"));
        }
        groups.insert(name.to_owned(), members);
    }
    Ok(groups)
}

/// A list of names, or a table of names with their meanings.
fn members(item: &Item<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let mut members = BTreeMap::new();
    match item.value() {
        Value::List(_) => {
            let mut lines = BTreeMap::new();
            for item in item.items()? {
                let name = marker(&item)?;
                once(&mut lines, name, &item)?;
                members.insert(name.to_owned(), String::new());
            }
        }
        Value::Map(_) => {
            for (name, item) in item.fields()?.take_rest() {
                if !is_marker(name) {
                    return Err(item.fault_at_key(format!("`{name}` cannot be a marker's name")));
                }
                members.insert(name.to_owned(), item.text()?.to_owned());
            }
        }
        Value::Scalar(_) => {
            let wanted = "a list of names, or a table of names with their meanings";
            return Err(item.wrong(wanted, item.value().nature()));
        }
    }
    Ok(members)
}

fn required(item: &Item<'_>, groups: &Groups) -> Result<Vec<String>, Fault> {
    let mut required: Vec<String> = Vec::new();
    let mut lines = BTreeMap::new();
    for item in item.items()? {
        let name = item.text()?;
        if !groups.contains_key(name) {
            return Err(unknown_group(item.fault(format!("is the unknown group `{name}`")), name, groups));
        }
        once(&mut lines, name, &item)?;
        required.push(name.to_owned());
    }
    Ok(required)
}

/// Refuses what a list names a second time.
fn once<'d>(lines: &mut BTreeMap<&'d str, u32>, name: &'d str, item: &Item<'d>) -> Result<(), Fault> {
    match lines.insert(name, item.mark().line) {
        None => Ok(()),
        Some(line) => {
            let fault = item.fault(format!("is `{name}` again, first in line {line}"));
            Err(fault.with_hint("leave one of them out"))
        }
    }
}

fn defaults(item: &Item<'_>, groups: &Groups) -> Result<BTreeMap<String, String>, Fault> {
    let mut defaults = BTreeMap::new();
    for (group, item) in item.fields()?.take_rest() {
        let Some(members) = groups.get(group) else {
            let fault = item.fault_at_key(format!("`{}` is for the unknown group `{group}`", item.path()));
            return Err(unknown_group(fault, group, groups));
        };
        let name = item.text()?;
        if !members.contains_key(name) {
            let fault = item.fault(format!("is `{name}`, which is no marker of the group `{group}`"));
            return Err(fault.with_nearest(name, members.keys().map(String::as_str)));
        }
        defaults.insert(group.to_owned(), name.to_owned());
    }
    Ok(defaults)
}

fn unknown_group(fault: Fault, name: &str, groups: &Groups) -> Fault {
    fault.with_hint("declare it in `[markers.groups]`").with_nearest(name, groups.keys().map(String::as_str))
}

fn aliases(item: &Item<'_>, groups: &Groups) -> Result<BTreeMap<String, String>, Fault> {
    let known: BTreeSet<&str> = groups.values().flat_map(BTreeMap::keys).map(String::as_str).collect();
    let entries = item.fields()?.take_rest();
    let spellings: BTreeSet<&str> = entries.iter().map(|(name, _)| *name).collect();
    let mut aliases = BTreeMap::new();
    for (name, item) in entries {
        if !is_marker(name) {
            return Err(item.fault_at_key(format!("`{name}` cannot be a marker's name")));
        }
        if known.contains(name) {
            let fault = item.fault_at_key(format!("`{name}` is a marker itself, so it cannot mean another"));
            return Err(fault.with_hint("leave it out here, or in `[markers.groups]`"));
        }
        let meaning = marker(&item)?;
        if meaning == name {
            return Err(item.fault("means itself").with_hint("name the marker that it stands for"));
        }
        if spellings.contains(meaning) {
            let fault = item.fault(format!("means `{meaning}`, which is another spelling itself"));
            return Err(fault.with_hint(format!("name the marker that `{meaning}` stands for")));
        }
        if !known.is_empty() && !known.contains(meaning) {
            let fault = item.fault(format!("means the unknown marker `{meaning}`"));
            return Err(fault.with_nearest(meaning, known));
        }
        aliases.insert(name.to_owned(), meaning.to_owned());
    }
    Ok(aliases)
}

fn marker<'d>(item: &Item<'d>) -> Result<&'d str, Fault> {
    let text = item.full_text()?;
    if is_marker(text) {
        return Ok(text);
    }
    let fault = item.fault(format!("cannot be `{text}`"));
    Err(fault.with_hint("a marker's name is one word that an expression can hold, without arguments"))
}

/// Whether an expression can ask for a name.
fn is_marker(text: &str) -> bool {
    let Ok(expression) = Expression::parse(text) else { return false };
    matches!(expression.names().as_slice(), [name] if name.text == text && name.arguments.is_empty())
}
