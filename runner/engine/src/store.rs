//! The run folder: what a run leaves behind, written as it happens, so that a killed run loses nothing that had ended.
//!
//! ```text
//! .testbed/.gitignore           keeps the folder out of the project
//! .testbed/latest               link to the newest run
//! .testbed/runs/ID/plan.json    the plan's canonical bytes
//!                  manifest.json what decided the result; written at the start and again at the end
//!                  events.jsonl  the journal: one event a line
//!                  samples.jsonl figures of services while their stacks were up
//!                  services/PROFILE/SERVICE.log, lanes/LANE.log, cases/LANE/CASE.log
//! ```

mod case_log;
mod error;
mod journal;
mod line_logs;
mod record;
mod samples;

use std::fs;
use std::path::{Path, PathBuf};

use testbed_model::event::{Event, Stamped};
use testbed_model::id::RunId;
use testbed_model::plan::Plan;
use testbed_model::record::{Manifest, Record, RecordedLog};

pub use self::case_log::case_log_name;
pub use self::error::StoreError;
pub use self::record::{logs, open, part, samples};

use self::journal::Journal;
use self::line_logs::LineLogs;
use self::samples::Samples;
use crate::host::files;

const RUNS: &str = "runs";
const LATEST: &str = "latest";
const PLAN: &str = "plan.json";
const MANIFEST: &str = "manifest.json";
const JOURNAL: &str = "events.jsonl";
const SAMPLES: &str = "samples.jsonl";
const SERVICES: &str = "services";
const LANES: &str = "lanes";

/// A run's folder while the run goes on.
#[derive(Debug)]
pub struct Store {
    folder: RunFolder,
    journal: Journal,
    logs: LineLogs,
    samples: Samples,
}

/// The place of a record. Whole files are written in one step, by whoever has them.
#[derive(Clone, Debug)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a further file of the record, such as `junit.xml`, in one step.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.0.join(name);
        files::write_atomically(&path, bytes).map_err(StoreError::writing(&path))
    }

    /// Writes the manifest as far as it is known: what is known early is of use when the run is killed.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let mut bytes = serde_json::to_vec_pretty(manifest).map_err(StoreError::encoding(MANIFEST))?;
        bytes.push(b'\n');
        self.write(MANIFEST, &bytes)
    }
}

impl Store {
    /// Makes the folder of a run below `state` (`.testbed`) and points `latest` to it.
    pub fn create(
        state: &Path,
        run: &RunId,
        plan: Option<&Plan>,
        manifest: &Manifest,
    ) -> Result<Self, StoreError> {
        let folder = folder_of(state, run);
        make_folder(&state.join(RUNS))?;
        keep_out_of_git(state)?;
        fs::create_dir(&folder).map_err(StoreError::writing(&folder))?;
        let journal = Journal::create(&folder.join(JOURNAL))?;
        let logs = LineLogs::below(&folder);
        let samples = Samples::at(folder.join(SAMPLES));
        let folder = RunFolder(folder);
        if let Some(plan) = plan {
            let bytes = plan.canonical_json().map_err(StoreError::encoding(PLAN))?;
            folder.write(PLAN, &bytes)?;
        }
        folder.write_manifest(manifest)?;
        let latest = state.join(LATEST);
        let target = Path::new(RUNS).join(run.as_str());
        files::point(&latest, &target).map_err(StoreError::writing(&latest))?;
        Ok(Self { folder, journal, logs, samples })
    }

    /// Writes the record of a run that is over, as it would have written itself.
    pub fn create_from(
        state: &Path,
        record: &Record,
        logs: &[RecordedLog],
        samples: &[Stamped],
    ) -> Result<RunFolder, StoreError> {
        let manifest = &record.manifest;
        let mut store = Self::create(state, &manifest.run, record.plan.as_ref(), manifest)?;
        for log in logs {
            store.logs.append_all(log)?;
        }
        for stamped in samples.iter().chain(&record.events) {
            store.append(stamped)?;
        }
        store.finish(manifest)?;
        Ok(store.folder)
    }

    /// The run's folder.
    pub const fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Keeps one event: lines of services and tools in their logs, everything else in the journal.
    pub fn append(&mut self, stamped: &Stamped) -> Result<(), StoreError> {
        match &stamped.event {
            Event::ServiceLog { stack, service, line } => {
                return self.logs.append(Some(stack), service, stamped.at, line);
            }
            Event::LaneOutput { lane, line } => {
                return self.logs.append(None, &lane.to_string(), stamped.at, line);
            }
            Event::Sampled { .. } => return self.samples.append(stamped),
            Event::CaseFinished { lane, result, service_logs } => {
                case_log::write(self.folder.path(), lane, result, service_logs)?;
            }
            _ => {}
        }
        self.logs.flush()?;
        self.journal.append(stamped)
    }

    /// Writes the final manifest and everything down to the disk.
    pub fn finish(&mut self, manifest: &Manifest) -> Result<(), StoreError> {
        self.logs.flush()?;
        self.samples.flush()?;
        self.journal.sync()?;
        self.folder.write_manifest(manifest)
    }
}

/// The folder of a run by what a person calls it: its path, `latest`, its id, or the beginning of its id.
pub fn find(state: &Path, name: &str) -> Result<PathBuf, StoreError> {
    let as_path = Path::new(name);
    if as_path.join(MANIFEST).is_file() {
        return Ok(as_path.to_owned());
    }
    if name == LATEST && state.join(LATEST).join(MANIFEST).is_file() {
        let latest = state.join(LATEST);
        return Ok(latest.canonicalize().unwrap_or(latest));
    }
    let mut known = runs(state);
    known.reverse();
    let fitting: Vec<&String> =
        known.iter().filter(|run| !name.is_empty() && run.starts_with(name)).collect();
    match fitting.as_slice() {
        [run] => Ok(state.join(RUNS).join(run)),
        several => Err(StoreError::NoRun { name: name.to_owned(), several: several.len() > 1, known }),
    }
}

/// Where the record of a run lies.
pub fn folder_of(state: &Path, run: &RunId) -> PathBuf {
    state.join(RUNS).join(run.as_str())
}

/// The ids of the runs that left a record, oldest first.
pub fn runs(state: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(state.join(RUNS)) else { return Vec::new() };
    let name = |entry: fs::DirEntry| {
        entry.path().join(MANIFEST).is_file().then(|| entry.file_name().to_string_lossy().into_owned())
    };
    let mut names: Vec<String> = entries.filter_map(|entry| name(entry.ok()?)).collect();
    names.sort();
    names
}

fn make_folder(path: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(path).map_err(StoreError::writing(path))
}

/// Makes sure that git sees nothing of the folder of records.
pub fn keep_out_of_git(state: &Path) -> Result<(), StoreError> {
    make_folder(state)?;
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
