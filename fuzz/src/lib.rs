//! What several targets assert: places inside of texts, and documents whose marks are true.

use testbed_model::document::{Document, Mark, Node, Value};
use testbed_model::span::{Fault, Place};

/// What stands between the parts of an input that has several.
pub const PART: char = '\0';

/// The parts of an input, the first of which is always there.
pub fn parts(input: &str) -> (&str, &str) {
    input.split_once(PART).unwrap_or((input, ""))
}

/// A fault must say something, and point into the text: at a line that there is, at a column at most one behind its end.
pub fn check_fault(fault: &Fault, text: &str) {
    assert!(!fault.message.trim().is_empty(), "a fault without a message");
    assert!(!fault.message.ends_with('.'), "a message with a final dot: {}", fault.message);
    assert!(fault.hint.as_ref().is_none_or(|hint| !hint.trim().is_empty()), "an empty hint");
    check_place(&fault.place, text);
    let line = text.lines().nth(fault.place.line as usize - 1);
    assert_eq!(fault.excerpt.is_some(), line.is_some(), "the excerpt of {fault}");
}

/// A place must lie in the text.
pub fn check_place(place: &Place, text: &str) {
    let line = text.split('\n').nth((place.line as usize).checked_sub(1).expect("lines count from one"));
    let line = line.unwrap_or_else(|| panic!("{place} lies behind the text"));
    let columns = line.chars().count();
    assert!((1..=columns + 1).contains(&(place.column as usize)), "{place} in a line of {columns}");
}

/// Every mark of a document must be where it says, three times: in bytes, in lines and in columns.
pub fn check_marks(document: &Document) {
    check_node(&document.root, &document.text);
}

fn check_node(node: &Node, text: &str) {
    check_mark(node.mark, text);
    match &node.value {
        Value::Scalar(_) => {}
        Value::List(items) => items.iter().for_each(|item| check_node(item, text)),
        Value::Map(entries) => {
            for entry in entries {
                check_mark(entry.mark, text);
                check_node(&entry.value, text);
            }
            let twice = |(at, entry): (usize, &_)| entries[..at].iter().any(|other| same_key(other, entry));
            assert!(entries.len() > 200 || !entries.iter().enumerate().any(twice), "a key is there twice");
        }
    }
}

fn same_key(one: &testbed_model::document::Entry, other: &testbed_model::document::Entry) -> bool {
    one.key == other.key
}

fn check_mark(mark: Mark, text: &str) {
    assert!(text.is_char_boundary(mark.offset), "{mark:?} lies within a character, or behind the text");
    assert_eq!(mark, Mark::of_offset(text, mark.offset));
}

/// A TOML text in quotes, so that an input can be a value of a larger file.
pub fn quoted(text: &str) -> String {
    testbed_model::document::toml_text(text)
}
