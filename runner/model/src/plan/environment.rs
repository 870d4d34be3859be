//! Environments to choose from: resolved profiles, each with the stack that it names.

use std::collections::{BTreeMap, BTreeSet};

use super::PlanError;
use super::requirement::{self, Lack};
use crate::compose::{self, ComposeFile, Marked, ServiceDefinition};
use crate::facts::Facts;
use crate::profile::{Resolved, Sourced};
use crate::selection::{CasePattern, Expression};
use crate::shard::Shard;

/// What the command line narrows a tier to. Empty means everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Profiles, by `--profile`.
    pub profiles: Vec<String>,
    /// Suites, by `--suite`.
    pub suites: Vec<String>,
    /// Cases by their markers, by `-m`.
    pub markers: Option<Expression>,
    /// Cases by parts of their names, by `-k`.
    pub keyword: Option<Expression>,
    /// Cases by their ids, by `--case`.
    pub cases: Vec<CasePattern>,
    /// Lanes of the project file, by `--lane`.
    pub lanes: Vec<String>,
    /// One share of all cases, by `--shard`.
    pub shard: Option<Shard>,
}

impl Choice {
    /// The flag that chooses among cases, if one is given.
    pub fn asks_cases(&self) -> Option<&'static str> {
        let flags = [
            ("-m", self.markers.is_some()),
            ("-k", self.keyword.is_some()),
            ("--case", !self.cases.is_empty()),
        ];
        flags.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }
}

/// A profile with its stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    /// The profile.
    pub profile: Resolved,
    /// Its stack, as written.
    pub compose: ComposeFile,
}

impl Environment {
    /// Reads the compose files that the profile names, with the profile's variables, and checks that all fit: what the profile itself
    /// says of services, images and variables must exist in its stack. `texts` are the compose files by their paths.
    pub fn new(profile: Resolved, texts: &BTreeMap<String, String>) -> Result<Self, PlanError> {
        let Some(stack) = &profile.stack else {
            return Err(PlanError::NoStack { profile: profile.name });
        };
        let text = |file: &Sourced<String>| {
            let found = texts.get_key_value(&file.value).map(|(file, text)| compose::Text { file, text });
            found.ok_or_else(|| {
                let fault = profile.fault(&file.origin, format!("there is no stack `{}`", file.value));
                fault.with_nearest(&file.value, texts.keys().map(String::as_str))
            })
        };
        let layers = profile.stack_layers.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        let compose = compose::parse_layers(text(stack)?, &layers, &profile.interpolation())?;
        let environment = Self { profile, compose };
        environment.check_names()?;
        Ok(environment)
    }

    /// Why the profile cannot run on a host with these facts, the most important reason first; none when it can.
    pub fn unmet(&self, facts: &Facts) -> Option<String> {
        let lacks: Vec<String> = self.lacks(facts).into_iter().map(|lack| lack.message).collect();
        (!lacks.is_empty()).then(|| lacks.join("; "))
    }

    /// All that the profile needs and a host with these facts lacks.
    pub fn lacks(&self, facts: &Facts) -> Vec<Lack> {
        let mut lacks = requirement::lacks(&self.profile.requirements, facts);
        lacks.extend(self.unknown_gpus(facts));
        lacks
    }

    /// GPUs that services name and the host does not have.
    fn unknown_gpus(&self, facts: &Facts) -> Vec<Lack> {
        let gpus = facts.accelerators.as_ref().map(|all| all.gpus.as_slice()).filter(|gpus| !gpus.is_empty());
        // Where there are none, that is told already.
        let Some(gpus) = gpus else { return Vec::new() };
        let on: BTreeSet<String> = self.profile.compose_profiles.value.iter().cloned().collect();
        let named = self
            .compose
            .enabled(&on)
            .flat_map(|(service, definition)| definition.named_gpus.iter().map(move |id| (service, id)));
        let unknown = named.filter(|(_, id)| !gpus.iter().any(|gpu| gpu.is_named(&id.value)));
        let lack = |(service, id): (&String, &Marked<String>)| {
            let place = self.compose.fault(id.mark, "").place;
            let indices: Vec<String> = gpus.iter().map(|gpu| gpu.index.to_string()).collect();
            let (id, has) = (&id.value, indices.join(", "));
            Lack {
                message: format!("{place}: `{service}` names the GPU `{id}`, and this host has {has}"),
                mend: Some("name GPUs by their index or UUID as `nvidia-smi -L` lists them".to_owned()),
            }
        };
        unknown.map(lack).collect()
    }

    /// A name that the profile's own file gets wrong would silently have no effect. Inherited names are left alone,
    /// for they may be meant for the stack of the profile that they come from.
    fn check_names(&self) -> Result<(), PlanError> {
        let profile = &self.profile;
        let limits = profile.limits.services.iter().flat_map(|(service, limits)| {
            let origins = [&limits.memory, &limits.cpus, &limits.pids].into_iter().flatten();
            origins.map(move |value| (service, &value.origin, "limits.services"))
        });
        let relaxed = profile.hardening.iter().flat_map(|(service, relaxed)| {
            let origins = [
                relaxed.user.as_ref().map(|value| &value.origin),
                relaxed.read_only.as_ref().map(|value| &value.origin),
                relaxed.no_new_privileges.as_ref().map(|value| &value.origin),
                relaxed.cap_add.as_ref().map(|value| &value.origin),
            ];
            origins.into_iter().flatten().map(move |origin| (service, origin, "hardening"))
        });
        let environment = profile.environment.iter().flat_map(|(service, variables)| {
            variables.values().map(move |value| (service, &value.origin, "environment"))
        });
        for (service, origin, table) in limits.chain(relaxed).chain(environment) {
            if profile.is_own(origin) && !self.compose.services.contains_key(service) {
                let message =
                    format!("`{table}` names the service `{service}`, which `{}` does not have", self.file());
                let known = self.compose.services.keys().map(String::as_str);
                return Err(profile.fault(origin, message).with_nearest(service, known).into());
            }
        }
        for (image, by) in &profile.images {
            let used = |service: &ServiceDefinition| service.image.value == *image;
            if profile.is_own(&by.origin) && !self.compose.services.values().any(used) {
                let message = format!("`images` names `{image}`, which no service of `{}` uses", self.file());
                let known = self.compose.services.values().map(|service| service.image.value.as_str());
                return Err(profile.fault(&by.origin, message).with_nearest(image, known).into());
            }
        }
        for (name, value) in &profile.variables {
            if profile.is_own(&value.origin) && !self.compose.variables.contains(name) {
                let message = format!("`variables` sets `{name}`, which `{}` does not mention", self.file());
                let known = self.compose.variables.iter().map(String::as_str);
                let fault = profile.fault(&value.origin, message).with_hint("leave it out");
                return Err(fault.with_nearest(name, known).into());
            }
        }
        Ok(())
    }

    fn file(&self) -> &str {
        &self.compose.file
    }
}
