//! Files that a program carries within itself, put where others can read them.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;

use super::environment;

/// A path, its bytes, and whether it is a program.
pub type Packed<'f> = (&'f str, &'f [u8], bool);

/// They cannot be put anywhere.
#[derive(Debug, thiserror::Error)]
#[error("cannot put Testbed's own configuration into `{}`: {source}", folder.display())]
pub struct UnpackError {
    folder: PathBuf,
    source: io::Error,
}

impl Hint for UnpackError {
    fn hint(&self) -> Option<String> {
        Some("make it writable, set XDG_CACHE_HOME to another folder, or name a checkout of Testbed by `--root PATH`".into())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// Has the files in a folder of the user's cache, which is named after their contents, and says which it is. What is there already
/// is not written again; of two processes at once, one writes.
pub fn unpack(name: &str, files: &[Packed<'_>]) -> Result<PathBuf, UnpackError> {
    let cache = environment::cache_folder().join("testbed");
    let folder = cache.join(format!("{name}-{}", digest(files)));
    let failed = |source| UnpackError { folder: folder.clone(), source };
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(&cache).map_err(failed)?;
    let new = tempfile::Builder::new().prefix(".new-").tempdir_in(&cache).map_err(failed)?;
    write(new.path(), files).map_err(failed)?;
    match fs::rename(new.path(), &folder) {
        Ok(()) => {
            // It is not there any more under the name that would be removed.
            let _ = new.keep();
            Ok(folder)
        }
        Err(_) if folder.is_dir() => Ok(folder),
        Err(source) => Err(failed(source)),
    }
}

fn write(folder: &Path, files: &[Packed<'_>]) -> io::Result<()> {
    let open = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
    open(folder, 0o755)?;
    for (name, bytes, is_program) in files {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent)?;
        for above in parent.ancestors().take_while(|above| *above != folder) {
            open(above, 0o755)?;
        }
        fs::write(&path, bytes)?;
        // Containers' users read them, whatever this process's umask is.
        open(&path, if *is_program { 0o755 } else { 0o644 })?;
    }
    Ok(())
}

fn digest(files: &[Packed<'_>]) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, bytes, is_program) in files {
        for part in [name.as_bytes(), bytes] {
            hasher.update(&part.len().to_le_bytes());
            hasher.update(part);
        }
        hasher.update(&[u8::from(*is_program)]);
    }
    hasher.finalize().to_hex().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{digest, write};

    #[test]
    fn every_file_is_there_for_everybody() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[("a/b/c.toml", b"x = 1\n", false), ("a/run", b"#!/bin/sh\n", true)]).unwrap();
        let mode = |path: &str| folder.path().join(path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("a"), mode("a/b"), mode("a/b/c.toml"), mode("a/run")), (0o755, 0o755, 0o644, 0o755));
        assert_eq!(std::fs::read_to_string(folder.path().join("a/b/c.toml")).unwrap(), "x = 1\n");
    }

    #[test]
    fn other_contents_have_another_name() {
        let one = digest(&[("a", b"1", false)]);
        assert_ne!(one, digest(&[("a", b"2", false)]));
        assert_ne!(one, digest(&[("a", b"1", true)]));
        assert_ne!(digest(&[("a", b"bc", false)]), digest(&[("ab", b"c", false)]));
        assert_eq!(one.len(), 12);
    }
}
