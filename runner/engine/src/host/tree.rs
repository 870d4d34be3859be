//! A project's files: which ones belong to it, and how they are copied.
//!
//! A project is its tracked files and the new ones that git does not ignore. Links are copied as links and never
//! followed, so that nothing from outside of the tree gets in.

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use tokio_util::sync::CancellationToken;

use super::files::Identity;
use super::process::{ProcessError, Program};

/// What belongs to a project, in order, relative to its root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Files and links.
    pub files: Vec<String>,
    /// What was left out, each with its reason.
    pub left_out: Vec<String>,
}

/// The project's files cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// git failed in what is a checkout.
    #[error("git cannot list the files of `{root}`: {message}")]
    Git {
        /// Project.
        root: PathBuf,
        /// What git said.
        message: String,
    },
    /// git could not be executed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The folder cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Io {
        /// Folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Hint for ListingError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Git { .. } => Some("`git status` in that folder shows the same".to_owned()),
            Self::Process(_) | Self::Io { .. } => None,
        }
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Environment
    }
}

/// A copy stopped at one file.
#[derive(Debug, thiserror::Error)]
#[error("cannot copy `{file}`: {source}")]
pub struct CopyError {
    /// File, relative to the root.
    pub file: String,
    /// Why.
    pub source: io::Error,
}

/// Lists what belongs to the project at `root`: what git says, or everything where there is no git checkout, besides
/// folders that call themselves caches (`CACHEDIR.TAG`) and Testbed's own.
pub async fn list(root: &Path, cancel: &CancellationToken) -> Result<Listing, ListingError> {
    let checkout = root.ancestors().any(|folder| folder.join(".git").exists());
    let names = if checkout && super::process::find("git").is_some() {
        let mut names = git_names(root, &["--cached", "--recurse-submodules"], cancel).await?;
        names.extend(git_names(root, &["--others", "--exclude-standard"], cancel).await?);
        names
    } else {
        walk(root).map_err(|(path, source)| ListingError::Io { path, source })?
    };
    Ok(sift(root, names))
}

/// Copies `files` from one root to another, with modes, times and links. Gives the number of bytes.
pub fn copy(from: &Path, to: &Path, files: &[String]) -> Result<u64, CopyError> {
    let mut folders = BTreeSet::new();
    let mut bytes = 0;
    for file in files {
        let copied = inside(file).and_then(|relative| copy_one(from, to, &relative, &mut folders));
        bytes += copied.map_err(|source| CopyError { file: file.clone(), source })?;
    }
    Ok(bytes)
}

/// The first of `files`, or folder above one, that a user may not read.
pub fn first_unreadable(root: &Path, files: &[String], user: Identity) -> Option<PathBuf> {
    let mut seen = BTreeSet::new();
    let readable = |path: &Path| match path.symlink_metadata() {
        Ok(meta) => meta.is_symlink() || user.may_read(&meta),
        Err(_) => true,
    };
    if !readable(root) {
        return Some(root.to_owned());
    }
    for file in files {
        let folders = Path::new(file).ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        for folder in folders {
            if seen.insert(folder.to_owned()) && !readable(&root.join(folder)) {
                return Some(root.join(folder));
            }
        }
        if !readable(&root.join(file)) {
            return Some(root.join(file));
        }
    }
    None
}

/// Lets everybody read what is below a folder, and execute what its owner may.
pub fn let_everybody_read(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let meta = path.symlink_metadata()?;
        if meta.is_symlink() {
            continue;
        }
        let mode = meta.mode() & 0o777;
        let opened = mode | 0o444 | if mode & 0o100 == 0 { 0 } else { 0o111 };
        fs::set_permissions(&path, fs::Permissions::from_mode(opened))?;
        if meta.is_dir() {
            let_everybody_read(&path)?;
        }
    }
    Ok(())
}

fn copy_one(from: &Path, to: &Path, relative: &Path, folders: &mut BTreeSet<PathBuf>) -> io::Result<u64> {
    if let Some(parent) = relative.parent() {
        make_folders(from, to, parent, folders)?;
    }
    let (source, target) = (from.join(relative), to.join(relative));
    let meta = match source.symlink_metadata() {
        Ok(meta) => meta,
        // The list is older than the copy: an editor may have removed the file meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    if meta.is_symlink() {
        symlink(fs::read_link(&source)?, &target)?;
        return Ok(0);
    }
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file any more"));
    }
    let bytes = fs::copy(&source, &target)?;
    keep_times(&target, &meta)?;
    Ok(bytes)
}

fn keep_times(target: &Path, meta: &Metadata) -> io::Result<()> {
    let modified = meta.modified()?;
    File::open(target)?.set_times(FileTimes::new().set_modified(modified).set_accessed(modified))
}

/// Makes the folders of a file, once each, and refuses one that is a link at its source.
fn make_folders(from: &Path, to: &Path, folder: &Path, made: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    if folder.as_os_str().is_empty() || made.contains(folder) {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folders(from, to, parent, made)?;
    }
    if from.join(folder).symlink_metadata()?.is_symlink() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a folder on its path is a link"));
    }
    match fs::create_dir(to.join(folder)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    made.insert(folder.to_owned());
    Ok(())
}

/// The name as a path that cannot leave the root.
fn inside(name: &str) -> io::Result<PathBuf> {
    let path = Path::new(name);
    if !name.is_empty() && path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(path.to_owned());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leaves the project"))
}

async fn git_names(
    root: &Path,
    which: &[&str],
    cancel: &CancellationToken,
) -> Result<Vec<Vec<u8>>, ListingError> {
    // A checkout that belongs to somebody else is usual in CI, and its file system monitor is nobody's business.
    let program = Program::new("git")
        .args(["-c", "safe.directory=*", "-c", "core.fsmonitor=false", "ls-files", "-z"])
        .args(which.iter().copied())
        .in_folder(root)
        .without(["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"]);
    let captured = program.capture(cancel).await?;
    if !captured.ended.is_success() {
        let message = String::from_utf8_lossy(&captured.stderr).trim().to_owned();
        return Err(ListingError::Git { root: root.to_owned(), message });
    }
    let names = captured.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(<[u8]>::to_vec).collect())
}

fn walk(root: &Path) -> Result<Vec<Vec<u8>>, (PathBuf, io::Error)> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut names = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |source| (folder.clone(), source);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let kind = entry.file_type().map_err(failed)?;
            let cache = kind.is_dir() && path.join("CACHEDIR.TAG").exists();
            if kind.is_dir() && !cache && entry.file_name() != ".git" {
                folders.push(path);
            } else if !kind.is_dir()
                && let Ok(relative) = path.strip_prefix(root)
            {
                names.push(relative.as_os_str().as_bytes().to_vec());
            }
        }
    }
    Ok(names)
}

/// Keeps files and links, once each and in order; what cannot be copied is left out with its reason.
fn sift(root: &Path, names: Vec<Vec<u8>>) -> Listing {
    let mut listing = Listing::default();
    for name in names.into_iter().collect::<BTreeSet<_>>() {
        let Ok(name) = String::from_utf8(name) else {
            listing.left_out.push("a file whose name is not UTF-8".to_owned());
            continue;
        };
        if name.split('/').next() == Some(".testbed") {
            continue;
        }
        match root.join(&name).symlink_metadata() {
            Ok(meta) if meta.is_file() || meta.is_symlink() => listing.files.push(name),
            Ok(meta) if meta.is_dir() => {
                listing.left_out.push(format!("`{name}`: a checkout inside the project"));
            }
            Ok(_) => listing.left_out.push(format!("`{name}`: neither a file nor a link")),
            // Tracked and deleted.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => listing.left_out.push(format!("`{name}`: {error}")),
        }
    }
    listing
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use tokio_util::sync::CancellationToken;

    use super::super::process::Program;
    use super::{Identity, copy, first_unreadable, let_everybody_read, list};

    async fn git(folder: &Path, args: &[&str]) {
        let program = Program::new("git").args(args.iter().copied()).in_folder(folder);
        assert!(program.capture(&CancellationToken::new()).await.unwrap().ended.is_success(), "{args:?}");
    }

    #[tokio::test]
    async fn a_checkout_is_its_tracked_and_its_new_files_and_not_the_ignored_or_deleted_ones() {
        let project = tempfile::tempdir().unwrap();
        let root = project.path();
        git(root, &["init", "-q"]).await;
        for (name, content) in [(".gitignore", "ignored\n"), ("tracked", ""), ("deleted", ""), ("a b", "")] {
            fs::write(root.join(name), content).unwrap();
        }
        git(root, &["add", "."]).await;
        fs::remove_file(root.join("deleted")).unwrap();
        fs::create_dir_all(root.join(".testbed/runs")).unwrap();
        for name in ["ignored", "new", ".testbed/runs/x"] {
            fs::write(root.join(name), "").unwrap();
        }
        let listing = list(root, &CancellationToken::new()).await.unwrap();
        assert_eq!(listing.files, [".gitignore", "a b", "new", "tracked"]);
        assert_eq!(listing.left_out, Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_folder_without_git_is_all_its_files_besides_caches() {
        let project = tempfile::tempdir().unwrap();
        let root = project.path();
        fs::create_dir_all(root.join("target")).unwrap();
        fs::create_dir_all(root.join("src/deep")).unwrap();
        for name in ["target/CACHEDIR.TAG", "target/x", "src/deep/a", "b"] {
            fs::write(root.join(name), "").unwrap();
        }
        let listing = list(root, &CancellationToken::new()).await.unwrap();
        assert_eq!(listing.files, ["b", "src/deep/a"]);
    }

    #[test]
    fn a_copy_keeps_modes_times_and_links() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(from.path().join("bin")).unwrap();
        let tool = from.path().join("bin/tool");
        fs::write(&tool, "#!").unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        fs::File::open(&tool).unwrap().set_modified(time).unwrap();
        symlink("/etc", from.path().join("out")).unwrap();
        let files = ["bin/tool", "out", "vanished"].map(str::to_owned);
        assert_eq!(copy(from.path(), to.path(), &files).unwrap(), 2);
        let copied = to.path().join("bin/tool").metadata().unwrap();
        assert_eq!((copied.mode() & 0o777, copied.modified().unwrap()), (0o755, time));
        assert_eq!(fs::read_link(to.path().join("out")).unwrap(), Path::new("/etc"));
    }

    #[test]
    fn what_a_stranger_may_not_read_is_found_and_can_be_opened() {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        for name in ["a/closed", "open"] {
            fs::write(root.path().join(name), "").unwrap();
        }
        symlink("nowhere", root.path().join("link")).unwrap();
        fs::set_permissions(root.path().join("a/closed"), fs::Permissions::from_mode(0o700)).unwrap();
        let files = ["a/closed", "link", "open", "vanished"].map(str::to_owned);
        let stranger = Identity { uid: 4_000_001, gid: 4_000_001 };
        let first = |files: &[String]| first_unreadable(root.path(), files, stranger);
        assert_eq!(first(&files), Some(root.path().join("a/closed")));
        assert_eq!(first(&files[1..]), None);
        let_everybody_read(root.path()).unwrap();
        assert_eq!(first(&files), None);
        assert_eq!(root.path().join("a/closed").metadata().unwrap().mode() & 0o777, 0o755);
        fs::set_permissions(root.path().join("a"), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(first(&files), Some(root.path().join("a")));
    }

    #[test]
    fn nothing_is_copied_through_a_link_or_from_above() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink("/etc", from.path().join("link")).unwrap();
        for file in ["link/hostname", "../x", "/etc/hostname", ""] {
            let error = copy(from.path(), to.path(), &[file.to_owned()]).unwrap_err();
            assert!(error.to_string().starts_with("cannot copy"), "{error}");
        }
        assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0);
    }
}
