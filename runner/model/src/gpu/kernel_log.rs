//! Errors of GPUs in the kernel's log: the driver's XIDs.

/// Errors in the order of the log, each with the bus address that the driver names.
///
/// A line is `NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.`
/// (<https://docs.nvidia.com/deploy/xid-errors/>).
pub fn xids(log: &str) -> Vec<(String, u32)> {
    let error = |line: &str| {
        let (_, rest) = line.split_once("NVRM: Xid (PCI:")?;
        let (bus, rest) = rest.split_once("):")?;
        let digits = rest.trim_start();
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        Some((bus.to_owned(), digits.get(..end)?.parse().ok()?))
    };
    log.lines().filter_map(error).collect()
}

/// Whether two addresses are of one device: the log writes `0000:3b:00`, the library `00000000:3B:00.0`.
pub fn is_same_device(a: &str, b: &str) -> bool {
    let numbers = |text: &str| {
        let text = text.split('.').next().unwrap_or_default();
        let numbers: Option<Vec<u32>> =
            text.split(':').map(|part| u32::from_str_radix(part, 16).ok()).collect();
        numbers.filter(|numbers| numbers.len() == 3)
    };
    numbers(a).is_some_and(|a| numbers(b) == Some(a))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{is_same_device, xids};

    #[test]
    fn errors_are_found_among_other_lines() {
        let log = "nvidia: module license 'NVIDIA' taints kernel.\n\
            NVRM: Xid (PCI:0000:3b:00): 31, pid=4711, name=python3, Ch 00000008, intr 00000000\n\
            NVRM: Xid (PCI:0000:86:00): 79, GPU has fallen off the bus.\n\
            NVRM: Xid (PCI:0000:86:00): x\nNVRM: Xid (PCI\nNVRM: GPU at PCI:0000:86:00: GPU-1\n";
        let bus = |text: &str| text.to_owned();
        assert_eq!(xids(log), [(bus("0000:3b:00"), 31), (bus("0000:86:00"), 79)]);
    }

    #[test]
    fn addresses_are_compared_as_numbers() {
        assert!(is_same_device("0000:3b:00", "00000000:3B:00.0"));
        for (a, b) in [
            ("0000:3b:00", "00000000:3C:00.0"),
            ("0000:3b:00", "00010000:3B:00.0"),
            ("", ""),
            ("3b:00", "3b:00"),
        ] {
            assert!(!is_same_device(a, b), "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(log in "(NVRM: Xid \\(PCI:|0000:3b:00|\\): |[0-9]{1,12}|,|\n|.){0,12}") {
            for (bus, _) in xids(&log) {
                let _ = is_same_device(&bus, &log);
            }
        }
    }
}
