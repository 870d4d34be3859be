//! `testbed models prune`: contents of the store that no model has any more.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;
use testbed_engine::docker::{Daemon, DaemonError};
use testbed_engine::models::{Fate, Leftover, Library};
use testbed_model::exit_code::ExitCode;
use testbed_report::quantity::bytes;

use crate::failure::Failure;

/// One folder, as `--json` tells it.
#[derive(Debug, Serialize)]
struct Told {
    name: String,
    path: PathBuf,
    bytes: u64,
    state: State,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    WouldRemove,
    Removed,
    InUse,
    Mounted,
}

impl State {
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::WouldRemove => ("would remove", ""),
            Self::Removed => ("removed", ""),
            Self::InUse => ("kept", ": a process uses it"),
            Self::Mounted => ("kept", ": a container mounts it"),
        }
    }
}

/// Removes what no model has any more, and says what went and what stays.
pub async fn prune(library: &Library, dry_run: bool, json: bool) -> Result<ExitCode, Failure> {
    let leftovers = library.leftovers()?;
    let mounted = if leftovers.is_empty() || dry_run { BTreeSet::new() } else { mounted().await? };
    let mut told = Vec::new();
    for leftover in leftovers {
        let state = if dry_run { State::WouldRemove } else { state(library.remove(&leftover, &mounted)?) };
        let name = leftover.name();
        let Leftover { path, bytes } = leftover;
        told.push(Told { name, path, bytes, state });
    }
    if json {
        super::super::print_json(&told)?;
    } else {
        super::super::print(&readable(&told))?;
    }
    Ok(ExitCode::Passed)
}

/// That there is something to remove.
pub fn remark(library: &Library) -> Option<String> {
    // What cannot be told now is told by `prune` itself.
    let leftovers = library.leftovers().ok().filter(|leftovers| !leftovers.is_empty())?;
    let size = bytes(leftovers.iter().map(|leftover| leftover.bytes).sum());
    Some(format!(
        "the store holds {size} that models/models.toml names no more; `testbed models prune` removes it"
    ))
}

/// What containers mount. Where there is no engine there is no container.
async fn mounted() -> Result<BTreeSet<PathBuf>, DaemonError> {
    match Daemon::connect().await {
        Ok(daemon) => daemon.mounted().await,
        Err(DaemonError::NotThere { .. }) => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

const fn state(fate: Fate) -> State {
    match fate {
        Fate::Removed => State::Removed,
        Fate::Held => State::InUse,
        Fate::Mounted => State::Mounted,
    }
}

fn readable(told: &[Told]) -> String {
    let mut out = String::new();
    for Told { name, bytes: size, state, .. } in told {
        let (what, why) = state.words();
        let _ = writeln!(out, "{what} {name}, {}{why}", bytes(*size));
    }
    if told.is_empty() {
        out.push_str("nothing to remove\n");
    }
    out
}
