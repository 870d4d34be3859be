//! Two stores put together.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};

use super::HistoryStore;
use super::error::HistoryError;
use super::write::remove;

/// What a merge brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Runs that are new here, or better told.
    pub taken: usize,
    /// Runs that were known as well, or that others stand for.
    pub known: usize,
}

impl HistoryStore {
    /// Adds all that another store knows. The other one stays as it is, and the order of merges decides nothing.
    pub fn merge(&mut self, other: &Path) -> Result<Merged, HistoryError> {
        // Opened by itself first: that says what is wrong with it.
        let known = Self::open_existing(other)?
            .ok_or_else(|| HistoryError::Missing { path: other.to_owned() })?
            .overview()?
            .runs;
        if same_file(&self.path, other) {
            return Ok(Merged { taken: 0, known });
        }
        let failed = HistoryError::of(&self.path);
        let name = other.to_string_lossy();
        self.connection.execute("ATTACH DATABASE ? AS other", [name.as_ref()]).map_err(&failed)?;
        let merged = take_all(&mut self.connection).map_err(&failed);
        self.connection.execute("DETACH DATABASE other", []).map_err(&failed)?;
        merged
    }
}

/// All or nothing of what `other` knows.
fn take_all(connection: &mut Connection) -> Result<Merged, rusqlite::Error> {
    let db = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    db.execute_batch(
        "CREATE TEMP TABLE taken (theirs INTEGER PRIMARY KEY, own INTEGER, old INTEGER);
         INSERT OR IGNORE INTO main.replaced SELECT key FROM other.replaced;",
    )?;
    remove_each(&db, "SELECT id FROM main.runs WHERE key IN (SELECT key FROM main.replaced)")?;
    db.execute_batch(
        "INSERT INTO taken (theirs, old)
         SELECT theirs.id, own.id FROM other.runs theirs LEFT JOIN main.runs own ON own.key = theirs.key
         WHERE theirs.key NOT IN (SELECT key FROM main.replaced)
           AND (own.id IS NULL OR (theirs.source, theirs.finished, theirs.count, theirs.digest)
                                > (own.source, own.finished, own.count, own.digest));",
    )?;
    remove_each(&db, "SELECT old FROM taken WHERE old IS NOT NULL")?;
    db.execute_batch(
        "INSERT INTO main.runs (key, started, source, finished, share, exit_code, revision, count, digest)
         SELECT key, started, source, finished, share, exit_code, revision, count, digest
         FROM other.runs WHERE id IN (SELECT theirs FROM taken);
         UPDATE taken SET own = (SELECT own.id FROM other.runs theirs JOIN main.runs own ON own.key = theirs.key
                                 WHERE theirs.id = taken.theirs);
         INSERT INTO main.shares (run, key)
         SELECT taken.own, theirs.key FROM other.shares theirs JOIN taken ON taken.theirs = theirs.run;
         INSERT OR IGNORE INTO main.environments (name) SELECT name FROM other.environments;
         INSERT OR IGNORE INTO main.subjects (name, lane) SELECT name, lane FROM other.subjects
         WHERE EXISTS (SELECT 1 FROM other.results JOIN taken ON theirs = run WHERE subject = subjects.id);
         INSERT INTO main.results (subject, started, run, environment, outcome, executions, failures, duration)
         SELECT subject.id, theirs.started, taken.own, environment.id, theirs.outcome, theirs.executions,
                theirs.failures, theirs.duration
         FROM other.results theirs
         JOIN taken ON taken.theirs = theirs.run
         JOIN other.subjects named ON named.id = theirs.subject
         JOIN main.subjects subject ON subject.name = named.name AND subject.lane = named.lane
         LEFT JOIN other.environments called ON called.id = theirs.environment
         LEFT JOIN main.environments environment ON environment.name = called.name;",
    )?;
    let count = |sql: &str| db.query_row(sql, params![], |row| row.get::<_, i64>(0));
    let (taken, all) = (count("SELECT COUNT(*) FROM taken")?, count("SELECT COUNT(*) FROM other.runs")?);
    db.execute_batch("DROP TABLE taken")?;
    db.commit()?;
    let size = |count: i64| usize::try_from(count).unwrap_or_default();
    Ok(Merged { taken: size(taken), known: size(all - taken) })
}

fn remove_each(db: &Connection, runs: &str) -> Result<(), rusqlite::Error> {
    let runs: Vec<i64> =
        db.prepare(runs)?.query_map([], |row| row.get(0))?.collect::<Result<_, rusqlite::Error>>()?;
    runs.into_iter().try_for_each(|run| remove(db, run))
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
