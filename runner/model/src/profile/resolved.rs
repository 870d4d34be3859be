//! A resolved profile: every value typed, with its origin.

use std::collections::BTreeMap;

use super::combination;
use super::layer::Layer;
use super::schema::KEYS;
use super::{Explained, Origin, ProfileError, Sourced, Value};
use crate::document::toml_text;
use crate::span::{Fault, Place};
use crate::stack::Millis;
use crate::tier::Tier;
use crate::version::Version;

/// An environment, fully decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The profile's name.
    pub name: String,
    /// The layers it stands on, base first, itself last.
    pub chain: Vec<String>,
    /// What it is, in its own words.
    pub description: Option<Sourced<String>>,
    /// Its place among the profiles of a tier.
    pub order: Sourced<u64>,
    /// The compose file; the base layer alone has none.
    pub stack: Option<Sourced<String>>,
    /// Compose files that are merged over it.
    pub stack_layers: Vec<Sourced<String>>,
    /// Compose profiles that are on.
    pub compose_profiles: Sourced<Vec<String>>,
    /// Tiers that it serves, earliest first.
    pub tiers: Sourced<Vec<Tier>>,
    /// Whether its own file has it executed whole.
    pub whole: Option<Sourced<bool>>,
    /// Models that the stack needs.
    pub models: Sourced<Vec<String>>,
    /// Whether the stack may reach out.
    pub egress: Sourced<bool>,
    /// Images to use instead of those that the stack names.
    pub images: BTreeMap<String, Sourced<String>>,
    /// Values of variables in the compose file.
    pub variables: BTreeMap<String, Sourced<String>>,
    /// Environment by service.
    pub environment: BTreeMap<String, BTreeMap<String, Sourced<String>>>,
    /// Limits of services.
    pub limits: StackLimits,
    /// Limits of the container that executes tests.
    pub executor: ExecutorLimits,
    /// Hardening given up, by service.
    pub hardening: BTreeMap<String, Relaxation>,
    /// What the host must have.
    pub requirements: Requirements,
    /// Times.
    pub timeouts: Timeouts,
    values: BTreeMap<Vec<String>, Vec<(Value, Origin)>>,
    texts: BTreeMap<String, String>,
}

/// Limits of services.
#[derive(Clone, Debug, PartialEq)]
pub struct StackLimits {
    /// Bytes, for a service without a value of its own.
    pub memory: Sourced<u64>,
    /// Billionths of a core.
    pub cpus: Sourced<u64>,
    /// Processes.
    pub pids: Sourced<u64>,
    /// Values of single services, over the compose file's.
    pub services: BTreeMap<String, ServiceLimits>,
}

/// Limits of one service, over the compose file's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceLimits {
    /// Bytes.
    pub memory: Option<Sourced<u64>>,
    /// Billionths of a core.
    pub cpus: Option<Sourced<u64>>,
    /// Processes.
    pub pids: Option<Sourced<u64>>,
}

/// Limits of the container that executes tests.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutorLimits {
    /// Bytes.
    pub memory: Sourced<u64>,
    /// Billionths of a core.
    pub cpus: Sourced<u64>,
    /// Processes.
    pub pids: Sourced<u64>,
}

/// Hardening that one service does without.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Relaxation {
    /// User as `uid:gid`.
    pub user: Option<Sourced<String>>,
    /// Whether the root file system is read-only.
    pub read_only: Option<Sourced<bool>>,
    /// Whether privileges may not be gained.
    pub no_new_privileges: Option<Sourced<bool>>,
    /// Capabilities that come back.
    pub cap_add: Option<Sourced<Vec<String>>>,
}

/// What the host must have.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirements {
    /// GPUs.
    pub gpus: Sourced<u64>,
    /// Bytes of memory that each of these GPUs has free.
    pub vram: Option<Sourced<u64>>,
    /// The least compute capability of these GPUs.
    pub compute_capability: Option<Sourced<Version>>,
    /// The least version of the NVIDIA driver.
    pub driver: Option<Sourced<Version>>,
    /// The least CUDA version that the driver serves.
    pub cuda: Option<Sourced<Version>>,
    /// Bytes of memory.
    pub memory: Sourced<u64>,
    /// Bytes that are free on the engine's file system.
    pub disk: Option<Sourced<u64>>,
    /// Processor architectures; none for any.
    pub architectures: Option<Sourced<Vec<String>>>,
}

/// Times, in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeouts {
    /// Until the stack serves.
    pub ready: Sourced<Millis>,
    /// For the teardown.
    pub stop: Sourced<Millis>,
    /// For one case.
    pub case: Sourced<Millis>,
    /// For a suite.
    pub suite: Sourced<Millis>,
}

impl Resolved {
    /// Lays the layers over each other; the last one wins, key by key.
    pub(super) fn of_layers(name: &str, layers: Vec<Layer>) -> Result<Self, ProfileError> {
        let chain: Vec<String> = layers.iter().filter_map(|layer| layer.name.clone()).collect();
        let mut values: BTreeMap<Vec<String>, Vec<(Value, Origin)>> = BTreeMap::new();
        let mut texts = BTreeMap::new();
        for layer in layers {
            for (path, value) in layer.values {
                let is_own = layer.name.as_deref().is_none_or(|layer| combination::is_own(layer, name));
                let key = KEYS.iter().find(|key| key.is(&path));
                if is_own || key.is_some_and(|key| key.inherited) {
                    let below = values.get(&path).and_then(|known| known.last());
                    let value = match below.filter(|_| layer.is_overlay) {
                        Some((before, _)) => Layer::over(&path, before, value),
                        None => value,
                    };
                    values.entry(path).or_default().push(value);
                }
            }
            texts.insert(layer.document.file, layer.document.text);
        }
        let view = View { name, chain: &chain, values: &values };
        Ok(Self {
            name: name.to_owned(),
            description: view.text(&["description"]),
            order: view.need(View::number, &["order"])?,
            stack: view.text(&["stack"]),
            stack_layers: view.each(&["stack_layers"]),
            compose_profiles: view.need(View::texts, &["compose_profiles"])?,
            tiers: view.need(View::tiers, &["tiers"])?,
            whole: view.boolean(&["whole"]),
            models: view.need(View::texts, &["models"])?,
            egress: view.need(View::boolean, &["egress"])?,
            images: view.table(&["images"]),
            variables: view.table(&["variables"]),
            environment: view.names(&["environment"], |service| view.table(&["environment", service])),
            limits: view.limits()?,
            executor: view.executor()?,
            hardening: view.names(&["hardening"], |service| view.relaxation(service)),
            requirements: view.requirements()?,
            timeouts: view.timeouts()?,
            chain,
            values,
            texts,
        })
    }

    /// Whether every case that it can execute is executed in it, also those that an earlier profile of the tier executes: if it
    /// says so, or is a combination of a matrix, for that is what one is for.
    pub fn is_whole(&self) -> bool {
        self.name.contains(combination::PLUS) || self.whole.as_ref().is_some_and(|whole| whole.value)
    }

    /// Every value with its origin, in the order of the schema.
    pub fn explain(&self) -> Vec<Explained> {
        let position = |path: &Vec<String>| KEYS.iter().position(|key| key.is(path));
        let mut paths: Vec<&Vec<String>> = self.values.keys().collect();
        paths.sort_by_key(|path| (position(path), (*path).clone()));
        let explained = |path: &Vec<String>| {
            let mut layers = self.values.get(path)?.iter().rev();
            let (value, origin) = layers.next()?;
            let replaced = layers.map(|(value, origin)| (value.to_string(), origin.clone())).collect();
            let (value, origin) = (value.to_string(), origin.clone());
            Some(Explained { key: key_text(path), value, origin, replaced })
        };
        paths.into_iter().filter_map(explained).collect()
    }

    /// Whether the profile takes part in a tier: whether it serves that tier or an earlier one.
    pub fn serves(&self, tier: Tier) -> bool {
        self.tiers.value.iter().any(|served| *served <= tier)
    }

    /// The values of variables, for reading the compose file.
    pub fn interpolation(&self) -> BTreeMap<String, String> {
        self.variables.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect()
    }

    /// Whether a value was set by this profile's own file or on the command line, rather than inherited. What is
    /// inherited may be meant for the stack of the profile that set it.
    pub fn is_own(&self, origin: &Origin) -> bool {
        match origin {
            Origin::File(place) => {
                let layer = place.file.strip_prefix("envs/").and_then(|file| file.strip_suffix(".toml"));
                layer.is_some_and(|layer| combination::is_own(layer, &self.name))
            }
            Origin::CommandLine => true,
        }
    }

    /// A fault at the origin of a value.
    pub fn fault(&self, origin: &Origin, message: impl Into<String>) -> Fault {
        let place = match origin {
            Origin::File(place) => place.clone(),
            Origin::CommandLine => Place { file: "command line".to_owned(), line: 1, column: 1 },
        };
        let text = self.texts.get(&place.file).map_or("", String::as_str);
        Fault::new(place, text, message)
    }
}

/// The key as it is written in a profile, with quotes where a name needs them.
fn key_text(path: &[String]) -> String {
    let bare = |name: &String| {
        let plain =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if plain { name.clone() } else { toml_text(name) }
    };
    path.iter().map(bare).collect::<Vec<_>>().join(".")
}

/// Typed access to the values that won.
struct View<'v> {
    name: &'v str,
    chain: &'v [String],
    values: &'v BTreeMap<Vec<String>, Vec<(Value, Origin)>>,
}

macro_rules! getters {
    ($($name:ident: $($from:ident)|+ => $type:ty;)+) => {$(
        fn $name(&self, path: &[&str]) -> Option<Sourced<$type>> {
            match self.last(path)? {
                ($(Value::$from(value))|+, origin) => Some(Sourced { value: value.clone(), origin: origin.clone() }),
                _ => None,
            }
        }
    )+};
}

impl View<'_> {
    getters! {
        text: Text => String;
        texts: Texts => Vec<String>;
        number: Count | Size | Cores | Duration => u64;
        boolean: Boolean => bool;
        tiers: Tiers => Vec<Tier>;
        version: Version => Version;
    }

    fn relaxation(&self, service: &str) -> Relaxation {
        Relaxation {
            user: self.text(&["hardening", service, "user"]),
            read_only: self.boolean(&["hardening", service, "read_only"]),
            no_new_privileges: self.boolean(&["hardening", service, "no_new_privileges"]),
            cap_add: self.texts(&["hardening", service, "cap_add"]),
        }
    }

    fn executor(&self) -> Result<ExecutorLimits, ProfileError> {
        Ok(ExecutorLimits {
            memory: self.need(Self::number, &["limits", "executor", "memory"])?,
            cpus: self.need(Self::number, &["limits", "executor", "cpus"])?,
            pids: self.need(Self::number, &["limits", "executor", "pids"])?,
        })
    }

    fn requirements(&self) -> Result<Requirements, ProfileError> {
        Ok(Requirements {
            gpus: self.need(Self::number, &["requirements", "gpus"])?,
            vram: self.number(&["requirements", "vram"]),
            compute_capability: self.version(&["requirements", "compute_capability"]),
            driver: self.version(&["requirements", "driver"]),
            cuda: self.version(&["requirements", "cuda"]),
            memory: self.need(Self::number, &["requirements", "memory"])?,
            disk: self.number(&["requirements", "disk"]),
            architectures: self.texts(&["requirements", "architectures"]),
        })
    }

    fn timeouts(&self) -> Result<Timeouts, ProfileError> {
        Ok(Timeouts {
            ready: self.need(Self::number, &["timeouts", "ready"])?,
            stop: self.need(Self::number, &["timeouts", "stop"])?,
            case: self.need(Self::number, &["timeouts", "case"])?,
            suite: self.need(Self::number, &["timeouts", "suite"])?,
        })
    }

    fn limits(&self) -> Result<StackLimits, ProfileError> {
        Ok(StackLimits {
            memory: self.need(Self::number, &["limits", "memory"])?,
            cpus: self.need(Self::number, &["limits", "cpus"])?,
            pids: self.need(Self::number, &["limits", "pids"])?,
            services: self.names(&["limits", "services"], |service| ServiceLimits {
                memory: self.number(&["limits", "services", service, "memory"]),
                cpus: self.number(&["limits", "services", service, "cpus"]),
                pids: self.number(&["limits", "services", service, "pids"]),
            }),
        })
    }

    /// The texts of a list, each with the origin of the list that first had it.
    fn each(&self, path: &[&str]) -> Vec<Sourced<String>> {
        let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
        let lists = self.values.get(&path).map_or(&[][..], Vec::as_slice);
        let Some((Value::Texts(last), _)) = lists.last() else { return Vec::new() };
        let first_with = |text: &String| {
            let has = |value: &Value| matches!(value, Value::Texts(texts) if texts.contains(text));
            lists.iter().find(|(value, _)| has(value)).map(|(_, origin)| origin.clone())
        };
        last.iter()
            .filter_map(|text| Some(Sourced { value: text.clone(), origin: first_with(text)? }))
            .collect()
    }

    fn last(&self, path: &[&str]) -> Option<&(Value, Origin)> {
        let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
        self.values.get(&path)?.last()
    }

    fn need<T>(
        &self,
        get: fn(&Self, &[&str]) -> Option<Sourced<T>>,
        path: &[&str],
    ) -> Result<Sourced<T>, ProfileError> {
        get(self, path).ok_or_else(|| ProfileError::Incomplete {
            name: self.name.to_owned(),
            key: path.join("."),
            chain: self.chain.to_vec(),
        })
    }

    /// The texts of a table, by name.
    fn table(&self, start: &[&str]) -> BTreeMap<String, Sourced<String>> {
        let text = |name: &str| {
            let path: Vec<&str> = start.iter().copied().chain([name]).collect();
            self.text(&path)
        };
        self.names(start, text).into_iter().filter_map(|(name, text)| Some((name, text?))).collect()
    }

    /// The names that come after `start` in any value's path, each with what `build` makes of it.
    fn names<T>(&self, start: &[&str], build: impl Fn(&str) -> T) -> BTreeMap<String, T> {
        let after = |path: &Vec<String>| {
            let leads = path.len() > start.len() && path.iter().zip(start).all(|(a, b)| a == b);
            leads.then(|| path.get(start.len()).cloned()).flatten()
        };
        let names: std::collections::BTreeSet<String> = self.values.keys().filter_map(after).collect();
        names.into_iter().map(|name| (name.clone(), build(&name))).collect()
    }
}
