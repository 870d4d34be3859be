//! How long cases usually take, for predictions and for sharing them out.

use std::collections::BTreeMap;

use testbed_model::stack::Millis;

use super::HistoryStore;
use super::error::HistoryError;

/// So many of a case's newest passes say how long it takes: their median, so that one slow run is nothing.
const PASSES: usize = 5;

impl HistoryStore {
    /// Case to its usual time. Runs that were one share of several say nothing: what one share has learned must not change what the
    /// next one is dealt.
    pub fn durations(&self) -> Result<BTreeMap<String, Millis>, HistoryError> {
        let ask = || -> Result<BTreeMap<String, Millis>, rusqlite::Error> {
            let mut ask = self.connection.prepare_cached(
                "SELECT results.duration FROM results JOIN runs ON runs.id = results.run
                 WHERE results.subject = ? AND results.outcome = 0 AND runs.share = 0
                 ORDER BY results.started DESC, results.run DESC LIMIT ?",
            )?;
            let mut subjects =
                self.connection.prepare_cached("SELECT id, name FROM subjects ORDER BY name, lane")?;
            let mut out = BTreeMap::new();
            let mut rows = subjects.query([])?;
            while let Some(row) = rows.next()? {
                let (id, case): (i64, String) = (row.get(0)?, row.get(1)?);
                let most = i64::try_from(PASSES).unwrap_or(i64::MAX);
                let times = ask.query_map([id, most], |row| row.get::<_, i64>(0))?;
                let mut times: Vec<Millis> = times
                    .map(|time| Ok(u64::try_from(time?).unwrap_or_default()))
                    .collect::<Result<_, rusqlite::Error>>()?;
                times.sort_unstable();
                if let Some(time) = times.get(times.len().saturating_sub(1) / 2) {
                    // A case of several lanes takes as long as in the slowest of them.
                    let longest = out.entry(case).or_insert(*time);
                    *longest = (*longest).max(*time);
                }
            }
            Ok(out)
        };
        ask().map_err(HistoryError::of(&self.path))
    }
}
