//! A world to plan in, and what is true of plans in it.

pub(crate) mod cases;
mod choice;
mod lanes;
mod properties;
mod stacks;

use std::collections::{BTreeMap, BTreeSet};

use super::{Choice, Environment, Inputs, Plan, PlanError, plan};
use crate::budget::Durations;
use crate::catalog::Catalog;
use crate::changes::Impact;
use crate::facts::Facts;
use crate::hint::Hint as _;
use crate::profile::{self, Resolved};
use crate::project::{self, Project, Vocabulary};
use crate::tier::Tier;

const TODAY: jiff::civil::Date = jiff::civil::date(2026, 11, 21);

const PROFILES: [(&str, &str); 6] = [
    ("default", include_str!("../../../../envs/default.toml")),
    ("mocker", include_str!("../../../../envs/mocker.toml")),
    ("mocker-disagg", include_str!("../../../../envs/mocker-disagg.toml")),
    ("mocker-file", include_str!("../../../../envs/mocker-file.toml")),
    ("mocker-sglang", include_str!("../../../../envs/mocker-sglang.toml")),
    ("mocker-trtllm", include_str!("../../../../envs/mocker-trtllm.toml")),
];

const STACKS: [(&str, &str); 3] = [
    ("compose/mocker.yaml", include_str!("../../../../compose/mocker.yaml")),
    ("compose/mocker-disagg.yaml", include_str!("../../../../compose/mocker-disagg.yaml")),
    ("compose/mocker-file.yaml", include_str!("../../../../compose/mocker-file.yaml")),
];

const PROJECT: &str = r#"
project.name = "dynamo"

[[suite]]
name = "e2e"
kind = "pytest"
type = "e2e"
paths = ["suites/e2e"]
profiles = ["mocker*"]

[[suite]]
name = "rust"
kind = "cargo"
expression = "not binary(daemon)"

[[suite]]
name = "integration"
kind = "pytest"
type = "integration"
paths = ["suites/integration"]
profiles = ["mocker*"]
expression = "not slow"
timeouts = { case = "10s" }

[[suite]]
name = "python"
kind = "pytest"
type = "unit"
paths = ["suites/unit"]
workers = 2

[[suite]]
name = "soak"
kind = "pytest"
type = "stress"
paths = ["suites/soak"]
profiles = ["mocker"]

[[suite]]
name = "lint"
kind = "pre-commit"
"#;

/// A world to plan in; tests change what they are about.
struct World {
    profiles: BTreeMap<String, String>,
    stacks: BTreeMap<String, String>,
    project: String,
    facts: Facts,
    images: BTreeMap<String, String>,
    catalog: Catalog,
    vocabulary: Vocabulary,
    impact: Option<Impact>,
    durations: Durations,
}

impl World {
    fn new() -> Self {
        let owned = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        let mut profiles = owned(&PROFILES);
        // The real ones serve premerge; here two of them come later, so that tiers have something to tell apart.
        for name in ["mocker-sglang", "mocker-trtllm"] {
            if let Some(text) = profiles.get_mut(name) {
                *text = text.replace("\"premerge\"", "\"postmerge\"");
            }
        }
        Self {
            profiles,
            stacks: owned(&STACKS),
            project: PROJECT.to_owned(),
            facts: Facts { cores: 2, memory_bytes: 24 << 30, ..Facts::default() },
            images: ["nats", "etcd", "dynamo", "tests"]
                .map(|name| (name.to_owned(), format!("testbed/{name}:0123456789ab")))
                .into(),
            catalog: Catalog::default(),
            vocabulary: Vocabulary::default(),
            impact: None,
            durations: Durations::default(),
        }
    }

    fn profile(mut self, name: &str, text: &str) -> Self {
        self.profiles.insert(name.to_owned(), text.to_owned());
        self
    }

    fn stack(mut self, file: &str, text: &str) -> Self {
        self.stacks.insert(file.to_owned(), text.to_owned());
        self
    }

    fn resolve(&self, name: &str) -> Result<Resolved, PlanError> {
        Ok(profile::resolve(name, &self.profiles, &[])?)
    }

    fn environment(&self, name: &str) -> Result<Environment, PlanError> {
        Environment::new(self.resolve(name)?, &self.stacks)
    }

    fn environments(&self) -> Result<Vec<Environment>, PlanError> {
        profile::names(&self.profiles).iter().map(|name| self.environment(name)).collect()
    }

    fn plan(&self, tier: Tier, profiles: &[&str], suites: &[&str]) -> Result<Plan, PlanError> {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let choice = Choice { profiles: own(profiles), suites: own(suites), ..Choice::default() };
        self.with_inputs(tier, &choice, plan)
    }

    fn with_inputs<T>(
        &self,
        tier: Tier,
        choice: &Choice,
        ask: impl FnOnce(&Inputs<'_>) -> Result<T, PlanError>,
    ) -> Result<T, PlanError> {
        Stage::of(self)?.ask(self, tier, choice, ask)
    }

    /// What a premerge plan is refused for.
    fn refusal(&self) -> String {
        shown(&self.plan(Tier::Premerge, &[], &[]).unwrap_err())
    }
}

/// What a world's texts amount to; reading them takes longer than planning, so who plans often reads once.
struct Stage {
    project: Project,
    base: Resolved,
    environments: Vec<Environment>,
    profiles: BTreeSet<String>,
}

impl Stage {
    fn of(world: &World) -> Result<Self, PlanError> {
        Ok(Self {
            project: project::parse("testbed.toml", &world.project).unwrap(),
            base: world.resolve("default")?,
            environments: world.environments()?,
            profiles: profile::names(&world.profiles).into_iter().collect(),
        })
    }

    fn ask<T>(
        &self,
        world: &World,
        tier: Tier,
        choice: &Choice,
        ask: impl FnOnce(&Inputs<'_>) -> Result<T, PlanError>,
    ) -> Result<T, PlanError> {
        ask(&Inputs {
            tier,
            project: &self.project,
            base: &self.base,
            environments: &self.environments,
            profiles: &self.profiles,
            images: &world.images,
            facts: &world.facts,
            choice,
            catalog: &world.catalog,
            vocabulary: &world.vocabulary,
            today: TODAY,
            impact: world.impact.as_ref(),
            durations: &world.durations,
        })
    }
}

/// A plan of this repository's own premerge, for whoever needs a real one.
pub(crate) fn premerge() -> Plan {
    World::new().plan(Tier::Premerge, &[], &[]).unwrap()
}

fn shown(error: &PlanError) -> String {
    let excerpt = error.rendered().map(|text| format!("\n{text}")).unwrap_or_default();
    let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    format!("{error}{excerpt}{hint}")
}

fn lanes(plan: &Plan) -> Vec<String> {
    plan.lanes.iter().map(|lane| lane.id.to_string()).collect()
}

fn skips(plan: &Plan) -> Vec<String> {
    plan.skipped.iter().map(|skip| format!("{}: {}", skip.lane, skip.reason)).collect()
}
