//! From a profile and a compose file to a stack in which nothing is left to decide.

use std::collections::{BTreeMap, BTreeSet};

use super::{Environment, Plan, PlanError, equip, harden, requirement};
use crate::compose::ServiceDefinition;
use crate::document::Mark;
use crate::models::Models;
use crate::span::Fault;
use crate::stack::{DeviceReservation, GpuNeed, Limits, Mount, Service, Stack, StackTimeouts};

/// Compose Specification, `stop_grace_period`.
const STOP_GRACE_MS: u64 = 10_000;

/// Where every container may write, in memory.
const TMP: &str = "/tmp";

/// Options of a memory file system for which the compose file names none: everyone may write, as in any `/tmp`.
const TMPFS_OPTIONS: &str = "mode=1777";

/// The stack of an environment. `images` are the lock's references by name.
pub fn plan_stack(
    environment: &Environment,
    images: &BTreeMap<String, String>,
    models: &Models,
) -> Result<Stack, PlanError> {
    let (profile, compose) = (&environment.profile, &environment.compose);
    let enabled: BTreeSet<String> = profile.compose_profiles.value.iter().cloned().collect();
    check_compose_profiles(environment, &enabled)?;
    let models = equip::of_profile(profile, models)?;
    let mut services = BTreeMap::new();
    for (name, definition) in compose.enabled(&enabled) {
        let mut service = service(environment, name, definition, images)?;
        service.mounts = equip::mounts(&service.mounts, &models);
        services.insert(name.clone(), service);
    }
    let Some(ready) = compose.ready.clone() else {
        let fault = compose.fault(Mark::START, "the stack does not say when it serves");
        return Err(fault
            .with_hint("add `x-testbed: {ready: {chat: {service: NAME, port: 8000, model: NAME}}}`")
            .into());
    };
    if !services.contains_key(&ready.service) {
        let message =
            format!("`x-testbed.ready` asks `{}`, which takes no part in this profile", ready.service);
        let hint = format!("turn it on by `compose_profiles` in envs/{}.toml", profile.name);
        return Err(compose.fault(Mark::START, message).with_hint(hint).into());
    }
    let used = |mount: &Mount| match mount {
        Mount::Volume { volume, .. } => Some(volume.clone()),
        Mount::Bind { .. } | Mount::Model { .. } => None,
    };
    let volumes = services.values().flat_map(|service| service.mounts.iter().filter_map(used)).collect();
    check_gpus(environment, &services)?;
    let services_reserve =
        services.values().any(|service| service.devices.iter().any(DeviceReservation::is_of_gpus));
    let mut facts = compose.facts.clone();
    facts.insert("profile".to_owned(), profile.name.clone());
    Ok(Stack {
        profile: profile.name.clone(),
        source: compose.file.clone(),
        services,
        volumes,
        ready,
        facts,
        timeouts: StackTimeouts {
            ready_ms: profile.timeouts.ready.value,
            stop_ms: profile.timeouts.stop.value,
        },
        egress: profile.egress.value,
        gpu_need: services_reserve.then(|| {
            let need = requirement::need(&profile.requirements);
            let compute_capability = need.compute_capability.map(|least| least.to_string());
            GpuNeed { vram_bytes: need.vram_bytes, compute_capability }
        }),
    })
}

/// A host that has what the profile requires must have what its services reserve.
fn check_gpus(environment: &Environment, services: &BTreeMap<String, Service>) -> Result<(), Fault> {
    let (profile, required) = (&environment.profile, &environment.profile.requirements.gpus);
    let reserved: u64 = services.values().filter_map(Service::gpus).sum();
    if reserved <= required.value {
        return Ok(());
    }
    let message = format!(
        "the services of `{}` reserve {reserved} GPUs, and `requirements.gpus` is {}",
        environment.compose.file, required.value
    );
    let fault = profile.fault(&required.origin, message);
    Err(fault.with_hint(format!("set `gpus = {reserved}` under `[requirements]` of `{}`", profile.name)))
}

/// Where a machine keeps what containers mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The configuration's root, an absolute path.
    pub root: String,
    /// The folder of each model, by its name.
    pub models: BTreeMap<String, String>,
}

/// What this machine executes of a plan: bind mounts of where it keeps things, and no container with more cores than there
/// are, which the daemon would refuse. The plan itself stays equal on all machines.
#[must_use]
pub fn placed(plan: &Plan, places: &Places, cores: u32) -> Plan {
    let mut plan = plan.clone();
    plan.stacks = plan.stacks.iter().map(|stack| placed_stack(stack, places, cores)).collect();
    for lane in &mut plan.lanes {
        lane.limits = capped(lane.limits, cores);
        lane.mounts.iter_mut().for_each(|mount| place(mount, places));
    }
    plan
}

/// The same for a single stack.
#[must_use]
pub fn placed_stack(stack: &Stack, places: &Places, cores: u32) -> Stack {
    let mut stack = rooted(stack, places);
    for service in stack.services.values_mut() {
        service.limits = capped(service.limits, cores);
    }
    stack
}

/// The same stack with everything that it mounts where this machine keeps it.
#[must_use]
pub fn rooted(stack: &Stack, places: &Places) -> Stack {
    let mut stack = stack.clone();
    let mounts = stack.services.values_mut().flat_map(|service| service.mounts.iter_mut());
    mounts.for_each(|mount| place(mount, places));
    stack
}

fn place(mount: &mut Mount, places: &Places) {
    match mount {
        Mount::Bind { source, .. } if !source.starts_with('/') => {
            *source = format!("{}/{source}", places.root.trim_end_matches('/'));
        }
        Mount::Model { model, target } => {
            if let Some(source) = places.models.get(model) {
                *mount =
                    Mount::Bind { source: source.clone(), target: std::mem::take(target), read_only: true };
            }
        }
        Mount::Bind { .. } | Mount::Volume { .. } => {}
    }
}

/// Zero cores is a host that did not say how many it has.
fn capped(limits: Limits, cores: u32) -> Limits {
    let most = if cores == 0 { u64::MAX } else { u64::from(cores) * 1_000_000_000 };
    Limits { nano_cpus: limits.nano_cpus.min(most), ..limits }
}

/// Every name in `compose_profiles` of the profile's own file belongs to some service.
fn check_compose_profiles(environment: &Environment, enabled: &BTreeSet<String>) -> Result<(), Fault> {
    let (profile, compose) = (&environment.profile, &environment.compose);
    let known: BTreeSet<&str> =
        compose.services.values().flat_map(|service| service.profiles.iter().map(String::as_str)).collect();
    let origin = &profile.compose_profiles.origin;
    match enabled.iter().find(|name| !known.contains(name.as_str())) {
        Some(name) if profile.is_own(origin) => {
            let message =
                format!("`compose_profiles` names `{name}`, which no service of `{}` has", compose.file);
            Err(profile.fault(origin, message).with_nearest(name, known))
        }
        _ => Ok(()),
    }
}

fn service(
    environment: &Environment,
    name: &str,
    definition: &ServiceDefinition,
    images: &BTreeMap<String, String>,
) -> Result<Service, PlanError> {
    let (image, image_reference) = image(environment, definition, images)?;
    let hardening = harden::apply(environment, name, definition)?;
    let mut variables = definition.environment.clone();
    for (variable, value) in environment.profile.environment.get(name).into_iter().flatten() {
        variables.insert(variable.clone(), value.value.clone());
    }
    Ok(Service {
        name: name.to_owned(),
        image,
        image_reference,
        entrypoint: definition.entrypoint.clone(),
        command: definition.command.clone(),
        environment: variables,
        working_dir: definition.working_dir.clone(),
        user: hardening.user,
        mounts: definition.mounts.clone(),
        tmpfs: tmpfs(definition),
        depends_on: definition.depends_on.iter().map(|(name, on)| (name.clone(), on.value)).collect(),
        healthcheck: definition.healthcheck.clone(),
        probe: definition.probe.clone(),
        limits: limits(environment, name, definition),
        devices: definition.devices.clone(),
        cpu_shares: definition.cpu_shares,
        shm_size: definition.shm_size,
        ulimits: definition.ulimits.clone(),
        cap_add: hardening.cap_add,
        cap_drop: hardening.cap_drop,
        read_only: hardening.read_only,
        no_new_privileges: hardening.no_new_privileges,
        init: definition.init,
        labels: definition.labels.clone(),
        aliases: definition.aliases.clone(),
        stop_grace_ms: definition.stop_grace_ms.unwrap_or(STOP_GRACE_MS),
    })
}

/// The image's name after the profile's choice, and its reference in the lock.
fn image(
    environment: &Environment,
    definition: &ServiceDefinition,
    images: &BTreeMap<String, String>,
) -> Result<(String, String), Fault> {
    let written = &definition.image;
    let replaced = environment.profile.images.get(&written.value);
    let name = replaced.map_or(&written.value, |by| &by.value);
    if let Some(reference) = images.get(name) {
        return Ok((name.clone(), reference.clone()));
    }
    let message = format!("the image `{name}` is not in images/images.lock.json");
    let fault = match replaced {
        Some(by) => environment.profile.fault(&by.origin, message),
        None => environment.compose.fault(written.mark, message),
    };
    Err(fault.with_nearest(name, images.keys().map(String::as_str)))
}

/// One service's own limits in the profile win over the compose file's, which win over the profile's for all.
fn limits(environment: &Environment, name: &str, definition: &ServiceDefinition) -> Limits {
    let all = &environment.profile.limits;
    let own = all.services.get(name);
    let (memory, cpus, pids) =
        own.map_or((None, None, None), |own| (own.memory.as_ref(), own.cpus.as_ref(), own.pids.as_ref()));
    let asked = definition.limits;
    Limits {
        memory_bytes: memory.map(|own| own.value).or(asked.memory_bytes).unwrap_or(all.memory.value),
        nano_cpus: cpus.map(|own| own.value).or(asked.nano_cpus).unwrap_or(all.cpus.value),
        pids: pids.map(|own| own.value).or(asked.pids).unwrap_or(all.pids.value),
    }
}

/// The file's memory file systems, and `/tmp` unless something is mounted there.
fn tmpfs(definition: &ServiceDefinition) -> BTreeMap<String, String> {
    let mut tmpfs: BTreeMap<String, String> = definition
        .tmpfs
        .iter()
        .map(|(path, options)| {
            let options = if options.is_empty() { TMPFS_OPTIONS } else { options.as_str() };
            (path.clone(), options.to_owned())
        })
        .collect();
    let taken = definition.mounts.iter().any(|mount| match mount {
        Mount::Bind { target, .. } | Mount::Model { target, .. } | Mount::Volume { target, .. } => {
            target == TMP
        }
    });
    if !taken {
        tmpfs.entry(TMP.to_owned()).or_insert_with(|| TMPFS_OPTIONS.to_owned());
    }
    tmpfs
}
