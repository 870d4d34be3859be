//! Every key that a profile can have, as one table.

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Text that is not empty.
    Name,
    /// Text or a number, as text.
    Variable,
    /// A path below the configuration's root.
    Path,
    /// A list of paths below the configuration's root, none twice.
    Paths,
    /// `uid:gid`.
    User,
    /// A list of names, none twice.
    Names,
    /// A list of capabilities.
    Capabilities,
    /// A whole number.
    Count,
    /// A number of processes, at least 1.
    Pids,
    /// A truth value.
    Boolean,
    /// A size such as `512MiB`.
    Size,
    /// A container's memory: a size that the daemon accepts.
    Memory,
    /// Processor cores.
    Cores,
    /// A duration such as `30s`.
    Duration,
    /// A list of tiers.
    Tiers,
    /// A version such as `12.8`.
    Version,
    /// A list of processor architectures.
    Architectures,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Path of names; `*` is any name.
    pub path: &'static [&'static str],
    /// What it takes.
    pub kind: Kind,
    /// Whether a profile takes the value over from what it extends.
    pub inherited: bool,
    /// What it means.
    pub meaning: &'static str,
}

const fn key(path: &'static [&'static str], kind: Kind, meaning: &'static str) -> Key {
    Key { path, kind, inherited: true, meaning }
}

const fn own(path: &'static [&'static str], kind: Kind, meaning: &'static str) -> Key {
    Key { path, kind, inherited: false, meaning }
}

/// Every key, in the order in which `--explain` shows them.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    own(&["description"], Kind::Text, "what the profile is, in one sentence"),
    own(&["extends"], Kind::Name, "the profile whose values hold where this one says nothing; `default` without it"),
    key(&["order"], Kind::Count, "place among the profiles of a tier; the lowest that can run here is the default"),
    key(&["stack"], Kind::Path, "compose file, relative to the configuration's root"),
    key(&["stack_layers"], Kind::Paths, "compose files that are merged over the stack's, in this order, as `docker compose -f A -f B` does"),
    key(&["compose_profiles"], Kind::Names, "Compose profiles that are on: services that name one of them take part"),
    key(&["tiers"], Kind::Tiers, "tiers that the profile serves; a later tier holds all earlier ones"),
    own(&["whole"], Kind::Boolean, "whether it executes every case that it can, and not only those that no earlier profile of the tier executes"),
    key(&["models"], Kind::Names, "models that the stack needs"),
    key(&["egress"], Kind::Boolean, "whether containers may reach addresses outside of the stack"),
    own(&["axes", "*"], Kind::Names, "overlays of which each in turn takes part: the profile stands for all combinations of its axes"),
    key(&["images", "*"], Kind::Name, "image of the lock to use where the stack names another"),
    key(&["variables", "*"], Kind::Variable, "value of `${NAME}` in the compose file"),
    key(&["environment", "*", "*"], Kind::Variable, "environment of a service, over the compose file's"),
    key(&["limits", "memory"], Kind::Memory, "memory of a service for which the compose file sets none"),
    key(&["limits", "cpus"], Kind::Cores, "processor cores of a service for which the compose file sets none"),
    key(&["limits", "pids"], Kind::Pids, "processes and threads of a service for which the compose file sets none"),
    key(&["limits", "executor", "memory"], Kind::Memory, "memory of the container that executes tests"),
    key(&["limits", "executor", "cpus"], Kind::Cores, "processor cores of the container that executes tests"),
    key(&["limits", "executor", "pids"], Kind::Pids, "processes and threads of the container that executes tests"),
    key(&["limits", "services", "*", "memory"], Kind::Memory, "memory of one service, over the compose file's"),
    key(&["limits", "services", "*", "cpus"], Kind::Cores, "processor cores of one service, over the compose file's"),
    key(&["limits", "services", "*", "pids"], Kind::Pids, "processes of one service, over the compose file's"),
    key(&["hardening", "*", "user"], Kind::User, "user of one service; the only way to have root"),
    key(&["hardening", "*", "read_only"], Kind::Boolean, "whether the root file system of one service is read-only"),
    key(&["hardening", "*", "no_new_privileges"], Kind::Boolean, "whether one service may not gain privileges"),
    key(&["hardening", "*", "cap_add"], Kind::Capabilities, "capabilities that one service gets back"),
    key(&["requirements", "gpus"], Kind::Count, "GPUs that the host must have"),
    key(&["requirements", "vram"], Kind::Size, "memory that each of these GPUs must have free; a 64th less will do, for drivers keep some of what a card is sold with"),
    key(&["requirements", "compute_capability"], Kind::Version, "least compute capability of these GPUs"),
    key(&["requirements", "driver"], Kind::Version, "least version of the NVIDIA driver"),
    key(&["requirements", "cuda"], Kind::Version, "least CUDA version that the driver must serve"),
    key(&["requirements", "memory"], Kind::Size, "memory that the host must have"),
    key(&["requirements", "disk"], Kind::Size, "free room that the engine's file system must have"),
    key(&["requirements", "architectures"], Kind::Architectures, "processor architectures that the images exist for; any without it"),
    key(&["timeouts", "ready"], Kind::Duration, "from the first request to the daemon until the stack serves"),
    key(&["timeouts", "stop"], Kind::Duration, "for the teardown of the whole stack"),
    key(&["timeouts", "case"], Kind::Duration, "for one case"),
    key(&["timeouts", "suite"], Kind::Duration, "for all cases of a suite in this profile"),
];

impl Key {
    /// Whether the key's path is this one.
    pub fn is(&self, path: &[String]) -> bool {
        self.path.len() == path.len() && self.leads_to(path)
    }

    /// Whether the key's path starts with this one.
    pub fn leads_to(&self, start: &[String]) -> bool {
        self.path.len() >= start.len()
            && self.path.iter().zip(start).all(|(pattern, name)| *pattern == "*" || pattern == name)
    }
}

/// The names that may come next after `start`, where names are fixed.
pub fn names_after(start: &[String]) -> Vec<&'static str> {
    let mut names: Vec<&str> = KEYS
        .iter()
        .filter(|key| key.leads_to(start))
        .filter_map(|key| key.path.get(start.len()).copied())
        .filter(|name| *name != "*")
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
