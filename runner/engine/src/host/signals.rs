//! Signals that ask the runner to end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for the signals by which a person, a CI system or a closing terminal ends a run.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Begins to listen; from now on these signals end nothing by themselves.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal and gives its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::Signals;

    #[tokio::test]
    async fn a_signal_is_named_and_ends_nothing() {
        let mut signals = Signals::listen().unwrap();
        kill_process(getpid(), Signal::HUP).unwrap();
        assert_eq!(signals.next().await, "SIGHUP");
    }
}
