//! Where the time of a bring-up by the bare engine API goes.

use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::future::try_join_all;
use futures_util::{StreamExt, pin_mut};
use jiff::Timestamp;
use testbed_engine::host::clock::{Clock, now};

use crate::bare::Started;
use crate::bench::Bench;
use crate::error::BenchError;
use crate::statistics::median;

/// The moments of one bring-up, in microseconds since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    network: u64,
    created: u64,
    started: u64,
    spoke: u64,
    chat: u64,
}

const NAMES: [&str; 5] = [
    "the network was created",
    "the last container was created",
    "the last start was answered",
    "the last service wrote its first line, its imports done",
    "the first chat came back",
];

impl Phases {
    /// Takes the moments that are known, and asks the daemon when each service wrote its first line.
    pub async fn read(
        bench: &Bench,
        clock: Clock,
        network: u64,
        started: &[Started],
        chat: u64,
    ) -> Result<Self, BenchError> {
        let begin = now().as_microsecond() - clock.elapsed_us().cast_signed();
        let lines = try_join_all(started.iter().map(|started| first_line(bench, &started.id))).await?;
        let since_begin = |at: &Timestamp| u64::try_from(at.as_microsecond() - begin).unwrap_or(0);
        Ok(Self {
            network,
            created: started.iter().map(|started| started.creation_us).max().unwrap_or(0),
            started: started.iter().map(|started| started.start_us).max().unwrap_or(0),
            spoke: lines.iter().flatten().map(since_begin).max().unwrap_or(0),
            chat,
        })
    }

    const fn moments(self) -> [u64; 5] {
        [self.network, self.created, self.started, self.spoke, self.chat]
    }
}

/// One sentence of medians.
pub fn sentence(all: &[Phases]) -> String {
    let moment = |index: usize| {
        let moments: Vec<f64> = all.iter().map(|phases| milliseconds(phases.moments()[index])).collect();
        median(&moments).unwrap_or(0.0)
    };
    let parts = NAMES.iter().enumerate().map(|(index, name)| format!("{:.0} ms {name}", moment(index)));
    format!(
        "Where the bare bring-up's time goes, by medians: after {}.",
        parts.collect::<Vec<_>>().join(", ")
    )
}

/// Microseconds as milliseconds.
#[allow(clippy::cast_precision_loss, reason = "a duration in microseconds has fewer than 53 bits")]
pub fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1000.0
}

async fn first_line(bench: &Bench, id: &str) -> Result<Option<Timestamp>, BenchError> {
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).timestamps(true).build();
    let lines = bench.engine.logs(id, Some(options));
    pin_mut!(lines);
    let Some(line) = lines.next().await else { return Ok(None) };
    let line = line.map_err(BenchError::engine("read a container's log"))?.to_string();
    Ok(line.split_whitespace().next().and_then(|stamp| stamp.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::{Phases, sentence};

    #[test]
    fn the_sentence_holds_medians_in_order() {
        let phases = |factor: u64| Phases {
            network: 50_000 * factor,
            created: 100_000 * factor,
            started: 800_000 * factor,
            spoke: 1_300_000 * factor,
            chat: 1_500_000 * factor,
        };
        let text = sentence(&[phases(1), phases(3), phases(2)]);
        assert!(text.contains("after 100 ms the network was created, 200 ms the last container"), "{text}");
        assert!(text.ends_with("3000 ms the first chat came back."), "{text}");
    }
}
