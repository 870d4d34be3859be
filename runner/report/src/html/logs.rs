//! The logs of services and tools for the page: as many lines as there is room for, of every log its beginning and its end.

use std::io;

use jiff::Timestamp;
use serde::Serialize;
use testbed_model::record::RecordedLog;

use super::pack;
use crate::neutral;

/// Bytes of text at first, and of what they may come to when packed.
const ROOM: usize = 12 << 20;
const PACKED: usize = 3 << 19;
/// Bytes of one line: of a longer one the rest is in the record.
const LINE: usize = 500;

/// One log.
#[derive(Serialize)]
struct Log<'l> {
    /// Stack; none for a lane's tool.
    #[serde(rename = "k")]
    stack: Option<&'l str>,
    #[serde(rename = "n")]
    name: String,
    /// When each line came, in milliseconds after the one before, the first since the run's start.
    #[serde(rename = "t")]
    times: Vec<i64>,
    /// The lines, each with an end.
    #[serde(rename = "x")]
    lines: String,
    /// The line before which some are left out, and how many.
    #[serde(rename = "o", skip_serializing_if = "Option::is_none")]
    omitted: Option<(usize, usize)>,
}

/// Packs the logs; `zero` is the wall time of the run's start.
pub fn packed(logs: &[RecordedLog], zero: Option<Timestamp>) -> io::Result<String> {
    pack::within(ROOM, PACKED, |room| {
        let share = share(logs.iter().map(size).collect(), room);
        logs.iter().map(|log| cut(log, share, zero)).collect::<Vec<_>>()
    })
}

fn size(log: &RecordedLog) -> usize {
    log.lines.iter().map(|line| line.text.len().min(LINE) + 1).sum()
}

/// How many bytes each log may have at most so that all together have no more than `room`: what short ones do not need is the
/// long ones'.
fn share(mut sizes: Vec<usize>, room: usize) -> usize {
    sizes.sort_unstable();
    let mut left = room;
    for (at, size) in sizes.iter().enumerate() {
        let share = left / (sizes.len() - at);
        if *size > share {
            return share;
        }
        left -= size;
    }
    usize::MAX
}

fn cut(log: &RecordedLog, share: usize, zero: Option<Timestamp>) -> Log<'_> {
    let origin = zero.map_or(0, Timestamp::as_millisecond);
    let lengths: Vec<usize> = log.lines.iter().map(|line| line.text.len().min(LINE) + 1).collect();
    let head = fitting(lengths.iter(), share / 4);
    let tail = fitting(lengths.iter().rev(), share - share / 4);
    let (head, from) = match log.lines.len() {
        all if size(log) <= share => (all, all),
        all => (head, (all - tail).max(head)),
    };
    let kept = log.lines.get(..head).into_iter().chain(log.lines.get(from..)).flatten();
    let mut out = Log {
        stack: log.stack.as_deref(),
        name: neutral::line(&log.name),
        times: Vec::new(),
        lines: String::new(),
        omitted: (from > head).then_some((head, from - head)),
    };
    let mut before = 0;
    for line in kept {
        let at = line.at.as_millisecond() - origin;
        out.times.push(at - before);
        before = at;
        let end = (0..=line.text.len().min(LINE)).rev().find(|end| line.text.is_char_boundary(*end));
        out.lines.push_str(&neutral::line(line.text.get(..end.unwrap_or(0)).unwrap_or_default()));
        out.lines.push(if line.text.len() > LINE { '…' } else { '\n' });
        if line.text.len() > LINE {
            out.lines.push('\n');
        }
    }
    out
}

/// How many of these come to at most `room`.
fn fitting<'l>(lengths: impl Iterator<Item = &'l usize>, room: usize) -> usize {
    lengths
        .scan(0_usize, |sum, length| {
            *sum = sum.saturating_add(*length);
            Some(*sum)
        })
        .take_while(|sum| *sum <= room)
        .count()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use testbed_model::record::{LogLine, RecordedLog};

    use super::{cut, share};

    #[test]
    fn what_short_logs_do_not_need_is_the_long_ones() {
        assert_eq!(share(vec![10, 20, 1000], 100), 70);
        assert_eq!(share(vec![10, 20], 100), usize::MAX);
        assert_eq!(share(vec![500, 500], 100), 50);
    }

    #[test]
    fn of_a_log_that_is_too_long_its_beginning_and_its_end_are_kept() {
        let line =
            |n: i64| LogLine { at: Timestamp::from_millisecond(n).unwrap(), text: format!("line {n:04}") };
        let log = RecordedLog { stack: None, name: "unit".into(), lines: (0..1000).map(line).collect() };
        let kept = cut(&log, 400, Some(Timestamp::UNIX_EPOCH));
        assert!(kept.lines.starts_with("line 0000\nline 0001\n") && kept.lines.ends_with("line 0999\n"));
        assert_eq!((kept.times.len(), kept.omitted), (40, Some((10, 960))));
        assert_eq!(kept.times.iter().sum::<i64>(), 999);
        assert!(cut(&log, usize::MAX, None).omitted.is_none());
    }
}
