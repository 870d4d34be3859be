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
}

/// Reads a profile's file.
pub(super) fn of_file(name: &str, text: &str) -> Result<Layer, Fault> {
    let document = from_toml(&format!("envs/{name}.toml"), text)?;
    let mut reader = Reader { values: BTreeMap::new(), extends: None, from_file: true };
    reader.walk(&document.item(), &mut Vec::new())?;
    let Reader { values, extends, .. } = reader;
    Ok(Layer { name: Some(name.to_owned()), document, values, extends })
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
    let mut reader = Reader { values: BTreeMap::new(), extends: None, from_file: false };
    reader.walk(&document.item(), &mut Vec::new())?;
    if let Some((mark, _)) = reader.extends {
        return Err(document.fault(mark, "`extends` can be set in a profile's file only"));
    }
    Ok(Layer { name: None, document, values: reader.values, extends: None })
}

struct Reader {
    values: BTreeMap<Vec<String>, (Value, Origin)>,
    extends: Option<(document::Mark, String)>,
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
