//! The top level: services, the network, volumes, configs, and what the stack says of itself.

use std::collections::{BTreeMap, BTreeSet};

use super::subset::{Section, open, open_or_nothing};
use super::{ComposeFile, mount, probe, service};
use crate::document::{Document, Item};
use crate::span::Fault;

/// The names that services may refer to.
pub(super) struct Declared {
    /// The compose file's folder, relative to the configuration's root.
    pub folder: String,
    /// Networks; at most one.
    pub networks: BTreeSet<String>,
    /// Volumes.
    pub volumes: BTreeSet<String>,
    /// Configs: name to path relative to the configuration's root.
    pub configs: BTreeMap<String, String>,
}

/// Reads a whole file, whose variables are filled.
pub(super) fn read(document: Document, variables: BTreeSet<String>) -> Result<ComposeFile, Fault> {
    let folder = document.file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let mut fields = open(Section::File, &document.item())?;
    let declared = Declared {
        networks: networks(fields.take("networks"))?,
        volumes: volumes(fields.take("volumes"))?,
        configs: configs(fields.take("configs"), &folder)?,
        folder,
    };
    let extension = fields.take("x-testbed");
    let listed = fields.require("services")?;
    fields.finish(&[])?;
    let mut services = BTreeMap::new();
    for (name, item) in listed.fields()?.take_rest() {
        check_service_name(name, &item)?;
        services.insert(name.to_owned(), service::read(name, &item, &declared)?);
    }
    if services.is_empty() {
        return Err(listed.fault("must name at least one service"));
    }
    let (ready, facts) = match extension {
        None => (None, BTreeMap::new()),
        Some(item) => {
            let mut fields = open(Section::FileExtension, &item)?;
            let ready = fields.take("ready").map(|item| probe::read_ready(&item, &services)).transpose()?;
            let facts = fields.take("facts").map(|item| text_map(&item)).transpose()?.unwrap_or_default();
            fields.finish(&[])?;
            (ready, facts)
        }
    };
    let merged = document.merged.iter().map(|(file, _)| file.as_str());
    let file = std::iter::once(document.file.as_str()).chain(merged).collect::<Vec<_>>().join(" + ");
    Ok(ComposeFile { file, services, volumes: declared.volumes, ready, facts, variables, document })
}

/// A map of text; numbers count as their text.
pub(super) fn text_map(item: &Item<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let entries = item.fields()?.take_rest();
    entries.into_iter().map(|(key, item)| Ok((key.to_owned(), item.text_or_number()?.to_owned()))).collect()
}

/// Service names are DNS names in the stack's network.
fn check_service_name(name: &str, item: &Item<'_>) -> Result<(), Fault> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if name.len() <= 63 && name.chars().all(inner) && edge(name.chars().next()) && edge(name.chars().last()) {
        return Ok(());
    }
    let fault =
        item.fault_at_key(format!("`{name}` cannot be a service's name, because it would be no DNS name"));
    Err(fault.with_hint("use up to 63 of `a` to `z`, `0` to `9`, and `-` inside"))
}

fn networks(item: Option<Item<'_>>) -> Result<BTreeSet<String>, Fault> {
    let mut names = BTreeSet::new();
    let Some(item) = item else { return Ok(names) };
    for (name, item) in item.fields_or_nothing()?.take_rest() {
        if !names.is_empty() {
            let fault =
                item.fault_at_key(format!("the network `{name}` is a second one; a stack has one network"));
            return Err(fault.with_hint("leave it out; all services reach each other anyway"));
        }
        let mut fields = open_or_nothing(Section::Network, &item)?;
        if let Some(driver) = fields.take("driver") {
            driver.word(&[("bridge", ())])?;
        }
        if let Some(internal) = fields.take("internal")
            && !internal.boolean()?
        {
            let fault = internal.fault("cannot be `false`, because a stack is closed");
            return Err(fault.with_hint("set `egress = true` in the profile that needs it"));
        }
        fields.finish(&[])?;
        names.insert(name.to_owned());
    }
    Ok(names)
}

fn volumes(item: Option<Item<'_>>) -> Result<BTreeSet<String>, Fault> {
    let mut names = BTreeSet::new();
    let Some(item) = item else { return Ok(names) };
    for (name, item) in item.fields_or_nothing()?.take_rest() {
        let mut fields = open_or_nothing(Section::Volume, &item)?;
        if let Some(driver) = fields.take("driver") {
            driver.word(&[("local", ())])?;
        }
        fields.finish(&[])?;
        names.insert(name.to_owned());
    }
    Ok(names)
}

fn configs(item: Option<Item<'_>>, folder: &str) -> Result<BTreeMap<String, String>, Fault> {
    let mut paths = BTreeMap::new();
    let Some(item) = item else { return Ok(paths) };
    for (name, item) in item.fields_or_nothing()?.take_rest() {
        let mut fields = open(Section::Config, &item)?;
        let path = fields.require("file")?;
        fields.finish(&[])?;
        paths.insert(name.to_owned(), mount::host_path(&path, path.full_text()?, folder)?);
    }
    Ok(paths)
}
