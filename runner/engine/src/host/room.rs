//! File systems without room, as this process or another one sees them.

use std::fs;
use std::path::Path;

use rustix::fs::statvfs;

/// Kinds of file systems on which tools and services write.
const KINDS: [&str; 6] = ["tmpfs", "overlay", "ext4", "xfs", "btrfs", "zfs"];

/// What is left when nothing of any size can be written any more: so many bytes, and no more than a hundredth.
const NEXT_TO_NOTHING: u64 = 256 * 1024;

/// A file system without room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full {
    /// Where it is mounted.
    pub path: String,
    /// Its size.
    pub total_bytes: u64,
}

/// How many bytes this user can still write where a path is.
pub fn left(path: &Path) -> std::io::Result<u64> {
    let there = statvfs(path)?;
    Ok(there.f_bavail.saturating_mul(there.f_frsize))
}

/// Those that this process could write to.
pub fn here() -> Vec<Full> {
    full(Path::new("/proc/self/mounts"), Path::new("/"))
}

/// Those of a container's first process. None where that process is not of this host, or may not be looked at: that takes the
/// rights of its user.
pub fn of_process(pid: i64, container: &str) -> Vec<Full> {
    let process = Path::new("/proc").join(pid.to_string());
    let groups = fs::read_to_string(process.join("cgroup")).unwrap_or_default();
    // The daemon may be on another host, where the number means another process.
    if container.is_empty() || !groups.contains(container) {
        return Vec::new();
    }
    full(&process.join("mounts"), &process.join("root"))
}

fn full(mounts: &Path, root: &Path) -> Vec<Full> {
    let mounts = fs::read_to_string(mounts).unwrap_or_default();
    let writable = mounts.lines().filter_map(writable);
    let full = writable.filter_map(|path| {
        let there = statvfs(root.join(path.trim_start_matches('/'))).ok()?;
        let (left, total) =
            (there.f_bavail.saturating_mul(there.f_frsize), there.f_blocks.saturating_mul(there.f_frsize));
        let no_bytes = total > 0 && left < NEXT_TO_NOTHING && left.saturating_mul(100) <= total;
        let no_files = there.f_files > 0 && there.f_favail == 0;
        (no_bytes || no_files).then_some(Full { path, total_bytes: total })
    });
    full.collect()
}

/// The place of a mount on which something could be written (`man 5 fstab`).
fn writable(line: &str) -> Option<String> {
    let mut fields = line.split(' ');
    let (_, path, kind, options) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let read_only = options.split(',').any(|option| option == "ro");
    let of_system =
        ["/proc", "/sys", "/dev/"].iter().any(|folder| path.starts_with(folder)) && path != "/dev/shm";
    (KINDS.contains(&kind) && !read_only && !of_system).then(|| path.replace("\\040", " "))
}

#[cfg(test)]
mod tests {
    use super::writable;

    #[test]
    fn only_places_that_tools_write_to_are_looked_at() {
        for (line, path) in [
            ("tmpfs /data tmpfs rw,size=1024k 0 0", Some("/data")),
            ("overlay / overlay rw,lowerdir=x 0 0", Some("/")),
            ("shm /dev/shm tmpfs rw,nosuid 0 0", Some("/dev/shm")),
            ("tmpfs /a\\040b tmpfs rw 0 0", Some("/a b")),
            ("tmpfs /proc/acpi tmpfs ro 0 0", None),
            ("tmpfs /sys/firmware tmpfs rw 0 0", None),
            ("/dev/sda1 /testbed ext4 ro,relatime 0 0", None),
            ("proc /proc proc rw 0 0", None),
            ("", None),
        ] {
            assert_eq!(writable(line).as_deref(), path, "{line}");
        }
    }
}
