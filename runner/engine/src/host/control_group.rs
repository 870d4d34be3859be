//! What a container of this host uses, read where the kernel keeps it. A look takes microseconds, a question to the daemon
//! milliseconds of processor time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Processor time and memory so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Processor time since the container's start, all processors together.
    pub cpu: Duration,
    /// Memory in use, without the page cache that the kernel would give back first.
    pub memory_bytes: u64,
}

/// A container's control group. It is found by path each time, for one that is started again has a new one in the same place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlGroup {
    /// Version 1: a folder for each controller.
    One {
        /// Controller `cpuacct`.
        cpu: PathBuf,
        /// Controller `memory`.
        memory: PathBuf,
    },
    /// Version 2.
    Two(PathBuf),
}

impl ControlGroup {
    /// That of a container's process; none where that process is not of this host, or its group cannot be read.
    pub fn of_process(pid: i64, container: &str) -> Option<Self> {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let group = Self::among(&groups, container, Path::new("/sys/fs/cgroup"))?;
        group.usage().map(|_| group)
    }

    /// From the lines of `/proc/PID/cgroup` (`man 7 cgroups`), where they are the container's.
    fn among(groups: &str, container: &str, root: &Path) -> Option<Self> {
        let lines = groups.lines().filter_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            Some((controllers, path.trim_start_matches('/')))
        });
        // The daemon may be on another host, where the number means another process.
        let own = || lines.clone().filter(|(_, path)| !container.is_empty() && path.contains(container));
        let of = |controller: &str| {
            let (controllers, path) = own().find(|(its, _)| its.split(',').any(|one| one == controller))?;
            let mounted = [controller, controllers].map(|name| root.join(name).join(path));
            mounted.into_iter().find(|folder| folder.is_dir())
        };
        match (of("cpuacct"), of("memory")) {
            (Some(cpu), Some(memory)) => Some(Self::One { cpu, memory }),
            _ => own()
                .find(|(controllers, _)| controllers.is_empty())
                .map(|(_, path)| Self::Two(root.join(path))),
        }
    }

    /// What it says at this moment; none while the container does not run.
    pub fn usage(&self) -> Option<Usage> {
        let (cpu, used, kinds, cache) = match self {
            Self::One { cpu, memory } => {
                let spent = number(&cpu.join("cpuacct.usage"))?;
                let used = number(&memory.join("memory.usage_in_bytes"))?;
                (Duration::from_nanos(spent), used, memory.join("memory.stat"), "total_inactive_file")
            }
            Self::Two(group) => {
                let spent = named(&group.join("cpu.stat"), "usage_usec")?;
                let used = number(&group.join("memory.current"))?;
                (Duration::from_micros(spent), used, group.join("memory.stat"), "inactive_file")
            }
        };
        let cache = named(&kinds, cache).unwrap_or(0);
        Some(Usage { cpu, memory_bytes: used.saturating_sub(cache) })
    }
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The value of a line `name value`.
fn named(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use super::{ControlGroup, Usage};

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn both_versions_tell_the_same_things() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                ("cpu,cpuacct/docker/abc/cpuacct.usage", "1500000000\n"),
                ("memory/docker/abc/memory.usage_in_bytes", "5000\n"),
                ("memory/docker/abc/memory.stat", "cache 900\ninactive_file 1\ntotal_inactive_file 800\n"),
                ("system.slice/docker-abc.scope/cpu.stat", "usage_usec 1500000\nuser_usec 1\n"),
                ("system.slice/docker-abc.scope/memory.current", "5000\n"),
                ("system.slice/docker-abc.scope/memory.stat", "anon 1\ninactive_file 800\n"),
            ],
        );
        let first =
            "9:name=systemd:/docker/abc\n4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n0::/docker/abc\n";
        let second = "0::/system.slice/docker-abc.scope\n";
        for groups in [first, second] {
            let group = ControlGroup::among(groups, "abc", root.path()).unwrap();
            let usage = Usage { cpu: Duration::from_millis(1500), memory_bytes: 4200 };
            assert_eq!(group.usage(), Some(usage), "{group:?}");
        }
    }

    #[test]
    fn a_process_of_something_else_is_not_taken_for_the_containers() {
        let root = Path::new("/sys/fs/cgroup");
        assert_eq!(ControlGroup::among("0::/user.slice\n", "abc", root), None);
        assert_eq!(ControlGroup::among("0::/docker/abc\n", "", root), None);
        assert_eq!(ControlGroup::among("nonsense\n1:x\n", "abc", root), None);
    }

    #[test]
    fn a_group_that_is_gone_says_nothing() {
        let root = tempfile::tempdir().unwrap();
        let group = ControlGroup::Two(root.path().join("gone"));
        assert_eq!(group.usage(), None);
    }
}
