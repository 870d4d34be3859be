//! Bytes to lines: bounded, and lossy where bytes are not UTF-8, because a tool's output is shown, never trusted.

/// The longest line that is kept, in bytes; what is longer is cut, and the cut is said.
pub const MAX_LINE: usize = 64 * 1024;

/// Splits a stream of bytes into lines. Memory is bounded by the longest line.
#[derive(Clone, Debug)]
pub struct LineSplitter {
    limit: usize,
    pending: Vec<u8>,
    cut: u64,
}

impl LineSplitter {
    /// A splitter whose lines have at most `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self { limit, pending: Vec::new(), cut: 0 }
    }

    /// Takes bytes and gives the lines that they complete, without their ends (`\n` or `\r\n`).
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = bytes.split_at(end);
            self.keep(head);
            lines.push(self.take());
            bytes = tail.get(1..).unwrap_or_default();
        }
        self.keep(bytes);
        lines
    }

    /// The last line, where it had no end.
    pub fn finish(&mut self) -> Option<String> {
        (!self.pending.is_empty() || self.cut > 0).then(|| self.take())
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.pending.len());
        let kept = bytes.get(..room).unwrap_or(bytes);
        self.pending.extend_from_slice(kept);
        self.cut += u64::try_from(bytes.len() - kept.len()).unwrap_or(u64::MAX);
    }

    fn take(&mut self) -> String {
        if self.cut == 0 && self.pending.last() == Some(&b'\r') {
            self.pending.pop();
        }
        let kept = String::from_utf8_lossy(&self.pending);
        let line = match self.cut {
            0 => kept.into_owned(),
            cut => format!("{kept} … ({cut} bytes left out)"),
        };
        self.pending.clear();
        self.cut = 0;
        line
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::LineSplitter;

    fn split(chunks: &[&[u8]], limit: usize) -> Vec<String> {
        let mut splitter = LineSplitter::new(limit);
        let mut lines: Vec<String> = chunks.iter().flat_map(|chunk| splitter.push(chunk)).collect();
        lines.extend(splitter.finish());
        lines
    }

    #[test]
    fn a_line_too_long_is_cut_and_says_so_and_the_next_is_whole() {
        assert_eq!(split(&[b"abcdef", b"gh\nxy\n"], 4), ["abcd … (4 bytes left out)", "xy"]);
    }

    #[test]
    fn windows_ends_and_broken_utf8_do_no_harm() {
        assert_eq!(split(&[b"a\r\n", b"\xff\n"], 10), ["a", "\u{fffd}"]);
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_chunked_changes_nothing(bytes: Vec<u8>, cuts in proptest::collection::vec(0usize..64, 0..8)) {
            let whole = split(&[&bytes], 16);
            let mut chunks = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                chunks.push(head);
                rest = tail;
            }
            chunks.push(rest);
            prop_assert_eq!(split(&chunks, 16), whole);
        }
    }
}
