//! One layer: what a single file, or one assignment of the command line, sets.

use std::collections::BTreeMap;

use super::schema::{KEYS, names_after};
use super::{Origin, Value};
use crate::document::{self, Document, Item, from_toml, toml_text};
use crate::span::Fault;

/// A file's name and its values.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// The profile's name; none for the command line.
    pub name: Option<String>,
    /// The document, for excerpts.
    pub document: Document,
    /// Values by path.
    pub values: BTreeMap<Vec<String>, (Value, Origin)>,
    /// Where `extends` is, and what it names.
    pub extends: Option<(document::Mark, String)>,
    /// Where values are, by path.
    marks: BTreeMap<Vec<String>, document::Mark>,
    /// The overlays of each axis, in the order of the file, with the place of the axis.
    axes: Vec<Vec<(document::Mark, String)>>,
    /// Whether it is an overlay: its lists join those below it.
    pub is_overlay: bool,
}

/// Lists that an overlay adds to; all else it replaces.
const JOINED: [&str; 3] = ["stack_layers", "compose_profiles", "models"];

impl Layer {
    /// Whether an overlay's values of this path join those below.
    pub fn joins(path: &[String]) -> bool {
        matches!(path, [key] if JOINED.contains(&key.as_str()))
    }

    /// The value that holds when an overlay's goes over the one below, with the overlay's origin.
    pub fn over(path: &[String], before: &Value, (value, origin): (Value, Origin)) -> (Value, Origin) {
        match (before, value) {
            (Value::Texts(before), Value::Texts(own)) if Self::joins(path) => {
                let new: Vec<String> = own.into_iter().filter(|text| !before.contains(text)).collect();
                (Value::Texts(before.iter().cloned().chain(new).collect()), origin)
            }
            (Value::Text(before), Value::Text(own)) if matches!(path, [key] if key == "description") => {
                (Value::Text(format!("{before}; {own}")), origin)
            }
            (_, value) => (value, origin),
        }
    }

    /// Where a value is.
    pub fn mark_of(&self, path: &[String]) -> document::Mark {
        self.marks.get(path).copied().unwrap_or(document::Mark::START)
    }

    /// The overlays of each axis, in the order of the file.
    pub fn axes(&self) -> &[Vec<(document::Mark, String)>] {
        &self.axes
    }
}

/// Reads a profile's file.
pub(super) fn of_file(name: &str, text: &str) -> Result<Layer, Fault> {
    let document = from_toml(&format!("envs/{name}.toml"), text)?;
    let mut reader = Reader { from_file: true, ..Reader::default() };
    reader.walk(&document.item(), &mut Vec::new())?;
    let Reader { values, extends, marks, axes, .. } = reader;
    Ok(Layer { name: Some(name.to_owned()), document, values, extends, marks, axes, is_overlay: false })
}

/// Reads `key=value` of the command line. The value is TOML, or else text as it stands.
pub(super) fn of_assignment(text: &str) -> Result<Layer, Fault> {
    const FILE: &str = "command line";
    let whole = || from_toml(FILE, text);
    let document = match (whole(), text.split_once('=')) {
        (Ok(document), _) => document,
        (Err(fault), None) => return Err(fault.with_hint("write `KEY=VALUE`, such as `limits.memory=2GiB`")),
        (Err(_), Some((key, value))) => {
            from_toml(FILE, &format!("{}={}", key, toml_text(value))).map_err(|mut fault| {
                fault.hint = Some("write `KEY=VALUE`, such as `limits.memory=2GiB`".into());
                fault
            })?
        }
    };
    let mut reader = Reader::default();
    reader.walk(&document.item(), &mut Vec::new())?;
    if let Some((mark, _)) = reader.extends {
        return Err(document.fault(mark, "`extends` can be set in a profile's file only"));
    }
    if let Some((mark, _)) = reader.axes.first().and_then(|axis| axis.first()) {
        return Err(document.fault(*mark, "`axes` can be set in a profile's file only"));
    }
    let Reader { values, marks, axes, .. } = reader;
    Ok(Layer { name: None, document, values, extends: None, marks, axes, is_overlay: false })
}

#[derive(Default)]
struct Reader {
    values: BTreeMap<Vec<String>, (Value, Origin)>,
    extends: Option<(document::Mark, String)>,
    marks: BTreeMap<Vec<String>, document::Mark>,
    axes: Vec<Vec<(document::Mark, String)>>,
    from_file: bool,
}

impl Reader {
    fn walk(&mut self, item: &Item<'_>, path: &mut Vec<String>) -> Result<(), Fault> {
        for (name, item) in item.fields()?.take_rest() {
            path.push(name.to_owned());
            if let Some(key) = KEYS.iter().find(|key| key.is(path)) {
                let value = Value::read(key.kind, &item)?;
                if let (["extends"], Value::Text(text)) = (key.path, &value) {
                    self.extends = Some((item.mark(), text.clone()));
                }
                if let (["axes", "*"], Value::Texts(overlays)) = (key.path, &value) {
                    if overlays.is_empty() {
                        return Err(item.fault("must name at least one overlay"));
                    }
                    let items = item.items()?;
                    let marked =
                        items.iter().zip(overlays).map(|(item, overlay)| (item.mark(), overlay.clone()));
                    self.axes.push(marked.collect());
                }
                self.marks.insert(path.clone(), item.key_mark());
                let origin =
                    if self.from_file { Origin::File(item.key_place()) } else { Origin::CommandLine };
                self.values.insert(path.clone(), (value, origin));
            } else if KEYS.iter().any(|key| key.leads_to(path)) {
                self.walk(&item, path)?;
            } else {
                path.pop();
                let within =
                    if path.is_empty() { String::new() } else { format!(" in `{}`", path.join(".")) };
                let fault = item.fault_at_key(format!("unknown key `{name}`{within}"));
                return Err(fault.with_nearest(name, names_after(path)));
            }
            path.pop();
        }
        Ok(())
    }
}
