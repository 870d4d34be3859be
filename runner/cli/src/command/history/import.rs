//! Runs from elsewhere: records, JUnit reports, other stores.

use std::path::PathBuf;

use testbed_engine::history::{Added, Given, HistoryStore, file_of, read};
use testbed_engine::store;
use testbed_model::exit_code::ExitCode;

use crate::args::ImportArgs;
use crate::failure::Failure;
use crate::settings::Settings;

/// Adds runs. All paths are read before the first run is added, so that a wrong one adds nothing.
pub(super) fn import(settings: &Settings, args: &ImportArgs) -> Result<ExitCode, Failure> {
    let given = Given { lane: args.lane.clone(), at: args.at, revision: args.revision.clone() };
    let mut runs = Vec::new();
    for path in &args.paths {
        runs.extend(read(path, &given)?);
    }
    let mut history = open(settings)?;
    let mut counts = [0_usize; 2];
    for run in &runs {
        match history.add(run)? {
            Added::New | Added::Better => counts[0] += 1,
            Added::Known | Added::Replaced => counts[1] += 1,
        }
    }
    tell(&history, counts)
}

/// Adds all that other stores know.
pub(super) fn merge(settings: &Settings, files: &[PathBuf]) -> Result<ExitCode, Failure> {
    let mut history = open(settings)?;
    let mut counts = [0; 2];
    for file in files {
        let merged = history.merge(file)?;
        counts = [counts[0] + merged.taken, counts[1] + merged.known];
    }
    tell(&history, counts)
}

/// The project's store, made where there is none.
fn open(settings: &Settings) -> Result<HistoryStore, Failure> {
    store::keep_out_of_git(&settings.state)?;
    Ok(HistoryStore::open(&file_of(&settings.state))?)
}

fn tell(history: &HistoryStore, [taken, known]: [usize; 2]) -> Result<ExitCode, Failure> {
    let overview = history.overview()?;
    let runs = |count: usize| if count == 1 { "1 run".to_owned() } else { format!("{count} runs") };
    let text = format!(
        "added {}, {known} known already; the history knows {} and {} cases\n",
        runs(taken),
        runs(overview.runs),
        overview.cases
    );
    super::super::print(&text)?;
    Ok(ExitCode::Passed)
}
