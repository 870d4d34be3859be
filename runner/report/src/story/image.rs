//! An image on its way into the daemon.

use testbed_model::event::{Event, ImageOrigin};

use super::Story;

/// What is known of an image.
#[derive(Clone, Debug)]
pub struct ImageStory {
    /// Name in the lock.
    pub name: String,
    /// How far it is.
    pub state: ImageState,
    /// When it was first mentioned, in microseconds since the run's start.
    pub began_us: u64,
    /// When it was last mentioned.
    pub last_us: u64,
}

/// How far an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageState {
    /// It is being made or fetched.
    Working {
        /// Step.
        step: String,
        /// Bytes done.
        done: Option<u64>,
        /// Bytes in all.
        total: Option<u64>,
    },
    /// It is there.
    Ready {
        /// Reference.
        reference: String,
        /// Content id.
        id: String,
        /// How it came to be there.
        origin: ImageOrigin,
    },
}

impl Story {
    pub(super) fn fold_image(&mut self, elapsed_us: u64, event: Event) {
        let (name, state) = match event {
            Event::ImageProgress { image, step, done, total } => {
                (image, ImageState::Working { step, done, total })
            }
            Event::ImageReady { image, reference, id, origin } => {
                (image, ImageState::Ready { reference, id, origin })
            }
            _ => return,
        };
        match self.images.iter_mut().find(|image| image.name == name) {
            Some(image) => {
                image.state = state;
                image.last_us = elapsed_us;
            }
            None => {
                self.images.push(ImageStory { name, state, began_us: elapsed_us, last_us: elapsed_us });
            }
        }
    }
}
