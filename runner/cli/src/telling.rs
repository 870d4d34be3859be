//! One receiver of all events: it keeps them in the record and passes them to whoever shows.

use std::io::{self, Write as _};

use testbed_engine::store::{Store, StoreError};
use testbed_model::event::Stamped;
use testbed_report::json::JsonLines;
use testbed_report::live::Live;
use testbed_report::log::Log;
use testbed_report::style::Tone;
use testbed_report::{ReportError, Reporters, Story, Style};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::settings::Screen;

/// How events are shown while they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Progress on standard error: live on a terminal, a line per event elsewhere.
    Progress,
    /// The event stream as JSON lines on standard output.
    Json,
}

/// What is known when the events are over.
pub struct Told {
    /// The events, folded.
    pub story: Story,
    /// The record, where the run has one.
    pub store: Option<Store>,
    /// Why the record is not whole, if it is not.
    pub unwritten: Option<StoreError>,
    /// Reports that could not be written.
    pub silenced: Vec<ReportError>,
}

impl Told {
    /// Says which reports are not whole. A reader that has seen enough, such as `head`, is no trouble.
    pub fn warn_of_silenced(&self, style: &Style) {
        let lost = self.silenced.iter().filter(|error| error.source.kind() != io::ErrorKind::BrokenPipe);
        for error in lost {
            let label = style.paint(Tone::Warn, "warning:");
            // Where standard error is closed as well, nobody is left to tell.
            let _ = writeln!(io::stderr(), "{label} {error}");
        }
    }
}

/// A task that receives events until every handle to emit them is gone.
pub struct Telling {
    task: JoinHandle<Told>,
}

impl Telling {
    /// Begins to receive. A record that cannot be written any more ends the run: `cancel` is cancelled, for a verdict that
    /// nobody can look up is none.
    pub fn begin(
        mut events: UnboundedReceiver<Stamped>,
        show: Show,
        screen: Screen,
        mut store: Option<Store>,
        cancel: CancellationToken,
    ) -> Self {
        // Writing files and a screen blocks, so this has a thread of its own.
        let task = tokio::task::spawn_blocking(move || {
            let mut reporters = reporters(show, screen);
            let mut folded = Story::default();
            let mut unwritten = None;
            while let Some(stamped) = events.blocking_recv() {
                if let Some(store) = store.as_mut().filter(|_| unwritten.is_none())
                    && let Err(error) = store.append(&stamped)
                {
                    unwritten = Some(error);
                    cancel.cancel();
                }
                reporters.on(&stamped);
                folded.fold(&stamped);
            }
            let silenced = reporters.finish();
            Told { story: folded, store, unwritten, silenced }
        });
        Self { task }
    }

    /// Waits until every event is told. Every handle to emit must have been dropped.
    pub async fn end(self) -> Result<Told, tokio::task::JoinError> {
        self.task.await
    }
}

fn reporters(show: Show, screen: Screen) -> Reporters {
    match show {
        Show::Json => Reporters::new().with("json", JsonLines::new(io::stdout())),
        Show::Progress if screen.redraw => {
            Reporters::new().with("live", Live::new(console::Term::buffered_stderr(), screen.style))
        }
        Show::Progress => Reporters::new().with("log", Log::new(io::stderr(), screen.style)),
    }
}
