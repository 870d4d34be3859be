//! Figures of a service over the time of a run.

use serde::{Deserialize, Serialize};

use crate::stack::Millis;

/// One figure of one service, sampled while its stack was up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The service's stack.
    pub stack: String,
    /// Service.
    pub service: String,
    /// What was measured: `cpu`, `memory`, or the name of a Prometheus metric with its labels.
    pub figure: String,
    /// What it is counted in.
    pub unit: Unit,
    /// When, in milliseconds since the run's start, and how much; in the order of time. A value holds until the next one.
    pub points: Vec<(Millis, f64)>,
}

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Processor cores in use.
    Cores,
    /// Bytes.
    Bytes,
    /// Bytes a second.
    BytesPerSecond,
    /// Seconds.
    Seconds,
    /// Events a second.
    PerSecond,
    /// A part of a whole, from 0 to 1.
    Ratio,
    /// A number of things.
    Count,
}
