//! What this machine is found to be: which configuration is in force, what the host and its engine are, and what each profile
//! lacks here.

mod warning;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::fitness::fit;
use crate::plan::Environment;
use crate::plan::requirement::need;
use crate::tier::Tier;
use crate::version::Version;

pub use warning::warnings;

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
    /// What keeps no profile from running, and yet should be looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Trouble>,
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
    /// What it needs besides.
    #[serde(default)]
    pub needs: Needs,
    /// Indices of the GPUs here that are fit for it, where it needs some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fit: Vec<u32>,
    /// Why it cannot run here, the most important reason; none where it can.
    pub trouble: Option<Trouble>,
    /// All reasons, the most important first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Trouble>,
    /// Models that it needs and that have to be fetched first, each with the command that does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent_models: Vec<AbsentModel>,
}

/// A model that is not here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbsentModel {
    /// Its name.
    pub name: String,
    /// The command that has it here.
    pub command: String,
}

impl ProfileState {
    /// Whether a run in it would begin.
    pub const fn is_ready(&self) -> bool {
        self.trouble.is_none() && self.absent_models.is_empty()
    }
}

/// What a profile needs besides GPUs and memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Needs {
    /// Bytes of memory that each of its GPUs must have free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vram_bytes: Option<u64>,
    /// The least compute capability of its GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compute_capability: Option<Version>,
    /// The least version of the NVIDIA driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<Version>,
    /// The least CUDA version that the driver serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cuda: Option<Version>,
    /// Bytes of free room on the engine's file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
    /// Processor architectures; any where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<String>,
    /// Images of the lock that its stack uses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Models that its stack needs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
}

/// What mends a lack that nothing but another host does.
const ANOTHER_HOST: &str = "run it on a host that has it; other profiles serve the same tiers";

/// What profiles are on a host with these facts, and with that trouble of its engine. `absent` are models that have to be fetched, by the
/// names that profiles give them.
pub fn profiles(
    environments: &[Environment],
    facts: &Facts,
    engine: Option<&Trouble>,
    absent: &BTreeMap<String, AbsentModel>,
) -> Vec<ProfileState> {
    let mut states: Vec<ProfileState> =
        environments.iter().map(|environment| state(environment, facts, engine, absent)).collect();
    states.sort_by(|a, b| a.name.cmp(&b.name));
    states
}

fn state(
    environment: &Environment,
    facts: &Facts,
    engine: Option<&Trouble>,
    absent: &BTreeMap<String, AbsentModel>,
) -> ProfileState {
    let profile = &environment.profile;
    let reasons: Vec<Trouble> = environment
        .lacks(facts)
        .into_iter()
        .map(|lack| Trouble {
            message: lack.message,
            hint: Some(lack.mend.unwrap_or_else(|| ANOTHER_HOST.to_owned())),
        })
        .chain(engine.cloned())
        .collect();
    let fit = match &facts.accelerators {
        Some(accelerators) if profile.requirements.gpus.value > 0 => {
            fit(accelerators, &need(&profile.requirements)).iter().map(|gpu| gpu.index).collect()
        }
        _ => Vec::new(),
    };
    ProfileState {
        name: profile.name.clone(),
        description: profile.description.as_ref().map(|text| text.value.clone()),
        tiers: profile.tiers.value.clone(),
        gpus: profile.requirements.gpus.value,
        memory_bytes: profile.requirements.memory.value,
        needs: needs(environment),
        fit,
        trouble: reasons.first().cloned(),
        reasons,
        absent_models: profile.models.value.iter().filter_map(|name| absent.get(name)).cloned().collect(),
    }
}

fn needs(environment: &Environment) -> Needs {
    let profile = &environment.profile;
    let on: BTreeSet<String> = profile.compose_profiles.value.iter().cloned().collect();
    let images: BTreeSet<String> = environment
        .compose
        .enabled(&on)
        .map(|(_, service)| {
            let named = &service.image.value;
            profile.images.get(named).map_or_else(|| named.clone(), |by| by.value.clone())
        })
        .collect();
    let wanted = &profile.requirements;
    Needs {
        vram_bytes: wanted.vram.as_ref().map(|it| it.value),
        compute_capability: wanted.compute_capability.as_ref().map(|it| it.value.clone()),
        driver: wanted.driver.as_ref().map(|it| it.value.clone()),
        cuda: wanted.cuda.as_ref().map(|it| it.value.clone()),
        disk_bytes: wanted.disk.as_ref().map(|it| it.value),
        architectures: wanted.architectures.as_ref().map(|it| it.value.clone()).unwrap_or_default(),
        images: images.into_iter().collect(),
        models: profile.models.value.clone(),
    }
}
