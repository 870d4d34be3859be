//! Sets of images in one file, for machines without a network.
//!
//! The file is a docker archive, which a daemon can load by itself, with one file more that says which images of the lock
//! it holds. A name that ends with `.zst` has it compressed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use testbed_model::image::{Architecture, ImageName, latest_of};

use super::archive::{self, ArchivedImage};
use super::error::ImageError;
use super::saved;

/// The name of the file that says what is in the archive.
const CONTENTS: &str = "testbed-images.json";

/// What an archive may grow to for each byte that it has compressed, and what every archive may.
const MAX_RATIO: u64 = 64;
const ALWAYS_ALLOWED: u64 = 1 << 30;

/// What an archive says that it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// The format; 1.
    pub schema: u32,
    /// What the images were made for.
    pub architecture: Architecture,
    /// The images.
    pub images: Vec<ContentsEntry>,
}

/// An image in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentsEntry {
    /// Its name in the lock.
    pub name: ImageName,
    /// Its reference, which holds the hash of its recipe and inputs.
    pub reference: String,
    /// Its id.
    pub id: String,
}

/// Turns what a daemon saved into an archive to hand on. `wanted` are names with their references.
pub fn pack(
    saved: &Path,
    wanted: &[(ImageName, String)],
    architecture: Architecture,
    file: &Path,
) -> Result<Contents, ImageError> {
    let broken = |what: String| ImageError::Archive { file: saved.to_owned(), what };
    let found = saved::read(saved, CONTENTS).map_err(broken)?;
    let mut images = Vec::new();
    let mut entries = Vec::new();
    for (name, reference) in wanted {
        let image = found
            .images
            .iter()
            .find(|image| image.references.iter().any(|known| is_same(known, reference)))
            .ok_or_else(|| broken(format!("the container engine left out `{reference}`")))?;
        entries.push(ContentsEntry { name: name.clone(), reference: reference.clone(), id: image.id() });
        images.push(ArchivedImage {
            references: vec![reference.clone(), latest_of(reference)],
            ..image.clone()
        });
    }
    let contents = Contents { schema: 1, architecture, images: entries };
    let text = serde_json::to_vec_pretty(&contents).map_err(|error| broken(error.to_string()))?;
    write(file, &images, &text).map_err(ImageError::file("write", file))?;
    Ok(contents)
}

/// Podman puts `localhost/` before names without a registry.
fn is_same(known: &str, reference: &str) -> bool {
    known.strip_prefix("localhost/").unwrap_or(known) == reference
}

fn write(file: &Path, images: &[ArchivedImage], contents: &[u8]) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut part = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    let mut out = BufWriter::with_capacity(1 << 18, part.as_file_mut());
    let extra: [(&str, &[u8]); 1] = [(CONTENTS, contents)];
    if is_compressed_name(file) {
        let mut packed = zstd::Encoder::new(&mut out, 0)?;
        archive::write(images, &extra, &mut packed)?;
        packed.finish()?;
    } else {
        archive::write(images, &extra, &mut out)?;
    }
    out.flush()?;
    drop(out);
    set_readable(part.as_file())?;
    part.persist(file).map(drop).map_err(|error| error.error)
}

fn set_readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

fn is_compressed_name(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "zst")
}

/// Reads an archive that [`pack`] wrote, and verifies it wholly: nothing of it has gone to the daemon yet. `work` is a
/// folder for its uncompressed form. `reference_of` gives the reference that an image of the lock has here.
pub fn unpack(
    file: &Path,
    work: &Path,
    architecture: Architecture,
    reference_of: impl Fn(&ImageName) -> Option<String>,
) -> Result<(Contents, Vec<ArchivedImage>), ImageError> {
    let refused = |what: String| ImageError::Archive { file: file.to_owned(), what };
    let plain = plain_form(file, work)?;
    let saved = saved::read(plain.as_deref().unwrap_or(file), CONTENTS).map_err(refused)?;
    let text = saved.extra.ok_or_else(|| {
        refused(format!("it has no `{CONTENTS}`, so `testbed images export` did not write it"))
    })?;
    let contents: Contents = serde_json::from_slice(&text)
        .map_err(|error| refused(format!("its `{CONTENTS}` is wrong: {error}")))?;
    if contents.schema != 1 {
        return Err(refused(format!("its format {} is not known here", contents.schema)));
    }
    if contents.architecture != architecture {
        return Err(refused(format!(
            "its images are for {}, and this machine is {architecture}",
            contents.architecture
        )));
    }
    let mut images = Vec::new();
    for entry in &contents.images {
        let name = &entry.name;
        match reference_of(name) {
            Some(here) if here == entry.reference => {}
            Some(here) => {
                return Err(refused(format!(
                    "its image `{name}` is `{}`, and the lock here wants `{here}`",
                    entry.reference
                )));
            }
            None => return Err(refused(format!("the lock here has no image `{name}`"))),
        }
        let image = saved.images.iter().find(|image| image.id() == entry.id);
        let image =
            image.ok_or_else(|| refused(format!("its image `{name}` does not have the id {}", entry.id)))?;
        images.push(ArchivedImage {
            references: vec![entry.reference.clone(), latest_of(&entry.reference)],
            ..image.clone()
        });
    }
    if images.is_empty() {
        return Err(refused("it holds no image".to_owned()));
    }
    Ok((contents, images))
}

/// The uncompressed form of a compressed archive, in `work`; nothing if it is not compressed.
fn plain_form(file: &Path, work: &Path) -> Result<Option<std::path::PathBuf>, ImageError> {
    let unreadable = |source| ImageError::File { doing: "read", path: file.to_owned(), source };
    let mut source = File::open(file).map_err(unreadable)?;
    let mut magic = [0; 4];
    let read = source.read(&mut magic).map_err(unreadable)?;
    if read < 4 || magic != [0x28, 0xb5, 0x2f, 0xfd] {
        return Ok(None);
    }
    let limit = source.metadata().map_err(unreadable)?.len().saturating_mul(MAX_RATIO).max(ALWAYS_ALLOWED);
    let path = work.join("plain.tar");
    let unwritable = |source| ImageError::File { doing: "write", path: path.clone(), source };
    let refused = |what: String| ImageError::Archive { file: file.to_owned(), what };
    let again = File::open(file).map_err(unreadable)?;
    let mut plain = zstd::Decoder::new(again).map_err(unreadable)?;
    let mut out = File::create(&path).map_err(unwritable)?;
    let mut buffer = vec![0; 1 << 18];
    let mut total = 0_u64;
    loop {
        let n = plain
            .read(&mut buffer)
            .map_err(|error| refused(format!("it cannot be decompressed: {error}")))?;
        let Some(piece) = buffer.get(..n).filter(|piece| !piece.is_empty()) else { break };
        total += n as u64;
        if total > limit {
            return Err(refused("it grows beyond all measure when decompressed".to_owned()));
        }
        out.write_all(piece).map_err(unwritable)?;
    }
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::{Path, PathBuf};

    use testbed_model::image::{Architecture, ImageName};

    use super::{pack, unpack};
    use crate::image::archive::{ArchivedImage, ArchivedLayer, write};
    use crate::image::layer_tar;
    use crate::image::tree::Tree;

    const REFERENCE: &str = "testbed/nats:0123456789abcdef";

    fn nats() -> ImageName {
        "nats".parse().unwrap()
    }

    /// What a daemon would save.
    fn saved(folder: &Path, reference: &str) -> PathBuf {
        let layer = folder.join("layer.tar");
        let mut bytes = Vec::new();
        let written = layer_tar::write(&Tree::new(), &mut bytes).unwrap();
        fs::write(&layer, &bytes).unwrap();
        let config = format!(r#"{{"rootfs":{{"diff_ids":["{}"]}}}}"#, written.digest);
        let image = ArchivedImage {
            config: config.into_bytes(),
            references: vec![reference.to_owned()],
            layers: vec![ArchivedLayer {
                digest: written.digest,
                file: layer,
                offset: 0,
                size: written.size,
            }],
        };
        let path = folder.join("saved.tar");
        write(&[image], &[], File::create(&path).unwrap()).unwrap();
        path
    }

    fn packed(folder: &Path, name: &str) -> PathBuf {
        let file = folder.join(name);
        let wanted = [(nats(), REFERENCE.to_owned())];
        pack(&saved(folder, REFERENCE), &wanted, Architecture::Amd64, &file).unwrap();
        file
    }

    fn refusal(folder: &Path, file: &Path, architecture: Architecture, here: Option<&str>) -> String {
        unpack(file, folder, architecture, |_| here.map(str::to_owned)).unwrap_err().to_string()
    }

    #[test]
    fn a_packed_set_is_unpacked_compressed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["set.tar", "set.tar.zst"] {
            let file = packed(folder.path(), name);
            let (contents, images) =
                unpack(&file, folder.path(), Architecture::Amd64, |_| Some(REFERENCE.to_owned())).unwrap();
            assert_eq!(contents.images[0].id, images[0].id());
            assert_eq!(images[0].references, [REFERENCE, "testbed/nats:latest"]);
        }
    }

    #[test]
    fn packing_twice_gives_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (packed(folder.path(), "1.tar.zst"), packed(folder.path(), "2.tar.zst"));
        assert_eq!(fs::read(one).unwrap(), fs::read(two).unwrap());
    }

    #[test]
    fn names_of_podman_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let saved = saved(folder.path(), &format!("localhost/{REFERENCE}"));
        let wanted = [(nats(), REFERENCE.to_owned())];
        pack(&saved, &wanted, Architecture::Amd64, &folder.path().join("a.tar")).unwrap();
    }

    #[test]
    fn a_set_for_another_machine_or_another_revision_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = packed(folder.path(), "set.tar");
        let at = folder.path();
        assert!(refusal(at, &file, Architecture::Arm64, Some(REFERENCE)).contains("this machine is arm64"));
        let other = refusal(at, &file, Architecture::Amd64, Some("testbed/nats:ffff"));
        assert!(other.contains("the lock here wants `testbed/nats:ffff`"), "{other}");
        assert!(refusal(at, &file, Architecture::Amd64, None).contains("the lock here has no image `nats`"));
    }

    #[test]
    fn a_foreign_or_broken_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let foreign = saved(at, REFERENCE);
        assert!(refusal(at, &foreign, Architecture::Amd64, None).contains("did not write it"));
        let text = at.join("text");
        fs::write(&text, "hello").unwrap();
        assert!(refusal(at, &text, Architecture::Amd64, None).contains("cannot be imported"));
        let file = packed(at, "set.tar.zst");
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        assert!(refusal(at, &file, Architecture::Amd64, Some(REFERENCE)).contains("cannot be"));
    }

    #[test]
    fn an_archive_that_grows_beyond_measure_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bomb.zst");
        let mut packed = zstd::Encoder::new(File::create(&file).unwrap(), 0).unwrap();
        let zeros = vec![0; 1 << 20];
        for _ in 0..1100 {
            std::io::Write::write_all(&mut packed, &zeros).unwrap();
        }
        packed.finish().unwrap();
        let error = refusal(folder.path(), &file, Architecture::Amd64, None);
        assert!(error.contains("beyond all measure"), "{error}");
    }
}
