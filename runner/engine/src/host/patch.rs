//! What a checkout has besides its revision: the uncommitted changes and new files as one patch, so that a record can say
//! exactly which code was under test.
//!
//! git writes the patch from an index and an object store of our own, in a temporary folder: the checkout's are not touched,
//! and neither is what somebody has staged.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::process::{Ended, Program};

/// The most bytes of changed files that are looked at: a model that lies about in the checkout is nothing to keep twice.
const MOST_BYTES: u64 = 64 << 20;

/// Uncommitted changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// For `git apply`; none where the changed files are too large to keep.
    pub bytes: Option<Vec<u8>>,
    /// The size of the patch, or of the files that are too large for one.
    pub size: u64,
    /// How many files differ.
    pub files: usize,
}

/// The changes of the checkout that `project` lies in; none where nothing differs, there is no checkout, or git does not say.
pub async fn uncommitted(project: &Path) -> Option<Patch> {
    let root = PathBuf::from(line(&capture(project, &["rev-parse", "--show-toplevel"], &[]).await?));
    let mut names = split(&capture(&root, &["diff", "--name-only", "-z", "HEAD"], &[]).await?);
    let new = ["ls-files", "--others", "--exclude-standard", "-z"];
    names.extend(split(&capture(&root, &new, &[]).await?));
    if names.is_empty() {
        return None;
    }
    let size_of = |name: &String| root.join(name).symlink_metadata().map_or(0, |meta| meta.len());
    let size: u64 = names.iter().map(size_of).sum();
    if size > MOST_BYTES {
        return Some(Patch { bytes: None, size, files: names.len() });
    }
    let bytes = patch(&root).await?;
    Some(Patch {
        size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        bytes: Some(bytes),
        files: names.len(),
    })
}

async fn patch(root: &Path) -> Option<Vec<u8>> {
    let place = tempfile::Builder::new().prefix("testbed-index-").tempdir().ok()?;
    let (index, objects) = (place.path().join("index"), place.path().join("objects"));
    std::fs::create_dir(&objects).ok()?;
    let theirs = line(&capture(root, &["rev-parse", "--git-path", "objects"], &[]).await?);
    // The checkout's own index knows which files are as they were, so that only the others are read.
    let known = line(&capture(root, &["rev-parse", "--git-path", "index"], &[]).await?);
    let _ = copy_with_time(&root.join(known), &index);
    let variables = [
        ("GIT_INDEX_FILE", index.to_string_lossy().into_owned()),
        ("GIT_OBJECT_DIRECTORY", objects.to_string_lossy().into_owned()),
        ("GIT_ALTERNATE_OBJECT_DIRECTORIES", root.join(theirs).to_string_lossy().into_owned()),
    ];
    capture(root, &["add", "--all"], &variables).await?;
    let told = ["diff", "--cached", "--binary", "--no-ext-diff", "--no-color", "--no-renames", "HEAD"];
    capture(root, &told, &variables).await
}

/// git looks closer at a file that was changed no earlier than the index was written: a copy that seems newer would hide a
/// change of the same size.
fn copy_with_time(from: &Path, to: &Path) -> std::io::Result<()> {
    let modified = from.metadata()?.modified()?;
    std::fs::copy(from, to)?;
    std::fs::OpenOptions::new().write(true).open(to)?.set_modified(modified)
}

async fn capture(folder: &Path, arguments: &[&str], variables: &[(&str, String)]) -> Option<Vec<u8>> {
    let fixed =
        ["-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "advice.addEmbeddedRepo=false"];
    let program = Program::new("git")
        .args(fixed.iter().chain(arguments).copied())
        .in_folder(folder)
        .without(["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"]);
    let program = variables.iter().fold(program, |program, (name, value)| program.with(name, value.clone()));
    let captured = program.capture(&CancellationToken::new()).await.ok()?;
    (captured.ended == Ended::Code(0)).then_some(captured.stdout)
}

fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\n').to_owned()
}

fn split(names: &[u8]) -> Vec<String> {
    let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tokio_util::sync::CancellationToken;

    use super::{capture, split, uncommitted};
    use crate::host::process::{Ended, Program};

    async fn git(folder: &Path, arguments: &[&str]) {
        let fixed = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"];
        let program = Program::new("git").args(fixed.iter().chain(arguments).copied()).in_folder(folder);
        let captured = program.capture(&CancellationToken::new()).await.unwrap();
        assert_eq!(captured.ended, Ended::Code(0), "{}", String::from_utf8_lossy(&captured.stderr));
    }

    async fn checkout() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        git(root.path(), &["init", "-q"]).await;
        fs::create_dir(root.path().join("sub")).unwrap();
        for (file, text) in
            [(".gitignore", "ignored\n"), ("kept", "1\n"), ("changed", "1\n"), ("sub/gone", "1\n")]
        {
            fs::write(root.path().join(file), text).unwrap();
        }
        git(root.path(), &["add", "-A"]).await;
        git(root.path(), &["commit", "-q", "-m", "one"]).await;
        root
    }

    #[tokio::test]
    async fn changed_new_and_deleted_files_make_a_patch_that_applies_and_nothing_is_touched() {
        let root = checkout().await;
        let other = tempfile::tempdir().unwrap();
        git(other.path(), &["clone", "-q", &root.path().to_string_lossy(), "."]).await;
        fs::write(root.path().join("changed"), "2\n").unwrap();
        git(root.path(), &["add", "changed"]).await;
        fs::write(root.path().join("changed"), "3\n").unwrap();
        fs::remove_file(root.path().join("sub/gone")).unwrap();
        fs::write(root.path().join("sub/new"), [0_u8, 159, 146, 150]).unwrap();
        fs::write(root.path().join("ignored"), "x").unwrap();
        let status = || capture(root.path(), &["status", "--porcelain", "-z"], &[]);
        let before = split(&status().await.unwrap());
        let patch = uncommitted(&root.path().join("sub")).await.unwrap();
        assert_eq!(split(&status().await.unwrap()), before);
        assert_eq!(patch.files, 3);
        let file = other.path().join("p.patch");
        fs::write(&file, patch.bytes.unwrap()).unwrap();
        git(other.path(), &["apply", "p.patch"]).await;
        assert_eq!(fs::read_to_string(other.path().join("changed")).unwrap(), "3\n");
        assert_eq!(fs::read(other.path().join("sub/new")).unwrap(), [0, 159, 146, 150]);
        assert!(!other.path().join("sub/gone").exists() && !other.path().join("ignored").exists());
    }

    #[tokio::test]
    async fn where_nothing_differs_or_nobody_knows_there_is_no_patch() {
        let root = checkout().await;
        assert_eq!(uncommitted(root.path()).await, None);
        assert_eq!(uncommitted(tempfile::tempdir().unwrap().path()).await, None);
    }

    #[tokio::test]
    async fn what_is_too_large_to_keep_is_counted() {
        let root = checkout().await;
        let file = fs::File::create(root.path().join("model.bin")).unwrap();
        file.set_len(super::MOST_BYTES + 1).unwrap();
        let patch = uncommitted(root.path()).await.unwrap();
        assert_eq!((patch.bytes, patch.size, patch.files), (None, super::MOST_BYTES + 1, 1));
    }
}
