//! Adding runs.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use testbed_model::case::Outcome;
use testbed_model::exit_code::ExitCode;
use testbed_model::history::{PastResult, PastRun, RunKey, Source};

use super::HistoryStore;
use super::error::HistoryError;

/// What became of a run that was to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Added {
    /// It is new.
    New,
    /// It was known, and this is the better telling of it.
    Better,
    /// It was known as well as this, or better.
    Known,
    /// Another run stands for it.
    Replaced,
}

/// Outcomes by the numbers that the store has for them. Only ever added to.
const OUTCOMES: [Outcome; 7] = [
    Outcome::Passed,
    Outcome::Failed,
    Outcome::Error,
    Outcome::TimedOut,
    Outcome::Skipped,
    Outcome::ExpectedFailure,
    Outcome::Interrupted,
];

impl HistoryStore {
    /// Adds a run with all its results, or nothing of it. A run that is known changes nothing, unless this is the better telling.
    pub fn add(&mut self, run: &PastRun) -> Result<Added, HistoryError> {
        let failed = HistoryError::of(&self.path);
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&failed)?;
        let added = put(&transaction, run).map_err(&failed)?;
        transaction.commit().map_err(&failed)?;
        Ok(added)
    }
}

fn put(db: &Connection, run: &PastRun) -> Result<Added, rusqlite::Error> {
    let run = run.clone().normal();
    replace(db, &run.replaces)?;
    let mut is_replaced = db.prepare_cached("SELECT 1 FROM replaced WHERE key = ?")?;
    if is_replaced.exists([&run.key.0])? {
        return Ok(Added::Replaced);
    }
    let known = db
        .prepare_cached("SELECT id, source, finished, count, digest FROM runs WHERE key = ?")?
        .query_row([&run.key.0], |row| {
            let count = usize::try_from(row.get::<_, i64>(3)?).unwrap_or_default();
            Ok((row.get::<_, i64>(0)?, (source(row.get(1)?), row.get(2)?, count, row.get(4)?)))
        })
        .optional()?;
    let rank: (Source, bool, usize, String) = run.rank();
    let added = match known {
        Some((_, known)) if known >= rank => return Ok(Added::Known),
        Some((id, _)) => {
            remove(db, id)?;
            Added::Better
        }
        None => Added::New,
    };
    let id = insert_head(db, &run, &rank.3)?;
    insert_results(db, &run, id)?;
    Ok(added)
}

fn insert_head(db: &Connection, run: &PastRun, digest: &str) -> Result<i64, rusqlite::Error> {
    db.prepare_cached(
        "INSERT INTO runs (key, started, source, finished, share, exit_code, revision, count, digest)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        run.key.0,
        run.started.as_millisecond(),
        number_of_source(run.source),
        run.finished,
        run.share,
        run.exit_code.map(ExitCode::number),
        run.revision,
        i64::try_from(run.results.len()).unwrap_or(i64::MAX),
        digest
    ])?;
    let id = db.last_insert_rowid();
    let mut insert = db.prepare_cached("INSERT INTO shares (run, key) VALUES (?, ?)")?;
    for share in &run.replaces {
        insert.execute(params![id, share.0])?;
    }
    Ok(id)
}

fn insert_results(db: &Connection, run: &PastRun, id: i64) -> Result<(), rusqlite::Error> {
    let environments = environments(db, &run.results)?;
    let mut find = db.prepare_cached("SELECT id FROM subjects WHERE name = ? AND lane = ?")?;
    let mut make = db.prepare_cached("INSERT INTO subjects (name, lane) VALUES (?, ?)")?;
    let mut insert = db.prepare_cached(
        "INSERT INTO results (subject, started, run, environment, outcome, executions, failures, duration)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for result in &run.results {
        let subject = params![result.subject.case, result.subject.lane];
        let subject = match find.query_row(subject, |row| row.get::<_, i64>(0)).optional()? {
            Some(known) => known,
            None => make.insert(subject)?,
        };
        let environment = result.environment.as_ref().and_then(|it| environments.get(it.0.as_str()));
        insert.execute(params![
            subject,
            run.started.as_millisecond(),
            id,
            environment,
            number_of(result.outcome),
            result.executions,
            result.failures,
            i64::try_from(result.duration_ms).unwrap_or(i64::MAX)
        ])?;
    }
    Ok(())
}

fn environments<'r>(
    db: &Connection,
    results: &'r [PastResult],
) -> Result<BTreeMap<&'r str, i64>, rusqlite::Error> {
    let names: BTreeSet<&str> =
        results.iter().filter_map(|result| result.environment.as_ref().map(|it| it.0.as_str())).collect();
    let mut out = BTreeMap::new();
    for name in names {
        db.execute("INSERT OR IGNORE INTO environments (name) VALUES (?)", [name])?;
        let id = db.query_row("SELECT id FROM environments WHERE name = ?", [name], |row| row.get(0))?;
        out.insert(name, id);
    }
    Ok(out)
}

/// Takes runs out for which another one stands from now on.
fn replace(db: &Connection, keys: &BTreeSet<RunKey>) -> Result<(), rusqlite::Error> {
    for key in keys {
        db.execute("INSERT OR IGNORE INTO replaced (key) VALUES (?)", [&key.0])?;
        let run = db.query_row("SELECT id FROM runs WHERE key = ?", [&key.0], |row| row.get(0)).optional()?;
        if let Some(run) = run {
            remove(db, run)?;
        }
    }
    Ok(())
}

/// Takes a run out with all that only it knew.
pub(super) fn remove(db: &Connection, run: i64) -> Result<(), rusqlite::Error> {
    let started: i64 = db.query_row("SELECT started FROM runs WHERE id = ?", [run], |row| row.get(0))?;
    // By way of the subjects: the results of one run lie scattered among those of all others.
    db.execute(
        "DELETE FROM results WHERE subject IN (SELECT id FROM subjects) AND started = ? AND run = ?",
        [started, run],
    )?;
    db.execute("DELETE FROM shares WHERE run = ?", [run])?;
    db.execute("DELETE FROM runs WHERE id = ?", [run])?;
    db.execute(
        "DELETE FROM subjects WHERE NOT EXISTS (SELECT 1 FROM results WHERE subject = subjects.id)",
        [],
    )?;
    Ok(())
}

fn number_of(outcome: Outcome) -> i64 {
    let at = OUTCOMES.iter().position(|known| *known == outcome);
    at.and_then(|at| i64::try_from(at).ok()).unwrap_or_default()
}

/// The outcome of a number. One that nobody wrote says nothing.
pub(super) fn outcome(number: i64) -> Outcome {
    let at = usize::try_from(number).ok();
    at.and_then(|at| OUTCOMES.get(at)).copied().unwrap_or(Outcome::Skipped)
}

const fn number_of_source(source: Source) -> i64 {
    match source {
        Source::Junit => 0,
        Source::Record => 1,
    }
}

const fn source(number: i64) -> Source {
    if number == 0 { Source::Junit } else { Source::Record }
}
