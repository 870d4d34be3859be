//! What goes wrong between the runner and the daemon, in words with a way out.

use std::error::Error;
use std::io;

use bollard::errors::Error as ClientError;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;

/// An error of the daemon, or of the way to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DaemonError {
    /// Nobody listens.
    #[error("no container engine answers at `{address}`: {message}")]
    NotThere {
        /// Where it was looked for.
        address: String,
        /// The system's words.
        message: String,
    },
    /// Somebody listens, not to us.
    #[error("no permission to use the container engine at `{address}`")]
    NoPermission {
        /// Its address.
        address: String,
    },
    /// The address can not be used.
    #[error("`{address}` is not an address of a container engine: {message}")]
    BadAddress {
        /// The address.
        address: String,
        /// What is wrong with it.
        message: String,
    },
    /// A container does not have the GPUs that were asked for it.
    #[error("{message}")]
    Gpus {
        /// What it was to have, and what it has.
        message: String,
    },
    /// Its API lacks what Testbed needs.
    #[error("the container engine at `{address}` speaks API {has}, Testbed needs {needs}")]
    TooOld {
        /// Its address.
        address: String,
        /// The API version that it offers.
        has: String,
        /// The least that is needed.
        needs: String,
    },
    /// The daemon said no.
    #[error("the container engine refused to {doing}: {message}")]
    Refused {
        /// What was asked.
        doing: String,
        /// HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The daemon has no room left.
    #[error("the container engine's disk is full, it could not {doing}: {message}")]
    DiskFull {
        /// What was asked.
        doing: String,
        /// Its words.
        message: String,
    },
    /// The connection broke, or the daemon went away.
    #[error("the container engine was lost while asked to {doing}: {message}")]
    Lost {
        /// What was asked.
        doing: String,
        /// The system's words.
        message: String,
    },
    /// The daemon did not answer in time.
    #[error("the container engine did not answer in time when asked to {doing}")]
    TimedOut {
        /// What was asked.
        doing: String,
    },
    /// The answer makes no sense.
    #[error("the container engine's answer could not be read when asked to {doing}: {message}")]
    Garbled {
        /// What was asked.
        doing: String,
        /// What is wrong with it.
        message: String,
    },
    /// A file on this side could not be read or written.
    #[error("could not {doing}: {message}")]
    File {
        /// What was tried.
        doing: String,
        /// The system's words.
        message: String,
    },
}

impl DaemonError {
    /// Whether the object that was asked for does not exist.
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether the object is in a state that forbids what was asked: the name is taken, it is being removed, it runs not.
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: 409, .. })
    }

    /// Whether a network's address range overlaps one that exists.
    pub fn is_overlap(&self) -> bool {
        match self {
            Self::Refused { message, .. } => {
                let message = message.to_lowercase();
                message.contains("overlaps with other one")
                    || message.contains("already used on the host")
                    || message.contains("is already being used")
                    || message.contains("conflicts with network")
            }
            _ => false,
        }
    }
}

impl Hint for DaemonError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotThere { .. } => Some(
                "start it (`sudo systemctl start docker`), or say in DOCKER_HOST where it listens".to_owned(),
            ),
            Self::NoPermission { .. } => Some(
                "add yourself to the group `docker` (`sudo usermod -aG docker \"$USER\"`, then log in again), or \
                 run with sudo"
                    .to_owned(),
            ),
            Self::BadAddress { .. } => Some(
                "DOCKER_HOST takes `unix:///path/to/socket` or `tcp://host:port`; unset it for the usual socket"
                    .to_owned(),
            ),
            Self::TooOld { .. } => Some("upgrade to Docker 20.10 or Podman 4, or a later one".to_owned()),
            Self::DiskFull { .. } => {
                Some("free some space: `docker system df` says what takes it, `testbed gc` removes dead runs".to_owned())
            }
            Self::Refused { status: 404, message, .. } if message.to_lowercase().contains("no such image") => {
                Some("`testbed images list` says which images are there, `testbed images build` makes them".to_owned())
            }
            Self::Refused { message, .. } if message.contains("could not select device driver") => {
                Some("the daemon has no such device driver: install the NVIDIA container toolkit, or choose a profile without GPU".to_owned())
            }
            Self::Lost { .. } | Self::TimedOut { .. } => Some(
                "see whether it still runs (`docker info`) and what its log says (`journalctl -u docker`); \
                 `testbed gc` removes what was left behind"
                    .to_owned(),
            ),
            Self::Gpus { .. } => Some(
                "see whether `docker run --rm --gpus all IMAGE nvidia-smi -L` lists any; \
                 `nvidia-ctk runtime configure` or `nvidia-ctk cdi generate`, and a restart of the engine, mend it"
                    .to_owned(),
            ),
            Self::Refused { .. } | Self::Garbled { .. } | Self::File { .. } => None,
        }
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Environment
    }
}

/// Words an error of the first contact.
pub(super) fn connecting(address: &str, error: &ClientError) -> DaemonError {
    let address = address.to_owned();
    let root = root_words(error);
    match error {
        ClientError::UnsupportedURISchemeError { .. } => {
            return DaemonError::BadAddress { address, message: "its scheme is not supported".to_owned() };
        }
        ClientError::URLParseError { .. } | ClientError::InvalidURIError { .. } => {
            return DaemonError::BadAddress { address, message: root };
        }
        ClientError::SocketNotFoundError(_) => {
            return DaemonError::NotThere { address, message: "there is no such socket".to_owned() };
        }
        _ => {}
    }
    match io_error(error).map(io::Error::kind) {
        Some(io::ErrorKind::PermissionDenied) => DaemonError::NoPermission { address },
        Some(_) => DaemonError::NotThere { address, message: root },
        None => doing("say its version", error),
    }
}

/// Words an error of a request; `doing` completes "asked to".
pub(super) fn doing(doing: impl Into<String>, error: &ClientError) -> DaemonError {
    let doing = doing.into();
    match error {
        ClientError::DockerResponseServerError { status_code, message } => {
            refused(doing, *status_code, message.trim())
        }
        ClientError::DockerStreamError { error } => refused(doing, 500, error.trim()),
        ClientError::RequestTimeoutError => DaemonError::TimedOut { doing },
        ClientError::JsonDataError { message, .. } => {
            DaemonError::Garbled { doing, message: message.clone() }
        }
        ClientError::JsonSerdeError { err } => DaemonError::Garbled { doing, message: err.to_string() },
        ClientError::IOError { err } if err.kind() == io::ErrorKind::StorageFull => {
            DaemonError::DiskFull { doing, message: err.to_string() }
        }
        _ => DaemonError::Lost { doing, message: root_words(error) },
    }
}

/// An error that the daemon words itself, in its answer.
pub(super) fn refused(doing: String, status: u16, message: &str) -> DaemonError {
    let message = message.to_owned();
    if message.contains("no space left on device") || message.contains("disk quota exceeded") {
        DaemonError::DiskFull { doing, message }
    } else {
        DaemonError::Refused { doing, status, message }
    }
}

/// The innermost cause's words: the outer ones say only that there is a cause.
fn root_words(error: &ClientError) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The system's error in the chain of causes, if one is there.
fn io_error(error: &ClientError) -> Option<&io::Error> {
    // This variant passes its cause's cause on, and is itself not in the chain.
    if let ClientError::IOError { err } = error {
        return Some(err);
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = current.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use bollard::errors::Error as ClientError;
    use testbed_model::exit_code::ExitCode;
    use testbed_model::hint::Hint;

    use super::{DaemonError, connecting, doing};

    fn response(status_code: u16, message: &str) -> ClientError {
        ClientError::DockerResponseServerError { status_code, message: message.to_owned() }
    }

    #[test]
    fn a_full_disk_is_told_apart_from_a_refusal() {
        let full = doing("create a container", &response(500, "mkdir /x: no space left on device"));
        assert!(matches!(full, DaemonError::DiskFull { .. }));
        assert!(full.hint().unwrap().contains("testbed gc"));
        let refused = doing("create a container", &response(500, "something else"));
        assert_eq!(refused.to_string(), "the container engine refused to create a container: something else");
    }

    #[test]
    fn an_overlap_is_known_by_the_words_of_docker_and_of_podman() {
        for message in [
            "Pool overlaps with other one on this address space",
            "subnet 10.1.0.0/24 is already used on the host or by another config",
            "networks have overlapping: conflicts with network 1234",
        ] {
            assert!(doing("create a network", &response(403, message)).is_overlap(), "{message}");
        }
        assert!(!doing("create a network", &response(409, "network with name x exists")).is_overlap());
    }

    #[test]
    fn an_unknown_image_names_the_command_that_makes_it() {
        let error = doing("create `nats`", &response(404, "No such image: testbed/nats:1"));
        assert!(error.is_not_found());
        assert!(error.hint().unwrap().contains("testbed images build"));
    }

    #[test]
    fn the_first_contact_tells_missing_from_forbidden_from_nonsense() {
        let address = "unix:///nowhere.sock";
        let io = |kind: std::io::ErrorKind| ClientError::IOError { err: kind.into() };
        let forbidden = connecting(address, &io(std::io::ErrorKind::PermissionDenied));
        assert!(matches!(forbidden, DaemonError::NoPermission { .. }));
        assert!(forbidden.hint().unwrap().contains("sudo"));
        let gone = connecting(address, &io(std::io::ErrorKind::ConnectionRefused));
        assert!(matches!(gone, DaemonError::NotThere { .. }));
        assert_eq!(gone.exit_code(), ExitCode::Environment);
        let nonsense = ClientError::UnsupportedURISchemeError { uri: "ftp://x".to_owned() };
        assert!(matches!(connecting("ftp://x", &nonsense), DaemonError::BadAddress { .. }));
    }
}
