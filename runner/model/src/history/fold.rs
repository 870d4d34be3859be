//! Histories put together.

use std::collections::{BTreeMap, BTreeSet};

use super::past_run::{PastRun, RunKey};

/// Runs by their keys. This is what a store holds, said as a value: what merging means is told and tested here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    runs: BTreeMap<RunKey, PastRun>,
    /// Runs that another one stands for. Once replaced, a run never comes back.
    replaced: BTreeSet<RunKey>,
}

impl History {
    /// Adds a run. A run that is known already stays as it is, unless this is the better telling of it.
    pub fn add(&mut self, run: PastRun) {
        let run = run.normal();
        self.replace(run.replaces.clone());
        if self.replaced.contains(&run.key) {
            return;
        }
        match self.runs.get(&run.key) {
            Some(known) if known.rank() >= run.rank() => {}
            _ => {
                self.runs.insert(run.key.clone(), run);
            }
        }
    }

    /// Adds all that another one knows.
    pub fn merge(&mut self, other: &Self) {
        self.replace(other.replaced.clone());
        for run in other.runs.values() {
            self.add(run.clone());
        }
    }

    /// The runs, by their keys.
    pub const fn runs(&self) -> &BTreeMap<RunKey, PastRun> {
        &self.runs
    }

    /// The runs that others stand for.
    pub const fn replaced(&self) -> &BTreeSet<RunKey> {
        &self.replaced
    }

    fn replace(&mut self, keys: BTreeSet<RunKey>) {
        self.runs.retain(|key, _| !keys.contains(key));
        self.replaced.extend(keys);
    }
}
