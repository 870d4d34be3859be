//! Why something could not be measured.

use std::io;

use testbed_engine::docker::DaemonError;
use testbed_engine::stack::StackError;
use testbed_model::hint::Hint;

/// A measurement that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The bare engine API refused.
    #[error("the engine could not {doing}: {source}")]
    Engine {
        /// What it was asked to do.
        doing: String,
        /// Its words.
        source: bollard::errors::Error,
    },
    /// The same through Testbed's own door.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// What was made could not be removed.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// A program did not do what it was called for.
    #[error("`{program}` ended with {ended}{}", last_words(.said))]
    Program {
        /// The program with its first arguments.
        program: String,
        /// How it ended.
        ended: String,
        /// Its last lines.
        said: Vec<String>,
    },
    /// The host refused something.
    #[error("cannot {doing}: {source}")]
    Host {
        /// What.
        doing: String,
        /// Why.
        source: io::Error,
    },
    /// Something did not come in time.
    #[error("{what} did not come within {seconds} s")]
    Late {
        /// What.
        what: String,
        /// The time.
        seconds: u64,
    },
    /// Something that is needed is missing or not as expected.
    #[error("{message}")]
    Missing {
        /// What.
        message: String,
        /// The way out.
        hint: &'static str,
    },
    /// The user's files do not make a stack.
    #[error("cannot read the stack of profile `{profile}`: {message}")]
    NoStack {
        /// Profile.
        profile: String,
        /// Why.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
}

impl BenchError {
    /// For `map_err`: the engine could not do what was asked.
    pub fn engine(doing: impl Into<String>) -> impl FnOnce(bollard::errors::Error) -> Self {
        let doing = doing.into();
        |source| Self::Engine { doing, source }
    }

    /// For `map_err`: the host refused.
    pub fn host(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        |source| Self::Host { doing, source }
    }

    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Engine { source, .. } => engine_hint(source),
            Self::Daemon(e) => e.hint(),
            Self::Stack(e) => e.hint(),
            Self::Missing { hint, .. } => Some((*hint).to_owned()),
            Self::NoStack { hint, .. } => hint.clone(),
            Self::Program { .. } | Self::Host { .. } | Self::Late { .. } => None,
        }
    }
}

fn engine_hint(error: &bollard::errors::Error) -> Option<String> {
    match error {
        bollard::errors::Error::DockerResponseServerError { message, .. } if message.contains("overlap") => {
            Some("name a range that is free by `--subnet`, such as `--subnet 10.199.7.0/24`".to_owned())
        }
        _ => None,
    }
}

fn last_words(said: &[String]) -> String {
    if said.is_empty() { String::new() } else { format!(":\n  {}", said.join("\n  ")) }
}
