//! What this host offers besides processors and memory: room, shared memory, limits, a clock in time.

use std::path::{Path, PathBuf};

use rustix::fs::statvfs;
use rustix::process::{Resource, getrlimit};
use testbed_model::facts::{Disk, HostFacts, ProcessLimits};
use tokio_util::sync::CancellationToken;

use super::process::Program;

/// The file that systemd's time service makes when it has set the clock.
const CLOCK_WAS_SET: &str = "/run/systemd/timesync/synchronized";

/// All of it. `state` is the folder of records and caches, which need not exist yet.
pub fn gather(state: &Path) -> HostFacts {
    HostFacts {
        disk: disk(state),
        shm_bytes: disk(Path::new("/dev/shm")).map(|shm| shm.total_bytes),
        limits: Some(limits()),
        clock_synchronised: Path::new(CLOCK_WAS_SET).exists().then_some(true),
    }
}

/// Whether something keeps the clock in time, as systemd says; none where there is no systemd. It takes a program, so only who wants
/// to know it for certain asks.
pub async fn clock_synchronised() -> Option<bool> {
    if !Path::new("/run/systemd/system").is_dir() {
        return None;
    }
    let program = Program::new("timedatectl").args(["show", "--property=NTPSynchronized", "--value"]);
    let captured = program.capture(&CancellationToken::new()).await.ok()?;
    match String::from_utf8_lossy(&captured.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// Room on the file system that a folder is on, or will be.
pub fn disk(folder: &Path) -> Option<Disk> {
    let existing: PathBuf = folder.ancestors().find(|folder| folder.exists())?.to_owned();
    let there = statvfs(&existing).ok()?;
    Some(Disk {
        path: folder.display().to_string(),
        free_bytes: there.f_bavail.saturating_mul(there.f_frsize),
        total_bytes: there.f_blocks.saturating_mul(there.f_frsize),
    })
}

fn limits() -> ProcessLimits {
    let most = |resource| getrlimit(resource).maximum;
    ProcessLimits {
        nofile: most(Resource::Nofile),
        memlock: most(Resource::Memlock),
        stack: most(Resource::Stack),
    }
}

#[cfg(test)]
mod tests {
    use super::{disk, gather};

    #[test]
    fn a_folder_that_will_be_made_has_the_room_of_the_one_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let later = folder.path().join("not/yet");
        let room = disk(&later).unwrap();
        assert_eq!(room.path, later.display().to_string());
        assert!(room.total_bytes >= room.free_bytes && room.total_bytes > 0);
        let offered = gather(&later);
        assert!(offered.limits.is_some_and(|limits| limits.nofile != Some(0)));
    }
}
