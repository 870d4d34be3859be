//! The layers of an image that another one starts from, out of the daemon: a project with an image of its own has a cache of its
//! own, and what the base holds need not be made again for it.

use std::path::Path;

use testbed_model::image::{ContentHash, Layer, PackageSet, label};

use super::build::key_of;
use super::cache::{KeptLayer, LayerCache};
use super::error::ImageError;
use super::inputs::Blueprint;
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
    if is_kept(base.blueprint, blueprint, cache) {
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

/// Whether the cache has every layer that both share.
fn is_kept(base: &Blueprint, blueprint: &Blueprint, cache: &LayerCache) -> bool {
    let mut lacks = false;
    let walked = shared(base, blueprint, |_, key| {
        let found = cache.get(key);
        lacks |= found.is_none();
        Ok(found)
    });
    walked.is_ok() && !lacks
}

/// Goes through the layers that both share, from the lowest, each with its position and its key. The key of compiled code holds
/// all that lies below it, so it is known only where every layer below is shared and had.
fn shared(
    base: &Blueprint,
    blueprint: &Blueprint,
    mut have: impl FnMut(usize, ContentHash) -> Result<Option<KeptLayer>, ImageError>,
) -> Result<(), ImageError> {
    let mut below: Vec<KeptLayer> = Vec::new();
    for (index, (layer, hash)) in base.recipe.layers.iter().zip(&base.layers).enumerate() {
        let is_known = below.len() == index || !matches!(layer, Layer::Bytecode(_));
        if is_known && blueprint.layers.get(index) == Some(hash) {
            below.extend(have(index, key_of(layer, *hash, &below))?);
        }
    }
    Ok(())
}

/// Keeps the layers of a saved image that both share.
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
    shared(base, blueprint, |index, key| {
        let Some((layer, archived)) = base.recipe.layers.get(index).zip(image.layers.get(index)) else {
            return Ok(None);
        };
        if let Some(kept) = cache.get(key) {
            return Ok(Some(kept));
        }
        let is_debian = matches!(layer, Layer::Debian(_));
        let packages = if is_debian { packages.clone() } else { PackageSet::default() };
        cache.adopt(key, archived, packages).map(Some)
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use testbed_model::image::{
        Addition, Architecture, ContentHash, ImageLayout, ImagePath, Mode, PackageSet, Recipe,
    };

    use super::{Blueprint, KeptLayer, LayerCache, is_kept, keep, key_of};
    use crate::image::archive::{self, ArchivedImage, ArchivedLayer};
    use crate::image::tree::Tree;

    const RECIPE: &str = "schema = 1\n\
        [[layer]]\nkind = \"debian\"\nsuite = \"bookworm\"\npackages = [\"python3.11\"]\n\
        [[layer]]\nkind = \"wheels\"\nrequirements = \"r.txt\"\ntarget = \"/opt/x\"\npython = \"3.11\"\nglibc = \"2.36\"\n\
        [[layer]]\nkind = \"bytecode\"\ninterpreter = \"/usr/bin/python3.11\"\npaths = [\"/opt/x\"]\n";

    fn blueprint(recipe: Recipe, hashes: &[&str]) -> Blueprint {
        Blueprint {
            recipe,
            layers: hashes.iter().map(|hash| ContentHash::of_bytes(hash.as_bytes())).collect(),
            content: ContentHash::of_bytes(b"image"),
            packages: None,
            repository: "testbed/x".to_owned(),
            extension: None,
        }
    }

    /// The base as the daemon saves it, with layers of one file each.
    fn saved(folder: &Path, base: &Blueprint) -> Vec<KeptLayer> {
        let cache = LayerCache::open(&folder.join("first")).unwrap();
        let mut kept: Vec<KeptLayer> = Vec::new();
        for (index, (layer, hash)) in base.recipe.layers.iter().zip(&base.layers).enumerate() {
            let mut tree = Tree::new();
            let path = ImagePath::parse(&format!("/file-{index}")).unwrap();
            tree.put_bytes(path, Mode::FILE, b"content").unwrap();
            kept.push(cache.put(key_of(layer, *hash, &kept), &tree, PackageSet::default()).unwrap());
        }
        let archived = kept.iter().map(|layer| ArchivedLayer {
            digest: layer.facts.written.digest.clone(),
            file: layer.tar.clone(),
            offset: 0,
            size: layer.facts.written.size,
        });
        let layers: Vec<ArchivedLayer> = archived.collect();
        let layout = ImageLayout {
            architecture: Architecture::Amd64,
            config: base.recipe.config.clone(),
            layers: layers.iter().map(|layer| ("made".to_owned(), layer.digest.clone())).collect(),
        };
        let image =
            ArchivedImage { config: layout.to_bytes(), references: vec!["testbed/x:1".into()], layers };
        archive::write(&[image], &[], File::create(folder.join("saved.tar")).unwrap()).unwrap();
        kept
    }

    #[test]
    fn layers_that_both_share_are_taken_out_of_what_the_daemon_saved() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = Recipe::parse("r", RECIPE).unwrap();
        let base = blueprint(recipe.clone(), &["a", "b", "c"]);
        let of_first = saved(folder.path(), &base);
        let tar = folder.path().join("saved.tar");
        let requirements = ["own.txt".to_owned()];
        let own = recipe.extended(Addition { requirements: &requirements, packages: &[] }).unwrap();
        let own = blueprint(own, &["a", "b", "c", "d", "e"]);
        let cache = LayerCache::open(&folder.path().join("second")).unwrap();
        assert!(!is_kept(&base, &own, &cache));
        keep(&tar, &base, &own, &cache, &PackageSet::default()).unwrap();
        assert!(is_kept(&base, &own, &cache));
        let mut below: Vec<KeptLayer> = Vec::new();
        for (layer, hash) in base.recipe.layers.iter().zip(&base.layers) {
            below.push(cache.get(key_of(layer, *hash, &below)).unwrap());
        }
        let facts = |layers: &[KeptLayer]| layers.iter().map(|layer| layer.facts.clone()).collect::<Vec<_>>();
        assert_eq!(facts(&below), facts(&of_first));
        assert_eq!(std::fs::read(&below[2].tar).unwrap(), std::fs::read(&of_first[2].tar).unwrap());
    }

    #[test]
    fn compiled_code_over_another_layer_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let base = blueprint(Recipe::parse("r", RECIPE).unwrap(), &["a", "b", "c"]);
        saved(folder.path(), &base);
        let own = blueprint(base.recipe.clone(), &["with packages", "b", "c"]);
        let cache = LayerCache::open(&folder.path().join("second")).unwrap();
        keep(&folder.path().join("saved.tar"), &base, &own, &cache, &PackageSet::default()).unwrap();
        assert!(is_kept(&base, &own, &cache));
        assert!(cache.get(own.layers[1]).is_some());
        let layers = std::fs::read_dir(folder.path().join("second/layers")).unwrap().count();
        assert_eq!(layers, 2, "one tar with its facts");
    }

    #[test]
    fn what_is_no_archive_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let base = blueprint(Recipe::parse("r", RECIPE).unwrap(), &["a", "b", "c"]);
        let cache = LayerCache::open(&folder.path().join("second")).unwrap();
        let tar = folder.path().join("saved.tar");
        std::fs::write(&tar, "no archive").unwrap();
        keep(&tar, &base, &base, &cache, &PackageSet::default()).unwrap();
        assert!(!is_kept(&base, &base, &cache));
    }
}
