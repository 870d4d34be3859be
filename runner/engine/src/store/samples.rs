//! The samples of a record: `samples.jsonl`, lines like the journal's, but never waited for: they are lost first.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use testbed_model::event::Stamped;
use testbed_model::record::journal;

use super::error::StoreError;

/// Samples being written. The file is there once there is one.
#[derive(Debug)]
pub(super) struct Samples {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Samples {
    pub(super) const fn at(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    pub(super) fn append(&mut self, stamped: &Stamped) -> Result<(), StoreError> {
        let line = journal::encode(stamped).map_err(StoreError::encoding("samples.jsonl"))?;
        let file = match self.file.take() {
            Some(file) => file,
            None => open(&self.path)?,
        };
        self.file.insert(file).write_all(&line).map_err(StoreError::writing(&self.path))
    }

    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        match &mut self.file {
            Some(file) => file.flush().map_err(StoreError::writing(&self.path)),
            None => Ok(()),
        }
    }
}

fn open(path: &Path) -> Result<BufWriter<File>, StoreError> {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.map(BufWriter::new).map_err(StoreError::writing(path))
}
