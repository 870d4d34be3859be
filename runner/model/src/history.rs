//! History: how cases ended in many runs, and what follows from it.
//!
//! A history is a set of runs by their keys. Histories merge in any order and any number of times to the same one: of two tellings of
//! one run the better one stays ([`PastRun::rank`]), and a run that was put together of shares stands for them ever after. All that is
//! said of a case is a function of its observations, whatever order they come in.

mod change;
mod fold;
mod growth;
mod observation;
mod overview;
mod past_run;
mod rate;
mod rule;
mod standing;

pub use self::change::{Change, Suspicion};
pub use self::fold::History;
pub use self::growth::{GROWTH_RUNS, Growth};
pub use self::observation::{Observation, Subject};
pub use self::overview::Overview;
pub use self::past_run::{PastResult, PastRun, RunKey, Source};
pub use self::rate::Rate;
pub use self::rule::{FLAKY_ABOVE_PERCENT, IN_A_ROW, Rule, WINDOW_DAYS};
pub use self::standing::{InEnvironment, Moment, OBSERVED, Standing};

#[cfg(test)]
mod tests;
