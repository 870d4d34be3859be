//! A layer as a tar: equal trees give equal bytes, whoever writes them and when.

use std::collections::HashMap;
use std::io::{self, Read as _, Write};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};
use testbed_model::image::{EPOCH, ImagePath, Mode};

use super::tree::{Content, Node, Tree};

/// A written layer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Written {
    /// The digest of the tar, `sha256:...`, by which an image names the layer.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Writes a tree as a tar: sorted, all of one time, all of user and group 0, hard links to the first of their paths.
pub fn write(tree: &Tree, out: impl Write) -> io::Result<Written> {
    let mut builder = Builder::new(Hashing::new(out));
    let mut first_paths: HashMap<(Arc<Path>, u64), ImagePath> = HashMap::new();
    for (path, node) in tree.iter() {
        let at = |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
        match node {
            Node::Folder(mode) => {
                let name = if path.is_root() { "./".to_owned() } else { format!("{}/", path.as_str()) };
                builder.append_data(&mut header(EntryType::Directory, *mode, 0), name, io::empty())
            }
            Node::Link(target) => {
                builder.append_link(&mut header(EntryType::Symlink, Mode::LINK, 0), path.as_str(), target)
            }
            Node::File { mode, size, content } => {
                let place = match content {
                    Content::Within { archive, offset } if *size > 0 => Some((Arc::clone(archive), *offset)),
                    _ => None,
                };
                if let Some(first) = place.as_ref().and_then(|place| first_paths.get(place)) {
                    let mut header = header(EntryType::Link, *mode, 0);
                    builder.append_link(&mut header, path.as_str(), first.as_str())
                } else {
                    first_paths.extend(place.map(|place| (place, path.clone())));
                    append_file(&mut builder, path, *mode, *size, content)
                }
            }
        }
        .map_err(at)?;
    }
    Ok(builder.into_inner()?.finish())
}

/// Announcing a size and then finding fewer bytes would make a tar that lies; a file that shrank is an error.
fn append_file<W: Write>(
    builder: &mut Builder<W>,
    path: &ImagePath,
    mode: Mode,
    size: u64,
    content: &Content,
) -> io::Result<()> {
    let mut source = Counting { inner: content.open(size)?, count: 0 };
    builder.append_data(
        &mut header(EntryType::Regular, mode, size),
        path.as_str(),
        source.by_ref().take(size),
    )?;
    if source.count == size {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file changed while it was read"))
    }
}

/// The header of an entry, with all that is the same for every entry.
pub fn header(kind: EntryType, mode: Mode, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode.bits());
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(EPOCH);
    header.set_size(size);
    header
}

struct Counting<R> {
    inner: R,
    count: u64,
}

impl<R: io::Read> io::Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count += n as u64;
        Ok(n)
    }
}

/// Passes bytes on and hashes them.
struct Hashing<W> {
    out: W,
    hasher: Sha256,
    size: u64,
}

impl<W: Write> Hashing<W> {
    fn new(out: W) -> Self {
        Self { out, hasher: Sha256::new(), size: 0 }
    }

    fn finish(self) -> Written {
        Written { digest: digest_text(self.hasher), size: self.size }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.hasher.update(bytes.get(..n).unwrap_or_default());
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A finished hash as `sha256:...`.
pub fn digest_text(hasher: Sha256) -> String {
    use std::fmt::Write as _;
    let mut text = "sha256:".to_owned();
    for byte in hasher.finalize() {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use proptest::prelude::*;
    use testbed_model::image::{EPOCH, ImagePath, Mode};

    use super::write;
    use crate::image::tree::{Content, Node, Tree};

    fn path(text: &str) -> ImagePath {
        ImagePath::parse(text).unwrap()
    }

    /// Kind, path, link target and content of every entry.
    fn entries(bytes: &[u8]) -> Vec<(tar::EntryType, String, String, Vec<u8>)> {
        let mut archive = tar::Archive::new(bytes);
        archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                assert_eq!(entry.header().mtime().unwrap(), EPOCH);
                assert_eq!((entry.header().uid().unwrap(), entry.header().gid().unwrap()), (0, 0));
                let text = |bytes: Option<std::borrow::Cow<'_, [u8]>>| {
                    bytes.map_or_else(String::new, |bytes| String::from_utf8(bytes.into_owned()).unwrap())
                };
                let (name, link) = (text(Some(entry.path_bytes())), text(entry.link_name_bytes()));
                let mut content = Vec::new();
                std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
                (entry.header().entry_type(), name, link, content)
            })
            .collect()
    }

    #[test]
    fn the_root_comes_first_with_a_mode_that_anybody_can_enter() {
        let mut bytes = Vec::new();
        write(&Tree::new(), &mut bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.path_bytes().as_ref(), b"./");
        assert_eq!(entry.header().mode().unwrap(), 0o755);
    }

    #[test]
    fn the_order_of_putting_does_not_show() {
        let mut one = Tree::new();
        one.put_bytes(path("/b"), Mode::FILE, b"b").unwrap();
        one.put_bytes(path("/a/x"), Mode::PROGRAM, b"a").unwrap();
        let mut two = Tree::new();
        two.put_bytes(path("/a/x"), Mode::PROGRAM, b"a").unwrap();
        two.put_bytes(path("/b"), Mode::FILE, b"b").unwrap();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        assert_eq!(write(&one, &mut first).unwrap(), write(&two, &mut second).unwrap());
        assert_eq!(first, second);
    }

    #[test]
    fn the_digest_is_that_of_the_bytes() {
        use sha2::{Digest as _, Sha256};
        let mut tree = Tree::new();
        tree.put_bytes(path("/a"), Mode::FILE, b"x").unwrap();
        let mut bytes = Vec::new();
        let written = write(&tree, &mut bytes).unwrap();
        assert_eq!(written.size, bytes.len() as u64);
        let mut hasher = Sha256::new();
        hasher.update(&bytes);
        assert_eq!(written.digest, super::digest_text(hasher));
    }

    #[test]
    fn hard_links_point_to_the_first_path_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("x");
        fs::write(&archive, "..content").unwrap();
        let archive: Arc<Path> = archive.into();
        let node =
            Node::File { mode: Mode::PROGRAM, size: 7, content: Content::Within { archive, offset: 2 } };
        let mut tree = Tree::new();
        tree.put(path("/z"), node.clone()).unwrap();
        tree.put(path("/a"), node).unwrap();
        let mut bytes = Vec::new();
        write(&tree, &mut bytes).unwrap();
        let found = entries(&bytes);
        assert_eq!(found[1], (tar::EntryType::Regular, "a".into(), String::new(), b"content".to_vec()));
        assert_eq!(found[2], (tar::EntryType::Link, "z".into(), "a".into(), Vec::new()));
    }

    #[test]
    fn names_longer_than_a_header_are_whole() {
        let long = "/".to_owned() + &["x".repeat(90).as_str(); 4].join("/");
        let target = "t".repeat(300);
        let mut tree = Tree::new();
        tree.put_bytes(path(&long), Mode::FILE, b"").unwrap();
        tree.put(path("/link"), Node::Link(target.clone())).unwrap();
        let mut bytes = Vec::new();
        write(&tree, &mut bytes).unwrap();
        let found = entries(&bytes);
        assert!(found.iter().any(|entry| entry.1 == long.trim_start_matches('/')));
        assert!(found.iter().any(|entry| entry.1 == "link" && entry.2 == target));
    }

    #[test]
    fn a_file_that_shrank_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        fs::write(&file, "ab").unwrap();
        let mut tree = Tree::new();
        tree.put(path("/x"), Node::File { mode: Mode::FILE, size: 3, content: Content::File(file) }).unwrap();
        assert!(write(&tree, std::io::sink()).unwrap_err().to_string().contains("/x"));
    }

    proptest! {
        #[test]
        fn every_tree_is_read_back_as_it_was_put(
            files in prop::collection::btree_map("[a-zé.]{1,60}(/[a-z -]{1,80}){0,3}", prop::collection::vec(any::<u8>(), 0..600), 0..12)
        ) {
            let mut tree = Tree::new();
            let mut put = Vec::new();
            for (name, content) in &files {
                let Ok(at) = ImagePath::parse(name) else { continue };
                if !at.is_root() && tree.put_bytes(at.clone(), Mode::FILE, content).is_ok() {
                    put.push((at.as_str().to_owned(), content.clone()));
                }
            }
            let mut bytes = Vec::new();
            write(&tree, &mut bytes).unwrap();
            let mut found: Vec<_> = entries(&bytes)
                .into_iter()
                .filter(|entry| entry.0 == tar::EntryType::Regular)
                .map(|entry| (entry.1, entry.3))
                .collect();
            put.sort();
            found.sort();
            prop_assert_eq!(found, put);
        }
    }
}
