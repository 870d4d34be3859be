//! One service.

use std::collections::{BTreeMap, BTreeSet};

use super::subset::{Section, open, open_or_nothing};
use super::top::Declared;
use super::{Marked, ServiceDefinition, healthcheck, mount, probe, resources, top};
use crate::document::{Fields, Item, Value};
use crate::span::Fault;
use crate::stack::Condition;

/// Reads a service.
pub(super) fn read(name: &str, item: &Item<'_>, declared: &Declared) -> Result<ServiceDefinition, Fault> {
    let mut fields = open(Section::Service, item)?;
    let Some(image) = fields.take("image") else {
        let fault = fields.fault(format!("the service `{name}` has no `image`"));
        let hint = match item.key_mark().file {
            0 => "name an image of the lock: `image: testbed/NAME`",
            _ => {
                "no file under this one has that service: leave the overlay out, or name an image: `image: testbed/NAME`"
            }
        };
        return Err(fault.with_hint(hint));
    };
    let probe = fields.take("x-testbed").map(|item| probe::read_extension(&item)).transpose()?.flatten();
    let mut resources = resources::read(&mut fields)?;
    let mounts = mount::read(&mut fields, declared)?;
    if let Some(hostname) = fields.take("hostname")
        && hostname.text()? != name
    {
        let fault = hostname.fault(format!("must be `{name}`: a service's host name is its name"));
        return Err(fault.with_hint("leave it out, or use `networks` with `aliases` for another name"));
    }
    let definition = ServiceDefinition {
        mark: item.key_mark(),
        image: image_name(&image)?,
        entrypoint: optional(&mut fields, "entrypoint", words)?,
        command: optional(&mut fields, "command", words)?,
        environment: optional(&mut fields, "environment", environment)?.unwrap_or_default(),
        working_dir: optional(&mut fields, "working_dir", mount::container_path)?,
        user: optional(&mut fields, "user", user)?,
        mounts: mounts.mounts,
        tmpfs: mounts.tmpfs,
        depends_on: optional(&mut fields, "depends_on", depends_on)?.unwrap_or_default(),
        healthcheck: optional(&mut fields, "healthcheck", healthcheck::read)?.flatten(),
        probe,
        limits: resources.limits,
        devices: std::mem::take(&mut resources.devices),
        named_gpus: resources.named_gpus,
        cpu_shares: optional(&mut fields, "cpu_shares", cpu_shares)?,
        shm_size: optional(&mut fields, "shm_size", Item::bytes)?,
        ulimits: resources.ulimits,
        cap_add: optional(&mut fields, "cap_add", capabilities)?.unwrap_or_default(),
        read_only: optional(&mut fields, "read_only", marked_boolean)?,
        no_new_privileges: optional(&mut fields, "security_opt", security_options)?.flatten(),
        init: optional(&mut fields, "init", Item::boolean)?.unwrap_or(false),
        labels: optional(&mut fields, "labels", labels)?.unwrap_or_default(),
        aliases: fields
            .take("networks")
            .map(|item| networks(&item, declared))
            .transpose()?
            .unwrap_or_default(),
        stop_grace_ms: optional(&mut fields, "stop_grace_period", Item::duration)?,
        profiles: optional(&mut fields, "profiles", Item::texts)?.unwrap_or_default().into_iter().collect(),
    };
    optional(&mut fields, "cap_drop", capabilities)?;
    fields.finish(&[])?;
    Ok(definition)
}

fn optional<'d, T>(
    fields: &mut Fields<'d>,
    key: &str,
    read: impl FnOnce(&Item<'d>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    fields.take(key).map(|item| read(&item)).transpose()
}

/// What Linux takes as shares of a control group.
fn cpu_shares(item: &Item<'_>) -> Result<u32, Fault> {
    let shares = item.integer()?;
    if !(2..=262_144).contains(&shares) {
        return Err(item.fault("must be from 2 to 262144").with_hint("a service that says nothing has 1024"));
    }
    Ok(shares)
}

/// `testbed/NAME`, with or without `:latest`: the lock pins what that is.
fn image_name(item: &Item<'_>) -> Result<Marked<String>, Fault> {
    let text = item.full_text()?;
    let bare = text.strip_suffix(":latest").unwrap_or(text);
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    match bare.strip_prefix("testbed/") {
        Some(name) if !name.is_empty() && name.chars().all(allowed) => {
            Ok(Marked { value: name.to_owned(), mark: item.mark() })
        }
        _ => {
            let fault =
                item.fault(format!("must be `testbed/NAME`, not `{text}`: the lock pins every image"));
            Err(fault.with_hint("add the image to images/images.lock.json, and name it here without a tag"))
        }
    }
}

/// A command: a list, or text that is split as a shell would.
pub(super) fn words(item: &Item<'_>) -> Result<Vec<String>, Fault> {
    if let Value::List(_) = item.value() {
        return item.items()?.iter().map(|item| item.text_or_number().map(str::to_owned)).collect();
    }
    shlex::split(item.text()?).ok_or_else(|| item.fault("has a quote that does not end"))
}

/// A map, or a list of `NAME=value`. Nothing is taken from the host.
fn environment(item: &Item<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let from_host = |item: &Item<'_>, name: &str| {
        item.fault(format!("has no value for `{name}`: a value from the host would not be hermetic"))
            .with_hint("write the value; `\"\"` is an empty one")
    };
    let mut environment = BTreeMap::new();
    match item.value() {
        Value::List(_) => {
            for item in item.items()? {
                let text = item.text()?;
                let (name, value) = text.split_once('=').ok_or_else(|| from_host(&item, text))?;
                check_variable_name(&item, name)?;
                if environment.insert(name.to_owned(), value.to_owned()).is_some() {
                    return Err(item.fault(format!("sets `{name}` a second time")));
                }
            }
        }
        _ => {
            for (name, item) in item.fields()?.take_rest() {
                check_variable_name(&item, name)?;
                if item.is_null() {
                    return Err(from_host(&item, name));
                }
                environment.insert(name.to_owned(), item.text_or_number()?.to_owned());
            }
        }
    }
    Ok(environment)
}

fn check_variable_name(item: &Item<'_>, name: &str) -> Result<(), Fault> {
    if name.is_empty() || name.contains(['=', '\0']) || name.contains(char::is_whitespace) {
        return Err(item.fault(format!("has `{name}`, which cannot be a variable's name")));
    }
    Ok(())
}

/// `uid` or `uid:gid`, in numbers: a name would mean whatever the image says. A `uid` alone is its own group; the daemon
/// would give it root's.
fn user(item: &Item<'_>) -> Result<Marked<String>, Fault> {
    let text = item.text_or_number()?;
    let number = |part: &str| part.parse::<u32>().is_ok() && part.bytes().all(|b| b.is_ascii_digit());
    let (uid, gid) = text.split_once(':').unwrap_or((text, text));
    if number(uid) && number(gid) {
        return Ok(Marked { value: format!("{uid}:{gid}"), mark: item.mark() });
    }
    let fault = item.fault(format!("must be `uid` or `uid:gid` in numbers, not `{text}`"));
    Err(fault.with_hint("a name would mean whatever the image's /etc/passwd says"))
}

/// A list of services, or a map with conditions.
fn depends_on(item: &Item<'_>) -> Result<BTreeMap<String, Marked<Condition>>, Fault> {
    const CONDITIONS: [(&str, Condition); 3] = [
        ("service_started", Condition::ServiceStarted),
        ("service_healthy", Condition::ServiceHealthy),
        ("service_completed_successfully", Condition::ServiceCompletedSuccessfully),
    ];
    let mut dependencies = BTreeMap::new();
    if let Value::List(_) = item.value() {
        for item in item.items()? {
            let condition = Marked { value: Condition::ServiceStarted, mark: item.mark() };
            dependencies.insert(item.text()?.to_owned(), condition);
        }
        return Ok(dependencies);
    }
    for (name, item) in item.fields()?.take_rest() {
        let mut fields = open_or_nothing(Section::DependsOn, &item)?;
        let condition = match fields.take("condition") {
            Some(condition) => condition.word(&CONDITIONS)?,
            None => Condition::ServiceStarted,
        };
        fields.finish(&[])?;
        dependencies.insert(name.to_owned(), Marked { value: condition, mark: item.key_mark() });
    }
    Ok(dependencies)
}

fn capabilities(item: &Item<'_>) -> Result<Vec<Marked<String>>, Fault> {
    let read = |item: &Item<'_>| {
        let text = item.full_text()?;
        let plain = text.strip_prefix("CAP_").unwrap_or(text);
        if !plain.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') {
            let fault = item.fault(format!("must be a capability such as `SYS_PTRACE`, not `{text}`"));
            return Err(fault);
        }
        Ok(Marked { value: plain.to_owned(), mark: item.mark() })
    };
    item.items()?.iter().map(read).collect()
}

fn marked_boolean(item: &Item<'_>) -> Result<Marked<bool>, Fault> {
    Ok(Marked { value: item.boolean()?, mark: item.mark() })
}

/// `no-new-privileges` alone; profiles of seccomp and the like depend on the machine.
fn security_options(item: &Item<'_>) -> Result<Option<Marked<bool>>, Fault> {
    let mut found = None;
    for item in item.items()? {
        let value = match item.text()? {
            "no-new-privileges" | "no-new-privileges:true" => true,
            "no-new-privileges:false" => false,
            other => {
                let fault = item.fault(format!("cannot be `{other}`: only `no-new-privileges` is supported"));
                return Err(fault.with_hint(
                    "profiles of seccomp, AppArmor or SELinux depend on the machine; leave them out",
                ));
            }
        };
        found = Some(Marked { value, mark: item.mark() });
    }
    Ok(found)
}

/// A map, or a list of `name=value`.
fn labels(item: &Item<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let labels = match item.value() {
        Value::List(_) => item
            .items()?
            .iter()
            .map(|item| {
                let (name, value) = item.text()?.split_once('=').unwrap_or((item.text()?, ""));
                Ok((name.to_owned(), value.to_owned()))
            })
            .collect::<Result<BTreeMap<_, _>, Fault>>()?,
        _ => top::text_map(item)?,
    };
    match labels.keys().find(|name| name.starts_with("dev.testbed.")) {
        None => Ok(labels),
        Some(name) => {
            Err(item.fault(format!("has `{name}`: labels that start with `dev.testbed.` are Testbed's own")))
        }
    }
}

/// A list of networks, or a map with aliases; gives the aliases.
fn networks(item: &Item<'_>, declared: &Declared) -> Result<BTreeSet<String>, Fault> {
    let check = |item: &Item<'_>, name: &str| {
        // Compose gives every file a network named `default`.
        if name == "default" || declared.networks.contains(name) {
            return Ok(());
        }
        let fault = item.fault_at_key(format!("the network `{name}` is not declared at the top level"));
        Err(fault.with_nearest(name, declared.networks.iter().map(String::as_str)))
    };
    let mut aliases = BTreeSet::new();
    if let Value::List(_) = item.value() {
        for item in item.items()? {
            check(&item, item.text()?)?;
        }
        return Ok(aliases);
    }
    for (name, item) in item.fields()?.take_rest() {
        check(&item, name)?;
        let mut fields = open_or_nothing(Section::Attachment, &item)?;
        aliases.extend(optional(&mut fields, "aliases", Item::texts)?.unwrap_or_default());
        fields.finish(&[])?;
    }
    Ok(aliases)
}
