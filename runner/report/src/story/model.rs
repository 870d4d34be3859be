//! A model on its way here.

use testbed_model::event::{Event, ModelOrigin};

use super::Story;

/// What is known of a model.
#[derive(Clone, Debug)]
pub struct ModelStory {
    /// Name in `models.toml`.
    pub name: String,
    /// How far it is.
    pub state: ModelState,
    /// When it was first mentioned, in microseconds since the run's start.
    pub began_us: u64,
}

/// How far a model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelState {
    /// It is being made or fetched.
    Working {
        /// Step.
        step: String,
        /// Bytes done.
        done: Option<u64>,
        /// Bytes in all.
        total: Option<u64>,
    },
    /// It is here.
    Ready {
        /// How it came here.
        origin: ModelOrigin,
    },
}

impl Story {
    pub(super) fn fold_model(&mut self, elapsed_us: u64, event: Event) {
        let (name, state) = match event {
            Event::ModelProgress { model, step, done, total } => {
                (model, ModelState::Working { step, done, total })
            }
            Event::ModelReady { model, origin, .. } => (model, ModelState::Ready { origin }),
            _ => return,
        };
        match self.models.iter_mut().find(|model| model.name == name) {
            Some(model) => model.state = state,
            None => self.models.push(ModelStory { name, state, began_us: elapsed_us }),
        }
    }
}
