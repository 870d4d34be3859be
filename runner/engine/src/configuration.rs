//! The user's files as texts, for the model to read: profiles, stacks, the project file, the image lock.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use testbed_model::document::bytes_text;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::project::detect::Layout;
use tokio_util::sync::CancellationToken;

use crate::host::tree::{self, ListingError};

/// More than any text here has; what is no file, such as a device, may have no end.
const LARGEST: u64 = 64 << 20;

/// Texts by the names that messages use: paths relative to the configuration's root.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    /// `envs/NAME.toml` by `NAME`, `envs/overlays/NAME.toml` by `overlays/NAME`.
    pub profiles: BTreeMap<String, String>,
    /// Compose files by path, such as `compose/mocker.yaml`.
    pub stacks: BTreeMap<String, String>,
    /// `testbed.toml` of the project under test, where it has one.
    pub project: Option<String>,
    /// `images/images.lock.json`.
    pub images: String,
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{path}`: {source}")]
pub struct ReadError {
    path: PathBuf,
    source: io::Error,
}

impl Hint for ReadError {
    fn hint(&self) -> Option<String> {
        Some(match self.source.kind() {
            io::ErrorKind::NotFound => "restore it, or name another folder by `--root PATH`".into(),
            io::ErrorKind::PermissionDenied => "make it readable for this user".into(),
            io::ErrorKind::InvalidData => "save it as UTF-8".into(),
            io::ErrorKind::IsADirectory | io::ErrorKind::FileTooLarge => "name a text file".into(),
            _ => "check the disk and the file system".into(),
        })
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

impl Texts {
    /// Reads what is below the configuration's root and the project's own file.
    pub fn read(root: &Path, project: &Path) -> Result<Self, ReadError> {
        let mut profiles = folder(root, "envs", "toml")?;
        profiles.append(&mut folder_if_there(root, "envs/overlays", "toml")?);
        let name = |path: &str| path.strip_prefix("envs/")?.strip_suffix(".toml").map(str::to_owned);
        let mut stacks = folder(root, "compose", "yaml")?;
        stacks.append(&mut folder_if_there(root, "compose/overlays", "yaml")?);
        Ok(Self {
            profiles: profiles.into_iter().filter_map(|(path, text)| Some((name(&path)?, text))).collect(),
            stacks,
            project: optional(project, "testbed.toml")?,
            images: file(&root.join("images/images.lock.json"))?,
        })
    }
}

/// What is known of the layout of a project that has no project file.
pub async fn layout(project: &Path) -> Result<Layout, ListingError> {
    let listing = tree::list(project, &CancellationToken::new()).await?;
    let wanted = listing.files.iter().filter(|file| Layout::wants(file));
    // A file that cannot be read says nothing, and the names say the rest.
    let text = |file: &String| Some((file.clone(), fs::read_to_string(project.join(file)).ok()?));
    let texts = wanted.filter_map(text).collect();
    let name =
        project.file_name().map_or_else(|| "project".to_owned(), |name| name.to_string_lossy().into_owned());
    let mut files = listing.files;
    files.sort_unstable();
    Ok(Layout { name, files, texts })
}

/// A file that the user names on the command line.
pub fn named(path: &Path) -> Result<String, ReadError> {
    file(path)
}

/// The project file of a folder, if it has one.
pub fn project(folder: &Path) -> Result<Option<String>, ReadError> {
    optional(folder, "testbed.toml")
}

/// A file of the project under test, where it is there.
pub fn optional(project: &Path, name: &str) -> Result<Option<String>, ReadError> {
    let path = project.join(name);
    if path.exists() { file(&path).map(Some) } else { Ok(None) }
}

fn folder_if_there(root: &Path, name: &str, extension: &str) -> Result<BTreeMap<String, String>, ReadError> {
    if root.join(name).is_dir() { folder(root, name, extension) } else { Ok(BTreeMap::new()) }
}

/// Every file of one kind directly in a folder, by its path relative to the root.
fn folder(root: &Path, name: &str, extension: &str) -> Result<BTreeMap<String, String>, ReadError> {
    let path = root.join(name);
    let failed = |source| ReadError { path: path.clone(), source };
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(&path).map_err(failed)? {
        let entry = entry.map_err(failed)?.path();
        let Some(file_name) = entry.file_name().and_then(|name| name.to_str()) else { continue };
        if entry.extension().is_some_and(|e| e == extension) {
            texts.insert(format!("{name}/{file_name}"), file(&entry)?);
        }
    }
    Ok(texts)
}

fn file(path: &Path) -> Result<String, ReadError> {
    text(path).map_err(|source| ReadError { path: path.to_owned(), source })
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = fs::File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if read as u64 > LARGEST {
        let what = format!("it is larger than {}", bytes_text(LARGEST));
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use testbed_model::hint::Hint as _;

    use super::Texts;

    #[test]
    fn files_are_known_by_the_names_that_messages_use() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("envs/default.toml", "a"),
            ("envs/notes.txt", "not a profile"),
            ("envs/overlays/o.toml", "c"),
            ("compose/overlays/y.yaml", "d"),
            ("compose/x.yaml", "b"),
            ("images/images.lock.json", "{}"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let texts = Texts::read(root.path(), root.path()).unwrap();
        assert_eq!(texts.profiles.keys().collect::<Vec<_>>(), ["default", "overlays/o"]);
        assert_eq!(texts.stacks.keys().collect::<Vec<_>>(), ["compose/overlays/y.yaml", "compose/x.yaml"]);
        assert_eq!(texts.project, None);
    }

    #[test]
    fn what_has_no_end_is_not_read_to_it() {
        let error = super::named(std::path::Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read `/dev/zero`: it is larger than 64MiB");
    }

    #[test]
    fn a_file_that_is_not_text_is_named() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("envs")).unwrap();
        fs::write(root.path().join("envs/default.toml"), [0xff, 0xfe]).unwrap();
        let error = Texts::read(root.path(), root.path()).unwrap_err();
        assert!(error.to_string().contains("envs/default.toml"), "{error}");
        assert_eq!(error.hint().unwrap(), "save it as UTF-8");
    }
}
