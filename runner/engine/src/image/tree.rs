//! A layer's content: a sorted tree of folders, files and links, before it is written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use testbed_model::image::{ImagePath, Mode};

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder(Mode),
    /// A file.
    File {
        /// Permissions.
        mode: Mode,
        /// Size in bytes.
        size: u64,
        /// Where its bytes are.
        content: Content,
    },
    /// A symbolic link with its target.
    Link(String),
}

/// Where a file's bytes are until they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Here.
    Bytes(Arc<[u8]>),
    /// In a file of the host.
    File(PathBuf),
    /// Inside an archive, from an offset. Two paths with the same place are hard links of one file.
    Within {
        /// Archive.
        archive: Arc<Path>,
        /// First byte.
        offset: u64,
    },
}

impl Content {
    /// Opens the bytes for reading.
    pub fn open(&self, size: u64) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::Bytes(bytes) => Box::new(&**bytes),
            Self::File(path) => Box::new(File::open(path)?.take(size)),
            Self::Within { archive, offset } => {
                let mut file = File::open(archive)?;
                file.seek(SeekFrom::Start(*offset))?;
                Box::new(file.take(size))
            }
        })
    }
}

/// A tree. It always has its root, every folder on the way to what it holds, and nothing below a file or a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    nodes: BTreeMap<ImagePath, Node>,
}

/// Two things that cannot be in one tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// One path, two contents.
    #[error("`{0}` is there twice")]
    Twice(ImagePath),
    /// A path below something that is not a folder.
    #[error("`{path}` lies below `{above}`, which is not a folder")]
    Below {
        /// The path.
        path: ImagePath,
        /// What it lies below.
        above: ImagePath,
    },
}

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: BTreeMap::from([(ImagePath::root(), Node::Folder(Mode::PROGRAM))]) }
    }
}

impl Tree {
    /// A tree with nothing but its root.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts something at a path, and folders on the way to it. A folder may be put where a folder is, and changes its
    /// mode.
    pub fn put(&mut self, path: ImagePath, node: Node) -> Result<(), TreeError> {
        self.make_way(&path)?;
        match (self.nodes.get(&path), &node) {
            (None, _) | (Some(Node::Folder(_)), Node::Folder(_)) => {
                self.nodes.insert(path, node);
                Ok(())
            }
            _ => Err(TreeError::Twice(path)),
        }
    }

    /// Puts a small file.
    pub fn put_bytes(&mut self, path: ImagePath, mode: Mode, bytes: &[u8]) -> Result<(), TreeError> {
        self.put(path, Node::File { mode, size: bytes.len() as u64, content: Content::Bytes(bytes.into()) })
    }

    /// What is at a path.
    pub fn get(&self, path: &ImagePath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Everything, each folder before what it holds.
    pub fn iter(&self) -> impl Iterator<Item = (&ImagePath, &Node)> {
        self.nodes.iter()
    }

    /// How many paths there are, with the root.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    fn make_way(&mut self, path: &ImagePath) -> Result<(), TreeError> {
        let mut missing = Vec::new();
        let mut next = path.parent();
        while let Some(folder) = next {
            match self.nodes.get(&folder) {
                Some(Node::Folder(_)) => break,
                Some(_) => return Err(TreeError::Below { path: path.clone(), above: folder }),
                None => {
                    next = folder.parent();
                    missing.push(folder);
                }
            }
        }
        self.nodes.extend(missing.into_iter().map(|folder| (folder, Node::Folder(Mode::PROGRAM))));
        Ok(())
    }
}

/// One file, folder or link of a folder of the host, relative to it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Relative path.
    pub path: ImagePath,
    /// On the host.
    pub source: PathBuf,
    /// Folder, file or link, with the modes that git would keep: 0755 for folders and programs, else 0644.
    pub node: Node,
}

/// Everything below a folder, sorted. Links are not followed. What is neither file, folder nor link is an error.
pub fn scan(folder: &Path) -> Result<Vec<Found>, (PathBuf, io::Error)> {
    let mut found = Vec::new();
    let mut open = vec![(ImagePath::root(), folder.to_owned())];
    while let Some((below, folder)) = open.pop() {
        let at = |error| (folder.clone(), error);
        for entry in fs::read_dir(&folder).map_err(at)? {
            let source = entry.map_err(at)?.path();
            let at = |error| (source.clone(), error);
            let name = source.file_name().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| at(io::Error::other("its name is not text")))?;
            let path = ImagePath::parse(name).map_err(|error| at(io::Error::other(error)))?;
            let path = below.join(&path);
            let node = node_of(&source).map_err(at)?;
            if matches!(node, Node::Folder(_)) {
                open.push((path.clone(), source.clone()));
            }
            found.push(Found { path, source, node });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn node_of(source: &Path) -> io::Result<Node> {
    let meta = fs::symlink_metadata(source)?;
    if meta.is_dir() {
        return Ok(Node::Folder(Mode::PROGRAM));
    }
    if meta.is_symlink() {
        let target = fs::read_link(source)?;
        let target = target.to_str().ok_or_else(|| io::Error::other("its target is not text"))?;
        return Ok(Node::Link(target.to_owned()));
    }
    if !meta.is_file() {
        return Err(io::Error::other("it is neither file, folder nor link"));
    }
    let mode = Mode::executable(meta.permissions().mode() & 0o100 != 0);
    Ok(Node::File { mode, size: meta.len(), content: Content::File(source.to_owned()) })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use testbed_model::image::{ImagePath, Mode};

    use super::{Node, Tree, TreeError, scan};

    fn path(text: &str) -> ImagePath {
        ImagePath::parse(text).unwrap()
    }

    #[test]
    fn folders_on_the_way_are_made() {
        let mut tree = Tree::new();
        tree.put_bytes(path("/a/b/c"), Mode::FILE, b"x").unwrap();
        let all: Vec<String> = tree.iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(all, ["/", "/a", "/a/b", "/a/b/c"]);
    }

    #[test]
    fn a_folder_may_come_after_what_it_holds_and_sets_its_mode() {
        let mut tree = Tree::new();
        tree.put_bytes(path("/tmp/x"), Mode::FILE, b"").unwrap();
        tree.put(path("/tmp"), Node::Folder(Mode::of(0o1777))).unwrap();
        assert_eq!(tree.get(&path("/tmp")), Some(&Node::Folder(Mode::of(0o1777))));
    }

    #[test]
    fn a_path_has_one_content() {
        let mut tree = Tree::new();
        tree.put_bytes(path("/a"), Mode::FILE, b"x").unwrap();
        assert_eq!(tree.put_bytes(path("/a"), Mode::FILE, b"x"), Err(TreeError::Twice(path("/a"))));
        assert_eq!(tree.put(path("/a"), Node::Folder(Mode::PROGRAM)), Err(TreeError::Twice(path("/a"))));
    }

    #[test]
    fn nothing_lies_below_a_file_or_a_link() {
        let mut tree = Tree::new();
        tree.put(path("/lib"), Node::Link("usr/lib".into())).unwrap();
        let error = tree.put_bytes(path("/lib/x/y"), Mode::FILE, b"").unwrap_err();
        assert_eq!(error, TreeError::Below { path: path("/lib/x/y"), above: path("/lib") });
    }

    #[test]
    fn a_folder_is_scanned_in_order_and_only_the_execute_bit_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("b")).unwrap();
        fs::write(root.join("b/z"), "z").unwrap();
        fs::write(root.join("a"), "a").unwrap();
        fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(root.join("b/z"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink("/etc", root.join("c")).unwrap();
        let found = scan(root).unwrap();
        let paths: Vec<&str> = found.iter().map(|found| found.path.as_str()).collect();
        assert_eq!(paths, ["a", "b", "b/z", "c"]);
        assert!(matches!(found[0].node, Node::File { mode: Mode::PROGRAM, .. }));
        assert!(matches!(found[2].node, Node::File { mode: Mode::FILE, size: 1, .. }));
        assert_eq!(found[3].node, Node::Link("/etc".into()));
    }
}
