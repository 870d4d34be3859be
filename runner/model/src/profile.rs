//! Profiles: environments, one file each under `envs/`, over the base layer `envs/default.toml`.
//!
//! Resolution lays the files of the `extends` chain and the command line over each other, key by key, and keeps for every
//! value where it came from. It is pure: the texts are given in.

mod chain;
mod combination;
mod layer;
mod resolved;
pub mod schema;
mod value;

use std::collections::BTreeMap;
use std::fmt;

use crate::exit_code::ExitCode;
use crate::hint::Hint;
use crate::nearest::did_you_mean;
use crate::span::{Fault, Place};

pub use combination::{PLUS, base_of, expand, names, overlays};
pub use resolved::{
    ExecutorLimits, Relaxation, Requirements, Resolved, ServiceLimits, StackLimits, Timeouts,
};
pub use value::{ARCHITECTURES, Value};

/// The name of the base layer, which every profile extends in the end.
pub const BASE: &str = "default";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A profile's file.
    File(Place),
    /// The command line.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(place) => write!(f, "{}:{}", place.file, place.line),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// A value with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

/// One line of `--explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The key, as `[limits] memory` is `limits.memory`.
    pub key: String,
    /// The value that holds, as a profile would write it.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
    /// What it replaced, the latest first.
    pub replaced: Vec<(String, Origin)>,
}

/// A profile that cannot be resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// No file has this name.
    #[error("unknown profile `{name}`")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest name, or all.
        suggestion: String,
    },
    /// No overlay has this name.
    #[error("unknown overlay `{overlay}`")]
    UnknownOverlay {
        /// What was asked for.
        overlay: String,
        /// The nearest name, or all.
        suggestion: String,
    },
    /// Nothing stands beside a `+`.
    #[error("`{name}` has a `+` with no name beside it")]
    Gap {
        /// What was asked for.
        name: String,
    },
    /// An overlay is named more than once.
    #[error("`{name}` names the overlay `{overlay}` a second time")]
    Twice {
        /// What was asked for.
        name: String,
        /// The overlay.
        overlay: String,
    },
    /// The base layer is missing.
    #[error("there is no base layer `envs/default.toml`")]
    NoBase,
    /// Something is wrong at a place of a file, or on the command line.
    #[error(transparent)]
    At(#[from] Fault),
    /// No layer sets a value that every profile must have.
    #[error("no layer of the profile `{name}` sets `{key}` (layers: `{}`)", chain.join("` <- `"))]
    Incomplete {
        /// Profile.
        name: String,
        /// Key.
        key: String,
        /// Layers, base first.
        chain: Vec<String>,
    },
}

impl ProfileError {
    /// The error of a name that no profile has.
    pub fn unknown<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().filter(|known| *known != BASE).collect();
        Self::Unknown { name: name.to_owned(), suggestion: did_you_mean(name, known) }
    }
}

impl Hint for ProfileError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { suggestion, .. } | Self::UnknownOverlay { suggestion, .. } => {
                Some(suggestion.clone())
            }
            Self::Gap { .. } => Some("write `PROFILE+OVERLAY`, such as `mocker+request-tcp`".into()),
            Self::Twice { .. } => Some("name each overlay once".into()),
            Self::NoBase => Some("name the folder that holds `envs/` by `--root PATH`".into()),
            Self::At(fault) => fault.hint.clone(),
            Self::Incomplete { key, .. } => Some(format!("set `{key}` in envs/default.toml")),
        }
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::At(fault) => fault.excerpt.clone(),
            _ => None,
        }
    }
}

/// Resolves a profile, or a combination such as `mocker+request-tcp`. `sources` are the texts of all files under `envs/` by their paths
/// there without `.toml`, overlays as `overlays/NAME`; `overrides` are
/// assignments `key=value` from the command line, with keys as in `--explain`.
pub fn resolve(
    name: &str,
    sources: &BTreeMap<String, String>,
    overrides: &[String],
) -> Result<Resolved, ProfileError> {
    if name.contains(PLUS) && name.split(PLUS).any(str::is_empty) {
        return Err(ProfileError::Gap { name: name.to_owned() });
    }
    let mut layers = chain::of(name, sources)?;
    for text in overrides {
        layers.push(layer::of_assignment(text)?);
    }
    Resolved::of_layers(name, layers)
}

#[cfg(test)]
mod tests;
