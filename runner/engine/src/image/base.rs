//! The layers of an image that another one starts from, out of the daemon: a project with an image of its own has a cache of its
//! own, and what the base holds need not be made again for it.

use std::path::Path;

use testbed_model::image::{ContentHash, Layer, PackageSet, label};

use super::archive::ArchivedLayer;
use super::build::key_of;
use super::cache::{KeptLayer, LayerCache};
use super::error::ImageError;
use super::inputs::{Blueprint, Extension};
use super::saved;
use super::task::{Task, blocking};
use crate::docker::Daemon;

/// The base of an image, as the lock asks for it.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    /// Its blueprint.
    pub blueprint: &'a Blueprint,
    /// What the daemon calls it.
    pub reference: &'a str,
}

/// Puts those layers of the base into the cache that `blueprint` shares with it and the cache lacks, if the daemon has exactly
/// that base. Without them they are built as any other.
pub async fn take_over(
    daemon: &Daemon,
    base: Base<'_>,
    blueprint: &Blueprint,
    cache: &LayerCache,
    task: &Task,
) -> Result<(), ImageError> {
    if is_kept(blueprint, cache) {
        return Ok(());
    }
    let Some(facts) = daemon.image(base.reference).await? else { return Ok(()) };
    let label = |key: &str| facts.labels.get(key).map_or("", String::as_str);
    // A layer's packages are kept with their hashes, which a label does not hold.
    let packages = base.blueprint.packages.clone().unwrap_or_default();
    let is_it =
        label(label::CONTENT) == base.blueprint.content.hex() && label(label::PACKAGES) == packages.label();
    let debian =
        base.blueprint.recipe.layers.iter().filter(|layer| matches!(layer, Layer::Debian(_))).count();
    if !is_it || debian > 1 {
        return Ok(());
    }
    task.tell(format!("taking the layers of `{}`", base.reference));
    let workplace = cache.workplace()?;
    let saved = workplace.path().join("base.tar");
    let mut out = tokio::fs::File::create(&saved).await.map_err(ImageError::file("write", &saved))?;
    let references = [base.reference];
    tokio::select! {
        done = daemon.save_images(&references, &mut out) => done?,
        () = task.cancel.cancelled() => return Err(ImageError::Cancelled),
    }
    drop(out);
    let (base, blueprint, cache) = (base.blueprint.clone(), blueprint.clone(), cache.clone());
    blocking(move || keep(&saved, &base, &blueprint, &cache, &packages)).await?;
    drop(workplace);
    Ok(())
}

/// Whether the cache has every layer where the base has one.
fn is_kept(blueprint: &Blueprint, cache: &LayerCache) -> bool {
    let shared = blueprint.extension.as_ref().map_or(0, |Extension { shared, .. }| *shared);
    let mut kept: Vec<KeptLayer> = Vec::new();
    blueprint.recipe.layers.iter().zip(&blueprint.layers).take(shared).all(|(layer, hash)| {
        let found = cache.get(key_of(layer, *hash, &kept));
        found.map(|found| kept.push(found)).is_some()
    })
}

/// Keeps the layers of a saved image that are the same in both, up to the first whose key depends on one that is not.
fn keep(
    saved: &Path,
    base: &Blueprint,
    blueprint: &Blueprint,
    cache: &LayerCache,
    packages: &PackageSet,
) -> Result<(), ImageError> {
    // What the daemon wrote and is not an archive of one image with these layers is of no use; then they are built.
    let Ok(archive) = saved::read(saved, "") else { return Ok(()) };
    let [image] = archive.images.as_slice() else { return Ok(()) };
    if image.layers.len() != base.recipe.layers.len() {
        return Ok(());
    }
    let mut kept: Vec<KeptLayer> = Vec::new();
    for (index, (layer, hash)) in base.recipe.layers.iter().zip(&base.layers).enumerate() {
        let is_shared = blueprint.layers.get(index) == Some(hash);
        let stands_on_all = kept.len() == index;
        if !is_shared || (matches!(layer, Layer::Bytecode(_)) && !stands_on_all) {
            continue;
        }
        let Some(archived) = image.layers.get(index) else { continue };
        let packages =
            if matches!(layer, Layer::Debian(_)) { packages.clone() } else { PackageSet::default() };
        kept.push(adopt(cache, key_of(layer, *hash, &kept), archived, packages)?);
    }
    Ok(())
}

fn adopt(
    cache: &LayerCache,
    key: ContentHash,
    layer: &ArchivedLayer,
    packages: PackageSet,
) -> Result<KeptLayer, ImageError> {
    match cache.get(key) {
        Some(kept) => Ok(kept),
        None => cache.adopt(key, layer, packages),
    }
}
