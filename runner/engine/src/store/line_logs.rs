//! Logs of services and tools: a line each, with the time of its arrival, one file for each.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use testbed_model::record::{LogLine, RecordedLog};

use super::error::StoreError;
use super::{LANES, SERVICES, name};

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

    /// Appends a line to the log of a stack's service, or of a lane's tool.
    pub(super) fn append(
        &mut self,
        stack: Option<&str>,
        who: &str,
        at: Timestamp,
        line: &str,
    ) -> Result<(), StoreError> {
        let below = stack.map_or_else(|| LANES.to_owned(), |stack| format!("{SERVICES}/{}", name(stack)));
        let path = self.folder.join(below).join(format!("{}.log", name(who)));
        let file = match self.open.remove(&path) {
            Some(file) => file,
            None => open(&path)?,
        };
        let file = self.open.entry(path.clone()).or_insert(file);
        writeln!(file, "{}", LogLine::encode(at, line)).map_err(StoreError::writing(&path))
    }

    /// Appends a whole log.
    pub(super) fn append_all(&mut self, log: &RecordedLog) -> Result<(), StoreError> {
        for line in &log.lines {
            self.append(log.stack.as_deref(), &log.name, line.at, &line.text)?;
        }
        Ok(())
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
