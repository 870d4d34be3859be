//! Layers kept between builds, each under the hash of what decides its content.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use testbed_model::image::{ContentHash, PackageSet};

use super::archive::ArchivedLayer;
use super::error::ImageError;
use super::layer_tar::{self, Written};
use super::tree::Tree;
use crate::host::files::write_atomically;

/// The folder of layers.
#[derive(Clone, Debug)]
pub struct LayerCache {
    folder: PathBuf,
}

/// A layer that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLayer {
    /// Its tar.
    pub tar: PathBuf,
    /// What is known of it.
    pub facts: LayerFacts,
}

/// What is known of a layer, kept beside its tar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerFacts {
    /// Digest and size.
    pub written: Written,
    /// The Debian packages in it.
    pub packages: PackageSet,
}

/// Held while something is built: two builds would only do the same work twice.
#[derive(Debug)]
pub struct BuildLock {
    _file: File,
}

impl LayerCache {
    /// The cache in a folder, which is made.
    pub fn open(folder: &Path) -> Result<Self, ImageError> {
        let layers = folder.join("layers");
        fs::create_dir_all(&layers).map_err(ImageError::file("make", &layers))?;
        // Caches say so of themselves, and backups and listings of files leave them out.
        let tag = folder.join("CACHEDIR.TAG");
        if !tag.exists() {
            let content = b"Signature: 8a477f597d28d172789f06886806bc55\n";
            write_atomically(&tag, content).map_err(ImageError::file("write", &tag))?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// The layer of a hash, if it is here whole.
    pub fn get(&self, hash: ContentHash) -> Option<KeptLayer> {
        let tar = self.tar(hash);
        let facts: LayerFacts = serde_json::from_slice(&fs::read(self.facts(hash)).ok()?).ok()?;
        (fs::metadata(&tar).ok()?.len() == facts.written.size).then_some(KeptLayer { tar, facts })
    }

    /// Writes a layer. Its facts come last, and only what has facts is ever used.
    pub fn put(&self, hash: ContentHash, tree: &Tree, packages: PackageSet) -> Result<KeptLayer, ImageError> {
        let tar = self.tar(hash);
        let written =
            write_new(&tar, |out| layer_tar::write(tree, out)).map_err(ImageError::file("write", &tar))?;
        self.with_facts(hash, tar, LayerFacts { written, packages })
    }

    fn with_facts(
        &self,
        hash: ContentHash,
        tar: PathBuf,
        facts: LayerFacts,
    ) -> Result<KeptLayer, ImageError> {
        let path = self.facts(hash);
        let bytes =
            serde_json::to_vec(&facts).map_err(io::Error::other).map_err(ImageError::file("write", &path))?;
        write_atomically(&path, &bytes).map_err(ImageError::file("write", &path))?;
        Ok(KeptLayer { tar, facts })
    }

    /// Copies a layer out of an archive whose digests have been verified.
    pub fn adopt(
        &self,
        hash: ContentHash,
        layer: &ArchivedLayer,
        packages: PackageSet,
    ) -> Result<KeptLayer, ImageError> {
        let tar = self.tar(hash);
        let copy = |out: &mut dyn io::Write| {
            let mut file = File::open(&layer.file)?;
            file.seek(SeekFrom::Start(layer.offset))?;
            let copied = io::copy(&mut file.take(layer.size), out)?;
            if copied == layer.size { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        };
        write_new(&tar, copy).map_err(ImageError::file("write", &tar))?;
        let written = Written { digest: layer.digest.clone(), size: layer.size };
        self.with_facts(hash, tar, LayerFacts { written, packages })
    }

    /// A new folder for what is in the making, gone with its owner.
    pub fn workplace(&self) -> Result<tempfile::TempDir, ImageError> {
        let folder = self.folder.join("work");
        fs::create_dir_all(&folder).map_err(ImageError::file("make", &folder))?;
        tempfile::Builder::new().tempdir_in(&folder).map_err(ImageError::file("write", &folder))
    }

    /// Keeps others from building here, and removes what a killed build left. Nothing, while somebody else builds.
    pub fn try_lock(&self) -> Result<Option<BuildLock>, ImageError> {
        let path = self.folder.join("build.lock");
        let failed = |source| ImageError::File { doing: "lock", path: path.clone(), source };
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
        let work = self.folder.join("work");
        match fs::remove_dir_all(&work) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ImageError::file("remove", &work)(error));
            }
            _ => {}
        }
        Ok(Some(BuildLock { _file: file }))
    }

    fn tar(&self, hash: ContentHash) -> PathBuf {
        self.folder.join("layers").join(format!("{hash}.tar"))
    }

    fn facts(&self, hash: ContentHash) -> PathBuf {
        self.folder.join("layers").join(format!("{hash}.json"))
    }
}

fn write_new<T>(path: &Path, write: impl FnOnce(&mut dyn io::Write) -> io::Result<T>) -> io::Result<T> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    let mut out = BufWriter::with_capacity(1 << 18, file.as_file_mut());
    let written = write(&mut out)?;
    out.flush()?;
    drop(out);
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use testbed_model::image::{ContentHash, ImagePath, Mode, PackageSet};

    use super::LayerCache;
    use crate::image::tree::Tree;

    fn tree() -> Tree {
        let mut tree = Tree::new();
        tree.put_bytes(ImagePath::parse("/a").unwrap(), Mode::FILE, b"x").unwrap();
        tree
    }

    #[test]
    fn a_layer_is_found_again_by_its_hash_only() {
        let folder = tempfile::tempdir().unwrap();
        let cache = LayerCache::open(folder.path()).unwrap();
        let hash = ContentHash::of_bytes(b"1");
        let put = cache.put(hash, &tree(), PackageSet::default()).unwrap();
        assert_eq!(cache.get(hash), Some(put));
        assert_eq!(cache.get(ContentHash::of_bytes(b"2")), None);
    }

    #[test]
    fn half_a_layer_is_never_used() {
        let folder = tempfile::tempdir().unwrap();
        let cache = LayerCache::open(folder.path()).unwrap();
        let hash = ContentHash::of_bytes(b"1");
        let put = cache.put(hash, &tree(), PackageSet::default()).unwrap();
        let whole = fs::read(&put.tar).unwrap();
        fs::write(&put.tar, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(cache.get(hash), None);
        fs::write(&put.tar, &whole).unwrap();
        fs::remove_file(folder.path().join(format!("layers/{hash}.json"))).unwrap();
        assert_eq!(cache.get(hash), None);
    }

    #[test]
    fn what_a_killed_build_left_goes_with_the_next_lock() {
        let folder = tempfile::tempdir().unwrap();
        let cache = LayerCache::open(folder.path()).unwrap();
        let left = cache.workplace().unwrap().keep();
        assert!(left.exists());
        let _lock = cache.try_lock().unwrap().unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn one_build_at_a_time_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let cache = LayerCache::open(folder.path()).unwrap();
        let first = cache.try_lock().unwrap();
        assert!(first.is_some());
        assert!(cache.try_lock().unwrap().is_none());
        drop(first);
        assert!(cache.try_lock().unwrap().is_some());
    }
}
