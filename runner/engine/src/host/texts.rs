//! Texts of a project's files: read as far as they are texts, and replaced where nobody changed them meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files;

/// The texts of files below `root` by their names. A file that is not there, is no text, or is reached through a link is left
/// out: a link may lead out of the project, or to a file that has a name of its own there.
pub fn read<'f>(root: &Path, names: impl IntoIterator<Item = &'f str>) -> BTreeMap<String, String> {
    let text = |name: &str| {
        let text = fs::read_to_string(plain(root, name).ok()?).ok()?;
        Some((name.to_owned(), text))
    };
    names.into_iter().filter_map(text).collect()
}

/// Replaces a file's text in one step, if it is still `old`. Its mode and owner stay.
pub fn replace(root: &Path, name: &str, old: &str, new: &str) -> io::Result<()> {
    let path = plain(root, name)?;
    if fs::read(&path)? != old.as_bytes() {
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, "it has changed meanwhile"));
    }
    files::rewrite_atomically(&path, new.as_bytes())
}

/// The path of a file below `root` that no link is a part of.
fn plain(root: &Path, name: &str) -> io::Result<PathBuf> {
    let root = root.canonicalize()?;
    let path = root.join(name);
    if path.canonicalize()? == path && path.starts_with(&root) {
        return Ok(path);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file of the project"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::{read, replace};

    #[test]
    fn only_texts_of_the_project_itself_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("project");
        fs::create_dir_all(root.join("t")).unwrap();
        fs::write(folder.path().join("outside.py"), "o").unwrap();
        fs::write(root.join("t/a.py"), "a").unwrap();
        fs::write(root.join("t/bytes.py"), [0xff]).unwrap();
        symlink("t", root.join("link")).unwrap();
        symlink("../outside.py", root.join("out.py")).unwrap();
        let outside = folder.path().join("outside.py").display().to_string();
        let names = [
            "t/a.py",
            "t/bytes.py",
            "t/none.py",
            "link/a.py",
            "out.py",
            "../outside.py",
            "t",
            "<string>",
            &outside,
        ];
        let texts = read(&root, names);
        assert_eq!(texts.into_iter().collect::<Vec<_>>(), [("t/a.py".to_owned(), "a".to_owned())]);
    }

    #[test]
    fn a_text_is_replaced_only_if_it_is_still_the_one_that_was_read() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.py");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        replace(root.path(), "a.py", "old", "new").unwrap();
        let told = replace(root.path(), "a.py", "old", "newer").unwrap_err();
        assert_eq!(told.to_string(), "it has changed meanwhile");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o750);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        assert!(replace(root.path(), "b.py", "", "new").is_err());
    }
}
