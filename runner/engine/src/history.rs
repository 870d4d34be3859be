//! The history: how cases ended in earlier runs, in one SQLite file below the project's `.testbed` folder.
//!
//! ```text
//! .testbed/history.sqlite   runs by their keys, and what became of every case in each of them
//! ```
//!
//! What it means is said by [`testbed_model::history`]; here it is kept, found again and put together. A store that is damaged, or that a
//! newer version wrote, is told of and left as it is.

mod ask;
mod durations;
mod error;
mod import;
mod junit;
mod merge;
mod open;
mod write;

use std::path::{Path, PathBuf};

use rusqlite::Connection;

pub use self::error::HistoryError;
pub use self::import::{Given, read};
pub use self::merge::Merged;
pub use self::write::Added;

/// The store of a project's history, open.
#[derive(Debug)]
pub struct HistoryStore {
    path: PathBuf,
    connection: Connection,
}

/// Where a project's history lies, below its `.testbed` folder.
pub fn file_of(state: &Path) -> PathBuf {
    state.join("history.sqlite")
}

impl HistoryStore {
    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests;
