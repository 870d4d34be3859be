//! A record read back.

use std::fs;
use std::path::{Path, PathBuf};

use testbed_model::event::Stamped;
use testbed_model::plan::Plan;
use testbed_model::record::Manifest;

use super::error::StoreError;
use super::{JOURNAL, MANIFEST, PLAN};

/// What a run left behind.
#[derive(Debug)]
pub struct Record {
    /// Its folder.
    pub folder: PathBuf,
    /// What decided its result. Without an end where the run was killed.
    pub manifest: Manifest,
    /// Its plan, if it had one.
    pub plan: Option<Plan>,
    /// Its events, all that were written whole.
    pub events: Vec<Stamped>,
    /// Lines of the journal that are no events: a line that was being written when the run was killed or the disk was full.
    pub damaged: usize,
}

impl Record {
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let manifest_path = folder.join(MANIFEST);
        let text = fs::read(&manifest_path).map_err(StoreError::reading(&manifest_path))?;
        let manifest = serde_json::from_slice(&text).map_err(|source| StoreError::Format {
            path: manifest_path,
            what: "manifest",
            source,
        })?;
        let plan = read_plan(&folder.join(PLAN))?;
        let journal_path = folder.join(JOURNAL);
        let journal = fs::read(&journal_path).map_err(StoreError::reading(&journal_path))?;
        let (events, damaged) = whole_lines(&journal);
        Ok(Self { folder: folder.to_owned(), manifest, plan, events, damaged })
    }
}

fn read_plan(path: &Path) -> Result<Option<Plan>, StoreError> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|source| StoreError::Format {
            path: path.to_owned(),
            what: "plan",
            source,
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::reading(path)(error)),
    }
}

/// The events of a journal that may have been cut anywhere.
fn whole_lines(journal: &[u8]) -> (Vec<Stamped>, usize) {
    let (mut events, mut damaged) = (Vec::new(), 0);
    for line in journal.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(stamped) => events.push(stamped),
            Err(_) => damaged += 1,
        }
    }
    (events, damaged)
}
