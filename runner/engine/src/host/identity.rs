//! Which process this is, told apart from every other one on any host, also after its id was given to another.

use std::fs;
use std::io;

/// A process, and the world in which its id means something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessIdentity {
    /// The host's name.
    pub host: String,
    /// The kernel's id of this boot.
    pub boot: String,
    /// The process id namespace, as the kernel numbers it.
    pub namespace: u64,
    /// Process id.
    pub pid: u32,
    /// When the process started, in clock ticks since the boot.
    pub start_ticks: u64,
}

impl ProcessIdentity {
    /// This process.
    pub fn own() -> io::Result<Self> {
        let pid = std::process::id();
        let start_ticks =
            start_ticks(pid).ok_or_else(|| io::Error::other("/proc/self/stat is not readable"))?;
        let namespace = fs::read_link("/proc/self/ns/pid")?;
        let digits = |c: &char| c.is_ascii_digit();
        let number: String = namespace.to_string_lossy().chars().filter(digits).collect();
        Ok(Self {
            host: fs::read_to_string("/proc/sys/kernel/hostname")?.trim().to_owned(),
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().replace('-', ""),
            namespace: number.parse().unwrap_or_default(),
            pid,
            start_ticks,
        })
    }
}

/// When a process started, in clock ticks since the boot; none if there is no such process, or only its remains.
pub fn start_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may hold anything; the start is the 22nd field.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{ProcessIdentity, start_ticks};

    #[test]
    fn this_process_started_when_the_kernel_says_and_no_process_never_did() {
        let own = ProcessIdentity::own().unwrap();
        assert_eq!(start_ticks(own.pid), Some(own.start_ticks));
        assert!(own.start_ticks > 0 && own.namespace > 0 && own.boot.len() == 32, "{own:?}");
        assert_eq!(start_ticks(u32::MAX), None);
    }
}
