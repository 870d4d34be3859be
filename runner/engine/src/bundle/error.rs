//! What can go wrong with a bundle.

use std::io;
use std::path::{Path, PathBuf};

use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;

use super::SCHEMA;

/// A bundle cannot be written, or is not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file cannot be read or written.
    #[error("cannot {what} `{path}`: {source}")]
    Io {
        /// Read or write.
        what: &'static str,
        /// File.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no archive, or is cut.
    #[error("`{path}` is no whole bundle: {source}")]
    Torn {
        /// Bundle.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The first member is not what it should be.
    #[error("`{path}` is no bundle of Testbed: {message}")]
    Foreign {
        /// Bundle.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// Another version of Testbed wrote it.
    #[error("the bundle `{path}` has the format {found}, and this version reads {SCHEMA}")]
    Schema {
        /// Bundle.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// A member is not to be unpacked.
    #[error("the bundle `{path}` is refused: its member `{member}` {why}")]
    Refused {
        /// Bundle.
        path: PathBuf,
        /// Member.
        member: String,
        /// Why, as the rest of the sentence.
        why: String,
    },
}

impl BundleError {
    pub(super) fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io { what: "read", path: path.to_owned(), source }
    }

    pub(super) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io { what: "write", path: path.to_owned(), source }
    }
}

impl Hint for BundleError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Io { .. } => None,
            Self::Torn { .. } => Some("copy it again, and compare its size with the original's".to_owned()),
            Self::Foreign { .. } => Some("`testbed bundle RUN` makes one".to_owned()),
            Self::Schema { .. } => Some("read it with the version of Testbed that wrote it".to_owned()),
            Self::Refused { .. } => {
                Some("nothing was unpacked; ask who made it for a new one by `testbed bundle RUN`".to_owned())
            }
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Io { what: "write", .. } => ExitCode::Environment,
            _ => ExitCode::Usage,
        }
    }
}
