//! Gathering: from what a tool announces, case by case, to the stored form that holds each set once.

use std::collections::HashMap;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::{Row, SCHEMA, SuiteCatalog, ToolWord};
use crate::selection::Mark;

/// A case as a tool announces it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Announced {
    /// The tool's own id.
    pub id: String,
    /// File, relative to the project's root.
    #[serde(default)]
    pub file: Option<String>,
    /// Line, from one.
    #[serde(default)]
    pub line: Option<u32>,
    /// Markers as written, nearest first.
    #[serde(default)]
    pub marks: Vec<Mark>,
    /// Further names for `-k`.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// Fixtures.
    #[serde(default)]
    pub fixtures: Vec<String>,
    /// What the tool itself says of executing it.
    #[serde(default)]
    pub said: Option<ToolWord>,
}

/// A catalog that is being gathered.
#[derive(Clone, Debug, Default)]
pub struct Gathering {
    catalog: SuiteCatalog,
    files: HashMap<String, u32>,
    marks: HashMap<String, u32>,
    keywords: HashMap<Vec<String>, u32>,
    fixtures: HashMap<Vec<String>, u32>,
}

impl Gathering {
    /// Takes one more case.
    pub fn add(&mut self, case: Announced) {
        let catalog = &mut self.catalog;
        let file = case.file.map(|file| number(&mut self.files, &mut catalog.files, file.clone(), file));
        // Arguments are any JSON, which has no hash of its own; its text has.
        let written = serde_json::to_string(&case.marks).unwrap_or_default();
        let row = Row {
            id: case.id,
            file,
            line: case.line,
            said: case.said,
            marks: number(&mut self.marks, &mut catalog.marks, written, case.marks),
            keywords: number(&mut self.keywords, &mut catalog.keywords, case.keywords.clone(), case.keywords),
            fixtures: number(&mut self.fixtures, &mut catalog.fixtures, case.fixtures.clone(), case.fixtures),
        };
        catalog.cases.push(row);
    }

    /// How many cases were gathered.
    pub fn len(&self) -> usize {
        self.catalog.cases.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.catalog.cases.is_empty()
    }

    /// What was gathered.
    pub fn finish(mut self) -> SuiteCatalog {
        self.catalog.schema = SCHEMA;
        self.catalog
    }
}

/// The number of a value, which is added if it is new.
fn number<K: Eq + Hash, T>(known: &mut HashMap<K, u32>, all: &mut Vec<T>, key: K, value: T) -> u32 {
    *known.entry(key).or_insert_with(|| {
        all.push(value);
        u32::try_from(all.len() - 1).unwrap_or(u32::MAX)
    })
}
