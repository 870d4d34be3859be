//! What can go wrong with a run's folder.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::record::SCHEMA;

/// A run's folder cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk refuses.
    #[error("cannot write `{path}`: {source}")]
    Write {
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A value has no JSON form.
    #[error("cannot encode `{name}`: {source}")]
    Encode {
        /// File.
        name: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// A file of a record cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// File.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another version of Testbed wrote it.
    #[error("the record `{path}` has the format {found}, and this version reads {SCHEMA}")]
    Schema {
        /// Folder.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// There is no such run.
    #[error("there is no run `{name}`{}", if *several { ": several begin so" } else { "" })]
    NoRun {
        /// As it was named.
        name: String,
        /// Whether more than one run fits.
        several: bool,
        /// Those that are there, newest first.
        known: Vec<String>,
    },
    /// A file of a record is not what it should be.
    #[error("`{path}` is not a {what} of Testbed: {source}")]
    Format {
        /// File.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        source: serde_json::Error,
    },
}

impl StoreError {
    pub(super) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Write { path: path.to_owned(), source }
    }

    pub(super) fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Read { path: path.to_owned(), source }
    }

    pub(super) fn encoding(name: &'static str) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self::Encode { name, source }
    }
}

/// The first few names, quoted.
fn listed(names: &[String]) -> String {
    names.iter().take(3).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl Hint for StoreError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Write { path, source } => Some(match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                    "free some space on this disk; old runs below `.testbed/runs` can be removed".to_owned()
                }
                ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
                    let folder = path.parent().unwrap_or(path).display();
                    format!(
                        "make `{folder}` writable for this user, or work in a copy of the project that is"
                    )
                }
                ErrorKind::AlreadyExists => format!("move `{}` out of the way", path.display()),
                _ => return None,
            }),
            Self::Read { path, .. } | Self::Format { path, .. } => {
                let folder = path.parent().unwrap_or(path).display();
                Some(format!("check that `{folder}` is the folder of a run, such as `.testbed/latest`"))
            }
            Self::Schema { found, .. } => Some(if *found > SCHEMA {
                "read it with the version of Testbed that wrote it, or a newer one".to_owned()
            } else {
                "read it with the version of Testbed that wrote it; `manifest.json` names it".to_owned()
            }),
            Self::NoRun { known, .. } => Some(match known.first() {
                None => "nothing was run here yet: `testbed premerge` makes the first record".to_owned(),
                Some(_) => format!("the newest are {}; `latest` is the last one", listed(known)),
            }),
            Self::Encode { .. } => None,
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Write { .. } => ExitCode::Environment,
            Self::Read { .. } | Self::Format { .. } | Self::Schema { .. } | Self::NoRun { .. } => {
                ExitCode::Usage
            }
            Self::Encode { .. } => ExitCode::Bug,
        }
    }
}
