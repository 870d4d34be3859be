//! The last lines of each service's log, kept in memory, so that a case that failed can show what was logged meanwhile.

use std::collections::{BTreeMap, VecDeque};

use testbed_model::event::LogWindow;

/// How much of one service's log is kept.
const LINES: usize = 5000;
const BYTES: usize = 2 * 1024 * 1024;

/// The logs of all stacks' services, by stack and service.
#[derive(Debug, Default)]
pub(super) struct RecentLogs {
    services: BTreeMap<(String, String), Tail>,
}

/// The last lines of one log with the time at which they were written.
#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<(u64, String)>,
    bytes: usize,
}

impl RecentLogs {
    /// Keeps a line that was written at that time.
    pub(super) fn push(&mut self, stack: &str, service: &str, at_us: u64, line: &str) {
        let key = (stack.to_owned(), service.to_owned());
        let tail = self.services.entry(key).or_default();
        tail.bytes += line.len();
        tail.lines.push_back((at_us, line.to_owned()));
        while tail.lines.len() > LINES || (tail.bytes > BYTES && tail.lines.len() > 1) {
            if let Some((_, line)) = tail.lines.pop_front() {
                tail.bytes -= line.len();
            }
        }
    }

    /// The last lines, at most `count` for each service, that were written between two times.
    pub(super) fn windows(&self, stack: &str, from_us: u64, to_us: u64, count: usize) -> Vec<LogWindow> {
        let of_stack = self.services.iter().filter(|((name, _), _)| name == stack);
        let windows = of_stack.filter_map(|((_, service), tail)| {
            let within: Vec<&String> = tail
                .lines
                .iter()
                .filter(|(at, _)| (from_us..=to_us).contains(at))
                .map(|(_, line)| line)
                .collect();
            let omitted = within.len().saturating_sub(count);
            let lines: Vec<String> = within.into_iter().skip(omitted).cloned().collect();
            let omitted = u32::try_from(omitted).unwrap_or(u32::MAX);
            (!lines.is_empty()).then(|| LogWindow { service: service.clone(), lines, omitted })
        });
        windows.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES, LINES, RecentLogs};

    #[test]
    fn a_window_has_the_last_lines_of_each_service_of_its_stack() {
        let mut logs = RecentLogs::default();
        for at in 0..10 {
            logs.push("mocker", "worker-0", at, &format!("line {at}"));
        }
        logs.push("mocker", "etcd", 100, "late");
        logs.push("other", "worker-0", 5, "of another stack");
        let windows = logs.windows("mocker", 2, 6, 3);
        assert_eq!(windows.len(), 1);
        assert_eq!(windows[0].lines, ["line 4", "line 5", "line 6"]);
        assert_eq!((windows[0].service.as_str(), windows[0].omitted), ("worker-0", 2));
    }

    #[test]
    fn memory_is_bounded_by_lines_and_by_bytes() {
        let mut logs = RecentLogs::default();
        for at in 0..LINES as u64 + 10 {
            logs.push("s", "short", at, "x");
        }
        let long = "x".repeat(BYTES / 4);
        for at in 0..10 {
            logs.push("s", "long", at, &long);
        }
        let windows = logs.windows("s", 0, u64::MAX, usize::MAX);
        let lines: Vec<usize> = windows.iter().map(|window| window.lines.len()).collect();
        assert_eq!(lines, [4, LINES]);
    }
}
