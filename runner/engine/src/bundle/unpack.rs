//! Opening a bundle that somebody else made: nothing of it is used before all of it was checked.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use tar::{Archive, Entry, EntryType};
use tempfile::TempDir;

use super::error::BundleError;
use super::{Content, INDEX, Index, MOST_INDEX, RECORD, SCHEMA};
use crate::host::files;

/// The most bytes that a bundle may unpack to: images and a record fit many times.
const MOST_BYTES: u64 = 256 << 30;
/// The most members.
const MOST_FILES: usize = 1_000_000;

/// The most bytes behind the last member: archives are filled up to blocks of 10 KiB.
const MOST_REST: u64 = 64 << 10;

/// What every version of an index has.
#[derive(Deserialize)]
struct Versioned {
    schema: u64,
}

/// A bundle that was checked, unpacked for as long as this value lives.
#[derive(Debug)]
pub struct Opened {
    /// What it holds.
    pub index: Index,
    folder: TempDir,
}

impl Opened {
    /// The folder of its record.
    pub fn record(&self) -> PathBuf {
        self.folder.path().join(RECORD)
    }

    /// A member by its name.
    pub fn member(&self, name: &str) -> Option<PathBuf> {
        self.index.files.contains_key(name).then(|| self.folder.path().join(name))
    }
}

/// Checks a bundle and opens it in a temporary folder.
pub fn open(bundle: &Path) -> Result<Opened, BundleError> {
    let folder = files::temporary("testbed-bundle-").map_err(BundleError::writing(bundle))?;
    let index = unpack(bundle, folder.path())?;
    Ok(Opened { index, folder })
}

/// Checks the bundle and unpacks it into `folder`, which must be empty. What is refused leaves nothing there that anybody would use:
/// the caller's folder is a temporary one.
pub(super) fn unpack(bundle: &Path, folder: &Path) -> Result<Index, BundleError> {
    let file = File::open(bundle).map_err(BundleError::reading(bundle))?;
    let torn = |source| BundleError::Torn { path: bundle.to_owned(), source };
    let decoder = zstd::Decoder::new(BufReader::new(file)).map_err(torn)?;
    let mut archive = Archive::new(decoder);
    let mut entries = archive.entries().map_err(torn)?;
    let first = entries.next().ok_or_else(|| foreign(bundle, "it is empty"))?;
    let index = read_index(bundle, first.map_err(torn)?)?;
    let mut missing = index.files.clone();
    for entry in entries {
        let mut entry = entry.map_err(torn)?;
        let name = entry.path().map_err(torn)?.to_string_lossy().into_owned();
        let refuse = |why: &str| refused(bundle, &name, why);
        if entry.header().entry_type() != EntryType::Regular {
            return Err(refuse("is no plain file"));
        }
        let expected =
            missing.remove(&name).ok_or_else(|| refuse("is not in its index, or is there twice"))?;
        if !stays_inside(&name) {
            return Err(refuse("would leave the folder that it is unpacked into"));
        }
        let path = folder.join(&name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(BundleError::writing(parent))?;
        }
        let found = copy(&mut entry, &expected, &path).map_err(|error| match error {
            CopyError::Read(source) => torn(source),
            CopyError::Write(source) => BundleError::writing(&path)(source),
        })?;
        if found != expected {
            return Err(refuse("is not what its index says: the hash or the size differs"));
        }
    }
    if let Some(name) = missing.keys().next() {
        return Err(refused(bundle, name, "is in its index and is not there"));
    }
    // The checksum of the compressed form comes last, behind what an archive needs.
    let rest = io::copy(&mut archive.into_inner().take(MOST_REST + 1), &mut io::sink()).map_err(torn)?;
    if rest > MOST_REST {
        return Err(foreign(bundle, "something lies behind its last member"));
    }
    Ok(index)
}

fn read_index(bundle: &Path, entry: Entry<'_, impl Read>) -> Result<Index, BundleError> {
    let torn = |source| BundleError::Torn { path: bundle.to_owned(), source };
    let name = entry.path().map_err(torn)?.to_string_lossy().into_owned();
    if name != INDEX || entry.header().entry_type() != EntryType::Regular {
        return Err(foreign(bundle, &format!("it begins with `{name}` and not with `{INDEX}`")));
    }
    let mut json = Vec::new();
    entry.take(MOST_INDEX + 1).read_to_end(&mut json).map_err(torn)?;
    if u64::try_from(json.len()).unwrap_or(u64::MAX) > MOST_INDEX {
        return Err(foreign(bundle, "its index is too large"));
    }
    let garbled = |error: serde_json::Error| foreign(bundle, &format!("its index cannot be read: {error}"));
    let Versioned { schema } = serde_json::from_slice(&json).map_err(garbled)?;
    if schema != u64::from(SCHEMA) {
        return Err(BundleError::Schema { path: bundle.to_owned(), found: schema });
    }
    let index: Index = serde_json::from_slice(&json).map_err(garbled)?;
    let bytes = index.files.values().try_fold(0_u64, |sum, content| sum.checked_add(content.bytes));
    if bytes.is_none_or(|bytes| bytes > MOST_BYTES) || index.files.len() > MOST_FILES {
        return Err(foreign(bundle, "it would unpack to more than any record and its images have"));
    }
    check_apart(bundle, &index.files)?;
    Ok(index)
}

/// No member lies below another one.
fn check_apart(bundle: &Path, files: &BTreeMap<String, Content>) -> Result<(), BundleError> {
    for name in files.keys() {
        let mut above = Path::new(name).ancestors().skip(1);
        if above.any(|folder| files.contains_key(&*folder.to_string_lossy())) {
            return Err(refused(bundle, name, "lies below another member"));
        }
    }
    Ok(())
}

enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// Writes a member, and not more of it than its index says.
fn copy(entry: &mut impl Read, expected: &Content, path: &Path) -> Result<Content, CopyError> {
    let mut file = File::options().write(true).create_new(true).open(path).map_err(CopyError::Write)?;
    let mut hasher = blake3::Hasher::new();
    let mut entry = entry.take(expected.bytes.saturating_add(1));
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = entry.read(&mut buffer).map_err(CopyError::Read)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
        hasher.update(part);
        file.write_all(part).map_err(CopyError::Write)?;
    }
    Ok(Content { bytes: hasher.count(), blake3: hasher.finalize().to_hex().to_string() })
}

/// Whether a name is a plain path below the folder, and nothing else on any system.
fn stays_inside(name: &str) -> bool {
    !name.contains('\\')
        && !name.contains('\0')
        && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
        && !name.split('/').any(|part| part.is_empty() || part == "." || part == "..")
}

fn foreign(bundle: &Path, message: &str) -> BundleError {
    BundleError::Foreign { path: bundle.to_owned(), message: message.to_owned() }
}

fn refused(bundle: &Path, member: &str, why: &str) -> BundleError {
    BundleError::Refused { path: bundle.to_owned(), member: member.to_owned(), why: why.to_owned() }
}
