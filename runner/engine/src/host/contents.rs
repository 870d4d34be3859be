//! What files and folders hold, as one hash.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// The hash of a file's bytes, or of the names and contents of all that is below a folder: BLAKE3, the first 16 hexadecimal
/// digits. Links count by what they point to by name; modes and times do not count.
pub fn hash(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    add(path, "", &mut hasher)?;
    Ok(hasher.finalize().to_hex().chars().take(16).collect())
}

fn add(path: &Path, name: &str, hasher: &mut blake3::Hasher) -> io::Result<()> {
    let meta = path.symlink_metadata()?;
    let kind = meta.file_type();
    // Each part says how long it is, so that no two trees look alike.
    let mut part = |kind: u8, bytes: &[u8]| {
        hasher.update(&[kind]);
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(b'n', name.as_bytes());
    if kind.is_symlink() {
        part(b'l', fs::read_link(path)?.to_string_lossy().as_bytes());
    } else if kind.is_dir() {
        let mut names: Vec<String> = fs::read_dir(path)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<_>>()?;
        names.sort();
        part(b'd', &(names.len() as u64).to_le_bytes());
        for name in names {
            add(&path.join(&name), &name, hasher)?;
        }
    } else if kind.is_file() {
        part(b'f', &meta.len().to_le_bytes());
        hasher.update_reader(File::open(path)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::hash;

    #[test]
    fn names_and_contents_count_and_times_do_not() {
        let root = tempfile::tempdir().unwrap();
        let make = |folder: &str, files: &[(&str, &str)]| {
            let folder = root.path().join(folder);
            for (name, text) in files {
                let path = folder.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            hash(&folder).unwrap()
        };
        let first = make("a", &[("x", "1"), ("s/y", "2")]);
        assert_eq!(first.len(), 16);
        assert_eq!(make("b", &[("s/y", "2"), ("x", "1")]), first);
        assert_ne!(make("c", &[("x", "1"), ("s/z", "2")]), first);
        assert_ne!(make("d", &[("x", "12"), ("s/y", "")]), first);
        assert_ne!(make("e", &[("x", "1"), ("y", "2")]), first);
        assert!(hash(&root.path().join("nothing")).is_err());
    }
}
