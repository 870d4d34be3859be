//! What can be asked of a store.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::params;
use testbed_model::history::{
    GROWTH_RUNS, Growth, OBSERVED, Observation, Overview, RunKey, Standing, Subject, WINDOW_DAYS,
};
use testbed_model::record::EnvironmentId;
use testbed_model::selection::CasePattern;

use super::HistoryStore;
use super::error::HistoryError;
use super::write::outcome;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A run as observations name it.
struct Head {
    started: Timestamp,
    key: RunKey,
    revision: Option<String>,
}

/// What observations are completed with, read once a question.
struct Known {
    runs: HashMap<i64, Head>,
    environments: HashMap<i64, EnvironmentId>,
}

impl HistoryStore {
    /// How much it knows.
    pub fn overview(&self) -> Result<Overview, HistoryError> {
        let ask = || {
            let time =
                |millis: Option<i64>| millis.and_then(|millis| Timestamp::from_millisecond(millis).ok());
            let size = |count: i64| usize::try_from(count).unwrap_or_default();
            let cases = self.connection.query_row("SELECT COUNT(*) FROM subjects", [], |row| row.get(0))?;
            self.connection.query_row("SELECT COUNT(*), MIN(started), MAX(started) FROM runs", [], |row| {
                Ok(Overview {
                    runs: size(row.get(0)?),
                    cases: size(cases),
                    first: time(row.get(1)?),
                    last: time(row.get(2)?),
                })
            })
        };
        ask().map_err(HistoryError::of(&self.path))
    }

    /// The cases that failed in the rule's window, which ends with the newest run: flaky ones, regressions and others, the worst first.
    pub fn troubled(&self) -> Result<Vec<Standing>, HistoryError> {
        let ask = |until: i64| -> Result<Vec<(i64, Subject)>, rusqlite::Error> {
            let mut ask = self.connection.prepare_cached(
                "SELECT id, name, lane FROM subjects WHERE id IN
                 (SELECT subject FROM results INDEXED BY failed WHERE failures > 0 AND started BETWEEN ? AND ?)",
            )?;
            let rows = ask.query_map([until - WINDOW_DAYS * DAY_MS, until], named)?;
            rows.collect()
        };
        let Some(until) = self.overview()?.last else { return Ok(Vec::new()) };
        let subjects = ask(until.as_millisecond()).map_err(HistoryError::of(&self.path))?;
        let mut standings = self.standings_of(subjects, until)?;
        standings.retain(|standing| standing.rule.is_trouble());
        standings.sort_by(|a, b| a.urgency().cmp(&b.urgency()));
        Ok(standings)
    }

    /// All that is known of the cases that fit.
    pub fn standings(&self, pattern: &CasePattern) -> Result<Vec<Standing>, HistoryError> {
        let Some(until) = self.overview()?.last else { return Ok(Vec::new()) };
        let mut subjects = self.subjects()?;
        subjects.retain(|(_, subject)| pattern.matches(&subject.case));
        self.standings_of(subjects, until)
    }

    /// The cases that grew slower, those that lost the most time first.
    pub fn growers(&self, most: usize) -> Result<Vec<(Subject, Growth)>, HistoryError> {
        let known = self.known()?;
        let mut out = Vec::new();
        for (id, subject) in self.subjects()? {
            let observations = self.observations(id, GROWTH_RUNS, &known)?;
            out.extend(Growth::of(&observations).map(|growth| (subject, growth)));
        }
        out.sort_by(|a, b| b.1.by_ms().cmp(&a.1.by_ms()).then_with(|| a.0.cmp(&b.0)));
        out.truncate(most);
        Ok(out)
    }

    /// The cases that it knows, in order.
    pub fn cases(&self) -> Result<Vec<String>, HistoryError> {
        let mut cases: Vec<String> = self.subjects()?.into_iter().map(|(_, subject)| subject.case).collect();
        cases.sort();
        cases.dedup();
        Ok(cases)
    }

    pub(super) fn subjects(&self) -> Result<Vec<(i64, Subject)>, HistoryError> {
        let ask = || -> Result<Vec<(i64, Subject)>, rusqlite::Error> {
            let mut ask =
                self.connection.prepare_cached("SELECT id, name, lane FROM subjects ORDER BY 2, 3")?;
            let rows = ask.query_map([], named)?;
            rows.collect()
        };
        ask().map_err(HistoryError::of(&self.path))
    }

    fn standings_of(
        &self,
        subjects: Vec<(i64, Subject)>,
        until: Timestamp,
    ) -> Result<Vec<Standing>, HistoryError> {
        let known = self.known()?;
        let standing = |(id, subject): (i64, Subject)| {
            Ok(Standing::of(subject, self.observations(id, OBSERVED, &known)?, until))
        };
        subjects.into_iter().map(standing).collect()
    }

    /// The newest observations of a case, in the order of time.
    fn observations(
        &self,
        subject: i64,
        most: usize,
        known: &Known,
    ) -> Result<Vec<Observation>, HistoryError> {
        let ask = || -> Result<Vec<Observation>, rusqlite::Error> {
            let mut ask = self.connection.prepare_cached(
                "SELECT run, environment, outcome, executions, failures, duration FROM results
                 WHERE subject = ? ORDER BY started DESC, run DESC LIMIT ?",
            )?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let rows = ask.query_map(params![subject, most], |row| {
                let Some(head) = known.runs.get(&row.get(0)?) else { return Ok(None) };
                let environment: Option<i64> = row.get(1)?;
                Ok(Some(Observation {
                    at: head.started,
                    run: head.key.clone(),
                    revision: head.revision.clone(),
                    environment: environment.and_then(|id| known.environments.get(&id).cloned()),
                    outcome: outcome(row.get(2)?),
                    executions: row.get(3)?,
                    failures: row.get(4)?,
                    duration_ms: u64::try_from(row.get::<_, i64>(5)?).unwrap_or_default(),
                }))
            })?;
            let mut rows: Vec<Observation> = rows.filter_map(Result::transpose).collect::<Result<_, _>>()?;
            rows.reverse();
            Ok(rows)
        };
        ask().map_err(HistoryError::of(&self.path))
    }

    fn known(&self) -> Result<Known, HistoryError> {
        let ask = || -> Result<Known, rusqlite::Error> {
            let mut runs = self.connection.prepare_cached("SELECT id, started, key, revision FROM runs")?;
            let runs = runs.query_map([], |row| {
                let head = Head {
                    started: Timestamp::from_millisecond(row.get(1)?).unwrap_or(Timestamp::UNIX_EPOCH),
                    key: RunKey(row.get(2)?),
                    revision: row.get(3)?,
                };
                Ok((row.get(0)?, head))
            })?;
            let mut environments = self.connection.prepare_cached("SELECT id, name FROM environments")?;
            let environments =
                environments.query_map([], |row| Ok((row.get(0)?, EnvironmentId(row.get(1)?))))?;
            Ok(Known {
                runs: runs.collect::<Result<_, _>>()?,
                environments: environments.collect::<Result<_, _>>()?,
            })
        };
        ask().map_err(HistoryError::of(&self.path))
    }
}

fn named(row: &rusqlite::Row<'_>) -> Result<(i64, Subject), rusqlite::Error> {
    Ok((row.get(0)?, Subject { case: row.get(1)?, lane: row.get(2)? }))
}
