//! What nextest shows of a test as text: a status line, then what the test printed, indented.

/// How deep nextest indents what a test printed.
const INDENT: &str = "    ";

/// The longest text of one test that is kept, in bytes.
const LIMIT: usize = 256 * 1024;

/// A line such as `        PASS [   0.511s] (3/9) demo::it fixture`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StatusLine {
    pub(super) binary: String,
    pub(super) test: String,
}

impl StatusLine {
    /// Understands a line, if it is one.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (status, rest) = line.trim_start().split_once(" [")?;
        let (time, rest) = rest.split_once("] ")?;
        let word = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, ' ' | '-' | '+');
        let moment = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '.' | '>' | 's');
        if status.is_empty() || !status.chars().all(word) || !time.chars().all(moment) {
            return None;
        }
        // A counter may come first.
        let rest = match rest.strip_prefix('(') {
            Some(counted) => counted.split_once(") ")?.1,
            None => rest,
        };
        let (binary, test) = rest.split_once(' ')?;
        Some(Self { binary: binary.to_owned(), test: test.to_owned() })
    }
}

/// The text that follows a status line.
#[derive(Clone, Debug)]
pub(super) struct Block {
    status: StatusLine,
    lines: Vec<String>,
    bytes: usize,
    cut: bool,
}

impl Block {
    pub(super) const fn new(status: StatusLine) -> Self {
        Self { status, lines: Vec::new(), bytes: 0, cut: false }
    }

    pub(super) fn test(&self) -> &str {
        &self.status.test
    }

    /// Takes a line if it belongs to the block: a heading, an indented or an empty line.
    pub(super) fn takes(&mut self, line: &str) -> bool {
        let heading = line.trim_end_matches(['─', ' ']).trim_start();
        let is_heading = matches!(heading, "output" | "stdout" | "stderr") && line.ends_with('─');
        if !line.is_empty() && !line.starts_with(INDENT) && !is_heading {
            return false;
        }
        self.bytes += line.len();
        if self.bytes > LIMIT {
            self.cut = true;
        } else if !is_heading {
            self.lines.push(line.strip_prefix(INDENT).unwrap_or(line).to_owned());
        }
        true
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines
    }

    /// What the test itself printed, without what the test harness says around it.
    pub(super) fn own_output(self, test: &str) -> String {
        let verdict = format!("test {test} ");
        let lines = self.lines.iter().map(String::as_str);
        let mut own: Vec<&str> = lines
            .skip_while(|line| line.is_empty() || *line == "running 1 test")
            .take_while(|line| !line.starts_with(&verdict) || !line.contains(" ... "))
            .collect();
        while own.last().is_some_and(|line| line.is_empty()) {
            own.pop();
        }
        let mut output = own.join("\n");
        if !output.is_empty() {
            output.push('\n');
        }
        if self.cut {
            output.push_str("... the rest is left out ...\n");
        }
        output
    }
}

/// A panic as Rust prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Panic {
    pub(super) message: String,
    pub(super) file: String,
    pub(super) line: u32,
}

impl Panic {
    /// The first panic in a test's output: the place, and its message in one line.
    pub(super) fn find(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let place = lines.by_ref().find_map(|line| {
            let (thread, place) = line.split_once(" panicked at ")?;
            thread.starts_with("thread '").then(|| place.trim_end_matches(':'))
        })?;
        let mut parts = place.rsplitn(3, ':');
        let (_column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
        let end = |line: &&str| {
            line.is_empty() || line.starts_with("note: ") || line.starts_with("stack backtrace:")
        };
        let message: Vec<&str> = lines.take_while(|line| !end(line)).map(str::trim).take(8).collect();
        Some(Self { message: message.join("; "), file: file.to_owned(), line: line.parse().ok()? })
    }
}

/// The last line that says anything.
pub(super) fn last_line(text: &str) -> String {
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    last.map_or_else(
        || "it ended without a message".to_owned(),
        |line| line.trim_matches(['(', ')']).to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Block, Panic, StatusLine, last_line};

    fn status(binary: &str, test: &str) -> StatusLine {
        StatusLine { binary: binary.to_owned(), test: test.to_owned() }
    }

    #[test]
    fn every_form_of_a_status_line_is_known() {
        for line in [
            "        PASS [   0.511s] demo::it tests::a",
            "        PASS [   0.511s] ( 3/12) demo::it tests::a",
            "  TRY 2 FAIL [   0.163s] (4/9) demo::it tests::a",
            "     SIGABRT [   0.014s] demo::it tests::a",
            "        SLOW [>  1.000s] (───) demo::it tests::a",
            "        SKIP [         ] demo::it tests::a",
            " FLAKY-FL 2/2 [   0.006s] demo::it tests::a",
        ] {
            let parsed = StatusLine::parse(line);
            if line.contains("2/2") {
                assert_eq!(parsed, None, "{line}");
            } else {
                assert_eq!(parsed, Some(status("demo::it", "tests::a")), "{line}");
            }
        }
        for line in ["", "────", "    Starting 9 tests", "x [y] z", "assertion [1] a b", "A [0.1s] b"]
        {
            assert_eq!(StatusLine::parse(line), None, "{line}");
        }
    }

    #[test]
    fn the_harness_is_taken_off_what_a_test_printed() {
        let mut block = Block::new(status("demo", "tests::holds"));
        for line in [
            "  output ───",
            "",
            "    running 1 test",
            "    hello",
            "      deeper",
            "",
            "    test tests::holds ... ok",
            "",
            "    test result: ok. 1 passed",
        ] {
            assert!(block.takes(line), "{line}");
        }
        assert!(!block.takes("────────────") && !block.takes("   Summary"));
        assert_eq!(block.own_output("tests::holds"), "hello\n  deeper\n");
    }

    #[test]
    fn a_panic_gives_its_message_in_one_line_and_its_place() {
        let text = "before\n\nthread 'tests::breaks' (42) panicked at src/lib.rs:5:68:\nassertion `left == right` \
                    failed: sum\n  left: 3\n right: 4\nnote: run with `RUST_BACKTRACE=1`\n";
        let panic = Panic::find(text).unwrap();
        assert_eq!(panic.message, "assertion `left == right` failed: sum; left: 3; right: 4");
        assert_eq!((panic.file.as_str(), panic.line), ("src/lib.rs", 5));
        assert_eq!(Panic::find("thread 'x' panicked at nowhere"), None);
    }

    #[test]
    fn without_a_panic_the_last_line_is_the_message() {
        assert_eq!(
            last_line("\n    (test aborted with signal 6: SIGABRT)\n\n"),
            "test aborted with signal 6: SIGABRT"
        );
        assert_eq!(last_line("\n"), "it ended without a message");
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_readers(text in "(thread '|' panicked at |:|[0-9]{0,20}|\\n|\\[|\\] |\\(|é| ){0,20}") {
            let _ = (StatusLine::parse(&text), Panic::find(&text), last_line(&text));
        }
    }
}
