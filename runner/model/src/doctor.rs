//! What this machine is found to be: which configuration is in force, what the host and its engine are, and what each profile
//! lacks here.

use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::plan::Environment;
use crate::tier::Tier;

/// Version of this document.
pub const SCHEMA: u32 = 1;

/// All that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Where profiles, stacks and images come from.
    pub configuration: Configuration,
    /// Folder of the project under test.
    pub project: String,
    /// Host, engine, project and tools.
    pub facts: Facts,
    /// Why the container engine cannot be used; none where it can.
    pub engine: Option<Trouble>,
    /// Profiles in the order of their names.
    pub profiles: Vec<ProfileState>,
}

/// A configuration and how it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Its folder.
    pub root: String,
    /// How it was found.
    pub origin: Origin,
    /// Revision of its checkout, with `-dirty` where files differ; none outside of git.
    pub revision: Option<String>,
}

/// How a configuration was found, in the order in which it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Named by `--root`, or by `TESTBED_ROOT`, which the flake's wrapper sets.
    Named,
    /// In the working folder or above it.
    Upward,
    /// The copy within the runner.
    Embedded,
}

impl Origin {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Named => "named by --root or TESTBED_ROOT",
            Self::Upward => "found from the working folder upward",
            Self::Embedded => "the runner's own copy",
        }
    }
}

/// Something is wrong, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

/// A profile on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileState {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// Tiers that it serves, earliest first.
    pub tiers: Vec<Tier>,
    /// GPUs that it needs.
    pub gpus: u64,
    /// Bytes of memory that it needs.
    pub memory_bytes: u64,
    /// Why it cannot run here; none where it can.
    pub trouble: Option<Trouble>,
}

/// What profiles are on a host with these facts, and with that trouble of its engine.
pub fn profiles(environments: &[Environment], facts: &Facts, engine: Option<&Trouble>) -> Vec<ProfileState> {
    let state = |environment: &Environment| {
        let profile = &environment.profile;
        let unmet = environment.unmet(facts).map(|message| Trouble {
            message,
            hint: Some("run it on a host that has it; other profiles serve the same tiers".to_owned()),
        });
        ProfileState {
            name: profile.name.clone(),
            description: profile.description.as_ref().map(|text| text.value.clone()),
            tiers: profile.tiers.value.clone(),
            gpus: profile.requirements.gpus.value,
            memory_bytes: profile.requirements.memory.value,
            trouble: unmet.or_else(|| engine.cloned()),
        }
    };
    let mut states: Vec<ProfileState> = environments.iter().map(state).collect();
    states.sort_by(|a, b| a.name.cmp(&b.name));
    states
}
