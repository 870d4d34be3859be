//! A configuration file as a tree of values, each with its place: what YAML and TOML have in common.
//!
//! Profiles, stacks and project files are read from such a tree through [`Fields`] and [`Item`], so every error of every
//! format names the file, the line, the column and the key in the same words.

mod lines;
mod quantity;
mod read;
mod scalar;
mod toml;
mod yaml;

pub use quantity::{bytes_text, duration_text, parse_bytes, parse_cores, parse_duration, parse_micros};
pub use read::{Fields, Item};
pub use scalar::{Form, Kind, Scalar};
pub use toml::{from_toml, toml_text};
pub use yaml::from_yaml;

use crate::span::{Fault, Place};

/// Nesting beyond this is refused; no configuration needs it, and it bounds every recursion over a tree.
const MAX_DEPTH: usize = 64;

/// A parsed file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The file's name, as messages show it.
    pub file: String,
    /// The file's text.
    pub text: String,
    /// The tree.
    pub root: Node,
    /// Files whose values were merged into this one's, name and text; [`Mark::file`] counts them from one.
    pub merged: Vec<(String, String)>,
}

/// A position in the text: line and column from one, the column in characters; the offset in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Line, from one.
    pub line: u32,
    /// Column in characters, from one.
    pub column: u32,
    /// Bytes from the text's start.
    pub offset: usize,
    /// Which of a document's files: zero is its own, others are those that were merged into it.
    pub file: u16,
}

/// A value with its position.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where the value starts.
    pub mark: Mark,
    /// The value.
    pub value: Value,
}

/// What a file can hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text, a number, a truth value, nothing.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file; keys are unique.
    Map(Vec<Entry>),
}

/// One key of a map with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key starts.
    pub mark: Mark,
    /// The value.
    pub value: Node,
}

impl Document {
    /// The place of a position in this file.
    pub fn place(&self, mark: Mark) -> Place {
        let (file, _) = self.source(mark);
        Place { file: file.to_owned(), line: mark.line, column: mark.column }
    }

    /// A fault at a position in this file.
    pub fn fault(&self, mark: Mark, message: impl Into<String>) -> Fault {
        let (_, text) = self.source(mark);
        Fault::new(self.place(mark), text, message)
    }

    /// Takes over another document's file, and gives its tree, whose positions are now this document's.
    pub fn adopt(&mut self, mut other: Self) -> Node {
        self.merged.push((other.file, other.text));
        let file = u16::try_from(self.merged.len()).unwrap_or(u16::MAX);
        other.root.assign(file);
        other.root
    }

    fn source(&self, mark: Mark) -> (&str, &str) {
        let merged = usize::from(mark.file).checked_sub(1).and_then(|at| self.merged.get(at));
        merged.map_or((&self.file, &self.text), |(file, text)| (file, text))
    }

    /// The whole file as one item, to read from.
    pub fn item(&self) -> Item<'_> {
        Item::root(self)
    }
}

impl Mark {
    /// The start of a text.
    pub const START: Self = Self { line: 1, column: 1, offset: 0, file: 0 };

    /// The position of a byte offset in a text.
    pub fn of_offset(text: &str, offset: usize) -> Self {
        let place = Place::of_offset("", text, offset);
        Self { line: place.line, column: place.column, offset, file: 0 }
    }
}

impl Node {
    /// Says that the whole tree is of one file.
    fn assign(&mut self, file: u16) {
        self.mark.file = file;
        match &mut self.value {
            Value::Scalar(_) => {}
            Value::List(items) => items.iter_mut().for_each(|item| item.assign(file)),
            Value::Map(entries) => {
                for entry in entries {
                    entry.mark.file = file;
                    entry.value.assign(file);
                }
            }
        }
    }
}

impl Value {
    /// The value's nature, for messages: `a list`.
    pub fn nature(&self) -> &'static str {
        match self {
            Self::Scalar(scalar) => scalar.kind().nature(),
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}
