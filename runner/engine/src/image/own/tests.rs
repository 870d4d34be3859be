//! What a project's own images are, and how a wrong one is told.

use std::fs;
use std::path::Path;

use testbed_model::hint::Hint as _;
use testbed_model::project;

use crate::image::Images;
use crate::image::error::ImageError;
use crate::image::inputs::{Wanted, known};

const HASH: &str = "--hash=sha256:9121e2c1fdb355232495be3194c8dfe87ccc2d5dee45947b78e68f499790d7a7";

fn repository() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A project with one image, and what becomes of it over the repository's own lock.
struct Own {
    folder: tempfile::TempDir,
    image: String,
}

impl Own {
    fn new(image: &str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), image: image.to_owned() }
    }

    fn with(self, file: &str, text: &str) -> Self {
        fs::write(self.folder.path().join(file), text).unwrap();
        self
    }

    fn images(&self) -> Result<Images, ImageError> {
        let text = format!(
            "project.name = \"Mine\"\n[[suite]]\nname = \"x\"\nkind = \"cargo\"\n[[image]]\n{}\n",
            self.image
        );
        let project = project::parse("testbed.toml", &text).unwrap();
        let images = Images::open(&repository().join("images"), &self.folder.path().join("cache"))?;
        images.with_project(self.folder.path(), &project)
    }

    fn refusal(&self) -> String {
        let error = self.images().unwrap_err();
        format!("{error}\n{}", error.hint().unwrap_or_default())
    }
}

#[test]
fn an_image_of_its_own_shares_every_layer_of_its_base() {
    let own = Own::new("name = \"own\"\nrequirements = [\"r.txt\"]").with("r.txt", &format!("a==1 {HASH}\n"));
    let images = own.images().unwrap();
    let blueprint = |name: &str| match known(&images.wanted, name).unwrap().1 {
        Wanted::Built(blueprint) => blueprint.clone(),
        _ => panic!(),
    };
    let (base, own) = (blueprint("tests"), blueprint("own"));
    assert_eq!(own.layers[..base.layers.len()], base.layers);
    assert_eq!(own.layers.len(), base.layers.len() + 2);
    assert_eq!(own.packages, base.packages);
    assert!(images.references()["own"].starts_with("testbed/mine/own:"), "{:?}", images.references());
    assert!(images.with_recipe().any(|name| name == "own"));
}

#[test]
fn packages_change_the_layer_of_packages_and_what_is_compiled_by_it() {
    let images = Own::new("name = \"own\"\npackages = [\"libnuma1\"]").images().unwrap();
    let layers = |name: &str| match known(&images.wanted, name).unwrap().1 {
        Wanted::Built(blueprint) => blueprint.layers.clone(),
        _ => panic!(),
    };
    let (base, own) = (layers("tests"), layers("own"));
    let same: Vec<bool> = base.iter().zip(&own).map(|(one, other)| one == other).collect();
    assert_eq!(same, [false, true, true, true, false]);
}

#[test]
fn the_reference_follows_the_files_of_the_project() {
    let own = Own::new("name = \"own\"\nrequirements = [\"r.txt\"]").with("r.txt", &format!("a==1 {HASH}\n"));
    let before = own.images().unwrap().reference("own").unwrap();
    assert_eq!(before, own.images().unwrap().reference("own").unwrap());
    let own = own.with("r.txt", &format!("a==2 {HASH}\n"));
    assert_ne!(before, own.images().unwrap().reference("own").unwrap());
}

#[test]
fn what_is_wrong_with_an_image_names_its_place() {
    for (image, expected) in [
        (
            "name = \"tests\"\npackages = [\"libnuma1\"]",
            "testbed.toml:6:8: the image `tests` is in images/images.lock.json already\ngive it a name of its own",
        ),
        (
            "name = \"own\"\nbase = \"test\"\npackages = [\"libnuma1\"]",
            "testbed.toml:7:8: there is no image `test` in images/images.lock.json\ndid you mean `tests`?",
        ),
        (
            "name = \"own\"\nbase = \"vllm-runtime\"\npackages = [\"libnuma1\"]",
            "testbed.toml:7:8: the image `vllm-runtime` has no recipe, so nothing can be added to it\nknown: ",
        ),
        ("name = \"own\"\nrequirements = [\"none.txt\"]", "testbed.toml:7:17: there is no file `none.txt`\n"),
        (
            "name = \"own\"\nrequirements = [\"bare.txt\"]",
            "bare.txt:2:1: `a==1` has no hash\nmake the file again",
        ),
        (
            "name = \"own\"\nbase = \"nats\"\nrequirements = [\"one.txt\"]",
            "testbed.toml:8:17: the image `nats` has no Python packages, so no requirements can be added to it\n",
        ),
        (
            "name = \"own\"\nrequirements = [\"one.txt\", \"two.txt\"]",
            "testbed.toml:7:28: `two.txt` pins A 2, and `one.txt` pins 1\none image holds one version",
        ),
    ] {
        let own = Own::new(image)
            .with("bare.txt", "\na==1\n")
            .with("one.txt", &format!("a==1 {HASH}\n"))
            .with("two.txt", &format!("A==2 {HASH}\n"));
        assert!(own.refusal().starts_with(expected), "{image}:\n{}", own.refusal());
    }
}
