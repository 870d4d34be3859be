//! Making a bundle.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::error::BundleError;
use super::{Content, INDEX, Index, RECORD, SCHEMA};

/// What zstd does best by size in reasonable time.
const LEVEL: i32 = 9;

/// A further file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name in the bundle, such as `images/nats.tar`.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
}

/// Packs the record in `folder`, of run `run`, and further members into the file `into`, which is there whole or not at all. Gives
/// the index.
pub fn pack(run: &str, folder: &Path, further: &[Member], into: &Path) -> Result<Index, BundleError> {
    let mut members = BTreeMap::new();
    collect(folder, RECORD, &mut members)?;
    members.extend(further.iter().map(|member| (member.name.clone(), member.path.clone())));
    let mut files = BTreeMap::new();
    for (name, path) in &members {
        files.insert(name.clone(), content(path).map_err(BundleError::reading(path))?);
    }
    let index = Index { schema: SCHEMA, run: run.to_owned(), files };
    let place = into.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(place).map_err(BundleError::writing(into))?;
    write(&index, &members, file.as_file(), into)?;
    file.as_file().sync_all().map_err(BundleError::writing(into))?;
    file.persist(into).map_err(|error| BundleError::writing(into)(error.error))?;
    Ok(index)
}

fn write(
    index: &Index,
    members: &BTreeMap<String, PathBuf>,
    out: &File,
    into: &Path,
) -> Result<(), BundleError> {
    let writing = || BundleError::writing(into);
    let mut encoder = zstd::Encoder::new(BufWriter::new(out), LEVEL).map_err(writing())?;
    // One changed byte of the compressed form can change a name in the index and in the archive alike.
    encoder.include_checksum(true).map_err(writing())?;
    let mut archive = Builder::new(encoder);
    let json = serde_json::to_vec_pretty(index).map_err(|error| writing()(error.into()))?;
    let size = u64::try_from(json.len()).unwrap_or(u64::MAX);
    archive.append_data(&mut header(size), INDEX, json.as_slice()).map_err(writing())?;
    for (name, path) in members {
        let file = File::open(path).map_err(BundleError::reading(path))?;
        let size = index.files.get(name).map_or(0, |content| content.bytes);
        // A file that grows meanwhile is cut where its hash was taken, and told by it where it changed otherwise.
        let file = io::Read::take(file, size);
        archive.append_data(&mut header(size), name, file).map_err(writing())?;
    }
    let mut inner = archive.into_inner().and_then(zstd::Encoder::finish).map_err(writing())?;
    inner.flush().map_err(writing())
}

/// The same for every machine and every time.
fn header(size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// The plain files below a folder. A record has no links, and what somebody put there is not followed.
fn collect(folder: &Path, name: &str, members: &mut BTreeMap<String, PathBuf>) -> Result<(), BundleError> {
    for entry in fs::read_dir(folder).map_err(BundleError::reading(folder))? {
        let entry = entry.map_err(BundleError::reading(folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(BundleError::reading(&path))?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if kind.is_dir() {
            collect(&path, &name, members)?;
        } else if kind.is_file() {
            members.insert(name, path);
        }
    }
    Ok(())
}

fn content(path: &Path) -> io::Result<Content> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(Content { bytes: hasher.count(), blake3: hasher.finalize().to_hex().to_string() })
}
