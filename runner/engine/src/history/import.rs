//! Runs from elsewhere: records and JUnit reports.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use testbed_model::history::PastRun;

use super::error::HistoryError;
use super::junit;
use crate::store;

/// What whoever imports a report knows beyond what it says of itself.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The lane that its cases belong to, over the report's own name.
    pub lane: Option<String>,
    /// When its run began, where the report does not say it.
    pub at: Option<Timestamp>,
    /// The revision of the code under test.
    pub revision: Option<String>,
}

/// The runs of a path: the folder of a record, a folder of such folders, or a JUnit report.
pub fn read(path: &Path, given: &Given) -> Result<Vec<PastRun>, HistoryError> {
    if is_record(path) {
        return Ok(vec![PastRun::of_record(&store::open(path)?)]);
    }
    if path.is_dir() {
        let folders: Vec<PathBuf> = below(path)?.into_iter().filter(|folder| is_record(folder)).collect();
        if folders.is_empty() {
            return Err(HistoryError::Unknown { path: path.to_owned() });
        }
        return folders.iter().map(|folder| Ok(PastRun::of_record(&store::open(folder)?))).collect();
    }
    let bytes = fs::read(path).map_err(|source| HistoryError::Read { path: path.to_owned(), source })?;
    if bytes.starts_with(b"SQLite format 3\0") || !bytes.contains(&b'<') {
        return Err(HistoryError::Unknown { path: path.to_owned() });
    }
    Ok(vec![junit::read(path, &bytes, given)?])
}

fn is_record(folder: &Path) -> bool {
    folder.join("manifest.json").is_file()
}

fn below(folder: &Path) -> Result<Vec<PathBuf>, HistoryError> {
    let failed = |source| HistoryError::Read { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}
