//! Probes, which only Testbed reads: questions asked from inside the network.

use std::collections::BTreeMap;

use super::ServiceDefinition;
use super::subset::{Section, open};
use crate::document::{Fields, Item};
use crate::span::Fault;
use crate::stack::{Probe, Ready};

/// Reads `x-testbed` of a service.
pub(super) fn read_extension(item: &Item<'_>) -> Result<Option<Probe>, Fault> {
    let mut fields = open(Section::ServiceExtension, item)?;
    let probe = fields.take("probe").map(|item| single(&item)).transpose()?;
    fields.finish(&[])?;
    probe
        .map(|(kind, mut fields)| {
            let probe = read_kind(kind, &mut fields)?;
            fields.finish(kind.keys())?;
            Ok(probe)
        })
        .transpose()
}

/// Reads `x-testbed.ready` of the file: a probe that also names its service.
pub(super) fn read_ready(
    item: &Item<'_>,
    services: &BTreeMap<String, ServiceDefinition>,
) -> Result<Ready, Fault> {
    let (kind, mut fields) = single(item)?;
    let service = fields.require("service")?;
    let name = service.text()?;
    if !services.contains_key(name) {
        let fault = service.fault(format!("names the unknown service `{name}`"));
        return Err(fault.with_nearest(name, services.keys().map(String::as_str)));
    }
    let probe = read_kind(kind, &mut fields)?;
    let known: Vec<&str> = kind.keys().iter().copied().chain(["service"]).collect();
    fields.finish(&known)?;
    Ok(Ready { service: name.to_owned(), probe })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ProbeKind {
    Tcp,
    Http,
    Chat,
}

impl ProbeKind {
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Tcp => &["port"],
            Self::Http => &["port", "path", "contains"],
            Self::Chat => &["port", "model"],
        }
    }
}

/// The one kind that a probe is of, and its fields.
fn single<'d>(item: &Item<'d>) -> Result<(ProbeKind, Fields<'d>), Fault> {
    let mut fields = open(Section::Probe, item)?;
    let mut found = Vec::new();
    for (name, kind) in [("tcp", ProbeKind::Tcp), ("http", ProbeKind::Http), ("chat", ProbeKind::Chat)] {
        found.extend(fields.take(name).map(|item| (kind, item)));
    }
    fields.finish(&[])?;
    match found.as_slice() {
        [(kind, probe)] => Ok((*kind, probe.fields()?)),
        _ => Err(item.fault("must have exactly one of `tcp`, `http`, `chat`")),
    }
}

fn read_kind(kind: ProbeKind, fields: &mut Fields<'_>) -> Result<Probe, Fault> {
    let item = fields.require("port")?;
    let port: u16 = item.integer()?;
    if port == 0 {
        return Err(item.fault("must be between 1 and 65535"));
    }
    Ok(match kind {
        ProbeKind::Tcp => Probe::Tcp { port },
        ProbeKind::Http => {
            let path = match fields.take("path") {
                None => "/".to_owned(),
                Some(item) => match item.text()? {
                    path if path.starts_with('/') && !path.contains(char::is_whitespace) => path.to_owned(),
                    path => {
                        return Err(item.fault(format!("must start with `/` and hold no space: `{path}`")));
                    }
                },
            };
            let contains =
                fields.take("contains").map(|item| item.full_text().map(str::to_owned)).transpose()?;
            Probe::Http { port, path, contains }
        }
        ProbeKind::Chat => Probe::Chat { port, model: fields.require("model")?.full_text()?.to_owned() },
    })
}
