//! Images as values: the lock that says how each can be had, recipes, and the content hash that names what they make.
//!
//! An image's tag is the hash of everything that decides its content. So whether an image is there can be told from its
//! tag alone, and an unchanged recipe never has to be built again.

mod architecture;
mod content;
mod layout;
mod lock;
mod packages;
mod path;
mod recipe;
mod requirements;

pub use architecture::{Architecture, UnknownArchitecture};
pub use content::{
    BUILDER_FORMAT, ContentHash, ContentHashError, ContentHasher, InputFile, LayerInputs, image_hash,
    layer_hash,
};
pub use layout::{CREATED, EPOCH, ImageConfig, ImageLayout, label};
pub use lock::{Archived, Digest, DigestError, ImageLock, ImageName, ImageNameError, ImageSource, Pulled};
pub use packages::{Drift, PackageLock, PackagePin, PackagePinError, PackageSet};
pub use path::{ImagePath, ImagePathError, Mode};
pub use recipe::{BytecodeLayer, DebianLayer, FilesLayer, Layer, Recipe, Sieve, WheelsLayer};
pub use requirements::{Requirement, parse_requirements};

/// The repository of every image that Testbed names itself: `testbed/NAME`.
pub fn repository(name: &ImageName) -> String {
    format!("testbed/{name}")
}

/// The reference by which the daemon knows an image: `testbed/NAME:` and the first 16 digits of what identifies it.
pub fn reference(name: &ImageName, hex: &str) -> String {
    let short = hex.get(..16).unwrap_or(hex);
    format!("{}:{short}", repository(name))
}

/// The reference that follows the newest: `testbed/NAME:latest`.
pub fn latest(name: &ImageName) -> String {
    format!("{}:latest", repository(name))
}
