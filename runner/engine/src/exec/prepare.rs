//! What happens on the host before a lane's hermetic part: finding tools, compiling Rust tests, fetching crates.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::lane::Lane;
use tokio_util::sync::CancellationToken;

use super::cargo::{Arguments, Built, Workspace};
use super::pre_commit::RustForHooks;
use crate::host::environment;
use crate::host::files::{self, Identity};
use crate::host::process::{self, ProcessError, Program};

/// How much of a tool's output an error keeps.
const LAST_LINES: usize = 60;

/// A lane could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A tool of the host is missing.
    #[error("`{tool}` is not installed on this host, and the suite `{suite}` needs it to compile")]
    NoTool {
        /// Tool.
        tool: &'static str,
        /// Suite.
        suite: String,
    },
    /// The tests do not compile.
    #[error("the suite `{suite}` does not compile")]
    DoesNotCompile {
        /// Suite.
        suite: String,
        /// The compiler's last lines.
        log: Vec<String>,
    },
    /// A tool of the host failed.
    #[error("`{command}` failed with {ended}")]
    Failed {
        /// Command.
        command: String,
        /// How it ended.
        ended: String,
        /// Its last lines.
        log: Vec<String>,
    },
    /// A tool printed something else than was asked for.
    #[error("`{command}` printed something unexpected: {message}")]
    Garbled {
        /// Command.
        command: String,
        /// What is wrong with it.
        message: String,
    },
    /// A tool could not be executed, or was cancelled.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The hooks cannot be told.
    #[error(transparent)]
    Hooks(#[from] super::pre_commit::HooksError),
    /// A file of the host cannot be used.
    #[error("cannot use `{path}`: {source}")]
    File {
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A path of the host is not text.
    #[error("the path `{0}` is not UTF-8")]
    Path(PathBuf),
    /// The project's files cannot be told.
    #[error(transparent)]
    Listing(#[from] crate::host::tree::ListingError),
    /// The project cannot be copied to where the container's user may read it.
    #[error(transparent)]
    Copy(#[from] crate::host::tree::CopyError),
}

impl Hint for PrepareError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoTool { tool: "cargo-nextest", .. } => {
                Some("cargo install --locked cargo-nextest".to_owned())
            }
            Self::DoesNotCompile { .. } => Some("`cargo test --no-run` shows the same".to_owned()),
            Self::NoTool { .. } => Some("install Rust as https://rustup.rs says".to_owned()),
            Self::Hooks(error) => error.hint(),
            Self::Path(_) => Some("move it to a path that is".to_owned()),
            _ => None,
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::DoesNotCompile { .. } | Self::Failed { .. } => ExitCode::TestFailed,
            Self::Process(ProcessError::Cancelled { .. }) => ExitCode::Interrupted,
            Self::Hooks(error) => error.exit_code(),
            _ => ExitCode::Environment,
        }
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::Hooks(error) => error.rendered(),
            _ => None,
        }
    }
}

/// Who hears what is being done, and may end it.
pub struct Progress<'a> {
    /// Hears a step such as `compiling: serde v1.0.0`.
    pub tell: &'a (dyn Fn(String) + Send + Sync),
    /// Ends it.
    pub cancel: &'a CancellationToken,
}

/// Compiles a lane's Rust tests. The environment of the host is used as for any build; what the tests themselves see is
/// decided later.
pub async fn cargo(lane: &Lane, root: &Path, progress: &Progress<'_>) -> Result<Built, PrepareError> {
    let missing = |tool| PrepareError::NoTool { tool, suite: lane.id.suite.clone() };
    process::find("cargo").ok_or_else(|| missing("cargo"))?;
    let nextest = find_subcommand("cargo-nextest").ok_or_else(|| missing("cargo-nextest"))?;
    let nextest = text(&nextest)?;
    let version = output(&Program::new(&nextest).args(["nextest", "--version"]), progress).await?;
    (progress.tell)(version.lines().next().unwrap_or_default().to_owned());
    let mut workspaces = Vec::new();
    for folder in workspace_folders(lane) {
        workspaces.push(compile(lane, root, &folder, progress).await?);
    }
    Ok(Built { nextest, workspaces })
}

/// The workspaces of a lane, relative to the project's root; the empty name is the root itself.
fn workspace_folders(lane: &Lane) -> Vec<String> {
    let plain = |path: &String| path.trim_end_matches('/').trim_start_matches("./").to_owned();
    let folders: Vec<String> = lane.paths.iter().map(plain).collect();
    if folders.is_empty() {
        vec![String::new()]
    } else {
        folders.into_iter().map(|f| if f == "." { String::new() } else { f }).collect()
    }
}

/// What nextest says of a build, as far as it matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Binaries {
    rust_build_meta: BuildMeta,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct BuildMeta {
    target_directory: String,
}

async fn compile(
    lane: &Lane,
    root: &Path,
    folder: &str,
    progress: &Progress<'_>,
) -> Result<Workspace, PrepareError> {
    let place = root.join(folder);
    let locked = place.join("Cargo.lock").exists().then_some("--locked");
    let list = host_cargo(&place)
        .args([
            "nextest",
            "list",
            "--list-type",
            "binaries-only",
            "--message-format",
            "json",
            "--color",
            "never",
        ])
        .args(locked)
        .args(Arguments::of(lane).of_build);
    let binaries = output(&list, progress).await.map_err(|error| match error {
        PrepareError::Failed { log, .. } => {
            PrepareError::DoesNotCompile { suite: lane.id.suite.clone(), log }
        }
        other => other,
    })?;
    let metadata = host_cargo(&place).args(["metadata", "--format-version", "1"]).args(locked);
    let metadata = output(&metadata, progress).await?;
    let parsed: Binaries = serde_json::from_str(&binaries)
        .map_err(|error| PrepareError::Garbled { command: list.display(), message: error.to_string() })?;
    let target = parsed.rust_build_meta.target_directory;
    Ok(Workspace { folder: folder.to_owned(), metadata, binaries, target })
}

/// Finds what Rust hooks need, and fetches the crates of the lock file: hooks are executed offline. Gives nothing for a
/// project without Rust, or on a host without it; then hooks that need it say so themselves.
pub async fn rust_for_hooks(
    root: &Path,
    cache: &Path,
    user: Identity,
    progress: &Progress<'_>,
) -> Result<Option<RustForHooks>, PrepareError> {
    if !root.join("Cargo.toml").exists() || process::find("rustc").is_none() {
        return Ok(None);
    }
    let rustc = without_cargos_own(Program::new("rustc").in_folder(root));
    let sysroot = output(&rustc.args(["--print", "sysroot"]), progress).await?.trim().to_owned();
    if root.join("Cargo.lock").exists() && process::find("cargo").is_some() {
        fetch(root, progress).await?;
    }
    let mut cargo = BTreeMap::new();
    if let Some(home) = cargo_home() {
        for name in ["registry/index", "registry/cache", "git/db", "git/checkouts"] {
            let folder = home.join(name);
            if folder.is_dir() {
                cargo.insert(name.to_owned(), text(&folder)?);
            }
        }
    }
    let own = |name: &str| {
        let folder = cache.join(name);
        let made = files::folder_for(&folder, user);
        made.map_err(|source| PrepareError::File { path: folder.clone(), source })?;
        text(&folder)
    };
    Ok(Some(RustForHooks { sysroot, cargo, target: own("lint-target")?, sources: own("lint-sources")? }))
}

/// Fetches what the lock file names; asks the network only for what is not there.
async fn fetch(root: &Path, progress: &Progress<'_>) -> Result<(), PrepareError> {
    let fetch = |offline: Option<&str>| {
        host_cargo(root).args(["fetch", "--locked", "--quiet"]).args(offline.map(str::to_owned))
    };
    match output(&fetch(Some("--offline")), progress).await {
        Err(PrepareError::Failed { .. }) => {
            (progress.tell)("fetching crates".to_owned());
            output(&fetch(None), progress).await.map(drop)
        }
        done => done.map(drop),
    }
}

/// Executes a program that must succeed; what it prints to standard error is progress.
async fn output(program: &Program, progress: &Progress<'_>) -> Result<String, PrepareError> {
    let mut log: Vec<String> = Vec::new();
    let hear = |line: &str| {
        let step = line.trim();
        if step.starts_with("Compiling ") || step.starts_with("Downloaded ") || step.starts_with("Updating ")
        {
            (progress.tell)(step.to_owned());
        }
        log.push(line.to_owned());
    };
    let (ended, stdout) = program.progress(hear, progress.cancel).await?;
    if !ended.is_success() {
        log.drain(..log.len().saturating_sub(LAST_LINES));
        return Err(PrepareError::Failed { command: program.display(), ended: ended.to_string(), log });
    }
    String::from_utf8(stdout)
        .map_err(|error| PrepareError::Garbled { command: program.display(), message: error.to_string() })
}

fn host_cargo(folder: &Path) -> Program {
    let program = Program::new("cargo").in_folder(folder);
    let quiet = program.with("CARGO_TERM_COLOR", "never").with("CARGO_TERM_PROGRESS_WHEN", "never");
    without_cargos_own(quiet).at_low_priority()
}

/// Takes away what `cargo run` gave to this process: it concerns the runner's own package and toolchain, and some build
/// scripts would build anew because of it.
fn without_cargos_own(program: Program) -> Program {
    if environment::variable("CARGO_MANIFEST_DIR").is_none() {
        return program;
    }
    let package =
        ["NAME", "VERSION", "VERSION_MAJOR", "VERSION_MINOR", "VERSION_PATCH", "VERSION_PRE", "AUTHORS"]
            .into_iter()
            .chain([
                "DESCRIPTION",
                "HOMEPAGE",
                "REPOSITORY",
                "LICENSE",
                "LICENSE_FILE",
                "RUST_VERSION",
                "README",
            ]);
    let others =
        ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "LD_LIBRARY_PATH", "RUSTUP_TOOLCHAIN"];
    program.without(package.map(|name| format!("CARGO_PKG_{name}"))).without(others)
}

/// A subcommand of cargo: on PATH, or where `cargo install` puts it.
fn find_subcommand(name: &str) -> Option<PathBuf> {
    process::find(name).or_else(|| {
        let installed = cargo_home()?.join("bin").join(name);
        installed.is_file().then_some(installed)
    })
}

fn cargo_home() -> Option<PathBuf> {
    let home = || environment::variable("HOME").map(|home| Path::new(&home).join(".cargo"));
    environment::variable("CARGO_HOME").map(PathBuf::from).or_else(home)
}

/// A path as text, which the daemon wants.
pub fn text(path: &Path) -> Result<String, PrepareError> {
    path.to_str().map(str::to_owned).ok_or_else(|| PrepareError::Path(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use testbed_model::hint::Hint as _;
    use testbed_model::lane::SuiteKind;
    use tokio_util::sync::CancellationToken;

    use super::{PrepareError, Progress, output, workspace_folders};
    use crate::exec::site::tests::lane;
    use crate::host::process::Program;

    #[test]
    fn a_suite_without_paths_is_the_workspace_at_the_root() {
        let mut lane = lane(SuiteKind::Cargo, "rust", None);
        assert_eq!(workspace_folders(&lane), [""]);
        lane.paths = [".", "./lib/bindings/"].map(str::to_owned).into();
        assert_eq!(workspace_folders(&lane), ["", "lib/bindings"]);
    }

    #[tokio::test]
    async fn a_failed_build_keeps_its_last_words_and_a_good_one_tells_its_progress() {
        let told = Mutex::new(Vec::new());
        let tell = |step| told.lock().unwrap().push(step);
        let progress = Progress { tell: &tell, cancel: &CancellationToken::new() };
        let script = "echo '   Compiling a v1' >&2; echo 'error: no' >&2; exit 101";
        let error = output(&Program::new("sh").args(["-c", script]), &progress).await.unwrap_err();
        let PrepareError::Failed { log, .. } = &error else { panic!("{error}") };
        assert_eq!(log.last().map(String::as_str), Some("error: no"));
        assert_eq!(*told.lock().unwrap(), ["Compiling a v1"]);
    }

    #[test]
    fn a_missing_tool_comes_with_the_command_that_installs_it() {
        let error = PrepareError::NoTool { tool: "cargo-nextest", suite: "rust".to_owned() };
        assert_eq!(error.hint().unwrap(), "cargo install --locked cargo-nextest");
    }
}
