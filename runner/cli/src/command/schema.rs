//! `testbed schema`: what the project file, profiles, `models.toml` and simulated inventories can hold, for editors and for people.

use testbed_model::exit_code::ExitCode;
use testbed_model::schema;

use crate::args::{Described, SchemaArgs};
use crate::failure::Failure;

/// Prints a JSON Schema, or the reference page in Markdown.
pub fn schema(args: &SchemaArgs) -> Result<ExitCode, Failure> {
    match (args.what, args.reference) {
        (Described::Project, false) => super::print_json(&schema::project())?,
        (Described::Profile, false) => super::print_json(&schema::profile())?,
        (Described::Facts, false) => super::print_json(&schema::facts())?,
        (Described::Facts, true) => super::print(&schema::reference_facts())?,
        (Described::Models, false) => super::print_json(&schema::models())?,
        (Described::Models, true) => super::print(&schema::reference_models())?,
        (Described::Project, true) => super::print(&schema::reference_project())?,
        (Described::Profile, true) => super::print(&schema::reference_profile())?,
    }
    Ok(ExitCode::Passed)
}
