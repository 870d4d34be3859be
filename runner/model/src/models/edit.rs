//! Writing hashes into `models.toml`, and leaving everything else as it was written.

use std::collections::BTreeMap;

use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

use super::Pin;

/// The file's text with the hashes and sizes of a model's files, and their sum. None where the text does not name the model or
/// one of the files.
pub fn with_pins(text: &str, model: &str, pins: &BTreeMap<String, Pin>) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let entry = model_entry(&mut document, model)?;
    for (path, pin) in pins {
        let size = i64::try_from(pin.size).ok()?;
        let mut found = false;
        each_file(entry.get_mut("files")?, &mut |file, is_inline| {
            if file.get("path").and_then(Item::as_str) == Some(path) {
                set(file, is_inline, "sha256", Value::from(pin.sha256.as_str()));
                set(file, is_inline, "size", Value::from(size));
                found = true;
            }
        });
        if !found {
            return None;
        }
    }
    let sum = pins.values().map(|pin| pin.size).fold(0, u64::saturating_add);
    set(entry, false, "size", Value::from(i64::try_from(sum).ok()?));
    Some(document.to_string())
}

fn model_entry<'d>(document: &'d mut DocumentMut, name: &str) -> Option<&'d mut dyn TableLike> {
    let is_it = |entry: &dyn TableLike| entry.get("name").and_then(Item::as_str) == Some(name);
    match document.get_mut("model")? {
        Item::ArrayOfTables(tables) => {
            tables.iter_mut().find(|table| is_it(*table)).map(|table: &mut Table| table as &mut dyn TableLike)
        }
        Item::Value(Value::Array(values)) => values
            .iter_mut()
            .filter_map(Value::as_inline_table_mut)
            .find(|table| is_it(*table))
            .map(|table| table as &mut dyn TableLike),
        _ => None,
    }
}

fn each_file(files: &mut Item, visit: &mut dyn FnMut(&mut dyn TableLike, bool)) {
    match files {
        Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|table| visit(table, false)),
        Item::Value(Value::Array(values)) => {
            values.iter_mut().filter_map(Value::as_inline_table_mut).for_each(|table| visit(table, true));
        }
        _ => {}
    }
}

/// Replaces a value and keeps the spaces and comments around it.
fn set(table: &mut dyn TableLike, is_inline: bool, key: &str, value: Value) {
    if let Some(old) = table.get_mut(key).and_then(Item::as_value_mut) {
        let decor = old.decor().clone();
        *old = value;
        *old.decor_mut() = decor;
        return;
    }
    let mut value = value;
    // A new key of an inline table comes last, where the value before it holds what stands before the bracket. In a table it holds
    // what stands behind it on its line, which stays there.
    let last = table.iter().last().map(|(key, _)| key.to_owned()).filter(|_| is_inline);
    if let Some(before) = last.and_then(|key| table.get_mut(&key)?.as_value_mut()) {
        let suffix = before.decor().suffix().cloned();
        before.decor_mut().set_suffix("");
        value.decor_mut().set_prefix(" ");
        value.decor_mut().set_suffix(suffix.unwrap_or_default());
    }
    table.insert(key, Item::Value(value));
}
