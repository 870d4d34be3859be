//! The live view on a terminal that is emulated, and on one that records every write.

use std::io;
use std::sync::{Arc, Mutex};

use indicatif::{InMemoryTerm, TermLike};
use testbed_report::live::Live;
use testbed_report::{Reporter as _, Style};

use crate::canned;

/// A terminal that records what is written to it.
#[derive(Clone, Debug)]
pub struct Recorder {
    columns: u16,
    rows: u16,
    written: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    pub fn new(columns: u16, rows: u16) -> Self {
        Self { columns, rows, written: Arc::default() }
    }

    pub fn written(&self) -> Vec<String> {
        self.written.lock().unwrap().clone()
    }

    fn record(&self, text: &str) {
        self.written.lock().unwrap().push(text.to_owned());
    }
}

impl TermLike for Recorder {
    fn width(&self) -> u16 {
        self.columns
    }

    fn height(&self) -> u16 {
        self.rows
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.record(text);
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.record(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Nothing of the picture is left, and nothing of what stands above it is gone, on screens of any width.
#[test]
fn after_a_run_the_screen_holds_what_was_printed_and_nothing_else() {
    for columns in [40, 60, 80, 120] {
        for (name, make) in canned::ALL {
            let term = InMemoryTerm::new(200, columns);
            let recorder = Recorder::new(columns, 200);
            let mut live = Live::new(term.clone(), Style::plain(80));
            let mut second = Live::new(recorder.clone(), Style::plain(80));
            for event in make() {
                live.on(&event).unwrap();
                second.on(&event).unwrap();
            }
            live.finish().unwrap();
            second.finish().unwrap();
            let shown = term.contents();
            let kinds = ["  lane ", "  stack ", "  image ", "  next "];
            let left = shown.lines().find(|line| kinds.iter().any(|kind| line.starts_with(kind)));
            assert_eq!(left, None, "{name} at {columns}:\n{shown}");
            // Every line that stands was written as a line, and all of them stand in their order.
            let written = recorder.written();
            let mut standing = shown.lines().filter(|line| !line.is_empty()).peekable();
            for line in &written {
                if standing.peek().is_some_and(|next| *next == line.trim_end()) {
                    standing.next();
                }
            }
            assert_eq!(standing.next(), None, "{name} at {columns}:\n{shown}");
        }
    }
}

#[test]
fn what_stands_after_a_red_run_at_sixty_columns() {
    let term = InMemoryTerm::new(60, 60);
    let mut live = Live::new(term.clone(), Style::plain(80));
    for event in canned::red() {
        live.on(&event).unwrap();
    }
    live.finish().unwrap();
    insta::assert_snapshot!(term.contents());
}
