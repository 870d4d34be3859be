//! The catalog: every case of every suite, as its tool collected it, before anything is selected.
//!
//! Tens of thousands of cases share a few hundred sets of markers, so sets are stored once and cases refer to them; what is
//! asked of a set is answered once for all cases that have it.

mod gather;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::selection::Mark;

pub use gather::{Announced, Gathering};

/// The version of the stored form. Another one is collected anew.
pub const SCHEMA: u32 = 1;

/// The cases of a project by suite.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// Suite to its cases. A suite that could not be collected at all is not here.
    pub suites: BTreeMap<String, SuiteCatalog>,
    /// Suite to why it could not be collected.
    pub uncollected: BTreeMap<String, String>,
}

/// The cases of one suite.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SuiteCatalog {
    /// Version of this format.
    pub schema: u32,
    /// The hash of all that decides beside the project's files: tool, image, arguments, plugin.
    pub key: String,
    /// The files of the project that decide.
    pub sources: Sources,
    /// The files that cases are in, relative to the project's root.
    pub files: Vec<String>,
    /// Distinct sets of markers as written, nearest first.
    pub marks: Vec<Vec<Mark>>,
    /// Distinct sets of further names for `-k`, besides a case's own name and markers.
    pub keywords: Vec<Vec<String>>,
    /// Distinct sets of fixtures.
    pub fixtures: Vec<Vec<String>>,
    /// Cases in the tool's order.
    pub cases: Vec<Row>,
    /// What went wrong or was left out, without ending the collection.
    pub findings: Vec<Finding>,
    /// Markers that are declared, with their meaning.
    pub declared: BTreeMap<String, String>,
    /// For each source file of the project that was read: the files of the project that it imports.
    pub imports: BTreeMap<String, Vec<String>>,
}

/// One case as stored: its id, and the numbers of what it shares with others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The tool's own id.
    pub id: String,
    /// Number of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<u32>,
    /// Line, from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Number of its set of markers.
    pub marks: u32,
    /// Number of its set of names.
    pub keywords: u32,
    /// Number of its set of fixtures.
    pub fixtures: u32,
    /// What the tool itself says of executing it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<ToolWord>,
}

/// Why a tool, or the project's part of it, would not execute a case that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolWord {
    /// The suite's own filter leaves it out.
    NotOfSuite,
    /// It is marked so in the source: `#[ignore]`.
    Ignored,
    /// The project's own hooks take it away.
    LeftOut,
}

/// What of the project's files a catalog depends on. As long as all of it is the same, so is the catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// A file that was read to the hash of its content.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// A folder that was listed, or in which a file was read, to the hash of its entries' names.
    #[serde(default)]
    pub folders: BTreeMap<String, String>,
    /// The hash of the whole project, where a tool does not tell what it reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<String>,
}

/// What the tool said of a file as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What happened.
    pub kind: FindingKind,
    /// The file, relative to the project's root, or what the tool named.
    pub file: String,
    /// One line.
    pub message: String,
    /// The tool's full account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

/// What can happen to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// It could not be collected.
    Error,
    /// It skips itself as a whole.
    Skipped,
}

/// A case with all that it shares, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry<'c> {
    /// The case.
    pub row: &'c Row,
    /// Its file, relative to the project's root.
    pub file: Option<&'c str>,
    /// Its markers as written.
    pub marks: &'c [Mark],
    /// Its further names for `-k`.
    pub keywords: &'c [String],
    /// Its fixtures.
    pub fixtures: &'c [String],
}

impl SuiteCatalog {
    /// The cases in the tool's order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.cases.iter().map(|row| self.entry(row))
    }

    /// A case with all that it shares.
    pub fn entry<'c>(&'c self, row: &'c Row) -> Entry<'c> {
        Entry {
            row,
            file: row.file.and_then(|number| at(&self.files, number)).map(String::as_str),
            marks: at(&self.marks, row.marks).map_or(&[], Vec::as_slice),
            keywords: at(&self.keywords, row.keywords).map_or(&[], Vec::as_slice),
            fixtures: at(&self.fixtures, row.fixtures).map_or(&[], Vec::as_slice),
        }
    }
}

impl Entry<'_> {
    /// The case's own name: what follows the last `::` of its id, or the whole id.
    pub fn name(&self) -> &str {
        // A parameter may hold `::` too.
        let plain = self.row.id.find('[').map_or(self.row.id.as_str(), |at| &self.row.id[..at]);
        let start = plain.rfind("::").map_or(0, |at| at + 2);
        &self.row.id[start..]
    }
}

fn at<T>(items: &[T], number: u32) -> Option<&T> {
    items.get(usize::try_from(number).ok()?)
}

#[cfg(test)]
mod tests;
