//! A terminal on which each line ends where its text ends.
//!
//! indicatif fills every line with spaces up to the screen's edge and lets the terminal wrap to the next. After a change of
//! the window's size such lines flow into each other. Here the filling becomes a line end instead.

use std::io;
use std::sync::{Mutex, PoisonError};

use indicatif::TermLike;

/// A terminal whose lines are not filled.
#[derive(Debug)]
pub(super) struct Lines<T> {
    term: T,
    next: Mutex<Next>,
}

/// What indicatif writes next: it writes each line's text, then its filling, and flushes after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    FirstText,
    Filling,
    Text,
}

impl<T: TermLike> Lines<T> {
    pub(super) const fn new(term: T) -> Self {
        Self { term, next: Mutex::new(Next::FirstText) }
    }
}

impl<T: TermLike> TermLike for Lines<T> {
    fn width(&self) -> u16 {
        self.term.width()
    }

    fn height(&self) -> u16 {
        self.term.height()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.term.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        match *next {
            Next::FirstText => {
                *next = Next::Filling;
                self.term.write_str(text)
            }
            Next::Filling => {
                *next = Next::Text;
                Ok(())
            }
            Next::Text => {
                *next = Next::Filling;
                self.term.write_line("")?;
                self.term.write_str(text)
            }
        }
    }

    fn clear_line(&self) -> io::Result<()> {
        self.term.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Next::FirstText;
        self.term.flush()
    }
}
