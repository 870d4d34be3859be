//! Content hashes of a project's files and folders, taken when they are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use testbed_model::catalog::Sources;

/// The files of a project with their hashes, as far as somebody asked.
#[derive(Clone, Debug)]
pub struct SourceTree {
    root: PathBuf,
    files: BTreeMap<String, Option<String>>,
    folders: BTreeMap<String, BTreeSet<String>>,
}

impl SourceTree {
    /// The tree of these files, relative to `root`.
    pub fn new(root: &Path, files: &[String]) -> Self {
        let mut folders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for file in files {
            let mut path = file.as_str();
            loop {
                let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
                let is_new = folders.entry(folder.to_owned()).or_default().insert(name.to_owned());
                if folder.is_empty() || !is_new {
                    break;
                }
                path = folder;
            }
        }
        let files = files.iter().map(|file| (file.clone(), None)).collect();
        Self { root: root.to_owned(), files, folders }
    }

    /// Takes every hash now, before a tool gets to see the files.
    pub fn take_all(&mut self) {
        let names: Vec<String> = self.files.keys().cloned().collect();
        for name in names {
            self.file(&name);
        }
    }

    /// Whether all that a catalog was made from is as it was.
    pub fn still_holds(&mut self, sources: &Sources) -> bool {
        sources.folders.iter().all(|(folder, hash)| self.folder(folder).as_ref() == Some(hash))
            && sources.files.iter().all(|(file, hash)| self.file(file).as_ref() == Some(hash))
            && sources.whole.as_ref().is_none_or(|hash| self.whole() == *hash)
    }

    /// The hashes of files that a tool read and folders that it listed. With a file goes the folder that it is in, and all
    /// above: a new file there, such as a `conftest.py`, may change what the tool does.
    pub fn sources<'a>(
        &mut self,
        files: impl IntoIterator<Item = &'a String>,
        folders: impl IntoIterator<Item = &'a String>,
    ) -> Sources {
        let mut sources = Sources::default();
        let mut listed: BTreeSet<String> = BTreeSet::new();
        for file in files {
            if let Some(hash) = self.file(file) {
                sources.files.insert(file.clone(), hash);
                listed.extend(above(file).map(str::to_owned));
            }
        }
        for folder in folders {
            let folder = if folder == "." { "" } else { folder };
            listed.insert(folder.to_owned());
            listed.extend(above(folder).map(str::to_owned));
        }
        for folder in listed {
            if let Some(hash) = self.folder(&folder) {
                sources.folders.insert(folder, hash);
            }
        }
        sources
    }

    /// The hash of the whole project.
    pub fn whole(&mut self) -> String {
        self.take_all();
        let mut hash = blake3::Hasher::new();
        for (file, content) in &self.files {
            hash.update(format!("{file}\0{}\n", content.as_deref().unwrap_or_default()).as_bytes());
        }
        hash.finalize().to_hex().to_string()
    }

    fn file(&mut self, file: &str) -> Option<String> {
        let known = self.files.get_mut(file)?;
        if known.is_none() {
            *known = Some(of_file(&self.root.join(file)));
        }
        known.clone()
    }

    fn folder(&self, folder: &str) -> Option<String> {
        let names = self.folders.get(folder)?;
        let mut hash = blake3::Hasher::new();
        for name in names {
            hash.update(format!("{name}\n").as_bytes());
        }
        Some(hash.finalize().to_hex().to_string())
    }
}

/// The folders above a path, the nearest first; the root is the empty name.
fn above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| parent(path)).skip(1)
}

fn parent(path: &str) -> Option<&str> {
    (!path.is_empty()).then(|| path.rsplit_once('/').map_or("", |(folder, _)| folder))
}

/// The hash of a file, or of a link's target; one that cannot be read has a hash that says so.
fn of_file(path: &Path) -> String {
    let content = match fs::read_link(path) {
        Ok(target) => Ok(target.to_string_lossy().into_owned().into_bytes()),
        Err(_) => fs::read(path),
    };
    match content {
        Ok(bytes) => blake3::hash(&bytes).to_hex().to_string(),
        Err(error) => format!("unreadable: {}", error.kind()),
    }
}

/// The hash of a folder of Python sources.
pub fn of_folder(folder: &Path) -> String {
    let mut hash = blake3::Hasher::new();
    let mut open = vec![folder.to_owned()];
    let mut found = BTreeMap::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "py") {
                found.insert(path.to_string_lossy().into_owned(), of_file(&path));
            }
        }
    }
    let start = folder.to_string_lossy().into_owned();
    for (path, content) in found {
        let relative = path.strip_prefix(&start).unwrap_or(&path);
        hash.update(format!("{relative}\0{content}\n").as_bytes());
    }
    hash.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{SourceTree, above};

    fn project() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in [("a/b/test_x.py", "1"), ("a/data.txt", "2"), ("README.md", "3")] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn tree(root: &tempfile::TempDir, files: &[&str]) -> SourceTree {
        SourceTree::new(root.path(), &files.iter().map(|file| (*file).to_owned()).collect::<Vec<_>>())
    }

    const ALL: [&str; 3] = ["README.md", "a/b/test_x.py", "a/data.txt"];

    #[test]
    fn only_what_was_read_and_new_files_beside_it_decide() {
        let root = project();
        let read = ["a/b/test_x.py".to_owned()];
        let sources = tree(&root, &ALL).sources(&read, &[]);
        assert_eq!(sources.folders.keys().collect::<Vec<_>>(), ["", "a", "a/b"]);
        fs::write(root.path().join("README.md"), "changed").unwrap();
        fs::write(root.path().join("a/data.txt"), "changed").unwrap();
        assert!(tree(&root, &ALL).still_holds(&sources), "nobody had read them");
        let with_new = [&ALL[..], &["a/conftest.py"]].concat();
        assert!(!tree(&root, &with_new).still_holds(&sources), "a new file may be a conftest");
        fs::write(root.path().join("a/b/test_x.py"), "changed").unwrap();
        assert!(!tree(&root, &ALL).still_holds(&sources));
        fs::remove_file(root.path().join("a/b/test_x.py")).unwrap();
        assert!(!tree(&root, &ALL[..1]).still_holds(&sources));
    }

    #[test]
    fn the_whole_project_changes_with_any_file() {
        let root = project();
        let before = tree(&root, &ALL).whole();
        assert_eq!(tree(&root, &ALL).whole(), before);
        fs::write(root.path().join("README.md"), "changed").unwrap();
        assert_ne!(tree(&root, &ALL).whole(), before);
    }

    #[test]
    fn hashes_that_were_taken_do_not_follow_later_changes() {
        let root = project();
        let mut early = tree(&root, &ALL);
        early.take_all();
        fs::write(root.path().join("a/data.txt"), "changed").unwrap();
        let sources = early.sources(&["a/data.txt".to_owned()], &[]);
        assert!(!tree(&root, &ALL).still_holds(&sources));
    }

    #[test]
    fn every_folder_above_is_told_up_to_the_root() {
        assert_eq!(above("a/b/c.py").collect::<Vec<_>>(), ["a/b", "a", ""]);
        assert_eq!(above("c.py").collect::<Vec<_>>(), [""]);
        assert_eq!(above("").count(), 0);
    }
}
