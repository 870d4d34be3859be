//! Images of a project's own: what `[[image]]` of its project file asks for, as blueprints beside those of the lock.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use testbed_model::document::Mark;
use testbed_model::image::{
    Addition, Architecture, ContentHash, ImageName, Layer, LayerInputs, Recipe, Requirement, Target,
    image_hash, layer_hash, parse_requirements, project_repository,
};
use testbed_model::project::{OwnImage, Project};
use testbed_model::span::Fault;

use super::error::ImageError;
use super::inputs::{Blueprint, Extension, LOCK, Wanted};

/// Reads the files that a project's own images are made of. Each fault names its place in the project file or in the
/// requirement file, whose name is that in the project.
pub fn read(
    locked: &BTreeMap<ImageName, Wanted>,
    architecture: Architecture,
    root: &Path,
    project: &Project,
) -> Result<BTreeMap<ImageName, Wanted>, ImageError> {
    let reading = Reading { locked, architecture, root, project };
    let own = project.images.iter();
    own.map(|image| Ok((image.name.clone(), Wanted::Built(Box::new(reading.blueprint(image)?))))).collect()
}

struct Reading<'a> {
    locked: &'a BTreeMap<ImageName, Wanted>,
    architecture: Architecture,
    root: &'a Path,
    project: &'a Project,
}

impl Reading<'_> {
    fn fault(&self, mark: Mark, message: String) -> Fault {
        self.project.fault(mark, message)
    }

    fn blueprint(&self, image: &OwnImage) -> Result<Blueprint, ImageError> {
        let (base_name, base) = self.base(image)?;
        let files: Vec<String> = image.requirements.iter().map(|(file, _)| file.clone()).collect();
        let recipe = |addition| {
            base.recipe.extended(addition).map_err(|error| {
                let mark = image.requirements.first().map_or(image.packages_mark, |(_, mark)| *mark);
                let message = format!("the image `{base_name}` {error}");
                self.fault(mark, message).with_hint("start from another image: `base = \"tests\"`")
            })
        };
        let recipe = recipe(Addition { requirements: &files, packages: &image.packages })?;
        let shared = base.recipe.layers.len();
        let layers = self.hashes(image, base, &recipe)?;
        // What more there is than in the base is recorded nowhere.
        let packages = if image.packages.is_empty() { base.packages.clone() } else { None };
        let content = image_hash(&image.name, self.architecture, &recipe, &layers);
        let repository = project_repository(&self.project.name, &image.name);
        let extension = Extension { root: self.root.to_owned(), base: base_name.clone(), shared };
        Ok(Blueprint { recipe, layers, content, packages, repository, extension: Some(extension) })
    }

    /// The image of the lock that it starts from.
    fn base(&self, image: &OwnImage) -> Result<(&ImageName, &Blueprint), Fault> {
        if self.locked.contains_key(&image.name) {
            let message = format!("the image `{}` is in images/{LOCK} already", image.name);
            return Err(self.fault(image.mark, message).with_hint("give it a name of its own"));
        }
        let built = |wanted: &'_ Wanted| matches!(wanted, Wanted::Built(_));
        match self.locked.iter().find(|(name, _)| name.as_str() == image.base) {
            Some((name, Wanted::Built(blueprint))) => Ok((name, blueprint)),
            other => {
                let base = &image.base;
                let message = match other {
                    Some(_) => format!("the image `{base}` has no recipe, so nothing can be added to it"),
                    None => format!("there is no image `{base}` in images/{LOCK}"),
                };
                let known =
                    self.locked.iter().filter(|(_, wanted)| built(wanted)).map(|(name, _)| name.as_str());
                Err(self.fault(image.base_mark, message).with_nearest(base, known))
            }
        }
    }

    /// The hash of each layer: those of the base, as far as it is not changed, and then the project's.
    fn hashes(
        &self,
        image: &OwnImage,
        base: &Blueprint,
        recipe: &Recipe,
    ) -> Result<Vec<ContentHash>, ImageError> {
        let mut hashes: Vec<ContentHash> = Vec::new();
        let mut pinned: Vec<(String, Requirement)> = Vec::new();
        for (index, layer) in recipe.layers.iter().enumerate() {
            let of_base = base.recipe.layers.get(index).zip(base.layers.get(index));
            let inputs = match (layer, of_base) {
                // A file of packages that were recorded anew makes this layer anew, as it does the base's.
                (Layer::Debian(_), Some(_)) => LayerInputs::Packages(base.packages.clone()),
                (Layer::Bytecode(_), _) => LayerInputs::Layers(hashes.clone()),
                (_, Some((_, hash))) => {
                    hashes.push(*hash);
                    continue;
                }
                (Layer::Wheels(wheels), None) => {
                    let target = Target { python: &wheels.python, architecture: self.architecture };
                    let file = &wheels.requirements;
                    LayerInputs::Requirements(self.requirements(image, file, &target, &mut pinned)?)
                }
                // An addition has no other layers.
                (_, None) => LayerInputs::Layers(Vec::new()),
            };
            hashes.push(layer_hash(self.architecture, layer, &inputs));
        }
        Ok(hashes)
    }

    /// The hash of a requirement file that is as it should be, and agrees with those before it.
    fn requirements(
        &self,
        image: &OwnImage,
        file: &str,
        target: &Target<'_>,
        pinned: &mut Vec<(String, Requirement)>,
    ) -> Result<ContentHash, Fault> {
        let mark =
            image.requirements.iter().find(|(named, _)| named == file).map_or(image.mark, |(_, mark)| *mark);
        let text = fs::read_to_string(self.root.join(file)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self
                .fault(mark, format!("there is no file `{file}`"))
                .with_hint("name it relative to the folder of testbed.toml"),
            _ => self.fault(mark, format!("the file `{file}` cannot be read: {error}")),
        })?;
        for requirement in parse_requirements(file, &text, target)? {
            let other = pinned.iter().find(|(_, other)| other.is_of_package(&requirement));
            if let Some((before, other)) = other.filter(|(_, other)| other.version != requirement.version) {
                let Requirement { name, version, .. } = &requirement;
                let message =
                    format!("`{file}` pins {name} {version}, and `{before}` pins {}", other.version);
                return Err(self.fault(mark, message).with_hint("one image holds one version of a package"));
            }
            pinned.push((file.to_owned(), requirement));
        }
        Ok(ContentHash::of_bytes(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests;
