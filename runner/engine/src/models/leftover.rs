//! What lies in the store and is of no model any more: contents that `models.toml` named once, and what was on its way to one.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use testbed_model::models::{Model, Source};

use super::Library;
use super::error::ModelError;

/// A folder that no model of `models.toml` has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The folder.
    pub path: PathBuf,
    /// Bytes of its files.
    pub bytes: u64,
}

/// What became of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is gone.
    Removed,
    /// A process uses it, or has it in the making.
    Held,
    /// A container mounts it.
    Mounted,
}

/// Held while a model is used: nobody removes it meanwhile.
#[derive(Debug)]
pub struct Use {
    _folder: File,
}

impl Leftover {
    /// Its name, such as `NAME-CONTENT`.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The model that it was of, once.
    fn model(&self) -> String {
        let name = self.name();
        name.rsplit_once('-').map_or(name.clone(), |(model, _)| model.to_owned())
    }
}

impl Library {
    /// Says that a model's folder is used as long as this is kept. None where the file system knows no locks: then none is removed either.
    pub fn hold(folder: &Path) -> Option<Use> {
        let folder = File::open(folder).ok()?;
        folder.lock_shared().ok()?;
        Some(Use { _folder: folder })
    }

    /// Folders of the store that no model has any more, in the order of their names.
    pub fn leftovers(&self) -> Result<Vec<Leftover>, ModelError> {
        let models = || self.models.models.values();
        let places: BTreeSet<PathBuf> = models().filter_map(|model| self.store.place(model)).collect();
        let makings: BTreeSet<PathBuf> =
            models().flat_map(ids).map(|(name, id)| self.store.making_place(name, &id)).collect();
        let mut leftovers = Vec::new();
        for (folder, known) in [(self.store.folder(), places), (&self.store.makings(), makings)] {
            for path in folders(folder)? {
                let is_own = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
                if !is_own && !known.contains(&path) {
                    let bytes = size(&path).map_err(ModelError::file("read", &path))?;
                    leftovers.push(Leftover { path, bytes });
                }
            }
        }
        leftovers.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(leftovers)
    }

    /// Removes what no model has any more, unless somebody uses it. `mounted` is what containers mount.
    pub fn remove(&self, leftover: &Leftover, mounted: &BTreeSet<PathBuf>) -> Result<Fate, ModelError> {
        let path = &leftover.path;
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        if mounted.iter().any(|source| source.starts_with(path) || source.starts_with(&real)) {
            return Ok(Fate::Mounted);
        }
        // Whoever makes a model holds its name, whoever uses one its folder.
        let Some(_making) = self.store.try_lock(&leftover.model())? else { return Ok(Fate::Held) };
        let folder = File::open(path).map_err(ModelError::file("read", path))?;
        if folder.try_lock().is_err() {
            return Ok(Fate::Held);
        }
        self.store.discard(path, &leftover.name())?;
        Ok(Fate::Removed)
    }
}

/// The ids under which a model is made.
fn ids(model: &Model) -> Vec<(&str, String)> {
    let revision = match &model.source {
        Source::HuggingFace { revision, .. } => Some(revision.clone()),
        Source::Folder(_) | Source::Made { .. } => None,
    };
    let content = model.content().map(|content| content.0);
    content.into_iter().chain(revision).map(|id| (model.name.as_str(), id)).collect()
}

/// Folders directly in a folder, which need not be there.
fn folders(path: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.and_then(Iterator::collect::<Result<Vec<_>, _>>),
    };
    let entries = entries.map_err(ModelError::file("read", path))?;
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    Ok(entries.iter().filter(|entry| is_folder(entry)).map(fs::DirEntry::path).collect())
}

fn size(path: &Path) -> io::Result<u64> {
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_dir() {
        return Ok(meta.len());
    }
    fs::read_dir(path)?.map(|entry| size(&entry?.path())).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::Fate;
    use crate::models::{Library, Store};

    fn library(folder: &Path) -> Library {
        fs::create_dir_all(folder.join("models")).unwrap();
        let hash = "0c".repeat(32);
        let text = format!(
            "[[model]]\nname = \"far-1\"\nhuggingface = \"A/b\"\nrevision = \"{}\"\nlicence = \"MIT\"\nsize = 5\nfiles = [{{ path = \"words\", sha256 = \"{hash}\", size = 5 }}]\n",
            "0c".repeat(20)
        );
        fs::write(folder.join("models/models.toml"), text).unwrap();
        Library::open(folder, &folder.join("cache")).unwrap()
    }

    fn put(folder: &Path) {
        fs::create_dir_all(folder.join("sub")).unwrap();
        fs::write(folder.join("sub/words"), "hello").unwrap();
    }

    #[test]
    fn what_no_model_has_goes_unless_somebody_uses_it() {
        let folder = tempfile::tempdir().unwrap();
        let library = library(folder.path());
        assert_eq!(library.leftovers().unwrap(), [], "a store that is not there holds nothing");
        let store = folder.path().join("cache/models");
        let own = library.store.place(library.model("far-1").unwrap()).unwrap();
        let making = library.store.making_place("far-1", &"0c".repeat(20));
        let [old, used, mounted] = ["far-1-00aa", "gone-00bb", "gone-00cc"].map(|name| store.join(name));
        let half = store.join(".making/far-1-00dd.old");
        for path in [&own, &making, &old, &used, &mounted, &half, &store.join(".locks")] {
            put(path);
        }
        let found = library.leftovers().unwrap();
        let paths: Vec<_> = found.iter().map(|it| (it.path.clone(), it.bytes)).collect();
        assert_eq!(paths, [&half, &old, &used, &mounted].map(|path| (path.clone(), 5)));
        let held = Library::hold(&used);
        let mounts = BTreeSet::from([mounted.join("sub")]);
        let fates: Vec<Fate> = found.iter().map(|it| library.remove(it, &mounts).unwrap()).collect();
        assert_eq!(fates, [Fate::Removed, Fate::Removed, Fate::Held, Fate::Mounted]);
        assert!(own.exists() && making.exists() && used.exists() && mounted.exists());
        assert!(!old.exists() && !half.exists());
        drop(held);
        assert_eq!(library.remove(&library.leftovers().unwrap()[0], &mounts).unwrap(), Fate::Removed);
    }

    #[tokio::test]
    async fn what_is_in_the_making_stays() {
        let folder = tempfile::tempdir().unwrap();
        let library = library(folder.path());
        put(&folder.path().join("cache/models/.making/other-00aa"));
        let found = library.leftovers().unwrap();
        let store = Store::new(&folder.path().join("cache"));
        let making = store.lock("other", &tokio_util::sync::CancellationToken::new(), || {}).await.unwrap();
        assert_eq!(library.remove(&found[0], &BTreeSet::new()).unwrap(), Fate::Held);
        drop(making);
        assert_eq!(library.remove(&found[0], &BTreeSet::new()).unwrap(), Fate::Removed);
    }
}
