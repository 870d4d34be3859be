//! All top-level wording: how an error that ends the command reads, and the exit code that it ends with.

use std::io::Write as _;

use testbed_model::event::Event;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_report::Style;

/// An error that ends the command.
#[derive(Debug)]
pub struct Failure(Box<dyn Hint + Send + Sync>);

impl<E: Hint + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl Failure {
    /// The exit code that the command ends with.
    pub fn exit_code(&self) -> ExitCode {
        self.0.exit_code()
    }

    /// The failure as an event, for the record of a run that it ends.
    pub fn event(&self) -> Event {
        Event::Warning { message: self.0.to_string(), hint: self.0.hint() }
    }

    /// Writes the message to standard error: `error:`, the place in the user's file where there is one, causes, `hint:`.
    pub fn tell(&self, style: &Style) {
        let text = testbed_report::failure::render(self.0.as_ref(), style);
        // Where standard error is closed, the exit code still says it.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// Output that a person or a program asked for cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub struct OutputError(#[from] pub std::io::Error);

impl Hint for OutputError {
    fn hint(&self) -> Option<String> {
        Some("check the disk or the program that reads it".into())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Environment
    }
}

/// Something that cannot happen did.
#[derive(Debug, thiserror::Error)]
#[error("a bug in Testbed: {0}")]
pub struct Bug(pub String);

impl Hint for Bug {
    fn hint(&self) -> Option<String> {
        Some("please report it with the run folder `.testbed/latest`".into())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Bug
    }
}
