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
        each_file(entry.get_mut("files")?, &mut |file| {
            if file.get("path").and_then(Item::as_str) == Some(path) {
                set(file, "sha256", Value::from(pin.sha256.as_str()));
                set(file, "size", Value::from(size));
                found = true;
            }
        });
        if !found {
            return None;
        }
    }
    let sum = pins.values().map(|pin| pin.size).fold(0, u64::saturating_add);
    set(entry, "size", Value::from(i64::try_from(sum).ok()?));
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

fn each_file(files: &mut Item, visit: &mut dyn FnMut(&mut dyn TableLike)) {
    match files {
        Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|table| visit(table)),
        Item::Value(Value::Array(values)) => {
            values.iter_mut().filter_map(Value::as_inline_table_mut).for_each(|table| visit(table));
        }
        _ => {}
    }
}

/// Replaces a value and keeps the spaces and comments around it.
fn set(table: &mut dyn TableLike, key: &str, value: Value) {
    if let Some(old) = table.get_mut(key).and_then(Item::as_value_mut) {
        let decor = old.decor().clone();
        *old = value;
        *old.decor_mut() = decor;
        return;
    }
    // A new key of an inline table comes last, where the value before it holds the space before the bracket.
    let last = table.iter().last().map(|(key, _)| key.to_owned());
    if let Some(before) = last.and_then(|key| table.get_mut(&key)?.as_value_mut()) {
        before.decor_mut().set_suffix("");
    }
    table.insert(key, Item::Value(value));
}
