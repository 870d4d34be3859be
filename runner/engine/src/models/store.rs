//! Where models are kept that are not in the checkout.
//!
//! ```text
//! CACHE/models/NAME-CONTENT/      a whole model, whose bytes have been verified; nothing in it is changed any more
//! CACHE/models/.making/NAME-ID/   a model on its way: whole files by their names, half of one as NAME.part
//! CACHE/models/.locks/NAME        held by the process that makes it
//! ```
//!
//! A model comes to its place by one rename, so whatever is there is whole, whoever was killed when.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use testbed_model::models::{Model, Pin};
use tokio_util::sync::CancellationToken;

use super::error::ModelError;
use crate::host::files::{sync, write_atomically};

/// How often a lock that another process holds is tried.
const KNOCK: Duration = Duration::from_millis(200);

/// What the name of a folder ends with that is being removed.
const OLD: &str = ".old";

/// How much is read at once.
const CHUNK: usize = 1 << 20;

/// The folder of models.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

/// Held while a model is being made.
#[derive(Debug)]
pub struct Held {
    _file: File,
}

impl Store {
    /// The store in a folder of caches, which need not be there.
    pub fn new(cache: &Path) -> Self {
        Self { folder: cache.join("models") }
    }

    /// Where a model is when it is whole; none for one whose bytes are not known.
    pub fn place(&self, model: &Model) -> Option<PathBuf> {
        Some(self.folder.join(format!("{}-{}", model.name, model.content()?)))
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of what is on its way.
    pub fn makings(&self) -> PathBuf {
        self.folder.join(".making")
    }

    /// Where a model of this name is made, under an id of what it is to be.
    pub fn making_place(&self, name: &str, id: &str) -> PathBuf {
        self.makings().join(format!("{name}-{id}"))
    }

    /// Removes a folder, out of its place at once: half of a model is in no place ever.
    pub fn discard(&self, path: &Path, name: &str) -> Result<(), ModelError> {
        let folder = self.makings();
        fs::create_dir_all(&folder).map_err(ModelError::file("make", &folder))?;
        let aside = aside(&folder.join(name.trim_end_matches(OLD)));
        if path != aside {
            set_aside(path, &aside)?;
        }
        fs::remove_dir_all(&aside).map_err(ModelError::file("remove", &aside))
    }

    /// Has a model for itself; none where another process makes it.
    pub fn try_lock(&self, name: &str) -> Result<Option<Held>, ModelError> {
        let folder = self.folder.join(".locks");
        fs::create_dir_all(&folder).map_err(ModelError::file("make", &folder))?;
        let path = folder.join(name);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(ModelError::file("lock", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Held { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(ModelError::file("lock", &path)(error)),
        }
    }

    /// Where a model is made, under an id of what it is to be.
    pub fn making(&self, model: &Model, id: &str) -> Result<PathBuf, ModelError> {
        let folder = self.making_place(&model.name, id);
        fs::create_dir_all(&folder).map_err(ModelError::file("make", &folder))?;
        // Backups, listings of files and git leave it out.
        for (name, content) in
            [("CACHEDIR.TAG", &b"Signature: 8a477f597d28d172789f06886806bc55\n"[..]), (".gitignore", b"*\n")]
        {
            let path = self.folder.join(name);
            if !path.exists() {
                write_atomically(&path, content).map_err(ModelError::file("write", &path))?;
            }
        }
        Ok(folder)
    }

    /// Waits until no other process makes the model. `tell` hears once that it has to wait.
    pub async fn lock(
        &self,
        name: &str,
        cancel: &CancellationToken,
        tell: impl FnOnce(),
    ) -> Result<Held, ModelError> {
        let mut tell = Some(tell);
        loop {
            if let Some(held) = self.try_lock(name)? {
                return Ok(held);
            }
            if let Some(tell) = tell.take() {
                tell();
            }
            tokio::select! {
                () = cancel.cancelled() => return Err(ModelError::Cancelled),
                () = tokio::time::sleep(KNOCK) => {}
            }
        }
    }

    /// Puts a model that is whole in its place: everybody may read it, and nobody has to write it any more.
    pub fn settle(making: &Path, place: &Path) -> Result<(), ModelError> {
        open_for_all(making).map_err(ModelError::file("open", making))?;
        match fs::rename(making, place) {
            Err(error) if !place.exists() => Err(ModelError::file("make", place)(error)),
            // What was there had lost files or bytes: the new one takes its place.
            Err(_) => {
                let aside = aside(making);
                set_aside(place, &aside)?;
                fs::rename(making, place).map_err(ModelError::file("make", place))?;
                fs::remove_dir_all(&aside).map_err(ModelError::file("remove", &aside))
            }
            Ok(()) => Ok(()),
        }?;
        let parent = place.parent().unwrap_or(place);
        File::open(parent).and_then(|folder| sync(&folder)).map_err(ModelError::file("write", parent))
    }
}

/// Where a folder waits for its removal.
fn aside(making: &Path) -> PathBuf {
    let mut name = making.as_os_str().to_owned();
    name.push(OLD);
    PathBuf::from(name)
}

/// Moves a folder to where it waits for its removal. What a killed process left there goes before.
fn set_aside(path: &Path, aside: &Path) -> Result<(), ModelError> {
    match fs::remove_dir_all(aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(ModelError::file("remove", aside)(error));
        }
        _ => {}
    }
    fs::rename(path, aside).map_err(ModelError::file("replace", path))
}

/// Lets everybody read and enter; containers have users of their own.
fn open_for_all(path: &Path) -> io::Result<()> {
    let is_folder = path.is_dir();
    if is_folder {
        for entry in fs::read_dir(path)? {
            open_for_all(&entry?.path())?;
        }
    }
    fs::set_permissions(path, fs::Permissions::from_mode(if is_folder { 0o755 } else { 0o644 }))
}

/// Writes a file whole, down to the disk.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(ModelError::file("make", parent))?;
    let written = File::create(path).and_then(|mut file| file.write_all(bytes).and_then(|()| sync(&file)));
    written.map_err(ModelError::file("write", path))
}

/// What a file's bytes are. Ends early when it is cancelled.
pub fn pin_of(path: &Path, cancel: &CancellationToken) -> Result<Pin, ModelError> {
    let mut hasher = Hasher::default();
    hasher.read(path, cancel)?;
    Ok(hasher.pin())
}

/// Copies a file and says what its bytes are.
pub fn copy(from: &Path, to: &Path, cancel: &CancellationToken) -> Result<Pin, ModelError> {
    let parent = to.parent().unwrap_or(to);
    fs::create_dir_all(parent).map_err(ModelError::file("make", parent))?;
    let mut source = File::open(from).map_err(ModelError::file("read", from))?;
    let mut target = File::create(to).map_err(ModelError::file("write", to))?;
    let (mut hasher, mut chunk) = (Hasher::default(), vec![0; CHUNK]);
    loop {
        if cancel.is_cancelled() {
            return Err(ModelError::Cancelled);
        }
        let count = source.read(&mut chunk).map_err(ModelError::file("read", from))?;
        let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.add(bytes);
        target.write_all(bytes).map_err(ModelError::file("write", to))?;
    }
    sync(&target).map_err(ModelError::file("write", to))?;
    Ok(hasher.pin())
}

/// A hash in the making, and how many bytes went into it.
#[derive(Clone, Default)]
pub struct Hasher {
    state: Sha256,
    size: u64,
}

impl Hasher {
    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// Adds a whole file.
    pub fn read(&mut self, path: &Path, cancel: &CancellationToken) -> Result<(), ModelError> {
        let mut file = File::open(path).map_err(ModelError::file("read", path))?;
        let mut chunk = vec![0; CHUNK];
        loop {
            if cancel.is_cancelled() {
                return Err(ModelError::Cancelled);
            }
            let count = file.read(&mut chunk).map_err(ModelError::file("read", path))?;
            match chunk.get(..count) {
                Some(bytes) if !bytes.is_empty() => self.add(bytes),
                _ => return Ok(()),
            }
        }
    }

    /// How many bytes went in.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What the bytes are.
    pub fn pin(self) -> Pin {
        let sha256 = self.state.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Pin { sha256, size: self.size }
    }
}
