//! Limits, accelerators and ulimits of a service.

use std::collections::BTreeMap;

use super::subset::{Section, open};
use super::top::text_map;
use super::{LimitsRequest, Marked};
use crate::document::{Fields, Item, Value};
use crate::span::Fault;
use crate::stack::DeviceReservation;

/// What a service asks of the machine.
#[derive(Default)]
pub(super) struct Resources {
    pub limits: LimitsRequest,
    pub devices: Vec<DeviceReservation>,
    pub named_gpus: Vec<Marked<String>>,
    pub ulimits: BTreeMap<String, (i64, i64)>,
}

/// Takes `deploy`, `mem_limit`, `cpus`, `pids_limit` and `ulimits` from a service.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Resources, Fault> {
    let mut resources = Resources::default();
    if let Some(item) = fields.take("deploy") {
        let mut deploy = open(Section::Deploy, &item)?;
        if let Some(item) = deploy.take("resources") {
            read_resources(&item, &mut resources)?;
        }
        deploy.finish(&[])?;
    }
    let limits = &mut resources.limits;
    if let Some(item) = fields.take("mem_limit") {
        once(&item, limits.memory_bytes, "deploy.resources.limits.memory")?;
        limits.memory_bytes = Some(item.memory()?);
    }
    if let Some(item) = fields.take("cpus") {
        once(&item, limits.nano_cpus, "deploy.resources.limits.cpus")?;
        limits.nano_cpus = Some(item.processors()?);
    }
    if let Some(item) = fields.take("pids_limit") {
        let pids: u64 = item.integer()?;
        if pids == 0 {
            return Err(item.fault("must be at least 1"));
        }
        limits.pids = Some(pids);
    }
    if let Some(item) = fields.take("ulimits") {
        resources.ulimits = ulimits(&item)?;
    }
    Ok(resources)
}

fn read_resources(item: &Item<'_>, resources: &mut Resources) -> Result<(), Fault> {
    let mut fields = open(Section::Resources, item)?;
    if let Some(item) = fields.take("limits") {
        let mut limits = open(Section::Limits, &item)?;
        resources.limits.nano_cpus = limits.take("cpus").map(|item| item.processors()).transpose()?;
        resources.limits.memory_bytes = limits.take("memory").map(|item| item.memory()).transpose()?;
        limits.finish(&[])?;
    }
    if let Some(item) = fields.take("reservations") {
        let mut reservations = open(Section::Reservations, &item)?;
        if let Some(devices) = reservations.take("devices") {
            for item in devices.items()? {
                let (reservation, named) = device(&item)?;
                if reservation.is_of_gpus() {
                    resources.named_gpus.extend(named);
                }
                resources.devices.push(reservation);
            }
        }
        reservations.finish(&[])?;
    }
    fields.finish(&[])
}

fn once(item: &Item<'_>, other: Option<u64>, other_key: &str) -> Result<(), Fault> {
    match other {
        None => Ok(()),
        Some(_) => {
            Err(item.fault(format!("says again what `{other_key}` says")).with_hint("keep one of them"))
        }
    }
}

/// A reservation, and the devices that it names with their places.
fn device(item: &Item<'_>) -> Result<(DeviceReservation, Vec<Marked<String>>), Fault> {
    let mut fields = open(Section::Device, item)?;
    let capabilities =
        fields.require("capabilities").map_err(|fault| fault.with_hint("write `capabilities: [gpu]`"))?;
    let count = fields.take("count").map(|item| count(&item)).transpose()?;
    let ids = fields.take("device_ids");
    if let (Some(ids), true) = (&ids, count.is_some()) {
        return Err(ids.fault("and `count` exclude each other").with_hint("keep one of them"));
    }
    let mut named: Vec<Marked<String>> = Vec::new();
    for item in ids.map(|ids| ids.items()).transpose()?.unwrap_or_default() {
        let id = item.full_text()?;
        if named.iter().any(|known| known.value == id) {
            return Err(item.fault(format!("names `{id}` a second time")).with_hint("leave one of them out"));
        }
        named.push(Marked { value: id.to_owned(), mark: item.mark() });
    }
    let device_ids: Vec<String> = named.iter().map(|id| id.value.clone()).collect();
    // Compose: neither count nor ids means all.
    let count = if device_ids.is_empty() { Some(count.unwrap_or(-1)) } else { None };
    let reservation = DeviceReservation {
        driver: fields.take("driver").map(|item| item.full_text().map(str::to_owned)).transpose()?,
        count,
        device_ids,
        options: fields.take("options").map(|item| text_map(&item)).transpose()?.unwrap_or_default(),
        capabilities: capabilities.texts()?,
    };
    fields.finish(&[])?;
    Ok((reservation, named))
}

fn count(item: &Item<'_>) -> Result<i64, Fault> {
    if let Value::Scalar(scalar) = item.value()
        && scalar.text == "all"
    {
        return Ok(-1);
    }
    let count: i64 = item.integer()?;
    if count < 1 { Err(item.fault("must be `all` or at least 1")) } else { Ok(count) }
}

fn ulimits(item: &Item<'_>) -> Result<BTreeMap<String, (i64, i64)>, Fault> {
    let read = |(name, item): (&str, Item<'_>)| {
        let (soft, hard) = match item.value() {
            Value::Map(_) => {
                let mut fields = item.fields()?;
                let (soft, hard) = (fields.require("soft")?, fields.require("hard")?);
                fields.finish(&["soft", "hard"])?;
                (limit(&soft)?, limit(&hard)?)
            }
            _ => (limit(&item)?, limit(&item)?),
        };
        if hard != -1 && (soft == -1 || soft > hard) {
            return Err(item.fault(format!("has a soft limit above its hard limit: `{soft}` and `{hard}`")));
        }
        Ok((name.to_owned(), (soft, hard)))
    };
    item.fields()?.take_rest().into_iter().map(read).collect()
}

fn limit(item: &Item<'_>) -> Result<i64, Fault> {
    let limit: i64 = item.integer()?;
    if limit < -1 { Err(item.fault("must be -1, which is no limit, or more")) } else { Ok(limit) }
}
