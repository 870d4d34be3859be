//! What differs between a revision and the working tree, as git tells it, and which crates the project has.

use std::path::{Path, PathBuf};

use testbed_model::changes::{ChangeKind, ChangedFile, Crates, MetadataError};
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use tokio_util::sync::CancellationToken;

use super::process::{Captured, Ended, ProcessError, Program};

/// The changes cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// The project is in no checkout.
    #[error("`{root}` is not in a git checkout, so nobody knows what changed since `{revision}`")]
    NoCheckout {
        /// Project.
        root: PathBuf,
        /// What was asked for.
        revision: String,
    },
    /// There is no such revision.
    #[error("there is no revision `{revision}`{}", if *shallow { " in this shallow clone" } else { "" })]
    NoRevision {
        /// What was asked for.
        revision: String,
        /// Whether history was cut off, so that it may be elsewhere.
        shallow: bool,
    },
    /// The two have no common past.
    #[error(
        "`{revision}` and the checkout have no common revision{}",
        if *shallow { ": this clone is shallow, and its history is cut off" } else { "" }
    )]
    NoBase {
        /// What was asked for.
        revision: String,
        /// Whether history was cut off.
        shallow: bool,
    },
    /// git failed.
    #[error("git cannot tell what changed: {0}")]
    Git(String),
    /// A tool could not be executed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// cargo said something else than was asked for.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

impl Hint for ChangesError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoCheckout { .. } => {
                Some("name the files by `--changed FILE`, or leave `--since` out".to_owned())
            }
            Self::NoRevision { shallow: true, .. } | Self::NoBase { shallow: true, .. } => Some(
                "`git fetch --unshallow` brings the history (actions/checkout: `fetch-depth: 0`)".to_owned(),
            ),
            Self::NoRevision { .. } => {
                Some("`git log --oneline` shows what there is; fetch the branch first".to_owned())
            }
            Self::NoBase { .. } => Some("name a revision that the checkout comes from".to_owned()),
            Self::Metadata(error) => error.hint(),
            Self::Git(_) | Self::Process(_) => None,
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Git(_) | Self::Process(_) | Self::Metadata(_) => ExitCode::Environment,
            _ => ExitCode::Usage,
        }
    }
}

/// The files that differ between the working tree, new files that git does not ignore included, and the revision at which it
/// left `revision`'s line. Paths are relative to the project's root; what lies outside of it does not count.
pub async fn since(root: &Path, revision: &str) -> Result<Vec<ChangedFile>, ChangesError> {
    if git(root, &["rev-parse", "--git-dir"]).await?.is_none() {
        return Err(ChangesError::NoCheckout { root: root.to_owned(), revision: revision.to_owned() });
    }
    let shallow =
        git(root, &["rev-parse", "--is-shallow-repository"]).await?.is_some_and(|text| text.trim() == "true");
    let revision = revision.to_owned();
    let commit = format!("{revision}^{{commit}}");
    // After `--end-of-options` nothing that a person types is taken for an option.
    if git(root, &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit]).await?.is_none() {
        return Err(ChangesError::NoRevision { revision, shallow });
    }
    let Some(base) = git(root, &["merge-base", "--end-of-options", &revision, "HEAD"]).await? else {
        return Err(ChangesError::NoBase { revision, shallow });
    };
    let differing =
        ["diff", "--name-status", "--no-renames", "--no-ext-diff", "--relative", "-z", base.trim()];
    let mut files = of_name_status(&must(root, &differing).await?);
    let new = must(root, &["ls-files", "--others", "--exclude-standard", "-z"]).await?;
    let added = new.split('\0').filter(|path| !path.is_empty());
    files.extend(added.map(|path| ChangedFile { path: path.to_owned(), kind: ChangeKind::Added }));
    files.sort();
    files.dedup();
    Ok(files)
}

/// Files that a person names: relative to the project's root, and deleted where they are not there.
pub fn named(root: &Path, files: &[String]) -> Vec<ChangedFile> {
    let changed = |file: &String| {
        let path = file.trim_start_matches("./").to_owned();
        let kind = if root.join(&path).exists() { ChangeKind::Modified } else { ChangeKind::Deleted };
        ChangedFile { path, kind }
    };
    files.iter().map(changed).collect()
}

/// The crates of the project's workspaces, without asking the network. Where there is no cargo, there are none.
pub async fn crates(root: &Path, workspaces: &[String]) -> Result<Crates, ChangesError> {
    let mut crates = Crates::default();
    for folder in workspaces {
        let place = root.join(folder);
        if !place.join("Cargo.toml").exists() || super::process::find("cargo").is_none() {
            continue;
        }
        let program = Program::new("cargo").in_folder(&place);
        let program = program.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
        let captured = program.capture(&CancellationToken::new()).await?;
        let Some(json) = text_of(&captured) else {
            return Err(ChangesError::Git(last_words(&captured)));
        };
        let start = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        crates.join(Crates::from_metadata(&json, &start.to_string_lossy())?);
    }
    Ok(crates)
}

/// What git prints; nothing where it says no.
async fn git(root: &Path, arguments: &[&str]) -> Result<Option<String>, ChangesError> {
    Ok(text_of(&execute(root, arguments).await?))
}

async fn must(root: &Path, arguments: &[&str]) -> Result<String, ChangesError> {
    let captured = execute(root, arguments).await?;
    text_of(&captured).ok_or_else(|| ChangesError::Git(last_words(&captured)))
}

async fn execute(root: &Path, arguments: &[&str]) -> Result<Captured, ChangesError> {
    let program = Program::new("git").args(arguments.iter().copied()).in_folder(root);
    Ok(program.capture(&CancellationToken::new()).await?)
}

fn text_of(captured: &Captured) -> Option<String> {
    (captured.ended == Ended::Code(0)).then(|| String::from_utf8_lossy(&captured.stdout).into_owned())
}

fn last_words(captured: &Captured) -> String {
    let text = String::from_utf8_lossy(&captured.stderr);
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim().to_owned()
}

/// What `git diff --name-status -z` prints: a letter and a path, in turns.
fn of_name_status(text: &str) -> Vec<ChangedFile> {
    let mut files = Vec::new();
    let mut parts = text.split('\0');
    while let (Some(status), Some(path)) = (parts.next(), parts.next()) {
        let kind = match status.chars().next() {
            Some('A') => ChangeKind::Added,
            Some('D') => ChangeKind::Deleted,
            _ => ChangeKind::Modified,
        };
        files.push(ChangedFile { path: path.to_owned(), kind });
    }
    files
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use testbed_model::changes::ChangeKind;
    use testbed_model::hint::Hint as _;
    use tokio_util::sync::CancellationToken;

    use super::{ChangesError, named, of_name_status, since};
    use crate::host::process::Program;

    async fn git(folder: &Path, arguments: &[&str]) {
        let fixed = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"];
        let all = fixed.iter().chain(arguments).copied();
        let program = Program::new("git").args(all).in_folder(folder);
        let captured = program.capture(&CancellationToken::new()).await.unwrap();
        let words = String::from_utf8_lossy(&captured.stderr).into_owned();
        assert_eq!(captured.ended, crate::host::process::Ended::Code(0), "{arguments:?}: {words}");
    }

    async fn repository() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("sub")).unwrap();
        for file in ["kept", "changed", "gone", "sub/x"] {
            fs::write(root.path().join(file), "1").unwrap();
        }
        git(root.path(), &["init", "-q", "-b", "main"]).await;
        git(root.path(), &["add", "-A"]).await;
        git(root.path(), &["commit", "-q", "-m", "one"]).await;
        root
    }

    #[tokio::test]
    async fn committed_uncommitted_and_new_files_count_and_what_the_other_line_did_does_not() {
        let root = repository().await;
        git(root.path(), &["checkout", "-q", "-b", "work"]).await;
        fs::write(root.path().join("changed"), "2").unwrap();
        git(root.path(), &["commit", "-q", "-am", "two"]).await;
        git(root.path(), &["checkout", "-q", "main"]).await;
        fs::write(root.path().join("kept"), "theirs").unwrap();
        git(root.path(), &["commit", "-q", "-am", "theirs"]).await;
        git(root.path(), &["checkout", "-q", "work"]).await;
        fs::remove_file(root.path().join("gone")).unwrap();
        fs::write(root.path().join("new file"), "").unwrap();
        fs::write(root.path().join(".gitignore"), "ignored\n").unwrap();
        fs::write(root.path().join("ignored"), "").unwrap();
        fs::write(root.path().join("sub/x"), "2").unwrap();
        let told = |files: Vec<testbed_model::changes::ChangedFile>| {
            files.into_iter().map(|file| (file.path, file.kind)).collect::<Vec<_>>()
        };
        assert_eq!(
            told(since(root.path(), "main").await.unwrap()),
            [
                (".gitignore".to_owned(), ChangeKind::Added),
                ("changed".to_owned(), ChangeKind::Modified),
                ("gone".to_owned(), ChangeKind::Deleted),
                ("new file".to_owned(), ChangeKind::Added),
                ("sub/x".to_owned(), ChangeKind::Modified),
            ]
        );
        let below = since(&root.path().join("sub"), "main").await.unwrap();
        assert_eq!(
            told(below),
            [("x".to_owned(), ChangeKind::Modified)],
            "a project may be a folder of its checkout"
        );
    }

    #[tokio::test]
    async fn a_revision_that_is_not_there_is_told_apart_from_history_that_was_cut_off() {
        let root = repository().await;
        let error = since(root.path(), "nope").await.unwrap_err();
        assert_eq!(error.to_string(), "there is no revision `nope`");
        let error = since(root.path(), "--output=x").await.unwrap_err();
        assert!(matches!(error, ChangesError::NoRevision { .. }), "{error}");
        fs::write(root.path().join("kept"), "2").unwrap();
        git(root.path(), &["commit", "-q", "-am", "two"]).await;
        let clones = tempfile::tempdir().unwrap();
        let url = format!("file://{}", root.path().display());
        git(clones.path(), &["clone", "-q", "--depth", "1", &url, "shallow"]).await;
        let error = since(&clones.path().join("shallow"), "HEAD~1").await.unwrap_err();
        assert_eq!(error.to_string(), "there is no revision `HEAD~1` in this shallow clone");
        assert!(error.hint().unwrap().contains("--unshallow"));
        let outside = tempfile::tempdir().unwrap();
        assert!(matches!(since(outside.path(), "HEAD").await, Err(ChangesError::NoCheckout { .. })));
    }

    #[test]
    fn named_files_are_deleted_where_they_are_not_there() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a"), "").unwrap();
        let files = named(root.path(), &["./a".to_owned(), "b".to_owned()]);
        assert_eq!((files[0].path.as_str(), files[0].kind), ("a", ChangeKind::Modified));
        assert_eq!(files[1].kind, ChangeKind::Deleted);
    }

    #[test]
    fn an_odd_end_of_gits_words_is_no_file() {
        assert_eq!(of_name_status("M\0a\0D\0b\0").len(), 2);
        assert!(of_name_status("").is_empty());
        assert!(of_name_status("M").is_empty());
    }
}
