//! How long cases took in earlier runs of a project, kept below its `.testbed` folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use testbed_model::budget::Durations;
use testbed_model::stack::Millis;

use crate::history::{self, HistoryStore};
use crate::host::files;

/// What is known of earlier runs: of cases what the history says where there is one, of all else what the last run showed. What cannot
/// be read is forgotten: it only makes predictions guesses again.
pub fn read(state: &Path) -> Durations {
    let mut known = read_last(state);
    if let Ok(Some(history)) = HistoryStore::open_existing(&history::file_of(state)) {
        known.cases.extend(history.durations().unwrap_or_default());
    }
    known
}

fn read_last(state: &Path) -> Durations {
    fs::read(file_of(state)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Adds what a run has shown.
pub fn learn<'c>(state: &Path, took: impl IntoIterator<Item = (&'c str, Millis)>) -> io::Result<()> {
    let mut known = read_last(state);
    let mut changed = false;
    for (case, millis) in took {
        changed |= known.cases.insert(case.to_owned(), millis) != Some(millis);
    }
    if !changed {
        return Ok(());
    }
    let path = file_of(state);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    files::write_atomically(&path, &serde_json::to_vec(&known)?)
}

fn file_of(state: &Path) -> PathBuf {
    state.join("cache").join("durations.json")
}

#[cfg(test)]
mod tests {
    use super::{file_of, learn, read};

    #[test]
    fn later_runs_add_to_what_is_known_and_a_broken_file_is_forgotten() {
        let state = tempfile::tempdir().unwrap();
        learn(state.path(), [("a", 5), ("b", 7)]).unwrap();
        learn(state.path(), [("b", 9)]).unwrap();
        let known = read(state.path());
        assert_eq!((known.cases["a"], known.cases["b"]), (5, 9));
        std::fs::write(file_of(state.path()), "{").unwrap();
        assert!(read(state.path()).cases.is_empty());
    }
}
