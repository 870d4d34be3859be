//! Files of the host: written so that a reader sees the old or the new content, never half of one.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// A user and a group, as a container's process has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Identity {
    /// The one that this process has.
    pub fn own() -> Self {
        Self { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }

    /// Reads `uid:gid`.
    pub fn parse(text: &str) -> Option<Self> {
        let (uid, gid) = text.split_once(':')?;
        Some(Self { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
    }

    /// Whether it is the one that may do everything.
    pub const fn is_root(self) -> bool {
        self.uid == 0
    }

    /// Whether a file's mode lets it read (and, for a folder, enter). Its supplementary groups are not counted, for in a
    /// container it has none.
    pub fn may_read(self, meta: &fs::Metadata) -> bool {
        let needed = if meta.is_dir() { 0o5 } else { 0o4 };
        let shift = match meta {
            meta if meta.uid() == self.uid => 6,
            meta if meta.gid() == self.gid => 3,
            _ => 0,
        };
        self.is_root() || (meta.mode() >> shift) & needed == needed
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

/// Adds to the end of a file, which is made where it is missing.
pub fn append(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::OpenOptions::new().append(true).create(true).open(path)?.write_all(content)
}

/// Replaces a file's content in one step. The temporary file stands beside it, where a rename is atomic.
pub fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, content, 0o644, None)
}

/// Replaces the content of a file that is there in one step. It keeps its mode, and its owner where this process may give files
/// away.
pub fn rewrite_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let meta = path.metadata()?;
    let owner = Identity { uid: meta.uid(), gid: meta.gid() };
    let given = Some(owner).filter(|owner| Identity::own().is_root() && *owner != Identity::own());
    replace(path, content, meta.mode() & 0o7777, given)
}

fn replace(path: &Path, content: &[u8], mode: u32, owner: Option<Identity>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(content)?;
    if let Some(owner) = owner {
        std::os::unix::fs::fchown(file.as_file(), Some(owner.uid), Some(owner.gid))?;
    }
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Makes `link` point to `target` in one step, whatever it pointed to before. Something that is not a link stays.
pub fn point(link: &Path, target: &Path) -> io::Result<()> {
    match link.symlink_metadata() {
        Ok(meta) if !meta.is_symlink() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is something that is not a link",
            ));
        }
        _ => {}
    }
    let folder = link.parent().unwrap_or(Path::new("."));
    let staging = tempfile::Builder::new().prefix(".new-").tempdir_in(folder)?;
    let staged = staging.path().join("link");
    std::os::unix::fs::symlink(target, &staged)?;
    fs::rename(&staged, link)
}

/// Makes a folder that `owner` can write. Where this process is not root, it can only be its own.
pub fn folder_for(path: &Path, owner: Identity) -> io::Result<()> {
    fs::create_dir_all(path)?;
    let meta = path.metadata()?;
    if Identity::own().is_root() && (meta.uid(), meta.gid()) != (owner.uid, owner.gid) {
        std::os::unix::fs::chown(path, Some(owner.uid), Some(owner.gid))?;
    }
    Ok(())
}

/// A folder of our own that goes with the value.
pub fn temporary(prefix: &str) -> io::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix(prefix).tempdir()
}

/// Writes what is buffered down to the disk.
pub fn sync(file: &File) -> io::Result<()> {
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::{Identity, point, write_atomically};

    #[test]
    fn a_replaced_file_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        write_atomically(&path, b"old").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_moves_on_and_a_folder_in_its_place_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("latest");
        point(&link, Path::new("runs/a")).unwrap();
        point(&link, Path::new("runs/b")).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("runs/b"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::remove_file(&link).unwrap();
        fs::create_dir(&link).unwrap();
        assert!(point(&link, Path::new("runs/c")).is_err());
    }

    #[test]
    fn who_may_read_follows_the_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "").unwrap();
        let may = |mode: u32, who: Identity| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            who.may_read(&path.metadata().unwrap())
        };
        let stranger = Identity { uid: 4_000_001, gid: 4_000_001 };
        assert!(!may(0o600, stranger));
        assert!(may(0o644, stranger));
        assert!(may(0o400, Identity::own()));
        // A folder that can be read but not entered is of no use.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o744)).unwrap();
        assert!(!stranger.may_read(&folder.path().metadata().unwrap()));
    }
}
