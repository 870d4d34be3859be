//! Until when something is left standing.

use testbed_engine::host::clock;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;

/// A duration on the command line is not one.
#[derive(Debug, thiserror::Error)]
#[error("`{flag} {text}`: {cause}")]
pub struct BadDuration {
    flag: &'static str,
    text: String,
    cause: jiff::Error,
}

impl Hint for BadDuration {
    fn hint(&self) -> Option<String> {
        Some(format!("say it as in `{flag} 90m` or `{flag} 4h`", flag = self.flag))
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// The moment that is as far from now as the text of a flag says, such as `4h`.
pub fn until(flag: &'static str, text: &str) -> Result<jiff::Timestamp, BadDuration> {
    let bad = |cause| BadDuration { flag, text: text.to_owned(), cause };
    let span: jiff::SignedDuration = text.parse().map_err(bad)?;
    clock::now().checked_add(span).map_err(bad)
}
