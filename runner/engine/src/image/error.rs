//! What goes wrong when an image is to be had.

use std::io;
use std::path::{Path, PathBuf};

use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::image::{ImageName, UnknownArchitecture};
use testbed_model::span::Fault;

use crate::docker::DaemonError;
use crate::host::process::ProcessError;

/// An error on the way to an image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The lock, a recipe or a requirement file is wrong.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A file that the lock names is not there, or is not what it should be.
    #[error("`{path}`, which {wanted_by} names, {problem}")]
    Input {
        /// File or folder.
        path: PathBuf,
        /// Who names it.
        wanted_by: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The lock has no such image.
    #[error("there is no image `{name}` in the lock")]
    Unknown {
        /// The name.
        name: String,
        /// The nearest names.
        hint: String,
    },
    /// Images for this machine cannot be made.
    #[error(transparent)]
    Architecture(#[from] UnknownArchitecture),
    /// A file of the host could not be read or written.
    #[error("cannot {doing} `{path}`: {source}")]
    File {
        /// Such as `write`.
        doing: &'static str,
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program that building needs is not installed.
    #[error("`{program}` is needed to build image `{image}`, and is not installed")]
    MissingTool {
        /// Program.
        program: String,
        /// The first image that needs it.
        image: ImageName,
        /// The command that installs it.
        install: String,
    },
    /// A program failed.
    #[error("image `{image}` cannot be built: {program} ended with {ended}{}", said(.words))]
    Failed {
        /// Image.
        image: ImageName,
        /// Program, in the words of a person.
        program: String,
        /// How it ended.
        ended: String,
        /// The last of what it said.
        words: Vec<String>,
    },
    /// A package has no wheel that runs in the image.
    #[error(
        "image `{image}` cannot be built: `{package}` of `{file}` has no wheel for Python {python} on {machine}"
    )]
    NoWheel {
        /// Image.
        image: ImageName,
        /// The pin.
        package: String,
        /// The requirement file.
        file: String,
        /// Python's version in the image.
        python: String,
        /// Architecture and C library of the image.
        machine: String,
    },
    /// A program could not be executed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// What a program made is not what was asked for.
    #[error("image `{image}` cannot be built: {what}")]
    Content {
        /// Image.
        image: ImageName,
        /// What is wrong.
        what: String,
    },
    /// A registry did not give the image.
    #[error("image `{image}` cannot be had: {source}")]
    Pull {
        /// Image.
        image: ImageName,
        /// The daemon's words.
        source: DaemonError,
    },
    /// The daemon does not have what it was given.
    #[error("the container engine took the image and does not have it as `{reference}`")]
    NotWhatWasLoaded {
        /// Reference.
        reference: String,
    },
    /// An image that an export needs is not in the daemon.
    #[error("image `{image}` is not here: the container engine has no `{reference}`")]
    NotHere {
        /// Image.
        image: ImageName,
        /// Its reference.
        reference: String,
    },
    /// An archive is broken, was changed, or is not one of images.
    #[error("`{file}` cannot be imported: {what}")]
    Archive {
        /// File.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The daemon.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// The run was cancelled.
    #[error("building images was interrupted")]
    Cancelled,
    /// A thread of the runner ended in an unforeseen way.
    #[error("a step of building images broke off: {0}")]
    Broken(String),
}

impl ImageError {
    /// For `map_err` after a file operation.
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }

    /// For `map_err` after waiting for a thread.
    pub(super) fn broken(error: &tokio::task::JoinError) -> Self {
        Self::Broken(error.to_string())
    }
}

fn said(words: &[String]) -> String {
    if words.is_empty() { String::new() } else { format!(":\n  {}", words.join("\n  ")) }
}

impl Hint for ImageError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Fault(fault) => fault.hint.clone(),
            Self::Unknown { hint, .. } => Some(hint.clone()),
            Self::Input { wanted_by, .. } => Some(format!("put it there, or correct {wanted_by}")),
            Self::File { source, path, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(format!(
                    "make room on the disk of `{}`; layers kept for later builds can be removed at any time",
                    path.display()
                )),
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                    Some("the project's folder keeps what was built, and must be writable".to_owned())
                }
                _ => None,
            },
            Self::MissingTool { install, .. } => {
                Some(format!("install it: `{install}` (with `--yes`, or CI=true, root on Debian has it done)"))
            }
            Self::Failed { .. } => Some(
                "Debian packages and Python wheels come over the network once; where there is none, make the images \
                 elsewhere and carry them over: `testbed images export FILE`, then `testbed images import FILE`"
                    .to_owned(),
            ),
            Self::NoWheel { package, .. } => Some(format!(
                "pin a version that has one (`pip download --only-binary=:all: --no-deps {package}` shows which there are); \
                 source distributions are not built, for what they build is not the same everywhere"
            )),
            Self::Pull { .. } => Some(
                "log in to the registry if it asks for it, or carry the image over from a machine that has it: \
                 `testbed images export FILE`, then `testbed images import FILE`"
                    .to_owned(),
            ),
            Self::NotHere { image, .. } => Some(format!("have it first: `testbed images build {image}`")),
            Self::Archive { .. } => {
                Some("export it again with `testbed images export FILE`, from the same revision".to_owned())
            }
            Self::NotWhatWasLoaded { .. } => Some("build it anew: `testbed images build --fresh`".to_owned()),
            Self::Daemon(error) => error.hint(),
            _ => None,
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Fault(_) | Self::Input { .. } | Self::Unknown { .. } => ExitCode::Usage,
            Self::Cancelled => ExitCode::Interrupted,
            Self::Broken(_) => ExitCode::Bug,
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
