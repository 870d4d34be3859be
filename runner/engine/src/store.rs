//! The run folder: what a run leaves behind, written as it happens, so that a killed run loses nothing that had ended.
//!
//! ```text
//! .testbed/.gitignore           keeps the folder out of the project
//! .testbed/latest               link to the newest run
//! .testbed/runs/ID/plan.json    the plan's canonical bytes
//!                  manifest.json what decided the result; written at the start and again at the end
//!                  events.jsonl  the journal: one event a line
//!                  services/PROFILE/SERVICE.log, lanes/LANE.log, cases/LANE/CASE.log
//! ```

mod case_log;
mod error;
mod journal;
mod line_logs;
mod record;

use std::fs;
use std::path::{Path, PathBuf};

use testbed_model::event::{Event, Stamped};
use testbed_model::id::RunId;
use testbed_model::plan::Plan;
use testbed_model::record::Manifest;

pub use self::case_log::case_log_name;
pub use self::error::StoreError;
pub use self::record::Record;

use self::journal::Journal;
use self::line_logs::LineLogs;
use crate::host::files;

const RUNS: &str = "runs";
const LATEST: &str = "latest";
const PLAN: &str = "plan.json";
const MANIFEST: &str = "manifest.json";
const JOURNAL: &str = "events.jsonl";

/// A run's folder while the run goes on.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    journal: Journal,
    logs: LineLogs,
}

impl Store {
    /// Makes the folder of a run below `state` (`.testbed`) and points `latest` to it.
    pub fn create(
        state: &Path,
        run: &RunId,
        plan: Option<&Plan>,
        manifest: &Manifest,
    ) -> Result<Self, StoreError> {
        let folder = state.join(RUNS).join(run.as_str());
        make_folder(&state.join(RUNS))?;
        keep_out_of_git(state)?;
        fs::create_dir(&folder).map_err(StoreError::writing(&folder))?;
        let journal = Journal::create(&folder.join(JOURNAL))?;
        let store = Self { logs: LineLogs::below(&folder), journal, folder };
        if let Some(plan) = plan {
            let bytes = plan.canonical_json().map_err(StoreError::encoding(PLAN))?;
            store.write(PLAN, &bytes)?;
        }
        store.write_manifest(manifest)?;
        let latest = state.join(LATEST);
        let target = Path::new(RUNS).join(run.as_str());
        files::point(&latest, &target).map_err(StoreError::writing(&latest))?;
        Ok(store)
    }

    /// Reads a run's folder back, whether or not the run came to its end.
    pub fn open(folder: &Path) -> Result<Record, StoreError> {
        Record::open(folder)
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps one event: lines of services and tools in their logs, everything else in the journal.
    pub fn append(&mut self, stamped: &Stamped) -> Result<(), StoreError> {
        match &stamped.event {
            Event::ServiceLog { stack, service, line } => {
                return self.logs.append(&format!("services/{}", name(stack)), &name(service), stamped, line);
            }
            Event::LaneOutput { lane, line } => {
                return self.logs.append("lanes", &name(&lane.to_string()), stamped, line);
            }
            Event::CaseFinished { lane, result, service_logs } => {
                case_log::write(&self.folder, lane, result, service_logs)?;
            }
            _ => {}
        }
        self.logs.flush()?;
        self.journal.append(stamped)
    }

    /// Writes the final manifest and everything down to the disk.
    pub fn finish(&mut self, manifest: &Manifest) -> Result<(), StoreError> {
        self.logs.flush()?;
        self.journal.sync()?;
        self.write_manifest(manifest)
    }

    /// Writes a further file of the record, such as `junit.xml`, in one step.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.folder.join(name);
        files::write_atomically(&path, bytes).map_err(StoreError::writing(&path))
    }

    fn write_manifest(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let mut bytes = serde_json::to_vec_pretty(manifest).map_err(StoreError::encoding(MANIFEST))?;
        bytes.push(b'\n');
        self.write(MANIFEST, &bytes)
    }
}

fn make_folder(path: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(path).map_err(StoreError::writing(path))
}

fn keep_out_of_git(state: &Path) -> Result<(), StoreError> {
    let path = state.join(".gitignore");
    if path.exists() {
        return Ok(());
    }
    files::write_atomically(&path, b"*\n").map_err(StoreError::writing(&path))
}

/// A name of the user's as the name of a file.
fn name(text: &str) -> String {
    let plain =
        |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@') { c } else { '-' };
    let name: String = text.chars().map(plain).take(100).collect();
    // A name of dots alone would be a folder.
    if name.trim_matches('.').is_empty() { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests;
