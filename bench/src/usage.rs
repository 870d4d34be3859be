//! What a process has used so far, as the kernel tells.

use std::fs;

/// Kernel's unit of processor time in `/proc`, which is fixed for programs: a hundredth of a second.
const MILLISECONDS_PER_TICK: f64 = 10.0;

const BYTES_PER_KIBIBYTE: f64 = 1024.0;
const BYTES_PER_MEGABYTE: f64 = 1e6;

/// What a process has used, its children not counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// The most memory that was resident at one time, in millions of bytes; 0 once the process has ended.
    pub peak_mb: f64,
    /// Processor time, user and system, in milliseconds.
    pub cpu_ms: f64,
    /// Whether only its remains are there.
    pub ended: bool,
}

/// Looks at a process; none if there is none of this id.
pub fn usage(id: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let (cpu_ms, ended) = of_stat(&stat)?;
    Some(Usage { peak_mb: peak_of_status(&status).unwrap_or(0.0), cpu_ms, ended })
}

/// How many processes wanted to run during the last minute, on average.
pub fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// Processor time of the whole machine since its start, in milliseconds, all processors together.
pub fn busy_ms() -> Option<f64> {
    busy_of(&fs::read_to_string("/proc/stat").ok()?)
}

/// The first line: user, nice, system, idle, waiting for the disk, interrupts, soft interrupts, stolen.
fn busy_of(stat: &str) -> Option<f64> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let ticks: Vec<f64> = fields.take(7).map(str::parse).collect::<Result<_, _>>().ok()?;
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some((ticks.iter().sum::<f64>() - idle) * MILLISECONDS_PER_TICK)
}

/// Processor time, and whether the process has ended. The second field is the program's name in parentheses, which may hold
/// anything; user and system time are the 14th and 15th.
fn of_stat(stat: &str) -> Option<(f64, bool)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X");
    let user: f64 = fields.nth(10)?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(((user + system) * MILLISECONDS_PER_TICK, ended))
}

fn peak_of_status(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * BYTES_PER_KIBIBYTE / BYTES_PER_MEGABYTE)
}

#[cfg(test)]
mod tests {
    use super::{busy_of, of_stat, peak_of_status, usage};

    #[test]
    fn times_are_found_behind_a_name_with_spaces_and_parentheses() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 12 3 90 80 20 0 4 0 100 0 0";
        assert_eq!(of_stat(stat), Some((150.0, false)));
        assert_eq!(of_stat("7 (x) Z 1 7 7 0 -1 4194560 100 0 0 0 1 1 0 0"), Some((20.0, true)));
        assert_eq!(of_stat("nonsense"), None);
    }

    #[test]
    fn a_machine_is_busy_while_it_neither_idles_nor_waits() {
        assert_eq!(busy_of("cpu  100 1 20 9000 50 3 4 7 0 0\ncpu0 1 1 1 1\n"), Some(1280.0));
        assert_eq!(busy_of("nonsense"), None);
    }

    #[test]
    fn the_peak_is_in_millions_of_bytes() {
        assert_eq!(peak_of_status("Name:\tx\nVmHWM:\t    1000 kB\n"), Some(1.024));
        assert_eq!(peak_of_status("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_uses_memory_and_no_process_has_no_usage() {
        let own = usage(std::process::id()).unwrap();
        assert!(own.peak_mb > 0.5 && !own.ended, "{own:?}");
        assert_eq!(usage(u32::MAX), None);
    }
}
