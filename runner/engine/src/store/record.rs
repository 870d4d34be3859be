//! A record read back, whatever became of the run that wrote it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use testbed_model::event::Stamped;
use testbed_model::plan::Plan;
use testbed_model::record::{LogLine, Manifest, Record, RecordedLog, SCHEMA, journal};

use super::error::StoreError;
use super::{JOURNAL, LANES, MANIFEST, PLAN, SAMPLES, SERVICES};

/// What every version of a manifest has.
#[derive(Deserialize)]
struct Versioned {
    schema: u32,
}

/// Reads what a run left behind.
pub fn open(folder: &Path) -> Result<Record, StoreError> {
    let manifest = read_manifest(folder)?;
    let plan = read_plan(&folder.join(PLAN))?;
    let path = folder.join(JOURNAL);
    let journal = journal::read(&fs::read(&path).map_err(StoreError::reading(&path))?);
    Ok(Record { manifest, plan, events: journal.events, damaged: journal.damaged })
}

/// The samples of services, all that were written whole.
pub fn samples(folder: &Path) -> Vec<Stamped> {
    journal::read(&fs::read(folder.join(SAMPLES)).unwrap_or_default()).events
}

/// A further file of a record, such as the uncommitted changes; none where it is not there.
pub fn part(folder: &Path, name: &str) -> Option<Vec<u8>> {
    fs::read(folder.join(name)).ok()
}

/// The logs of services and of lanes' tools, in the order of their names. A file that cannot be read has no lines: what else there
/// is to tell is told all the same.
pub fn logs(folder: &Path) -> Vec<RecordedLog> {
    let mut out = Vec::new();
    for stack in entries(&folder.join(SERVICES)) {
        for file in entries(&stack) {
            out.extend(log(&file, Some(name_of(&stack))));
        }
    }
    for file in entries(&folder.join(LANES)) {
        out.extend(log(&file, None));
    }
    out
}

fn read_manifest(folder: &Path) -> Result<Manifest, StoreError> {
    let path = folder.join(MANIFEST);
    let text = fs::read(&path).map_err(StoreError::reading(&path))?;
    let garbled = |source| StoreError::Format { path: path.clone(), what: "manifest", source };
    let Versioned { schema } = serde_json::from_slice(&text).map_err(garbled)?;
    if schema != SCHEMA {
        return Err(StoreError::Schema { path: folder.to_owned(), found: schema });
    }
    serde_json::from_slice(&text).map_err(garbled)
}

fn read_plan(path: &Path) -> Result<Option<Plan>, StoreError> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|source| StoreError::Format {
            path: path.to_owned(),
            what: "plan",
            source,
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::reading(path)(error)),
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

fn log(file: &Path, stack: Option<String>) -> Option<RecordedLog> {
    if file.extension()? != "log" {
        return None;
    }
    let bytes = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    Some(RecordedLog {
        stack,
        name: name_of(file),
        lines: text.lines().filter_map(LogLine::decode).collect(),
    })
}

/// The file's name without `.log`.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(".log").unwrap_or(&name).to_owned()
}
