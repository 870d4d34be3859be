//! Tiers (life-cycle stages) and types (the nature of a test), with every spelling that the field uses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::nearest::did_you_mean;

/// A life-cycle stage. Tiers are cumulative: a tier holds all that the earlier ones hold, so `Ord` is containment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Tier {
    /// Before a commit: lint.
    Precommit,
    /// Before a merge.
    Premerge,
    /// After a merge.
    Postmerge,
    /// Each night.
    Nightly,
    /// Each week.
    Weekly,
    /// Before a release.
    Release,
}

impl Tier {
    /// Every tier, earliest first.
    pub const ALL: [Self; 6] =
        [Self::Precommit, Self::Premerge, Self::Postmerge, Self::Nightly, Self::Weekly, Self::Release];

    /// The name, in the spelling of the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Precommit => "precommit",
            Self::Premerge => "premerge",
            Self::Postmerge => "postmerge",
            Self::Nightly => "nightly",
            Self::Weekly => "weekly",
            Self::Release => "release",
        }
    }

    /// The pytest marker that Dynamo's suites use for this tier.
    pub const fn marker(self) -> &'static str {
        match self {
            Self::Precommit => "pre_commit",
            Self::Premerge => "pre_merge",
            Self::Postmerge => "post_merge",
            Self::Nightly => "nightly",
            Self::Weekly => "weekly",
            Self::Release => "release",
        }
    }

    /// This tier and all earlier ones, earliest first.
    pub fn contained(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |tier| *tier <= self)
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no tier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown tier `{name}`; {suggestion}")]
pub struct UnknownTier {
    name: String,
    suggestion: String,
}

impl FromStr for Tier {
    type Err = UnknownTier;

    /// Accepts `premerge`, `pre_merge`, `pre-merge`, in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain: String =
            text.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect();
        Self::ALL.into_iter().find(|tier| tier.name() == plain).ok_or_else(|| UnknownTier {
            name: text.to_owned(),
            suggestion: did_you_mean(&plain, Self::ALL.map(Self::name)),
        })
    }
}

impl TryFrom<String> for Tier {
    type Error = UnknownTier;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Tier> for String {
    fn from(tier: Tier) -> Self {
        tier.name().to_owned()
    }
}

/// The nature of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestType {
    /// Style and static checks.
    Lint,
    /// One unit, nothing around it.
    Unit,
    /// Some services together.
    Integration,
    /// The whole product, from outside.
    E2e,
    /// Speed.
    Benchmark,
    /// Load.
    Stress,
    /// Attack.
    Security,
    /// Faults.
    FaultTolerance,
}

impl TestType {
    /// Every type.
    pub const ALL: [Self; 8] = [
        Self::Lint,
        Self::Unit,
        Self::Integration,
        Self::E2e,
        Self::Benchmark,
        Self::Stress,
        Self::Security,
        Self::FaultTolerance,
    ];

    /// The name, as in files and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lint => "lint",
            Self::Unit => "unit",
            Self::Integration => "integration",
            Self::E2e => "e2e",
            Self::Benchmark => "benchmark",
            Self::Stress => "stress",
            Self::Security => "security",
            Self::FaultTolerance => "fault_tolerance",
        }
    }

    /// The earliest tier that holds tests of this type when they say nothing themselves.
    pub const fn earliest_tier(self) -> Tier {
        match self {
            Self::Lint => Tier::Precommit,
            Self::Unit | Self::Integration | Self::E2e => Tier::Premerge,
            Self::Benchmark | Self::Stress | Self::Security | Self::FaultTolerance => Tier::Nightly,
        }
    }
}

impl fmt::Display for TestType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Tier;

    #[test]
    fn all_spellings_of_a_tier_are_one_tier() {
        for text in ["premerge", "pre_merge", "pre-merge", "Pre_Merge"] {
            assert_eq!(text.parse::<Tier>().unwrap(), Tier::Premerge);
        }
    }

    #[test]
    fn an_unknown_tier_offers_the_nearest() {
        let error = "premerg".parse::<Tier>().unwrap_err();
        assert_eq!(error.to_string(), "unknown tier `premerg`; did you mean `premerge`?");
    }

    #[test]
    fn tiers_nest() {
        let contained: Vec<Tier> = Tier::Postmerge.contained().collect();
        assert_eq!(contained, [Tier::Precommit, Tier::Premerge, Tier::Postmerge]);
    }
}
