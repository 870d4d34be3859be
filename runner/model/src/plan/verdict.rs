//! What becomes of a case, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::lane::LaneId;
use crate::tier::Tier;

/// What a plan decides of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is executed: in one lane, or in each of the profiles that were named.
    Run(Vec<LaneId>),
    /// It is not, for this reason.
    Skip(SkipReason),
}

/// Why a case is not executed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum SkipReason {
    /// `--suite` names others.
    OtherSuite,
    /// It does not fit what was asked for, or what its suite declares.
    Expression {
        /// Who asked.
        whose: Asker,
        /// What for.
        text: String,
    },
    /// It belongs to a tier that comes after the asked one.
    OtherTier {
        /// Its own.
        tier: Tier,
    },
    /// It is marked so.
    MarkedSkip {
        /// What the marker says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The project's own hooks leave it out.
    LeftOut,
    /// Somebody is mending it.
    Quarantined {
        /// Ticket.
        ticket: String,
        /// The last day.
        until: String,
    },
    /// No changed file concerns it.
    NotAffected,
    /// This host does not have what it needs.
    Hardware {
        /// What it needs.
        needs: String,
        /// What is here.
        has: String,
    },
    /// No profile that takes part has what it needs.
    Profile {
        /// Profile and what it lacks, or why it takes no part.
        lacks: Vec<String>,
    },
    /// It needs a model that nobody knows.
    UnknownModel {
        /// As its marker names it.
        model: String,
    },
    /// No lane lets it through.
    NoLane,
    /// It belongs to another shard.
    OtherShard {
        /// Which.
        shard: u32,
    },
}

/// Whose expression it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asker {
    /// `-m`.
    Markers,
    /// `-k`.
    Keyword,
    /// `--case`.
    Case,
    /// The suite, in the project file.
    Suite,
}

impl Asker {
    /// As it is written by who asks.
    pub const fn flag(self) -> &'static str {
        match self {
            Self::Markers => "-m",
            Self::Keyword => "-k",
            Self::Case => "--case",
            Self::Suite => "expression of the suite",
        }
    }
}

impl SkipReason {
    /// Whether the case was asked for and is withheld all the same: then a report tells of it as skipped. What was never asked
    /// for is counted, not told one by one.
    pub const fn is_withheld(&self) -> bool {
        matches!(
            self,
            Self::MarkedSkip { .. }
                | Self::Quarantined { .. }
                | Self::Hardware { .. }
                | Self::Profile { .. }
                | Self::UnknownModel { .. }
        )
    }

    /// The kind of reason in a word or two, for counts.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::OtherSuite => "other suite",
            Self::Expression { .. } => "expression",
            Self::OtherTier { .. } => "other tier",
            Self::MarkedSkip { .. } => "marked skip",
            Self::LeftOut => "left out by the project",
            Self::Quarantined { .. } => "quarantined",
            Self::NotAffected => "not affected",
            Self::Hardware { .. } => "hardware missing",
            Self::Profile { .. } => "profile unavailable",
            Self::UnknownModel { .. } => "model unknown",
            Self::NoLane => "no lane",
            Self::OtherShard { .. } => "other shard",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherSuite => f.write_str("`--suite` names others"),
            Self::Expression { whose, text } => write!(f, "it does not fit {} `{text}`", whose.flag()),
            Self::OtherTier { tier } => write!(f, "it belongs to `{tier}`, which comes later"),
            Self::MarkedSkip { reason: Some(reason) } => write!(f, "marked skip: {reason}"),
            Self::MarkedSkip { reason: None } => f.write_str("marked skip"),
            Self::LeftOut => f.write_str("the project's own hooks leave it out"),
            Self::Quarantined { ticket, until } => write!(f, "quarantined until {until}: {ticket}"),
            Self::NotAffected => f.write_str("no changed file concerns it"),
            Self::Hardware { needs, has } => write!(f, "it needs {needs}; this host has {has}"),
            Self::Profile { lacks } => write!(f, "no profile has what it needs: {}", lacks.join("; ")),
            Self::UnknownModel { model } => {
                write!(f, "it needs the model `{model}`, which {} does not have", crate::models::FILE)
            }
            Self::NoLane => f.write_str("no lane of its suite lets it through"),
            Self::OtherShard { shard } => write!(f, "it belongs to shard {shard}"),
        }
    }
}

/// How many cases of one suite share a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkipCount {
    /// Suite.
    pub suite: String,
    /// Why, as a sentence without final dot.
    pub reason: String,
    /// How many.
    pub cases: u32,
}

/// Cases of one suite that share a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkipGroup {
    /// Suite.
    pub suite: String,
    /// Why.
    pub reason: SkipReason,
    /// Which, in the order of the catalog.
    pub cases: Vec<String>,
}
