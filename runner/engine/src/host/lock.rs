//! Locks that all processes of this host see, and that end with the process that holds them.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A file that this process has for itself, until this is dropped.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

/// A folder for locks of one kind, the same for every user.
pub fn shared_folder(kind: &str) -> PathBuf {
    Path::new("/tmp").join(format!("testbed-{kind}"))
}

/// Takes a lock, whose file and folder are made where they are missing. None where another process has it.
pub fn try_lock(path: &Path) -> io::Result<Option<FileLock>> {
    if let Some(folder) = path.parent()
        && !folder.is_dir()
    {
        fs::create_dir_all(folder)?;
        // Other users have locks here as well.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o1777))?;
    }
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o666).open(path)?;
    // What the process's mask took away.
    let _ = file.set_permissions(fs::Permissions::from_mode(0o666));
    match file.try_lock() {
        Ok(()) => Ok(Some(FileLock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::try_lock;

    #[test]
    fn a_lock_is_had_once_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locks/one");
        let first = try_lock(&path).unwrap();
        assert!(first.is_some());
        assert!(try_lock(&path).unwrap().is_none(), "another open file is another holder");
        drop(first);
        assert!(try_lock(&path).unwrap().is_some());
    }
}
