//! Docker archives of others: read without trust, and handed on only in parts that have been verified.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tar::EntryType;
use testbed_model::image::ImagePath;

use super::archive::{ArchivedImage, ArchivedLayer};
use super::layer_tar::digest_text;

/// An archive has a few files for each layer; one with more than this is not an archive of images.
const MAX_ENTRIES: usize = 50_000;
/// Descriptions are small; a larger one is not a description.
const MAX_DESCRIPTION: u64 = 16 << 20;

/// An archive whose every part has been found and verified.
#[derive(Clone, Debug)]
pub struct SavedArchive {
    /// Its images: descriptions and layers have the digests that they claim.
    pub images: Vec<ArchivedImage>,
    /// The bytes of the file that the reader asked for besides, if it is there.
    pub extra: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    offset: u64,
    size: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ManifestEntry {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Description {
    rootfs: RootFs,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// Reads and verifies an archive that is not compressed, and the file `extra` in it. The error says what is wrong.
pub fn read(file: &Path, extra: &str) -> Result<SavedArchive, String> {
    let words = |error: io::Error| format!("it cannot be read: {error}");
    let mut reader =
        Reader { path: file.to_owned(), file: File::open(file).map_err(words)?, index: Index::default() };
    reader.index = index(file)?;
    let manifest =
        reader.text("manifest.json")?.ok_or("it is not a docker archive: it has no `manifest.json`")?;
    let entries: Vec<ManifestEntry> = serde_json::from_slice(&manifest)
        .map_err(|error| format!("its `manifest.json` is wrong: {error}"))?;
    let images = entries.iter().map(|entry| reader.image(entry)).collect::<Result<_, _>>()?;
    let extra = reader.text(extra)?;
    Ok(SavedArchive { images, extra })
}

/// Where the archive's files are, and what its links point to.
#[derive(Debug, Default)]
struct Index {
    files: BTreeMap<ImagePath, Part>,
    links: BTreeMap<ImagePath, ImagePath>,
}

fn index(file: &Path) -> Result<Index, String> {
    let words = |error: io::Error| format!("it cannot be read: {error}");
    let mut archive = tar::Archive::new(File::open(file).map_err(words)?);
    let mut index = Index::default();
    for (count, entry) in archive.entries().map_err(words)?.enumerate() {
        let entry = entry.map_err(words)?;
        if count >= MAX_ENTRIES {
            return Err(format!("it has more than {MAX_ENTRIES} entries"));
        }
        let path = inside(&entry.path_bytes())?;
        match entry.header().entry_type() {
            EntryType::Directory => {}
            EntryType::Regular => {
                let part = Part { offset: entry.raw_file_position(), size: entry.size() };
                if index.files.insert(path.clone(), part).is_some() || index.links.contains_key(&path) {
                    return Err(format!("`{path}` is there twice"));
                }
            }
            // Older daemons write a layer that is there already as a link to it.
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default();
                let target = followed(&path, &target)?;
                if index.links.insert(path.clone(), target).is_some() || index.files.contains_key(&path) {
                    return Err(format!("`{path}` is there twice"));
                }
            }
            other => return Err(format!("`{path}` is neither file nor folder but {other:?}")),
        }
    }
    Ok(index)
}

/// A path of the archive, which must lie inside of it.
fn inside(bytes: &[u8]) -> Result<ImagePath, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "a file name is not text".to_owned())?;
    if text.starts_with('/') {
        return Err(format!("the path `{text}` is absolute"));
    }
    ImagePath::parse(text).map_err(|error| error.to_string())
}

/// What a link at `path` points to, inside the archive.
fn followed(path: &ImagePath, target: &[u8]) -> Result<ImagePath, String> {
    let text = std::str::from_utf8(target).map_err(|_| "a link's target is not text".to_owned())?;
    let leaves = || format!("the link `{path}` to `{text}` leaves the archive");
    if text.starts_with('/') {
        return Err(leaves());
    }
    let mut at = path.parent().unwrap_or_default();
    for part in text.split('/') {
        at = match part {
            "" | "." => at,
            ".." => at.parent().ok_or_else(leaves)?,
            name => at.join(&ImagePath::parse(name).map_err(|error| error.to_string())?),
        };
    }
    Ok(at)
}

struct Reader {
    path: PathBuf,
    file: File,
    index: Index,
}

impl Reader {
    fn part(&self, name: &str) -> Result<Option<Part>, String> {
        let path = inside(name.as_bytes())?;
        // A link to a link is not something that a daemon writes.
        let path = self.index.links.get(&path).unwrap_or(&path);
        Ok(self.index.files.get(path).copied())
    }

    fn required(&self, name: &str) -> Result<Part, String> {
        self.part(name)?.ok_or_else(|| format!("`{name}` is named in it and not there"))
    }

    /// A small file.
    fn text(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let Some(part) = self.part(name)? else { return Ok(None) };
        if part.size > MAX_DESCRIPTION {
            return Err(format!("`{name}` is too large to be a description"));
        }
        let mut bytes = Vec::new();
        let read = self.file.seek(SeekFrom::Start(part.offset));
        read.and_then(|_| (&self.file).take(part.size).read_to_end(&mut bytes))
            .map_err(|error| format!("`{name}` cannot be read: {error}"))?;
        if bytes.len() as u64 == part.size { Ok(Some(bytes)) } else { Err("it ends too early".to_owned()) }
    }

    fn image(&mut self, entry: &ManifestEntry) -> Result<ArchivedImage, String> {
        let config = self
            .text(&entry.config)?
            .ok_or_else(|| format!("`{}` is named in it and not there", entry.config))?;
        let description: Description = serde_json::from_slice(&config)
            .map_err(|error| format!("the description `{}` is wrong: {error}", entry.config))?;
        let digests = description.rootfs.diff_ids;
        if digests.len() != entry.layers.len() {
            return Err(format!(
                "`{}` describes {} layers and `manifest.json` names {}",
                entry.config,
                digests.len(),
                entry.layers.len()
            ));
        }
        let layers = digests
            .iter()
            .zip(&entry.layers)
            .map(|(digest, name)| self.layer(digest, name))
            .collect::<Result<_, _>>()?;
        Ok(ArchivedImage { config, references: entry.repo_tags.clone().unwrap_or_default(), layers })
    }

    fn layer(&mut self, digest: &str, name: &str) -> Result<ArchivedLayer, String> {
        let part = self.required(name)?;
        let words = |error: io::Error| format!("the layer `{name}` cannot be read: {error}");
        self.file.seek(SeekFrom::Start(part.offset)).map_err(words)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 18];
        let mut source = (&self.file).take(part.size);
        loop {
            let n = source.read(&mut buffer).map_err(words)?;
            let Some(piece) = buffer.get(..n).filter(|piece| !piece.is_empty()) else { break };
            hasher.update(piece);
        }
        let found = digest_text(hasher);
        if found != digest {
            return Err(format!("the layer `{name}` was changed: it has {found}, and should have {digest}"));
        }
        Ok(ArchivedLayer { digest: found, file: self.path.clone(), offset: part.offset, size: part.size })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::{Path, PathBuf};

    use tar::{Builder, EntryType};
    use testbed_model::image::Mode;

    use super::read;
    use crate::image::archive::{ArchivedImage, ArchivedLayer, write};
    use crate::image::layer_tar::{self, header};
    use crate::image::tree::Tree;

    /// One entry: its kind, its path as written, and its content or target.
    type Entry<'a> = (EntryType, &'a str, &'a [u8]);

    fn tar_of(folder: &Path, entries: &[Entry<'_>]) -> PathBuf {
        let path = folder.join("archive.tar");
        let mut builder = Builder::new(File::create(&path).unwrap());
        for (kind, name, content) in entries {
            let size = if *kind == EntryType::Regular { content.len() as u64 } else { 0 };
            let mut header = header(*kind, Mode::FILE, size);
            // Written as given: a hostile archive does not keep to what a writer would allow.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            if matches!(kind, EntryType::Symlink | EntryType::Link) {
                header.set_link_name_literal(content).unwrap();
            }
            header.set_cksum();
            builder.append(&header, if size > 0 { *content } else { &[][..] }).unwrap();
        }
        builder.into_inner().unwrap();
        path
    }

    fn whole(folder: &Path) -> (PathBuf, ArchivedImage) {
        let layer = folder.join("layer.tar");
        let mut bytes = Vec::new();
        let written = layer_tar::write(&Tree::new(), &mut bytes).unwrap();
        fs::write(&layer, &bytes).unwrap();
        let config = format!(r#"{{"rootfs":{{"diff_ids":["{}"],"type":"layers"}}}}"#, written.digest);
        let image = ArchivedImage {
            config: config.into_bytes(),
            references: vec!["testbed/x:1".into()],
            layers: vec![ArchivedLayer {
                digest: written.digest,
                file: layer,
                offset: 0,
                size: written.size,
            }],
        };
        let path = folder.join("whole.tar");
        write(std::slice::from_ref(&image), &[("x.json", b"extra")], File::create(&path).unwrap()).unwrap();
        (path, image)
    }

    #[test]
    fn an_archive_that_was_written_here_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let (path, image) = whole(folder.path());
        let saved = read(&path, "x.json").unwrap();
        assert_eq!(saved.extra.as_deref(), Some(&b"extra"[..]));
        assert_eq!(saved.images.len(), 1);
        assert_eq!(saved.images[0].id(), image.id());
        assert_eq!(saved.images[0].references, image.references);
    }

    #[test]
    fn one_changed_byte_of_a_layer_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = whole(folder.path());
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(5).rposition(|window| window == b"ustar").unwrap();
        bytes[at + 100] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let error = read(&path, "x.json").unwrap_err();
        assert!(error.contains("was changed"), "{error}");
    }

    #[test]
    fn a_cut_archive_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = whole(folder.path());
        let bytes = fs::read(&path).unwrap();
        for length in (0..bytes.len() - 1100).step_by(97) {
            fs::write(&path, &bytes[..length]).unwrap();
            assert!(read(&path, "x.json").is_err(), "{length}");
        }
    }

    #[test]
    fn paths_and_links_that_leave_the_archive_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let regular = EntryType::Regular;
        let check = |entries: &[Entry<'_>], part: &str| {
            let path = tar_of(folder.path(), entries);
            let error = read(&path, "x.json").unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        check(&[(regular, "../evil", b"x")], "leaves the image's root");
        check(&[(regular, "a/../../evil", b"x")], "leaves the image's root");
        check(&[(regular, "/etc/passwd", b"x")], "is absolute");
        check(&[(EntryType::Symlink, "a/layer.tar", b"../../etc/passwd")], "leaves the archive");
        check(&[(EntryType::Symlink, "a", b"/etc/passwd")], "leaves the archive");
        check(&[(EntryType::Link, "a", b"b")], "neither file nor folder");
        check(&[(EntryType::Char, "a", b"")], "neither file nor folder");
        check(&[(regular, "a", b"x"), (regular, "./a", b"y")], "is there twice");
        check(&[(regular, "a", b"x")], "no `manifest.json`");
    }

    #[test]
    fn a_manifest_that_lies_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let regular = EntryType::Regular;
        let check = |manifest: &[u8], config: &[u8], part: &str| {
            let path =
                tar_of(folder.path(), &[(regular, "manifest.json", manifest), (regular, "c.json", config)]);
            let error = read(&path, "x.json").unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        check(b"{}", b"{}", "`manifest.json` is wrong");
        check(br#"[{"Config":"none.json","Layers":[]}]"#, b"{}", "`none.json` is named in it and not there");
        check(br#"[{"Config":"c.json","Layers":[]}]"#, b"{}", "description `c.json` is wrong");
        let config = br#"{"rootfs":{"diff_ids":["sha256:00"]}}"#;
        check(br#"[{"Config":"c.json","Layers":[]}]"#, config, "describes 1 layers");
        check(br#"[{"Config":"c.json","Layers":["gone"]}]"#, config, "`gone` is named in it");
        check(br#"[{"Config":"c.json","Layers":["../../etc/passwd"]}]"#, config, "leaves");
        check(br#"[{"Config":"c.json","Layers":["c.json"]}]"#, config, "was changed");
    }
}
