//! Values of profiles, typed by the key that holds them.

use std::fmt;

use super::schema::Kind;
use crate::document::{Item, bytes_text, duration_text, toml_text};
use crate::span::Fault;
use crate::stack::Millis;
use crate::tier::Tier;
use crate::version::Version;

/// Processor architectures, as Rust names them.
pub const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// A number.
    Count(u64),
    /// A truth value.
    Boolean(bool),
    /// Bytes.
    Size(u64),
    /// Billionths of a core.
    Cores(u64),
    /// Milliseconds.
    Duration(Millis),
    /// Tiers, earliest first.
    Tiers(Vec<Tier>),
    /// A version.
    Version(Version),
}

impl Value {
    /// Reads what a key of some kind must hold.
    pub(super) fn read(kind: Kind, item: &Item<'_>) -> Result<Self, Fault> {
        Ok(match kind {
            Kind::Text => Self::Text(item.text()?.to_owned()),
            Kind::Name => Self::Text(item.full_text()?.to_owned()),
            Kind::Variable => Self::Text(item.text_or_number()?.to_owned()),
            Kind::Path => Self::Text(path(item)?),
            Kind::Paths => Self::Texts(paths(item)?),
            Kind::User => Self::Text(user(item)?),
            Kind::Names => Self::Texts(names(item)?),
            Kind::Capabilities => Self::Texts(capabilities(item)?),
            Kind::Count => Self::Count(item.integer()?),
            Kind::Boolean => Self::Boolean(item.boolean()?),
            Kind::Size => Self::Size(item.bytes()?),
            Kind::Pids => match item.integer()? {
                0 => return Err(item.fault("must be at least 1")),
                pids => Self::Count(pids),
            },
            Kind::Memory => Self::Size(item.memory()?),
            Kind::Cores => Self::Cores(item.processors()?),
            Kind::Duration => match item.duration()? {
                0 => return Err(item.fault("must be more than `0s`")),
                millis => Self::Duration(millis),
            },
            Kind::Tiers => Self::Tiers(tiers(item)?),
            Kind::Version => Self::Version(version(item)?),
            Kind::Architectures => Self::Texts(architectures(item)?),
        })
    }
}

impl fmt::Display for Value {
    /// As a profile would write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, items: &mut dyn Iterator<Item = &str>| {
            let quoted: Vec<String> = items.map(toml_text).collect();
            write!(f, "[{}]", quoted.join(", "))
        };
        match self {
            Self::Text(text) => f.write_str(&toml_text(text)),
            Self::Texts(texts) => list(f, &mut texts.iter().map(String::as_str)),
            Self::Tiers(tiers) => list(f, &mut tiers.iter().map(|tier| tier.name())),
            Self::Version(version) => f.write_str(&toml_text(&version.to_string())),
            Self::Count(count) => write!(f, "{count}"),
            Self::Boolean(truth) => write!(f, "{truth}"),
            Self::Size(bytes) => write!(f, "{:?}", bytes_text(*bytes)),
            Self::Cores(cores) => f.write_str(&cores_text(*cores)),
            Self::Duration(millis) => write!(f, "{:?}", duration_text(*millis)),
        }
    }
}

fn cores_text(cores: u64) -> String {
    const ONE: u64 = 1_000_000_000;
    let fraction = format!("{:09}", cores % ONE);
    match fraction.trim_end_matches('0') {
        "" => (cores / ONE).to_string(),
        fraction => format!("{}.{fraction}", cores / ONE),
    }
}

/// A path below the configuration's root.
fn path(item: &Item<'_>) -> Result<String, Fault> {
    let text = item.full_text()?;
    if text.starts_with(['/', '~']) || text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        let fault = item.fault(format!("must be a path below the configuration's root, not `{text}`"));
        return Err(fault.with_hint("write it as `compose/NAME.yaml`"));
    }
    Ok(text.to_owned())
}

fn paths(item: &Item<'_>) -> Result<Vec<String>, Fault> {
    for item in item.items()? {
        path(&item)?;
    }
    names(item)
}

fn user(item: &Item<'_>) -> Result<String, Fault> {
    let text = item.text()?;
    let number = |part: &str| !part.starts_with('+') && part.parse::<u32>().is_ok();
    match text.split_once(':') {
        Some((uid, gid)) if number(uid) && number(gid) => Ok(text.to_owned()),
        _ => Err(item.fault(format!("must be `uid:gid` in numbers, not `{text}`"))),
    }
}

fn names(item: &Item<'_>) -> Result<Vec<String>, Fault> {
    let mut names: Vec<String> = Vec::new();
    for item in item.items()? {
        let name = item.full_text()?;
        if names.iter().any(|known| known == name) {
            return Err(item.fault(format!("names `{name}` a second time")));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

fn capabilities(item: &Item<'_>) -> Result<Vec<String>, Fault> {
    let mut capabilities = names(item)?;
    for name in &mut capabilities {
        if let Some(plain) = name.strip_prefix("CAP_") {
            *name = plain.to_owned();
        }
        if !name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') {
            return Err(item.fault(format!("must hold capabilities such as `SYS_PTRACE`, not `{name}`")));
        }
    }
    Ok(capabilities)
}

/// A version is text: as a number, `8.10` would be `8.1`.
fn version(item: &Item<'_>) -> Result<Version, Fault> {
    let text = item.text().map_err(|fault| fault.with_hint("write it in quotes, as `\"12.8\"`"))?;
    text.parse().map_err(|_| {
        let fault = item.fault(format!("must be a version, not `{text}`"));
        fault.with_hint("write numbers with dots between them, as `\"12.8\"`")
    })
}

fn architectures(item: &Item<'_>) -> Result<Vec<String>, Fault> {
    let names = names(item)?;
    for (name, item) in names.iter().zip(item.items()?) {
        if !ARCHITECTURES.contains(&name.as_str()) {
            let fault = item.fault(format!("names the unknown architecture `{name}`"));
            return Err(fault.with_nearest(name, ARCHITECTURES));
        }
    }
    Ok(names)
}

fn tiers(item: &Item<'_>) -> Result<Vec<Tier>, Fault> {
    let mut tiers = Vec::new();
    for item in item.items()? {
        let text = item.text()?;
        let tier: Tier = text.parse().map_err(|_| {
            item.fault(format!("names the unknown tier `{text}`"))
                .with_nearest(text, Tier::ALL.into_iter().map(Tier::name))
        })?;
        tiers.push(tier);
    }
    tiers.sort_unstable();
    tiers.dedup();
    Ok(tiers)
}

#[cfg(test)]
mod tests {
    use super::cores_text;

    #[test]
    fn cores_are_shown_as_they_are_written() {
        for (cores, text) in [(2_000_000_000, "2"), (500_000_000, "0.5"), (1, "0.000000001")] {
            assert_eq!(cores_text(cores), text);
        }
    }
}
