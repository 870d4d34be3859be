//! What everything that tells has in common, and several of them told at once.

use std::io;

use testbed_model::event::Stamped;

/// Turns events into bytes. A reporter never asks: what it is not told by an event, it does not know.
pub trait Reporter {
    /// Takes one event.
    fn on(&mut self, event: &Stamped) -> io::Result<()>;

    /// The events are over. Called once, also when the run did not finish.
    fn finish(&mut self) -> io::Result<()>;
}

/// Several reporters told the same. One that fails, because its pipe is closed or its disk is full, is told no more; the
/// run and the other reporters go on.
#[derive(Default)]
pub struct Reporters {
    telling: Vec<(&'static str, Box<dyn Reporter + Send>)>,
    silenced: Vec<ReportError>,
}

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the {report} report: {source}")]
pub struct ReportError {
    /// Which.
    pub report: &'static str,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl Reporters {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more, with the name that an error gives it.
    #[must_use]
    pub fn with(mut self, name: &'static str, reporter: impl Reporter + Send + 'static) -> Self {
        self.telling.push((name, Box::new(reporter)));
        self
    }

    /// Tells everybody one event.
    pub fn on(&mut self, event: &Stamped) {
        self.each(|reporter| reporter.on(event));
    }

    /// Tells everybody that the events are over, and gives what could not be written.
    pub fn finish(mut self) -> Vec<ReportError> {
        self.each(Reporter::finish);
        self.silenced
    }

    fn each(&mut self, mut tell: impl FnMut(&mut (dyn Reporter + Send + 'static)) -> io::Result<()>) {
        let silenced = &mut self.silenced;
        self.telling.retain_mut(|(report, reporter)| match tell(reporter.as_mut()) {
            Ok(()) => true,
            Err(source) => {
                silenced.push(ReportError { report, source });
                false
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use jiff::Timestamp;
    use testbed_model::event::{Event, Stamped};

    use super::{Reporter, Reporters};

    struct Closed;

    impl Reporter for Closed {
        fn on(&mut self, _: &Stamped) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn finish(&mut self) -> io::Result<()> {
            panic!("a silenced reporter is told no more")
        }
    }

    struct Counting(Arc<AtomicUsize>);

    impl Reporter for Counting {
        fn on(&mut self, _: &Stamped) -> io::Result<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }

        fn finish(&mut self) -> io::Result<()> {
            self.0.fetch_add(100, Ordering::Relaxed);
            Ok(())
        }
    }

    #[test]
    fn one_reporter_that_fails_silences_no_other() {
        let heard = Arc::new(AtomicUsize::new(0));
        let mut reporters = Reporters::new().with("json", Closed).with("log", Counting(Arc::clone(&heard)));
        for seq in 0..3 {
            let event = Event::Warning { message: String::new(), hint: None };
            reporters.on(&Stamped { seq, at: Timestamp::UNIX_EPOCH, elapsed_us: 0, event });
        }
        let errors = reporters.finish();
        assert_eq!(heard.load(Ordering::Relaxed), 103);
        assert_eq!(errors.len(), 1);
        assert!(errors[0].to_string().starts_with("cannot write the json report: "));
    }
}
