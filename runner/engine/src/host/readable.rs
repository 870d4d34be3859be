//! Whether a user, as a container has one, can read what is mounted for it.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::files::Identity;

/// What keeps a user from using a file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It is not there.
    Missing,
    /// This one, which is the same or below it, may not be read.
    Unreadable(PathBuf),
}

/// The first obstacle at a path or below it. Links below it are not followed: in a container they lead elsewhere.
pub fn obstacle(path: &Path, user: Identity) -> Option<Obstacle> {
    let Ok(meta) = fs::metadata(path) else { return Some(Obstacle::Missing) };
    let mut open = vec![(path.to_owned(), meta)];
    while let Some((path, meta)) = open.pop() {
        if !may_use(user, &meta) {
            return Some(Obstacle::Unreadable(path));
        }
        if meta.is_dir() {
            // What this process itself may not list, others tell of when they need it.
            let entries = fs::read_dir(&path).into_iter().flatten().filter_map(Result::ok);
            open.extend(entries.filter_map(|entry| {
                let meta = entry.metadata().ok().filter(|meta| !meta.is_symlink())?;
                Some((entry.path(), meta))
            }));
        }
    }
    None
}

/// Whether the user may read it and, where its owner may execute it, execute it.
fn may_use(user: Identity, meta: &Metadata) -> bool {
    let executable = meta.is_file() && meta.permissions().mode() & 0o100 != 0;
    let shift = match meta {
        meta if meta.uid() == user.uid => 6,
        meta if meta.gid() == user.gid => 3,
        _ => 0,
    };
    user.may_read(meta) && (!executable || user.is_root() || (meta.mode() >> shift) & 0o1 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Obstacle, obstacle};
    use crate::host::files::Identity;

    #[test]
    fn the_first_thing_that_a_stranger_may_not_use_is_named() {
        let stranger = Identity { uid: 4_000_001, gid: 4_000_001 };
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("models/tiny");
        let file = inner.join("config.json");
        fs::create_dir_all(&inner).unwrap();
        fs::write(&file, "").unwrap();
        let mode = |path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(folder.path(), 0o755);
        mode(&inner, 0o755);
        for (bits, usable) in [(0o644, true), (0o600, false), (0o755, true), (0o744, false)] {
            mode(&file, bits);
            let expected = (!usable).then(|| Obstacle::Unreadable(file.clone()));
            assert_eq!(obstacle(folder.path(), stranger), expected, "{bits:o}");
            assert_eq!(obstacle(folder.path(), Identity::own()), None, "{bits:o}");
        }
        mode(&inner, 0o700);
        assert_eq!(obstacle(folder.path(), stranger), Some(Obstacle::Unreadable(inner)));
        assert_eq!(obstacle(&folder.path().join("nothing"), stranger), Some(Obstacle::Missing));
    }
}
