//! Inventories are read strictly: what is not in the table of keys is an error with its place.

use super::schema::names_of;
use super::{DaemonPart, Gpus, HostPart, Inventory, InventoryError};
use crate::document::{Fields, Item, from_toml, from_yaml};
use crate::facts::{Disk, ProcessLimits};
use crate::gpu::{Accelerators, Ecc, Gpu, GpuProcess, MigDevice, Source};
use crate::profile::ARCHITECTURES;
use crate::span::Fault;
use crate::version::Version;

/// The most GPUs that a file can stand for.
const MOST_GPUS: usize = 1024;

/// Container engines that there are.
const ENGINES: [(&str, &str); 2] = [("Docker", "Docker"), ("Podman", "Podman")];

/// Reads an inventory: JSON where the file's name ends so, TOML otherwise.
pub fn parse(file: &str, text: &str) -> Result<Inventory, InventoryError> {
    let is_json = file.rsplit('.').next().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    // JSON is YAML, whose reader knows where things stand.
    let document = if is_json { from_yaml(file, text)? } else { from_toml(file, text)? };
    let mut root = document.item().fields()?;
    let mut keys = Vec::new();
    for (name, item) in document.item().fields()?.take_rest() {
        match item.fields() {
            Ok(mut fields) => {
                keys.extend(fields.take_rest().into_iter().map(|(key, _)| format!("{name}.{key}")));
            }
            Err(_) => keys.push(name.to_owned()),
        }
    }
    let inventory = Inventory {
        file: file.to_owned(),
        keys,
        host: root.take("host").map(|item| host(&item)).transpose()?.unwrap_or_default(),
        daemon: root.take("daemon").map(|item| daemon(&item)).transpose()?.unwrap_or_default(),
        gpus: accelerators(&mut root)?,
    };
    root.finish(&names_of(&[]))?;
    if inventory.keys.is_empty() {
        let fault = document.item().fault("says nothing of a host");
        return Err(fault.with_hint("`testbed schema facts --reference` says what it can hold").into());
    }
    Ok(inventory)
}

fn host(item: &Item<'_>) -> Result<HostPart, Fault> {
    let mut fields = item.fields()?;
    let part = HostPart {
        cores: take(&mut fields, "cores", number)?,
        memory: take(&mut fields, "memory", Item::bytes)?,
        architecture: take(&mut fields, "architecture", architecture)?,
        kernel: take(&mut fields, "kernel", name)?,
        shm: take(&mut fields, "shm", Item::bytes)?,
        clock_synchronised: take(&mut fields, "clock_synchronised", Item::boolean)?,
        disk: take(&mut fields, "disk", |item| disk(item, &["host", "disk"]))?,
        limits: take(&mut fields, "limits", limits)?,
    };
    fields.finish(&names_of(&["host"]))?;
    Ok(part)
}

fn daemon(item: &Item<'_>) -> Result<DaemonPart, Fault> {
    let mut fields = item.fields()?;
    let part = DaemonPart {
        name: take(&mut fields, "name", |item| Ok(item.word(&ENGINES)?.to_owned()))?,
        version: take(&mut fields, "version", name)?,
        api_version: take(&mut fields, "api_version", name)?,
        storage_driver: take(&mut fields, "storage_driver", name)?,
        cgroup_version: take(&mut fields, "cgroup_version", name)?,
        runtimes: take(&mut fields, "runtimes", names)?,
        default_runtime: take(&mut fields, "default_runtime", name)?,
        cdi_devices: take(&mut fields, "cdi_devices", cdi_devices)?,
        cdi_spec_dirs: take(&mut fields, "cdi_spec_dirs", names)?,
        gpu_hook: take(&mut fields, "gpu_hook", Item::boolean)?,
        address_ranges: take(&mut fields, "address_ranges", names)?,
        disk: take(&mut fields, "disk", |item| disk(item, &["daemon", "disk"]))?,
    };
    fields.finish(&names_of(&["daemon"]))?;
    Ok(part)
}

/// The GPUs and their driver: none where the file does not speak of them, and a host without a driver where it has an empty list.
fn accelerators(root: &mut Fields<'_>) -> Result<Gpus, Fault> {
    let driver = root.take("driver");
    let Some(list) = root.take("gpu") else {
        return match driver {
            Some(driver) => Ok(Gpus::These(of_driver(&driver, Vec::new())?)),
            None => Ok(Gpus::Here),
        };
    };
    let mut found = Vec::new();
    for item in list.items()? {
        gpu(&item, &mut found)?;
    }
    match driver {
        Some(driver) => Ok(Gpus::These(of_driver(&driver, found)?)),
        None if found.is_empty() => Ok(Gpus::NoDriver),
        None => Err(list
            .fault_at_key("GPUs are of no use without the table `driver`")
            .with_hint("write `[driver]` with `version` and `cuda`")),
    }
}

fn of_driver(item: &Item<'_>, gpus: Vec<Gpu>) -> Result<Accelerators, Fault> {
    let mut fields = item.fields()?;
    let driver = version(&fields.require("version")?)?;
    let cuda = version(&fields.require("cuda")?)?;
    fields.finish(&names_of(&["driver"]))?;
    Ok(Accelerators { source: Source::Simulated, driver, cuda, gpus })
}

/// One entry, which may stand for several GPUs.
fn gpu(item: &Item<'_>, found: &mut Vec<Gpu>) -> Result<(), Fault> {
    let mut fields = item.fields()?;
    let count = match fields.take("count") {
        None => 1,
        Some(item) => match item.integer::<usize>()? {
            0 => return Err(item.fault("must be at least 1")),
            count if count > MOST_GPUS => return Err(item.fault(format!("must be at most {MOST_GPUS}"))),
            count => count,
        },
    };
    let total = found.len() + count;
    if total > MOST_GPUS {
        return Err(item.fault(format!("makes more than {MOST_GPUS} GPUs")));
    }
    let (name, memory) = (name(&fields.require("name")?)?, fields.require("memory")?.bytes()?);
    let compute_capability = capability(&fields.require("compute_capability")?)?;
    let identity = fields.take("uuid");
    if let Some(item) = identity.as_ref().filter(|_| count > 1) {
        return Err(item
            .fault("cannot be that of several GPUs")
            .with_hint("leave it out, or write an entry for each"));
    }
    let identity = identity.map(|item| item.full_text()).transpose()?;
    let ecc = ecc(&mut fields)?;
    let xids = match fields.take("xids") {
        Some(item) => item.items()?.iter().map(Item::integer).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let parts = list(&mut fields, "mig", part)?;
    let mode = fields.take("mig_mode");
    let divided = mode.as_ref().map(Item::boolean).transpose()?.unwrap_or(!parts.is_empty());
    if let Some(item) = mode.filter(|_| !divided && !parts.is_empty()) {
        return Err(item.fault("cannot be off where there are parts").with_hint("leave it or `mig` out"));
    }
    let processes = list(&mut fields, "process", process)?;
    let held = processes.iter().filter_map(|process| process.memory_bytes).fold(0_u64, u64::saturating_add);
    let used = fields.take("used");
    let used_bytes = used.as_ref().map(Item::bytes).transpose()?.unwrap_or(held);
    if used_bytes > memory {
        let item = used.as_ref().unwrap_or(item);
        return Err(item.fault("uses more memory than there is").with_hint("write `used` below `memory`"));
    }
    fields.finish(&names_of(&["gpu", "[]"]))?;
    for index in found.len()..total {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let mig =
            divided.then(|| parts.iter().zip(0..).map(|(part, slot)| part.of_gpu(index, slot)).collect());
        found.push(Gpu {
            index,
            uuid: identity.map_or_else(|| made("GPU", index, 0), str::to_owned),
            name: name.clone(),
            bus: None,
            memory_bytes: memory,
            used_bytes,
            compute_capability,
            mig,
            ecc,
            xids: xids.clone(),
            processes: processes.clone(),
        });
    }
    Ok(())
}

fn ecc(fields: &mut Fields<'_>) -> Result<Option<Ecc>, Fault> {
    let enabled = take(fields, "ecc", Item::boolean)?;
    let errors = fields.take("uncorrected_errors");
    let uncorrected = errors.as_ref().map(Item::integer).transpose()?.unwrap_or(0);
    match (enabled, errors) {
        (Some(enabled), _) => Ok(Some(Ecc { enabled, uncorrected })),
        (None, None) => Ok(None),
        (None, Some(item)) => Err(item
            .fault_at_key("a GPU without error correction finds no errors")
            .with_hint("write `ecc = true`")),
    }
}

/// A part of a GPU that may stand for parts of several.
struct Part {
    uuid: Option<String>,
    profile: String,
    memory_bytes: u64,
}

impl Part {
    fn of_gpu(&self, gpu: u32, slot: u32) -> MigDevice {
        MigDevice {
            uuid: self.uuid.clone().unwrap_or_else(|| made("MIG", gpu, slot)),
            profile: self.profile.clone(),
            memory_bytes: self.memory_bytes,
        }
    }
}

/// An identity where the file gives none.
fn made(kind: &str, gpu: u32, slot: u32) -> String {
    format!("{kind}-00000000-0000-0000-{slot:04}-{gpu:012}")
}

fn part(item: &Item<'_>) -> Result<Part, Fault> {
    let mut fields = item.fields()?;
    let part = Part {
        uuid: take(&mut fields, "uuid", name)?,
        profile: name(&fields.require("profile")?)?,
        memory_bytes: fields.require("memory")?.bytes()?,
    };
    fields.finish(&names_of(&["gpu", "[]", "mig", "[]"]))?;
    Ok(part)
}

fn process(item: &Item<'_>) -> Result<GpuProcess, Fault> {
    let mut fields = item.fields()?;
    let process = GpuProcess {
        pid: number(&fields.require("pid")?)?,
        name: take(&mut fields, "name", name)?,
        memory_bytes: take(&mut fields, "memory", Item::bytes)?,
    };
    fields.finish(&names_of(&["gpu", "[]", "process", "[]"]))?;
    Ok(process)
}

fn disk(item: &Item<'_>, table: &[&str]) -> Result<Disk, Fault> {
    let mut fields = item.fields()?;
    let usual = if table.contains(&"daemon") { "/var/lib/docker" } else { ".testbed" };
    let path = take(&mut fields, "path", name)?.unwrap_or_else(|| usual.to_owned());
    let free_bytes = fields.require("free")?.bytes()?;
    let total_bytes = take(&mut fields, "total", Item::bytes)?.unwrap_or(free_bytes);
    if total_bytes < free_bytes {
        return Err(item.fault("has more room left than in all"));
    }
    fields.finish(&names_of(table))?;
    Ok(Disk { path, free_bytes, total_bytes })
}

fn limits(item: &Item<'_>) -> Result<ProcessLimits, Fault> {
    let unlimited = |item: &Item<'_>| item.text().is_ok_and(|text| text == "unlimited");
    let size = |item: &Item<'_>| if unlimited(item) { Ok(None) } else { item.bytes().map(Some) };
    let count = |item: &Item<'_>| if unlimited(item) { Ok(None) } else { item.integer().map(Some) };
    let mut fields = item.fields()?;
    let limits = ProcessLimits {
        nofile: take(&mut fields, "nofile", count)?.flatten(),
        memlock: take(&mut fields, "memlock", size)?.flatten(),
        stack: take(&mut fields, "stack", size)?.flatten(),
    };
    fields.finish(&names_of(&["host", "limits"]))?;
    Ok(limits)
}

fn take<'d, T>(
    fields: &mut Fields<'d>,
    key: &str,
    read: impl FnOnce(&Item<'d>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    fields.take(key).map(|item| read(&item)).transpose()
}

fn list<'d, T>(
    fields: &mut Fields<'d>,
    key: &str,
    read: impl Fn(&Item<'d>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    match fields.take(key) {
        Some(item) => item.items()?.iter().map(read).collect(),
        None => Ok(Vec::new()),
    }
}

fn name(item: &Item<'_>) -> Result<String, Fault> {
    item.full_text().map(str::to_owned)
}

fn names(item: &Item<'_>) -> Result<Vec<String>, Fault> {
    item.items()?.iter().map(name).collect()
}

fn number(item: &Item<'_>) -> Result<u32, Fault> {
    match item.integer()? {
        0 => Err(item.fault("must be at least 1")),
        number => Ok(number),
    }
}

fn architecture(item: &Item<'_>) -> Result<String, Fault> {
    Ok(item.word(&ARCHITECTURES.map(|name| (name, name)))?.to_owned())
}

/// A device is named in full.
fn cdi_devices(item: &Item<'_>) -> Result<Vec<String>, Fault> {
    let device = |item: &Item<'_>| {
        let text = item.full_text()?;
        let is_full = text.split_once('=').is_some_and(|(kind, name)| kind.contains('/') && !name.is_empty());
        let fault = || item.fault(format!("must be a device, not `{text}`"));
        if is_full { Ok(text.to_owned()) } else { Err(fault().with_hint("write it as `nvidia.com/gpu=0`")) }
    };
    item.items()?.iter().map(device).collect()
}

fn version(item: &Item<'_>) -> Result<String, Fault> {
    let text = item.text()?;
    let fault = |_| item.fault(format!("must be a version such as `12.8`, not `{text}`"));
    text.parse::<Version>().map_err(fault).map(|_| text.to_owned())
}

fn capability(item: &Item<'_>) -> Result<(u32, u32), Fault> {
    let text = item.text().map_err(|fault| fault.with_hint("write it in quotes, as `\"9.0\"`"))?;
    let number =
        |part: &str| part.parse::<u32>().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()));
    let numbers = text.split_once('.').and_then(|(major, minor)| Some((number(major)?, number(minor)?)));
    numbers.ok_or_else(|| item.fault(format!("must be a compute capability such as `9.0`, not `{text}`")))
}
