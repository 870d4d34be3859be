//! A readable log where there is no terminal: a line for what happened, when it happened. Nothing is redrawn, nothing
//! erased; what is longer than a line stays whole, for a log is searched.

use std::fmt::Write as _;
use std::io::{self, Write};

use testbed_model::event::Stamped;

use crate::fit;
use crate::neutral::{neutral, shows};
use crate::notice::{Notice, VERB_WIDTH, notice};
use crate::reporter::Reporter;
use crate::story::Story;
use crate::style::{Style, Tone};

/// Writes a line per event.
#[derive(Debug)]
pub struct Log<W> {
    out: W,
    style: Style,
    story: Story,
}

/// Columns of the time at a line's start: `[  12.345s] `.
const TIME_WIDTH: usize = 12;

impl<W: Write> Log<W> {
    /// Writes to `out`.
    pub fn new(out: W, style: Style) -> Self {
        Self { out, style, story: Story::watching() }
    }

    fn line(&self, elapsed_us: u64, notice: &Notice) -> String {
        let style = &self.style;
        let millis = elapsed_us / 1000;
        let time = format!("[{:>5}.{:03}s] ", millis / 1000, millis % 1000);
        let verb = style.paint(notice.tone, &fit::right(notice.verb, VERB_WIDTH));
        let mut out = format!("{}{verb} {}", style.paint(Tone::Dim, &time), notice.row.render(style));
        out.push_str(notice.tail.as_deref().unwrap_or_default());
        out.truncate(out.trim_end().len());
        out.push('\n');
        for line in &notice.below {
            let _ = writeln!(out, "{}{line}", " ".repeat(TIME_WIDTH + VERB_WIDTH + 1));
        }
        out
    }
}

impl<W: Write> Reporter for Log<W> {
    fn on(&mut self, event: &Stamped) -> io::Result<()> {
        if !shows(&event.event) {
            return Ok(());
        }
        let clean = neutral(&event.event);
        let told = notice(&clean, event.elapsed_us, &self.story, self.style.glyphs)
            .map(|notice| self.line(event.elapsed_us, &notice));
        self.story.fold_neutral(event.at, event.elapsed_us, clean);
        if let Some(lines) = told {
            self.out.write_all(lines.as_bytes())?;
            self.out.flush()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
