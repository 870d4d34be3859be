//! Opening a store: what is in it, and who may not touch it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::HistoryStore;
use super::error::HistoryError;

/// The version of the tables.
pub(super) const VERSION: i64 = 1;

/// What tells a history from other SQLite files: `tbhi`.
const APPLICATION: i64 = 0x7462_6869;

/// How long another process may hold a store before that is told.
const PATIENCE: Duration = Duration::from_secs(5);

/// A result is found by its case; all of a case's results lie together in the order of time, so that asking for its newest is one
/// step. Red ones are few, and the index of them is what makes looking for trouble quick.
const TABLES: &str = "
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    started INTEGER NOT NULL,   -- milliseconds since 1970
    source INTEGER NOT NULL,    -- 0 JUnit, 1 record
    finished INTEGER NOT NULL,
    share INTEGER NOT NULL,
    exit_code INTEGER,
    revision TEXT,
    count INTEGER NOT NULL,     -- of results
    digest TEXT NOT NULL
) STRICT;
CREATE TABLE shares (           -- run stands for the one of this key
    run INTEGER NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE replaced (key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE environments (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE subjects (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,         -- of the case
    lane TEXT NOT NULL,
    UNIQUE (name, lane)
) STRICT;
CREATE TABLE results (
    subject INTEGER NOT NULL,
    started INTEGER NOT NULL,   -- the run's
    run INTEGER NOT NULL,
    environment INTEGER,
    outcome INTEGER NOT NULL,
    executions INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    duration INTEGER NOT NULL,  -- milliseconds
    PRIMARY KEY (subject, started, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX failed ON results (started, subject) WHERE failures > 0;
";

impl HistoryStore {
    /// Opens the store, and makes it where there is none.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        Self::open_patiently(path, PATIENCE)
    }

    /// Opens the store if there is one; nothing is made.
    pub fn open_existing(path: &Path) -> Result<Option<Self>, HistoryError> {
        if path.exists() { Self::open(path).map(Some) } else { Ok(None) }
    }

    /// Opens the store, waiting for others no longer than that.
    pub(super) fn open_patiently(path: &Path, patience: Duration) -> Result<Self, HistoryError> {
        let failed = HistoryError::of(path);
        if !path.exists() {
            make(path)?;
        }
        // One connection is one thread's.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(&failed)?;
        connection.busy_timeout(patience).map_err(&failed)?;
        let store = Self { path: path.to_owned(), connection };
        // Nothing is written before it is clear that this version may.
        store.check()?;
        store.connection.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
        Ok(store)
    }

    /// What is there must be a history that this version knows.
    fn check(&self) -> Result<(), HistoryError> {
        let pragma = |name: &str| {
            let value = self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            value.map_err(HistoryError::of(&self.path))
        };
        let path = self.path.clone();
        match (pragma("application_id")?, pragma("user_version")?) {
            (APPLICATION, VERSION) => Ok(()),
            (APPLICATION, found) if found > VERSION => Err(HistoryError::Newer { path, found }),
            _ => Err(HistoryError::Foreign { path }),
        }
    }
}

/// Makes an empty store. It is made beside its place and then put there, so that nobody ever sees half of one, and of several who make it
/// at once one is first.
fn make(path: &Path) -> Result<(), HistoryError> {
    let refused = |source| HistoryError::Read { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(refused)?;
    // As any file of this user's: others of a group may be meant to read it.
    let rights = fs::Permissions::from_mode(0o666);
    let made = tempfile::Builder::new()
        .prefix("history-")
        .permissions(rights)
        .tempfile_in(folder)
        .map_err(refused)?;
    let fill = || {
        let connection = Connection::open(made.path())?;
        // Readers and a writer do not keep each other waiting. The file remembers it.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.execute_batch(TABLES)?;
        connection.pragma_update(None, "application_id", APPLICATION)?;
        connection.pragma_update(None, "user_version", VERSION)?;
        connection.close().map_err(|(_, error)| error)
    };
    fill().map_err(HistoryError::of(path))?;
    match made.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(refused(error.error)),
    }
}
