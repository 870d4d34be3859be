//! The journal: one event a line, written at once.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use testbed_model::event::{Event, Stamped};
use testbed_model::record::journal;

use super::error::StoreError;
use crate::host::files;

/// How often, at most, results are forced down to the disk, in microseconds of the run's time: a sync takes milliseconds,
/// and fast cases end by the hundred a second.
const SYNC_EVERY_US: u64 = 250_000;

/// A journal being written.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    synced_us: u64,
    /// Whether the last line may be incomplete, because writing it failed.
    torn: bool,
}

impl Journal {
    pub(super) fn create(path: &Path) -> Result<Self, StoreError> {
        let file = OpenOptions::new().append(true).create_new(true).open(path);
        Ok(Self {
            file: file.map_err(StoreError::writing(path))?,
            path: path.to_owned(),
            synced_us: 0,
            torn: false,
        })
    }

    pub(super) fn append(&mut self, stamped: &Stamped) -> Result<(), StoreError> {
        let mut line = Vec::new();
        if self.torn {
            line.push(b'\n');
        }
        line.extend(journal::encode(stamped).map_err(StoreError::encoding("events.jsonl"))?);
        // One write for the whole line: a reader, or a kill, sees it whole or not at all.
        let written = self.file.write_all(&line);
        self.torn = written.is_err();
        written.map_err(StoreError::writing(&self.path))?;
        if is_worth_a_sync(&stamped.event)
            && stamped.elapsed_us.saturating_sub(self.synced_us) >= SYNC_EVERY_US
        {
            self.synced_us = stamped.elapsed_us;
            self.sync()?;
        }
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), StoreError> {
        files::sync(&self.file).map_err(StoreError::writing(&self.path))
    }
}

const fn is_worth_a_sync(event: &Event) -> bool {
    matches!(event, Event::CaseFinished { .. } | Event::LaneFinished { .. } | Event::RunFinished { .. })
}
