//! What a project's CI does: which tier on which occasion, and on which kinds of machine. Decided from tiers, profiles and budgets;
//! how a CI system wants it written is not known here.

use std::collections::BTreeSet;

use crate::profile::Resolved;
use crate::project::Budgets;
use crate::tier::Tier;

/// A job may take so many times its tier's budget before it is ended: the budget says what is too slow, the job's limit what hangs.
const PATIENCE: u64 = 3;

/// Limit of a job in minutes where the project sets no budget.
const USUAL_MINUTES: u64 = 120;

const MILLISECONDS_PER_MINUTE: u64 = 60_000;

/// When a tier is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Occasion {
    /// A change is proposed.
    Proposal,
    /// A change was merged.
    Merge,
    /// Each night.
    Night,
    /// Each week.
    Week,
    /// A release is made.
    Release,
}

impl Occasion {
    /// The occasion of a tier; none for what is checked before a commit, which every later tier does as well.
    pub const fn of(tier: Tier) -> Option<Self> {
        match tier {
            Tier::Precommit => None,
            Tier::Premerge => Some(Self::Proposal),
            Tier::Postmerge => Some(Self::Merge),
            Tier::Nightly => Some(Self::Night),
            Tier::Weekly => Some(Self::Week),
            Tier::Release => Some(Self::Release),
        }
    }
}

/// All that a CI system has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// The flake whose application `test` is run, such as `.` or `github:OWNER/REPO`.
    pub flake: String,
    /// Tiers with their occasions, earliest first.
    pub tiers: Vec<(Tier, Occasion)>,
    /// How many GPUs machines have, by what profiles ask for; at least one kind.
    pub gpus: Vec<u64>,
    /// Profiles that run without a GPU, in the order of names.
    pub plain: Vec<String>,
    /// Profiles that need GPUs, likewise.
    pub accelerated: Vec<String>,
    /// After so many minutes a job hangs.
    pub minutes: u64,
}

impl Pipeline {
    /// Decides it.
    pub fn new<'p>(flake: &str, profiles: impl IntoIterator<Item = &'p Resolved>, budgets: &Budgets) -> Self {
        let (mut plain, mut accelerated, mut gpus) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for profile in profiles.into_iter().filter(|profile| !profile.tiers.value.is_empty()) {
            match profile.requirements.gpus.value {
                0 => _ = plain.insert(profile.name.clone()),
                count => {
                    gpus.insert(count);
                    accelerated.insert(profile.name.clone());
                }
            }
        }
        if gpus.is_empty() {
            gpus.insert(1);
        }
        let longest = budgets.tiers.values().max().map(|budget| budget.div_ceil(MILLISECONDS_PER_MINUTE));
        Self {
            flake: flake.to_owned(),
            tiers: Tier::ALL.into_iter().filter_map(|tier| Some((tier, Occasion::of(tier)?))).collect(),
            gpus: gpus.into_iter().collect(),
            plain: plain.into_iter().collect(),
            accelerated: accelerated.into_iter().collect(),
            minutes: longest.map_or(USUAL_MINUTES, |longest| longest * PATIENCE),
        }
    }

    /// The tier of an occasion.
    pub fn tier(&self, occasion: Occasion) -> Option<Tier> {
        self.tiers.iter().find(|(_, its)| *its == occasion).map(|(tier, _)| *tier)
    }
}

#[cfg(test)]
mod tests;
