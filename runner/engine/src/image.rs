//! Images: from the lock to the daemon, by pulling, loading, or building from a recipe.
//!
//! [`Images`] is the lock of one project with all that it names. What an image is called in the daemon follows from the
//! content that the lock and the recipe ask for, so an image that is there under its name never has to be made again.

mod archive;
mod base;
mod build;
mod bytecode;
mod cache;
mod debian;
mod error;
mod exchange;
mod inputs;
mod layer_tar;
mod own;
mod provide;
mod saved;
mod survey;
mod task;
mod tools;
mod tree;
mod update;
mod wheels;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use testbed_model::image::{Architecture, ImageLock, ImageName, ImageSource, reference, reference_in};
use testbed_model::project::Project;

pub use build::Freshness;
pub use error::ImageError;
pub use exchange::{Contents, ContentsEntry};
pub use inputs::{LOCK, PACKAGES};
pub use provide::{Provided, Providing};
pub use survey::{Listed, Verdict, Verified, Way};
pub use tools::MissingTools;
pub use update::{Change, Update};

use inputs::Wanted;

/// The images of a lock, and those of a project's own.
#[derive(Clone, Debug)]
pub struct Images {
    folder: PathBuf,
    cache: PathBuf,
    architecture: Architecture,
    wanted: BTreeMap<ImageName, Wanted>,
}

impl Images {
    /// Reads the lock in `folder` and all that it names, for this machine. Nothing is made; `cache` is where layers will be
    /// kept when something is.
    pub fn open(folder: &Path, cache: &Path) -> Result<Self, ImageError> {
        let architecture: Architecture = std::env::consts::ARCH.parse()?;
        let wanted = inputs::read(folder, architecture)?;
        Ok(Self { folder: folder.to_owned(), cache: cache.to_owned(), architecture, wanted })
    }

    /// The same with other ways to have images, as a manifest beside the lock names them. It has the lock's format.
    pub fn with_manifest(mut self, manifest: &Path) -> Result<Self, ImageError> {
        let text = std::fs::read_to_string(manifest).map_err(ImageError::file("read", manifest))?;
        let others = ImageLock::parse(&manifest.to_string_lossy(), &text)?;
        for (name, source) in others.images {
            let wanted = match source {
                // A recipe is in the folder of images, which has its own word for it.
                ImageSource::Build(_) => continue,
                ImageSource::Pull(pulled) => Wanted::Pulled(pulled),
                ImageSource::Load(archived) => Wanted::Loaded(archived),
            };
            self.wanted.insert(name, wanted);
        }
        Ok(self)
    }

    /// The same with the images of a project's own, whose files are below `root`.
    pub fn with_project(mut self, root: &Path, project: &Project) -> Result<Self, ImageError> {
        let own = own::read(&self.wanted, self.architecture, root, project)?;
        self.wanted.extend(own);
        Ok(self)
    }

    /// The names in the lock.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.wanted.keys().map(ImageName::as_str)
    }

    /// The names of those that have a recipe.
    pub fn with_recipe(&self) -> impl Iterator<Item = &str> {
        self.wanted
            .iter()
            .filter(|(_, wanted)| matches!(wanted, Wanted::Built(_)))
            .map(|(name, _)| name.as_str())
    }

    /// What the daemon calls an image when it is the one that is asked for: `testbed/NAME:` and 16 digits, or
    /// `testbed/PROJECT/NAME:` for one of a project's own.
    pub fn reference(&self, name: &str) -> Result<String, ImageError> {
        let (name, wanted) = inputs::known(&self.wanted, name)?;
        Ok(reference_of(name, wanted))
    }

    /// The same for all of them.
    pub fn references(&self) -> BTreeMap<String, String> {
        self.wanted.iter().map(|(name, wanted)| (name.to_string(), reference_of(name, wanted))).collect()
    }

    /// The images of these names, each once, in the order of the lock.
    fn select<S: AsRef<str>>(&self, names: &[S]) -> Result<BTreeMap<&ImageName, &Wanted>, ImageError> {
        names.iter().map(|name| inputs::known(&self.wanted, name.as_ref())).collect()
    }
}

fn reference_of(name: &ImageName, wanted: &Wanted) -> String {
    match wanted {
        Wanted::Built(blueprint) => reference_in(&blueprint.repository, &blueprint.content.hex()),
        Wanted::Pulled(pulled) => reference(name, pulled.digest.hex()),
        Wanted::Loaded(archived) => reference(name, archived.id.hex()),
    }
}
