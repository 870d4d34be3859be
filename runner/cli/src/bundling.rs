//! A record by whatever name a person gives it: a run of this project, a folder, or a bundle, which is checked and opened first.

use std::path::{Path, PathBuf};

use testbed_engine::bundle::{self, Opened};
use testbed_engine::store;
use testbed_model::record::Record;

use crate::failure::Failure;
use crate::settings::Settings;

/// The name of the images in a bundle.
pub const IMAGES: &str = "images/images.tar";

/// A record that was found, and what it came in.
#[derive(Debug)]
pub struct Found {
    /// What it tells.
    pub record: Record,
    /// Its folder.
    pub folder: PathBuf,
    /// The bundle that it came in, whose files go with this value.
    bundle: Option<Opened>,
}

impl Found {
    /// The bundle's images, where it has some.
    pub fn images(&self) -> Option<PathBuf> {
        self.bundle.as_ref()?.member(IMAGES)
    }
}

/// Finds and reads a record.
pub fn find(settings: &Settings, name: &str) -> Result<Found, Failure> {
    let path = Path::new(name);
    let bundle = if path.is_file() { Some(bundle::open(path)?) } else { None };
    let folder = match &bundle {
        Some(opened) => opened.record(),
        None => store::find(&settings.state, name)?,
    };
    Ok(Found { record: store::open(&folder)?, folder, bundle })
}
