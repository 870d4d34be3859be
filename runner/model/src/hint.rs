//! What every error of Testbed carries besides its message: a way out and an exit code.

use crate::exit_code::ExitCode;

/// An error that a person will read.
pub trait Hint: std::error::Error {
    /// The way out, as a sentence or a command; printed on a line of its own that starts with `hint:`.
    fn hint(&self) -> Option<String>;

    /// The exit code that the command ends with when this error ends it.
    fn exit_code(&self) -> ExitCode;

    /// A rendering with the user's own source text around the place, where the error has one.
    fn rendered(&self) -> Option<String> {
        None
    }
}

/// Makes an error that is nothing but a fault at a place of a user's file an error that a person can read.
macro_rules! of_fault {
    ($error:ty) => {
        impl $crate::hint::Hint for $error {
            fn hint(&self) -> Option<String> {
                self.0.hint.clone()
            }

            fn exit_code(&self) -> $crate::exit_code::ExitCode {
                $crate::exit_code::ExitCode::Usage
            }

            fn rendered(&self) -> Option<String> {
                self.0.excerpt.clone()
            }
        }
    };
}
pub(crate) use of_fault;
