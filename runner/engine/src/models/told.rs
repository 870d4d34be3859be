//! What is told of a model on its way, not too often.

use testbed_model::event::{Event, ModelOrigin};
use testbed_model::models::{Model, ModelContent};

use crate::events::Events;

/// Between two tellings of bytes; a screen shows no more.
const PAUSE_MS: u64 = 150;

/// Tells of one model.
#[derive(Debug)]
pub struct Told<'t> {
    events: &'t Events,
    model: String,
    total: u64,
    /// Bytes of the files that are done.
    done: u64,
    file: String,
    last_ms: Option<u64>,
}

impl<'t> Told<'t> {
    /// Begins to tell.
    pub fn new(events: &'t Events, model: &Model) -> Self {
        Self {
            events,
            model: model.name.clone(),
            total: model.size,
            done: 0,
            file: String::new(),
            last_ms: None,
        }
    }

    /// What is done now.
    pub fn step(&mut self, step: String) {
        let (model, done, total) = (self.model.clone(), Some(self.done), Some(self.total));
        self.last_ms = None;
        self.events.emit(Event::ModelProgress { model, step, done, total });
    }

    /// Which file it is about.
    pub fn file(&mut self, path: &str) {
        path.clone_into(&mut self.file);
        self.step(path.to_owned());
    }

    /// How many bytes of the file are here.
    pub fn bytes(&mut self, of_file: u64) {
        let now = self.events.clock().elapsed_ms();
        if self.last_ms.is_some_and(|last| now < last + PAUSE_MS) {
            return;
        }
        self.last_ms = Some(now);
        let done = self.done + of_file;
        // Where nothing is pinned, the size is about right.
        let (model, step, total) = (self.model.clone(), self.file.clone(), self.total.max(done));
        self.events.emit(Event::ModelProgress { model, step, done: Some(done), total: Some(total) });
    }

    /// A file of so many bytes is done.
    pub fn add(&mut self, bytes: u64) {
        self.done += bytes;
    }

    /// The model is here.
    pub fn ready(self, content: ModelContent, origin: ModelOrigin) {
        self.events.emit(Event::ModelReady { model: self.model, content, origin });
    }
}
