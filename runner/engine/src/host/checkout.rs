//! A checkout of another revision beside the one that somebody works in, with a patch on top: the code of a recorded run.
//!
//! It borrows the objects of the checkout that it is made from, registers nothing there, and is used again for the next run of the same
//! revision, so that what was compiled stays compiled.

use std::io;
use std::path::{Path, PathBuf};

use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use tokio_util::sync::CancellationToken;

use super::process::{Ended, ProcessError, Program};

/// The code of a record cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// The revision is not in this clone.
    #[error("this clone does not have the revision `{revision}`")]
    NoRevision {
        /// Revision.
        revision: String,
    },
    /// git failed.
    #[error("git cannot {what}: {message}")]
    Git {
        /// What it was to do.
        what: &'static str,
        /// Its last words.
        message: String,
    },
    /// A folder cannot be made.
    #[error("cannot make `{path}`: {source}")]
    Io {
        /// Folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// git could not be executed.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

impl Hint for CheckoutError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoRevision { revision } => Some(format!(
                "`git fetch origin {revision}` brings it, if it was pushed; `--here` runs the code as it is here"
            )),
            Self::Git { .. } => Some("`--here` runs the code as it is here".to_owned()),
            Self::Io { .. } | Self::Process(_) => None,
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::NoRevision { .. } => ExitCode::Usage,
            _ => ExitCode::Environment,
        }
    }
}

/// The top folder of the checkout that `folder` lies in; none where there is none.
pub async fn top(folder: &Path) -> Option<PathBuf> {
    let told = git(folder, &["rev-parse", "--show-toplevel"], "find the checkout").await.ok()?;
    Some(PathBuf::from(told.trim_end_matches('\n')))
}

/// Brings `revision` of the checkout `from`, with `patch` applied, into the folder `into`.
pub async fn make(
    from: &Path,
    revision: &str,
    patch: Option<&Path>,
    into: &Path,
) -> Result<(), CheckoutError> {
    let commit = format!("{revision}^{{commit}}");
    let known = git(from, &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit], "look").await;
    if known.is_err() {
        return Err(CheckoutError::NoRevision { revision: revision.to_owned() });
    }
    if !into.join(".git").exists() {
        let failed = |source| CheckoutError::Io { path: into.to_owned(), source };
        std::fs::create_dir_all(into).map_err(failed)?;
        let (from, into) = (from.to_string_lossy(), into.to_string_lossy());
        let clone = ["clone", "--quiet", "--shared", "--no-checkout", "--", &from, &into];
        git(Path::new("."), &clone, "copy the checkout").await?;
    }
    git(into, &["checkout", "--quiet", "--force", "--detach", revision], "check out the revision").await?;
    // What is ignored stays: compiled code is found again.
    git(into, &["clean", "-d", "--force", "--quiet"], "clean the checkout").await?;
    if let Some(patch) = patch {
        let patch = std::path::absolute(patch).unwrap_or_else(|_| patch.to_owned());
        let patch = patch.to_string_lossy();
        git(into, &["apply", "--binary", "--whitespace=nowarn", "--", &patch], "apply the changes").await?;
    }
    Ok(())
}

async fn git(folder: &Path, arguments: &[&str], what: &'static str) -> Result<String, CheckoutError> {
    let fixed = ["-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"];
    let program = Program::new("git")
        .args(fixed.iter().chain(arguments).copied())
        .in_folder(folder)
        .without(["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"]);
    let captured = program.capture(&CancellationToken::new()).await?;
    if captured.ended == Ended::Code(0) {
        return Ok(String::from_utf8_lossy(&captured.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&captured.stderr);
    let message = words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(CheckoutError::Git { what, message: message.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use testbed_model::hint::Hint as _;

    use super::{git, make, top};

    #[tokio::test]
    async fn a_revision_with_its_patch_lies_beside_the_checkout_and_keeps_what_was_compiled() {
        let root = tempfile::tempdir().unwrap();
        let (from, into) = (root.path().join("from"), root.path().join("state/checkout"));
        fs::create_dir(&from).unwrap();
        let run = async |arguments: &[&str]| git(&from, arguments, "test").await.unwrap();
        let commit = [
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "-c",
            "commit.gpgsign=false",
            "commit",
            "-qam",
            "x",
        ];
        run(&["init", "-q"]).await;
        fs::write(from.join(".gitignore"), "target\n").unwrap();
        fs::write(from.join("a"), "1\n").unwrap();
        run(&["add", "-A"]).await;
        run(&commit).await;
        let first = run(&["rev-parse", "HEAD"]).await.trim().to_owned();
        fs::write(from.join("a"), "2\n").unwrap();
        fs::write(from.join("b"), "new\n").unwrap();
        let patch = super::super::patch::uncommitted(&from).await.unwrap().bytes.unwrap();
        let file = root.path().join("p.patch");
        fs::write(&file, patch).unwrap();
        run(&["add", "-A"]).await;
        run(&commit).await;

        make(&from, &first, Some(&file), &into).await.unwrap();
        assert_eq!(fs::read_to_string(into.join("a")).unwrap(), "2\n");
        assert!(into.join("b").exists());
        fs::create_dir(into.join("target")).unwrap();
        fs::write(into.join("a"), "somebody's\n").unwrap();
        make(&from, &first, None, &into).await.unwrap();
        assert_eq!(fs::read_to_string(into.join("a")).unwrap(), "1\n");
        assert!(!into.join("b").exists() && into.join("target").exists());
        assert_eq!(top(&into).await.unwrap().canonicalize().unwrap(), into.canonicalize().unwrap());
        let error = make(&from, &"0".repeat(40), None, &into).await.unwrap_err();
        assert!(error.hint().unwrap().contains("git fetch"), "{error}");
    }
}
