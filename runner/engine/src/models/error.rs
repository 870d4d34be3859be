//! What goes wrong when a model is to be had.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use testbed_model::document::{bytes_text, duration_text};
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::models::FILE;
use testbed_model::span::Fault;

use super::tiny::TokenizerError;
use crate::configuration::ReadError;

/// An error on the way to a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// `models.toml` is wrong.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// `models.toml` cannot be read.
    #[error(transparent)]
    Unread(#[from] ReadError),
    /// `models.toml` has no such model.
    #[error("there is no model `{name}` in {FILE}")]
    Unknown {
        /// The name.
        name: String,
        /// The nearest name, or all.
        suggestion: String,
    },
    /// Nobody has seen its bytes.
    #[error("the model `{model}` is not pinned: {FILE} has no hash of `{path}`")]
    Unpinned {
        /// Model.
        model: String,
        /// The first file without a hash.
        path: String,
        /// The command that mends it.
        mends: String,
    },
    /// A file has other bytes than it must have.
    #[error("the file `{path}` of the model `{model}` has the wrong hash: expected {expected}, got {got}")]
    WrongHash {
        /// Model.
        model: String,
        /// File.
        path: String,
        /// What `models.toml` says, or the server.
        expected: String,
        /// What it is.
        got: String,
        /// What to do.
        way_out: String,
    },
    /// A file is shorter or longer than it must be.
    #[error(
        "the file `{path}` of the model `{model}` has the wrong size: expected {expected} bytes, got {got}"
    )]
    WrongSize {
        /// Model.
        model: String,
        /// File.
        path: String,
        /// What `models.toml` says.
        expected: u64,
        /// What it is.
        got: u64,
        /// What to do.
        way_out: String,
    },
    /// A file goes on after its end.
    #[error(
        "the file `{path}` of the model `{model}` has the wrong size: expected {expected} bytes, and more came"
    )]
    TooLong {
        /// Model.
        model: String,
        /// File.
        path: String,
        /// What `models.toml` says.
        expected: u64,
        /// What to do.
        way_out: String,
    },
    /// A file is not there.
    #[error("the model `{model}` has no file `{path}` in `{}`", folder.display())]
    NoFile {
        /// Model.
        model: String,
        /// File.
        path: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// What to do.
        way_out: String,
    },
    /// A file is there that the model does not have.
    #[error("the folder `{}` of the model `{model}` has `{path}`, which {FILE} does not name", folder.display())]
    Unlisted {
        /// Model.
        model: String,
        /// File.
        path: String,
        /// The folder.
        folder: PathBuf,
    },
    /// A model's tokenizer does not do.
    #[error("the tokenizer of `{tokenizer}`, which the model `{model}` has, cannot be used: {source}")]
    Tokenizer {
        /// Model.
        model: String,
        /// The model that has the tokenizer.
        tokenizer: String,
        /// Why.
        source: TokenizerError,
    },
    /// The token cannot be used.
    #[error("the token of Hugging Face ({from}) {what}")]
    Token {
        /// Where it was found.
        from: String,
        /// What is wrong with it, without a part of it.
        what: String,
    },
    /// The base address cannot be used.
    #[error("the endpoint `{endpoint}` {what}")]
    Endpoint {
        /// The address, without secrets.
        endpoint: String,
        /// What is wrong with it.
        what: String,
    },
    /// The server wants to know who asks, or has it told already.
    #[error("{url} is refused with {status}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The answer.
        status: u16,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// The server does not have it.
    #[error("{url} is not there (404)")]
    NotThere {
        /// What was asked for.
        url: String,
    },
    /// The server asks again and again for another time, or for a time that is too far.
    #[error("{url} asks to wait{}", asked.map(|asked| format!(" {}", seconds(asked))).unwrap_or_default())]
    Busy {
        /// What was asked for.
        url: String,
        /// How long.
        asked: Option<Duration>,
    },
    /// The server answered something else.
    #[error("{url} answers {what}")]
    Answer {
        /// What was asked for.
        url: String,
        /// What it answers.
        what: String,
    },
    /// The network failed too often.
    #[error("cannot fetch {url}: {what}")]
    Network {
        /// What was asked for.
        url: String,
        /// The last failure.
        what: String,
    },
    /// There is not enough room.
    #[error("`{}` has {} free, and {} are needed", path.display(), bytes_text(*has >> 20 << 20), bytes_text(*needed))]
    NoRoom {
        /// The folder.
        path: PathBuf,
        /// Bytes.
        needed: u64,
        /// Bytes.
        has: u64,
    },
    /// A file of this machine cannot be used.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    File {
        /// What was done.
        doing: &'static str,
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A signal ended it.
    #[error("interrupted; what is fetched so far stays, and the next fetch goes on from there")]
    Cancelled,
}

fn seconds(time: Duration) -> String {
    duration_text(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

impl ModelError {
    /// An error at a file.
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }
}

impl Hint for ModelError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Fault(fault) => return fault.hint.clone(),
            Self::Unread(error) => return error.hint(),
            Self::Unknown { suggestion, .. } => suggestion.clone(),
            Self::Unpinned { mends, .. } => mends.clone(),
            Self::WrongHash { way_out, .. }
            | Self::WrongSize { way_out, .. }
            | Self::TooLong { way_out, .. }
            | Self::NoFile { way_out, .. } => way_out.clone(),
            Self::Unlisted { .. } => format!("remove it, or name it in {FILE}"),
            Self::Tokenizer { .. } => "name another model as `tokenizer`".to_owned(),
            Self::Token { .. } => {
                "put the token by itself into the file, or into `HF_TOKEN`".to_owned()
            }
            Self::Endpoint { .. } => "name it as `https://huggingface.co`, by `--endpoint` or `HF_ENDPOINT`".to_owned(),
            Self::Refused { with_token: false, .. } => {
                "the repository is private, gated or misspelt: accept its terms in a browser, and give a token by `HF_TOKEN` or \
                 `--token-file`"
                    .to_owned()
            }
            Self::Refused { with_token: true, .. } => {
                "the token does not open it: accept the repository's terms in a browser with its account, or give another token"
                    .to_owned()
            }
            Self::NotThere { .. } => {
                format!("check `huggingface`, `revision` and the file's `path` in {FILE}")
            }
            Self::Busy { .. } => "try again later; what is fetched so far stays".to_owned(),
            Self::Answer { .. } => "try again later, or name another server by `--endpoint`".to_owned(),
            Self::Network { .. } => {
                "check the network and the proxy (`HTTPS_PROXY`), and try again: what is fetched so far stays".to_owned()
            }
            Self::NoRoom { .. } => "make room, or move the project's `.testbed` folder to another disk".to_owned(),
            Self::File { source, .. } if is_full(source) => {
                "make room, and try again; what a fetch has so far stays, and the next one goes on from there".to_owned()
            }
            Self::File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "make it readable and writable for this user".to_owned()
            }
            Self::File { .. } => "check the disk and the file system".to_owned(),
            Self::Cancelled => return None,
        })
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Fault(_) | Self::Unknown { .. } | Self::Token { .. } | Self::Endpoint { .. } => {
                ExitCode::Usage
            }
            Self::Unread(error) => error.exit_code(),
            Self::Cancelled => ExitCode::Interrupted,
            _ => ExitCode::Environment,
        }
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::Fault(fault) => fault.excerpt.clone(),
            _ => None,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use testbed_model::hint::Hint as _;

    use super::ModelError;

    #[test]
    fn a_full_disk_is_told_as_one() {
        let error = ModelError::file("write", Path::new("/models/a.part"))(io::ErrorKind::StorageFull.into());
        assert!(error.to_string().starts_with("cannot write `/models/a.part`: "), "{error}");
        assert!(error.hint().unwrap().starts_with("make room"), "{:?}", error.hint());
    }

    #[test]
    fn bytes_that_are_missing_are_told_in_units() {
        let error = ModelError::NoRoom { path: "/srv".into(), needed: 2 << 30, has: (1 << 30) + 5 };
        assert_eq!(error.to_string(), "`/srv` has 1GiB free, and 2GiB are needed");
    }
}
