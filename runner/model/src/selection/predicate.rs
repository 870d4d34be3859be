//! Predicates beyond pytest's language: `tier(postmerge)`, `type(unit)`, `gpu(1, 2)`, `backend(trtllm)`, `component(router)`. Each
//! stands for any of several markers, in every spelling that the field uses, so that one word asks pytest markers, cargo
//! features and packages alike. pytest itself has no positional arguments in expressions, so nothing of its own changes.

use super::ExpressionError;
use crate::nearest::did_you_mean;
use crate::tier::{Tier, UnknownTier};

/// Two spellings of one thing, of which either may be asked for and either may be there.
const TWINS: [(&str, &str); 2] = [("tensorrt_llm", "trtllm"), ("kv_router", "router")];

/// A predicate's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Predicate {
    /// The tier and all earlier ones.
    Tier,
    /// A number of GPUs.
    Gpu,
    /// A marker as it is: a type, a backend, a component.
    Marker,
}

impl Predicate {
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "tier" => Some(Self::Tier),
            "gpu" => Some(Self::Gpu),
            "type" | "backend" | "component" => Some(Self::Marker),
            _ => None,
        }
    }

    /// The markers that one argument stands for.
    pub fn markers(self, argument: &str, position: usize) -> Result<Vec<String>, ExpressionError> {
        match self {
            Self::Tier => argument.parse().map(spellings_of_tiers).map_err(|_: UnknownTier| {
                let near = did_you_mean(argument, Tier::ALL.map(Tier::name));
                ExpressionError::new(position, format!("unknown tier `{argument}`; {near}"))
            }),
            Self::Gpu if !argument.is_empty() && argument.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(vec![format!("gpu_{argument}"), format!("gpus_needed_{argument}")])
            }
            Self::Gpu => Err(ExpressionError::new(
                position,
                format!("`{argument}` is no number of GPUs, such as 0 or 2"),
            )),
            Self::Marker => Ok(spellings(argument)),
        }
    }

    /// Whether its arguments are markers that somebody must know.
    pub fn names_markers(self) -> bool {
        self == Self::Marker
    }
}

fn spellings_of_tiers(tier: Tier) -> Vec<String> {
    let names = tier.contained().flat_map(|tier| [tier.marker(), tier.name()]);
    let mut all: Vec<String> = Vec::new();
    for name in names {
        if !all.iter().any(|known| known == name) {
            all.push(name.to_owned());
        }
    }
    all
}

fn spellings(argument: &str) -> Vec<String> {
    let plain = argument.replace('-', "_");
    let mut all = vec![argument.to_owned(), plain.clone(), plain.replace('_', "-")];
    for (one, other) in TWINS {
        if plain == one {
            all.push(other.to_owned());
        } else if plain == other {
            all.push(one.to_owned());
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|name| seen.insert(name.clone()));
    all
}
