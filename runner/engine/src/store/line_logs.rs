//! Logs of services and tools: a line each, with the time of its arrival, one file for each.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use testbed_model::event::Stamped;

use super::error::StoreError;

/// Open log files, by path below the run's folder.
#[derive(Debug)]
pub(super) struct LineLogs {
    folder: PathBuf,
    open: BTreeMap<PathBuf, BufWriter<File>>,
}

impl LineLogs {
    pub(super) fn below(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), open: BTreeMap::new() }
    }

    /// Appends a line to `FOLDER/NAME.log`.
    pub(super) fn append(
        &mut self,
        folder: &str,
        name: &str,
        stamped: &Stamped,
        line: &str,
    ) -> Result<(), StoreError> {
        let path = self.folder.join(folder).join(format!("{name}.log"));
        let file = match self.open.remove(&path) {
            Some(file) => file,
            None => open(&path)?,
        };
        let file = self.open.entry(path.clone()).or_insert(file);
        let time = stamped.at.strftime("%H:%M:%S%.3f");
        writeln!(file, "{time} {line}").map_err(StoreError::writing(&path))
    }

    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        for (path, file) in &mut self.open {
            file.flush().map_err(StoreError::writing(path))?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<BufWriter<File>, StoreError> {
    let parent = path.parent().unwrap_or(path);
    std::fs::create_dir_all(parent).map_err(StoreError::writing(parent))?;
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.map(BufWriter::new).map_err(StoreError::writing(path))
}
