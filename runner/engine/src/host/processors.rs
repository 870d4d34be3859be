//! How much can happen at a time.

use std::num::NonZero;

/// How many processors this process may use, at least one.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}
