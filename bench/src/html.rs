//! `html`: the page of a run of 50,000 cases, with its logs and figures: how long it takes to make, and how large it is.

use testbed_engine::host::clock::Clock;
use testbed_report::html::{self, Page};

use crate::error::BenchError;
use crate::outcome::{Comparison, Row, Section, Unit};
use crate::phases::milliseconds;

#[path = "../../runner/report/tests/it/crowd.rs"]
#[allow(missing_docs, reason = "shared with the tests of the page")]
mod crowd;

const CASES: u64 = 50_000;

/// The page may take so many milliseconds, and so many million bytes.
const PAGE_MS: f64 = 2000.0;
const PAGE_MB: f64 = 5.0;

const BYTES_PER_MEGABYTE: f64 = 1e6;

/// Measures so many rounds, after one that does not count.
pub async fn measure(rounds: usize) -> Result<Section, BenchError> {
    let failed = |source| BenchError::Host { doing: "make the page".to_owned(), source };
    let measured = tokio::task::spawn_blocking(move || make(rounds)).await;
    let (times, sizes) = measured.map_err(|e| failed(std::io::Error::other(e)))?.map_err(failed)?;
    let rows = [
        Row::of("wall", "report --format html", Unit::Milliseconds, &times).map(|row| {
            let median = row.figures.median;
            row.compared([Comparison::with_limit("median to 2 s", median, PAGE_MS)])
        }),
        Row::of("size", "report --format html", Unit::Megabytes, &sizes).map(|row| {
            let max = row.figures.max;
            row.compared([Comparison::with_limit("max to 5 MB", max, PAGE_MB)])
        }),
    ];
    Ok(Section {
        name: "html",
        about: "the page of a run of 50,000 cases, with 15 logs of 6,000 lines each and 48 series of figures",
        rows: rows.into_iter().flatten().collect(),
        notes: vec![
            "From the record in memory to the page's bytes; reading the record is not part of it.".to_owned(),
        ],
    })
}

#[allow(clippy::cast_precision_loss, reason = "a page has fewer than 2^53 bytes")]
fn make(rounds: usize) -> std::io::Result<(Vec<f64>, Vec<f64>)> {
    let crowd = crowd::crowd(CASES).ok_or_else(|| std::io::Error::other("the run is not sound"))?;
    let page = Page { record: &crowd.record, logs: &crowd.logs, series: &crowd.series, rerun: None };
    let (mut times, mut sizes) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let clock = Clock::start();
        let mut bytes = Vec::new();
        html::write(&page, &mut bytes)?;
        if round > 0 {
            times.push(milliseconds(clock.elapsed_us()));
            sizes.push(bytes.len() as f64 / BYTES_PER_MEGABYTE);
        }
    }
    Ok((times, sizes))
}
