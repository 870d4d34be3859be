//! Changes: which cases a set of changed files concerns, and why.
//!
//! Three sources say what a file is for: the project's rules (with its filters file), the imports of its Python files, and the
//! dependencies of its crates. A file that none of them knows makes the whole tier run.

mod crates;
mod filters;
mod impact;
mod reach;

use serde::{Deserialize, Serialize};

pub use crates::{Crates, MetadataError, Package};
pub use filters::{Filter, Filters, FiltersError, Reading};
pub use impact::{CaseImpact, Changes, Impact, Subject, UnknownFilter, impact};

/// A file that differs from the base revision. A renamed file is one deleted and one added.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChangedFile {
    /// Path, relative to the project's root.
    pub path: String,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// What can happen to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was not there before.
    Added,
    /// Its content or mode is another.
    Modified,
    /// It is gone.
    Deleted,
}
