//! Plans as files: read back, and held against what is here.

use std::path::{Path, PathBuf};

use testbed_engine::configuration::{self, ReadError};
use testbed_engine::image::Images;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::plan::{Plan, SCHEMA};

use crate::failure::Failure;

/// A plan file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// It is no plan.
    #[error("`{file}` is no plan: {message}")]
    Garbled {
        /// File.
        file: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Another version of Testbed wrote it.
    #[error("`{file}` is a plan of the format {found}, and this version reads {SCHEMA}")]
    Schema {
        /// File.
        file: PathBuf,
        /// Its format.
        found: u32,
    },
    /// An image is another one here.
    #[error("the plan wants the image `{image}` as `{wanted}`, and here it is {}", here.as_deref().unwrap_or("not in the lock"))]
    OtherImage {
        /// Name.
        image: String,
        /// The plan's reference.
        wanted: String,
        /// The lock's.
        here: Option<String>,
    },
}

impl Hint for PlanFileError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable(_) | Self::Garbled { .. } | Self::Schema { .. } => {
                "`testbed plan TIER --json > FILE` writes one".to_owned()
            }
            Self::OtherImage { .. } => {
                "check out the revision that the plan was made in, or plan anew".to_owned()
            }
        })
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// Reads a plan.
pub fn read(file: &Path) -> Result<Plan, Failure> {
    let text = configuration::named(file).map_err(PlanFileError::from)?;
    let garbled = |message: String| PlanFileError::Garbled { file: file.to_owned(), message };
    let unread = |error: serde_json::Error| garbled(error.to_string());
    let value: serde_json::Value = serde_json::from_str(&text).map_err(unread)?;
    if !value.is_object() {
        return Err(garbled("it is no JSON object".to_owned()).into());
    }
    let schema = value.get("schema").and_then(serde_json::Value::as_u64);
    if let Some(found) = schema.and_then(|found| u32::try_from(found).ok()).filter(|found| *found != SCHEMA) {
        return Err(PlanFileError::Schema { file: file.to_owned(), found }.into());
    }
    Ok(serde_json::from_value(value).map_err(unread)?)
}

/// Whether the images that a plan names are the ones here: otherwise it would not be that plan that is executed.
pub fn check_images(plan: &Plan, images: &Images) -> Result<(), PlanFileError> {
    let here = images.references();
    let other = plan.images.iter().find(|(name, wanted)| here.get(*name) != Some(*wanted));
    match other {
        None => Ok(()),
        Some((image, wanted)) => Err(PlanFileError::OtherImage {
            image: image.clone(),
            wanted: wanted.clone(),
            here: here.get(image).map(|reference| format!("`{reference}`")),
        }),
    }
}
