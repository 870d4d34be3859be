//! A file that stands in for parts of the host: `--facts`.

use testbed_engine::configuration::{self, ReadError};
use testbed_model::exit_code::ExitCode;
use testbed_model::facts::Facts;
use testbed_model::hint::Hint;
use testbed_model::inventory::{self, Inventory};

use crate::failure::Failure;
use crate::settings::Settings;

/// The file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Unreadable(#[from] ReadError);

impl Hint for Unreadable {
    fn hint(&self) -> Option<String> {
        Some("check the path; `testbed schema facts --reference` says what such a file holds".to_owned())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// The inventory that was named, if one was.
pub fn inventory(settings: &Settings) -> Result<Option<Inventory>, Failure> {
    let Some(file) = &settings.facts else { return Ok(None) };
    let text = configuration::named(file).map_err(Unreadable)?;
    Ok(Some(inventory::parse(&file.display().to_string(), &text)?))
}

/// What of the facts is not of this host, for a person.
pub fn remark(facts: &Facts) -> Option<String> {
    let simulated = facts.simulated.as_ref()?;
    Some(format!("simulated by `{}`, not of this host: {}", simulated.file, simulated.told()))
}
