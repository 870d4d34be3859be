//! From a recipe to an image: each layer from the cache or made anew, and the description over them.

use std::path::{Path, PathBuf};

use testbed_model::image::{
    ContentHash, ContentHasher, ImageLayout, Layer, PackageSet, label, latest_of, reference_in,
};

use super::archive::{ArchivedImage, ArchivedLayer};
use super::cache::{KeptLayer, LayerCache};
use super::error::ImageError;
use super::inputs::{Blueprint, files_tree};
use super::task::{Task, blocking};
use super::tools::{self, MissingTools};
use super::tree::Tree;
use super::{bytecode, debian, wheels};

/// Whether what was made before may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// What is here and whose hash fits is used.
    Reuse,
    /// Everything is made anew.
    Anew,
}

/// What building took and gave.
#[derive(Clone, Debug)]
pub struct Built {
    /// The image.
    pub image: ArchivedImage,
    /// The Debian packages in it.
    pub packages: PackageSet,
}

/// Where and how to build.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// The folder of images, from which recipes name files.
    pub folder: &'a Path,
    /// Layers kept between builds.
    pub cache: &'a LayerCache,
    /// Whether kept layers may be used.
    pub freshness: Freshness,
    /// What to do about missing programs.
    pub missing: MissingTools,
}

/// Builds an image up to the point where it can be loaded.
pub async fn build(blueprint: &Blueprint, site: Site<'_>, task: &Task) -> Result<Built, ImageError> {
    let mut kept: Vec<KeptLayer> = Vec::new();
    let mut packages = PackageSet::default();
    let total = blueprint.recipe.layers.len();
    for (index, (layer, hash)) in blueprint.recipe.layers.iter().zip(&blueprint.layers).enumerate() {
        let key = key_of(layer, *hash, &kept);
        let found = if site.freshness == Freshness::Reuse { site.cache.get(key) } else { None };
        let made = if let Some(found) = found {
            found
        } else {
            task.tell(format!("layer {}/{total}: {}", index + 1, layer.kind()));
            let site = Site { folder: blueprint.folder(index, site.folder), ..site };
            make(layer, key, &kept, site, task).await?
        };
        packages.extend(made.facts.packages.clone());
        kept.push(made);
    }
    let layout = ImageLayout {
        architecture: task.architecture,
        config: labelled(blueprint, &packages, task),
        layers: blueprint
            .recipe
            .layers
            .iter()
            .zip(&kept)
            .map(|(layer, kept)| (layer.describe(), kept.facts.written.digest.clone()))
            .collect(),
    };
    let reference = reference_in(&blueprint.repository, &blueprint.content.hex());
    let image = ArchivedImage {
        config: layout.to_bytes(),
        references: vec![reference.clone(), latest_of(&reference)],
        layers: kept.into_iter().map(archived).collect(),
    };
    Ok(Built { image, packages })
}

/// The key of a layer in the cache. Compiled code belongs to exactly the bytes that it was compiled from and by, and these
/// are not decided by the recipe alone: Debian's archive moves.
pub fn key_of(layer: &Layer, hash: ContentHash, below: &[KeptLayer]) -> ContentHash {
    match layer {
        Layer::Bytecode(_) => {
            let digests: Vec<&str> = below.iter().map(|layer| layer.facts.written.digest.as_str()).collect();
            ContentHasher::new().value("layer", &hash).value("below", &digests).finish()
        }
        _ => hash,
    }
}

async fn make(
    layer: &Layer,
    key: ContentHash,
    below: &[KeptLayer],
    site: Site<'_>,
    task: &Task,
) -> Result<KeptLayer, ImageError> {
    let workplace = site.cache.workplace()?;
    let task = Task { work: workplace.path().to_owned(), ..task.clone() };
    let tools = tools::provide(layer, site.missing, &task).await?;
    let (tree, packages): (Tree, PackageSet) = match layer {
        Layer::Debian(layer) => debian::make(layer, &task).await?,
        Layer::Wheels(layer) => {
            let requirements = site.folder.join(&layer.requirements);
            let python = tools.python.as_deref().unwrap_or("python3");
            (wheels::make(layer, &requirements, python, &task).await?, PackageSet::default())
        }
        Layer::Files(layer) => (files_tree(site.folder, layer, task.image.as_str())?, PackageSet::default()),
        Layer::Bytecode(layer) => {
            let below: Vec<PathBuf> = below.iter().map(|layer| layer.tar.clone()).collect();
            (bytecode::make(layer, below, &task).await?, PackageSet::default())
        }
    };
    if task.cancel.is_cancelled() {
        return Err(ImageError::Cancelled);
    }
    let cache = site.cache.clone();
    let kept = blocking(move || cache.put(key, &tree, packages)).await?;
    // The tree names files in the working place, which therefore lives until here.
    drop(workplace);
    Ok(kept)
}

fn labelled(blueprint: &Blueprint, packages: &PackageSet, task: &Task) -> testbed_model::image::ImageConfig {
    let mut config = blueprint.recipe.config.clone();
    config.labels.insert(label::NAME.to_owned(), task.image.to_string());
    config.labels.insert(label::CONTENT.to_owned(), blueprint.content.hex());
    if !packages.0.is_empty() {
        config.labels.insert(label::PACKAGES.to_owned(), packages.label());
    }
    config
}

fn archived(layer: KeptLayer) -> ArchivedLayer {
    ArchivedLayer {
        digest: layer.facts.written.digest,
        file: layer.tar,
        offset: 0,
        size: layer.facts.written.size,
    }
}
