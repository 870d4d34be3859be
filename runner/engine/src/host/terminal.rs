//! The terminal that the process was started from.

use std::io;

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

use crate::docker::ScreenSize;

/// Whether standard input and output are both a terminal.
pub fn is_there() -> bool {
    isatty(io::stdin()) && isatty(io::stdout())
}

/// Its size; none where it does not say.
pub fn size() -> Option<ScreenSize> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some(ScreenSize { rows: size.ws_row, columns: size.ws_col })
}

/// Every key goes to whoever reads, until this is dropped: then the terminal is as it was.
pub struct Raw(Termios);

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Raw")
    }
}

impl Raw {
    /// Begins.
    pub fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Tells when its size changes.
#[derive(Debug)]
pub struct Resizes(tokio::signal::unix::Signal);

impl Resizes {
    /// Begins to listen.
    pub fn listen() -> io::Result<Self> {
        Ok(Self(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::window_change())?))
    }

    /// Waits for the next change.
    pub async fn next(&mut self) {
        let _ = self.0.recv().await;
    }
}
