//! The event stream as JSON, one object a line, each flushed at once: for programs that watch a run.

use std::io::{self, Write};

use serde::Serialize as _;
use serde_json::Serializer;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter};
use testbed_model::event::Stamped;

use crate::reporter::Reporter;

/// Writes events as JSON lines.
#[derive(Debug)]
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `out`.
    pub const fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Reporter for JsonLines<W> {
    fn on(&mut self, event: &Stamped) -> io::Result<()> {
        // One write for the whole line: another writer to the same terminal or file cannot come in between.
        let mut line = Vec::with_capacity(256);
        event.serialize(&mut Serializer::with_formatter(&mut line, Escaping(CompactFormatter)))?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Compact JSON in which also those control characters are escaped that JSON itself allows as they are. A program reads the
/// same text; a terminal, on which somebody looks at the stream, obeys none of them.
struct Escaping(CompactFormatter);

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_unseen) {
            let (plain, tail) = rest.split_at(at);
            self.0.write_string_fragment(writer, plain)?;
            let mut chars = tail.chars();
            if let Some(c) = chars.next() {
                write!(writer, "\\u{:04x}", u32::from(c))?;
            }
            rest = chars.as_str();
        }
        self.0.write_string_fragment(writer, rest)
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        self.0.write_char_escape(writer, escape)
    }
}

/// All in the basic plane, so that one `\u` escape names each.
const fn is_unseen(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use testbed_model::event::{Event, Stamped};

    use super::JsonLines;
    use crate::reporter::Reporter as _;

    #[test]
    fn control_characters_are_escaped_and_read_back() {
        let message = "\u{1b}[31m \u{9b}2J \u{7f} \0 \u{202e} é\n".to_owned();
        let event = Stamped {
            seq: 3,
            at: Timestamp::UNIX_EPOCH,
            elapsed_us: 5,
            event: Event::Warning { message, hint: None },
        };
        let mut out = Vec::new();
        JsonLines::new(&mut out).on(&event).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.trim_end_matches('\n').chars().all(|c| !c.is_control() && c != '\u{202e}'), "{text:?}");
        assert!(text.contains("é") && text.ends_with('\n'));
        assert_eq!(serde_json::from_str::<Stamped>(&text).unwrap(), event);
    }
}
