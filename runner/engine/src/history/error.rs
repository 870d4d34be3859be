//! What can go wrong with a history.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;

use super::open::VERSION;
use crate::store::StoreError;

/// A history cannot be read or added to.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Its contents are no longer what was written.
    #[error("the history `{path}` is damaged: {source}")]
    Damaged {
        /// File.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// It is something else.
    #[error("`{path}` is no history of Testbed")]
    Foreign {
        /// File.
        path: PathBuf,
    },
    /// A newer version of Testbed wrote it.
    #[error("the history `{path}` has the format {found}, and this version knows {VERSION}")]
    Newer {
        /// File.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// Another process is writing, and does not come to an end.
    #[error("another process holds the history `{path}`")]
    Busy {
        /// File.
        path: PathBuf,
    },
    /// There is none.
    #[error("there is no history `{path}`")]
    Missing {
        /// File.
        path: PathBuf,
    },
    /// The disk refuses, or SQLite does.
    #[error("cannot use the history `{path}`: {source}")]
    Refused {
        /// File.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A file cannot be read, or a store cannot be made.
    #[error("cannot open `{path}`: {source}")]
    Read {
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file to import is no JUnit report.
    #[error("`{path}` is no JUnit report: {message}")]
    Junit {
        /// File.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// A report does not say when its run was.
    #[error("`{path}` does not say when the run was")]
    Undated {
        /// File.
        path: PathBuf,
    },
    /// A path to import is neither a record nor a report.
    #[error("`{path}` is neither the folder of a run nor a JUnit report")]
    Unknown {
        /// File or folder.
        path: PathBuf,
    },
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] StoreError),
}

impl HistoryError {
    /// What an error of SQLite's amounts to.
    pub(super) fn of(path: &Path) -> impl Fn(rusqlite::Error) -> Self {
        move |source| {
            let path = path.to_owned();
            match source.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, source },
                Some(ErrorCode::NotADatabase) => Self::Foreign { path },
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
                _ => Self::Refused { path, source },
            }
        }
    }
}

impl Hint for HistoryError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Damaged { path, .. } | Self::Foreign { path } => format!(
                "move `{}` away and import the runs again: `testbed history import .testbed/runs`",
                path.display()
            ),
            Self::Newer { .. } => "use the version of Testbed that wrote it, or a newer one".to_owned(),
            Self::Busy { .. } => "try again when it has ended".to_owned(),
            Self::Missing { .. } => {
                "every run adds to it; `testbed history import` takes earlier ones".to_owned()
            }
            Self::Refused { path, .. } => {
                let folder = path.parent().unwrap_or(path).display();
                format!("check that `{folder}` can be written and its disk is not full")
            }
            Self::Read { .. } => "check the path, and that its folder can be written".to_owned(),
            Self::Junit { .. } => {
                "give the XML that pytest writes by `--junit-xml`, nextest or Testbed".to_owned()
            }
            Self::Undated { .. } => {
                "say it with `--at`, as 2026-11-21T14:30:00Z, for this report alone".to_owned()
            }
            Self::Unknown { .. } => "give `.testbed/runs`, one of its folders, or an XML file".to_owned(),
            Self::Record(error) => return error.hint(),
        })
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Busy { .. } | Self::Refused { .. } => ExitCode::Environment,
            Self::Record(error) => error.exit_code(),
            _ => ExitCode::Usage,
        }
    }
}
