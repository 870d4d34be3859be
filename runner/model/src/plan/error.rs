//! Why no plan can be made.

use crate::compose::ComposeError;
use crate::exit_code::ExitCode;
use crate::hint::Hint;
use crate::nearest::{did_you_mean, nearest};
use crate::profile::{BASE, ProfileError};
use crate::selection::Name;
use crate::span::Fault;

/// No plan can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Profile, stack and project file do not fit together, at a place of one of them.
    #[error(transparent)]
    At(#[from] Fault),
    /// The stack cannot be read.
    #[error(transparent)]
    Stack(#[from] ComposeError),
    /// A profile cannot be resolved or does not exist.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A profile without a stack was asked to bring one up.
    #[error("the profile `{profile}` has no stack")]
    NoStack {
        /// Profile.
        profile: String,
    },
    /// `--suite` names no suite of the project.
    #[error("unknown suite `{name}`")]
    UnknownSuite {
        /// What was asked for.
        name: String,
        /// The nearest name, or all.
        suggestion: String,
    },
    /// `--lane` names no lane of the project file.
    #[error("unknown lane `{name}`")]
    UnknownLane {
        /// What was asked for.
        name: String,
        /// The nearest name, or all.
        suggestion: String,
    },
    /// `-m` asks for a marker that nobody knows.
    #[error("`-m`: column {column}: unknown marker `{name}`")]
    UnknownMarker {
        /// What was asked for.
        name: String,
        /// Where, from one.
        column: usize,
        /// The expression with a caret below the name.
        excerpt: String,
        /// The nearest name.
        suggestion: String,
    },
    /// This host does not have what a profile named on the command line requires.
    #[error("the profile `{profile}` cannot run here: {reason}")]
    Unmet {
        /// Profile.
        profile: String,
        /// What it needs, and what is here.
        reason: String,
        /// What mends it, where something but another host does.
        mends: Vec<String>,
    },
    /// One stack is wanted, and the profile is a matrix of several.
    #[error("the profile `{profile}` is a matrix, and one of its combinations is wanted")]
    Matrix {
        /// Profile.
        profile: String,
        /// The names of its combinations.
        combinations: Vec<String>,
    },
    /// No profile can run on this host.
    #[error("no profile can run here{}", list(reasons))]
    NothingFits {
        /// Each profile with what it needs.
        reasons: Vec<String>,
    },
}

fn list(reasons: &[String]) -> String {
    if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) }
}

impl PlanError {
    pub(super) fn unknown_suite<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        Self::UnknownSuite { name: name.to_owned(), suggestion: did_you_mean(name, known) }
    }

    pub(super) fn unknown_lane<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        Self::UnknownLane { name: name.to_owned(), suggestion: did_you_mean(name, known) }
    }

    pub(super) fn unknown_marker<'a>(
        name: &Name,
        source: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let suggestion = match nearest(&name.text, known) {
            Some(candidate) => format!("did you mean `{candidate}`?"),
            None => "`testbed list --known-markers` shows the markers that there are".to_owned(),
        };
        Self::UnknownMarker {
            name: name.text.clone(),
            column: name.column,
            excerpt: format!("{source}\n{}^", " ".repeat(name.column.saturating_sub(1))),
            suggestion,
        }
    }
}

impl Hint for PlanError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::At(fault) => fault.hint.clone(),
            Self::Stack(error) => error.hint(),
            Self::Profile(error) => error.hint(),
            Self::NoStack { profile } if profile == BASE => {
                Some("it is the base layer of all profiles; name one of them".into())
            }
            Self::NoStack { profile } => {
                Some(format!("set `stack` in envs/{profile}.toml, or name another profile"))
            }
            Self::UnknownSuite { suggestion, .. }
            | Self::UnknownLane { suggestion, .. }
            | Self::UnknownMarker { suggestion, .. } => Some(suggestion.clone()),
            Self::NothingFits { .. } => Some("use a host that has what one of them needs".into()),
            Self::Unmet { mends, .. } if mends.is_empty() => {
                Some("leave `--profile` out to run what this host can run".into())
            }
            Self::Unmet { mends, .. } => {
                Some(format!("{}; without `--profile` runs what this host can run", mends.join("; ")))
            }
            Self::Matrix { combinations, .. } => {
                Some(format!("name one of them: `{}`", combinations.join("`, `")))
            }
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Unmet { .. } | Self::NothingFits { .. } => ExitCode::Environment,
            _ => ExitCode::Usage,
        }
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::At(fault) => fault.excerpt.clone(),
            Self::Stack(error) => error.rendered(),
            Self::Profile(error) => error.rendered(),
            Self::UnknownMarker { excerpt, .. } => Some(excerpt.clone()),
            Self::NoStack { .. }
            | Self::UnknownSuite { .. }
            | Self::UnknownLane { .. }
            | Self::Unmet { .. }
            | Self::Matrix { .. }
            | Self::NothingFits { .. } => None,
        }
    }
}
