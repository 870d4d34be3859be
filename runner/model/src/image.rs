//! Images as values: the lock that says how each can be had, recipes, and the content hash that names what they make.
//!
//! An image's tag is the hash of everything that decides its content. So whether an image is there can be told from its
//! tag alone, and an unchanged recipe never has to be built again.

mod architecture;
mod content;
mod extend;
mod layout;
mod lock;
mod marker;
mod packages;
mod path;
mod recipe;
mod requirements;

pub use architecture::{Architecture, UnknownArchitecture};
pub use content::{
    BUILDER_FORMAT, ContentHash, ContentHashError, ContentHasher, InputFile, LayerInputs, image_hash,
    layer_hash,
};
pub use extend::{Addition, CannotExtend, OWN_TARGET};
pub use layout::{CREATED, EPOCH, ImageConfig, ImageLayout, label};
pub use lock::{
    Archived, Digest, DigestError, Held, ImageLock, ImageName, ImageNameError, ImageSource, Pulled,
};
pub use marker::Target;
pub use packages::{Drift, PackageLock, PackagePin, PackagePinError, PackageSet};
pub use path::{ImagePath, ImagePathError, Mode};
pub use recipe::{BytecodeLayer, DebianLayer, FilesLayer, Layer, Recipe, Sieve, WheelsLayer};
pub use requirements::{Requirement, parse_requirements};

/// The repository of every image that Testbed names itself: `testbed/NAME`.
pub fn repository(name: &ImageName) -> String {
    format!("testbed/{name}")
}

/// The repository of an image of a project's own: `testbed/PROJECT/NAME`. No image of the lock has a second `/` in its name.
pub fn project_repository(project: &str, name: &ImageName) -> String {
    let mut plain = String::new();
    for c in project.chars().map(|c| c.to_ascii_lowercase()) {
        // A registry knows no capital letters, and no two separators beside each other.
        match c {
            'a'..='z' | '0'..='9' => plain.push(c),
            _ if plain.ends_with('-') || plain.is_empty() => {}
            _ => plain.push('-'),
        }
    }
    let plain = plain.trim_end_matches('-');
    format!("testbed/{}/{name}", if plain.is_empty() { "project" } else { plain })
}

/// The reference of an image in a repository: with the first 16 digits of what identifies it.
pub fn reference_in(repository: &str, hex: &str) -> String {
    format!("{repository}:{}", hex.get(..16).unwrap_or(hex))
}

/// The reference by which the daemon knows an image of the lock.
pub fn reference(name: &ImageName, hex: &str) -> String {
    reference_in(&repository(name), hex)
}

/// The repository of a reference.
pub fn repository_of(reference: &str) -> &str {
    reference.rsplit_once(':').map_or(reference, |(repository, _)| repository)
}

/// The reference that follows the newest of the same repository: `testbed/NAME:latest`.
pub fn latest_of(reference: &str) -> String {
    format!("{}:latest", repository_of(reference))
}

#[cfg(test)]
mod tests {
    use super::{ImageName, latest_of, project_repository, reference, repository_of};

    #[test]
    fn an_image_of_a_project_has_a_repository_that_no_image_of_the_lock_can_have() {
        let name: ImageName = "component-tests".parse().unwrap();
        for (project, repository) in [
            ("mine", "testbed/mine/component-tests"),
            ("My..Project_2-", "testbed/my-project-2/component-tests"),
            ("9", "testbed/9/component-tests"),
        ] {
            assert_eq!(project_repository(project, &name), repository);
        }
    }

    #[test]
    fn the_newest_of_a_repository_has_a_name_of_its_own() {
        let reference = reference(&"nats".parse().unwrap(), &"0123456789abcdef".repeat(4));
        assert_eq!(reference, "testbed/nats:0123456789abcdef");
        assert_eq!(
            (repository_of(&reference), latest_of(&reference)),
            ("testbed/nats", "testbed/nats:latest".to_owned())
        );
    }
}
