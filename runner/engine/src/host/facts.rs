//! Facts of this host and of the project's checkout, gathered before anything is decided.

use std::collections::BTreeMap;
use std::path::Path;

use testbed_model::facts::{Facts, FlakeFacts};
use testbed_model::gpu::Accelerators;
use tokio_util::sync::CancellationToken;

use super::process::{Ended, Program};
use super::{environment, gpu, offer};

/// Gathers what is true here. What cannot be told is left out: a fact that is missing is not an error, a wrong one would be.
/// `state` is the folder of records and caches.
pub async fn gather(project: &Path, state: &Path) -> Facts {
    let (revision, rustc, nextest, gpus) = tokio::join!(
        revision(project),
        version("rustc", &["--version"], project),
        nextest(project),
        gpu::gather()
    );
    let mut tools = BTreeMap::new();
    tools.insert("testbed".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    tools.extend(rustc.map(|text| ("rustc".to_owned(), text)));
    tools.extend(nextest.map(|text| ("cargo-nextest".to_owned(), text)));
    Facts {
        cores: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        memory_bytes: memory(),
        gpus: gpus.accelerators.as_ref().map_or(0, Accelerators::count),
        accelerators: gpus.accelerators,
        gpu_trouble: gpus.trouble,
        architecture: std::env::consts::ARCH.to_owned(),
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        daemon: None,
        revision,
        flake: flake(),
        tools,
        host: offer::gather(state),
        simulated: None,
    }
}

/// What the flake's wrapper says of the flake.
fn flake() -> Option<FlakeFacts> {
    let lock = environment::variable("TESTBED_FLAKE_LOCK_HASH")?;
    let revision = environment::variable("TESTBED_FLAKE_REVISION").unwrap_or_else(|| "unknown".to_owned());
    Some(FlakeFacts { revision, lock })
}

/// Memory of the host in bytes.
fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    #[allow(clippy::useless_conversion, reason = "the field's width differs between architectures")]
    u64::from(info.totalram).saturating_mul(u64::from(info.mem_unit))
}

/// The revision of the checkout, with `-dirty` where a tracked file differs or a new one is not ignored.
pub async fn revision(project: &Path) -> Option<String> {
    let head = git(project, &["rev-parse", "HEAD"]).await?;
    let status = git(project, &["status", "--porcelain"]).await?;
    let dirty = if status.is_empty() { "" } else { "-dirty" };
    Some(format!("{head}{dirty}"))
}

async fn git(project: &Path, arguments: &[&str]) -> Option<String> {
    let program = Program::new("git").args(arguments.iter().copied()).in_folder(project);
    first_line_of(&program).await
}

/// The first line that a tool prints of its version.
async fn version(program: &str, arguments: &[&str], project: &Path) -> Option<String> {
    first_line_of(&Program::new(program).args(arguments.iter().copied()).in_folder(project)).await
}

async fn nextest(project: &Path) -> Option<String> {
    version("cargo-nextest", &["nextest", "--version"], project).await
}

async fn first_line_of(program: &Program) -> Option<String> {
    let captured = program.capture(&CancellationToken::new()).await.ok()?;
    if captured.ended != Ended::Code(0) {
        return None;
    }
    let text = String::from_utf8_lossy(&captured.stdout).into_owned();
    Some(text.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::gather;

    #[tokio::test]
    async fn a_folder_outside_of_git_has_no_revision_and_the_rest_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let facts = gather(folder.path(), folder.path()).await;
        assert_eq!(facts.revision, None);
        assert!(facts.cores >= 1 && facts.memory_bytes > 1 << 26 && !facts.kernel.is_empty());
    }
}
