//! Notices that the files of a SQLite database were removed or replaced while they are open. SQLite itself
//! continues, and writes to files that nobody can find any more.
//!
//! Uses `stat` only. Opening and closing such a file would drop all locks that this process holds on it (a
//! rule of POSIX), and without its locks SQLite corrupts the database.

use diesel::connection::{Instrumentation, InstrumentationEvent, get_default_instrumentation};
use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

/// Interval at which the log repeats that files are missing.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

const DATABASE: &str = "database file";
/// Suffixes and names of the files that SQLite opens beside the database file.
const BESIDE: [(&str, &str); 2] = [("-wal", "database's write-ahead log"), ("-shm", "database's -shm file")];

/// Reason that the files on disk are not the ones that are open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error("the {0} is gone: it was removed, renamed or unmounted")]
    Gone(&'static str),
    #[error("the {0} was replaced by another file")]
    Replaced(&'static str),
    #[error("the {0} was emptied")]
    Emptied(&'static str),
    #[error("failed to examine the {0}: {1}")]
    Unknown(&'static str, io::ErrorKind),
}

/// Identity of a file, independent of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

pub struct SqliteFiles {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Set by the first connection.
    database: Option<FileId>,
    /// Files beside the database, while a connection has them open: the last one to close removes them, and
    /// the next creates them anew.
    beside: Weak<Beside>,
    fault: Option<FileError>,
    logged: Option<Instant>,
}

struct Beside(Vec<(&'static str, PathBuf, FileId)>);

/// Open files of a connection. Diesel stores this with the connection, in place of its default
/// instrumentation, to which all events are forwarded.
pub struct Opened {
    _beside: Arc<Beside>,
    listener: Option<Box<dyn Instrumentation>>,
}

impl Opened {
    fn new(beside: Arc<Beside>, path: &Path) -> Self {
        let mut listener = get_default_instrumentation();
        if let Some(listener) = &mut listener {
            let path = path.to_string_lossy();
            listener.on_connection_event(InstrumentationEvent::start_establish_connection(&path));
        }
        Self { _beside: beside, listener }
    }
}

impl Instrumentation for Opened {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let Some(listener) = &mut self.listener {
            listener.on_connection_event(event);
        }
    }
}

impl SqliteFiles {
    /// Takes the path of the database, whose files need not exist yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), state: Mutex::default() }
    }

    /// Checks that the files on disk are the ones that are open. Logs when they are not, and when they are
    /// again.
    pub fn check(&self) -> Result<(), FileError> {
        let mut state = self.lock();
        let found = self.compare(&state);
        let is_due = state.logged.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL);
        match &found {
            Err(error) if is_due => {
                tracing::error!(
                    file = %self.path.display(),
                    "{error}: the database is unavailable until it is back, or this process is restarted"
                );
                state.logged = Some(Instant::now());
            }
            Ok(()) if state.logged.take().is_some() => {
                tracing::info!(file = %self.path.display(), "the database's files are back");
            }
            _ => {}
        }
        state.fault = found.clone().err();
        found
    }

    /// Returns the result of the last check.
    pub fn fault(&self) -> Option<FileError> {
        self.lock().fault.clone()
    }

    /// Records the files that a new connection has open. Fails if they are not those of the other
    /// connections.
    pub fn opened(&self) -> Result<Opened, FileError> {
        let mut state = self.lock();
        if state.database.is_none() {
            state.database = Some(stat(&self.path, DATABASE)?.0);
        }
        self.compare(&state)?;
        if let Some(beside) = state.beside.upgrade() {
            return Ok(Opened::new(beside, &self.path));
        }
        let beside = Arc::new(Beside(self.beside()?));
        state.beside = Arc::downgrade(&beside);
        Ok(Opened::new(beside, &self.path))
    }

    fn beside(&self) -> Result<Vec<(&'static str, PathBuf, FileId)>, FileError> {
        // They lie beside the target of a symbolic link.
        let path = fs::canonicalize(&self.path).map_err(|error| failure(DATABASE, &error))?;
        let file = |(ending, name): (&str, &'static str)| {
            let mut path = OsString::from(&path);
            path.push(ending);
            let path = PathBuf::from(path);
            match stat(&path, name) {
                Ok((id, _)) => Some(Ok((name, path, id))),
                // A file system without shared memory has no -shm file.
                Err(FileError::Gone(_)) => None,
                Err(error) => Some(Err(error)),
            }
        };
        BESIDE.into_iter().filter_map(file).collect()
    }

    fn compare(&self, state: &State) -> Result<(), FileError> {
        let Some(known) = state.database else { return Ok(()) };
        match stat(&self.path, DATABASE)? {
            (id, _) if id != known => return Err(FileError::Replaced(DATABASE)),
            (_, 0) => return Err(FileError::Emptied(DATABASE)),
            _ => {}
        }
        let Some(beside) = state.beside.upgrade() else { return Ok(()) };
        for (name, path, known) in &beside.0 {
            if stat(path, name)?.0 != *known {
                return Err(FileError::Replaced(name));
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the identity and the size of the file at this path.
fn stat(path: &Path, name: &'static str) -> Result<(FileId, u64), FileError> {
    let found = fs::metadata(path).map_err(|error| failure(name, &error))?;
    Ok((FileId { device: found.dev(), inode: found.ino() }, found.len()))
}

fn failure(name: &'static str, error: &io::Error) -> FileError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FileError::Gone(name),
        kind => FileError::Unknown(name, kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    /// A database that is in use, and where it is.
    async fn database() -> (TempDir, PathBuf, Store) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("bar.db");
        let store = Store::sqlite(&path, 3).unwrap();
        store.migrate().await.unwrap();
        (folder, path, store)
    }

    fn beside(path: &Path, ending: &str) -> PathBuf {
        PathBuf::from(format!("{}{ending}", path.display()))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_file_that_is_taken_away_is_named_until_it_is_back() {
        let (folder, path, store) = database().await;
        for (ending, name) in [("", "database file"), ("-wal", "write-ahead log"), ("-shm", "-shm file")] {
            let (file, away) = (beside(&path, ending), folder.path().join("away"));
            fs::rename(&file, &away).unwrap();
            let error = store.ping().await.unwrap_err();
            assert!(error.is_transient() && error.to_string().contains(name), "{ending}: {error}");
            assert!(store.file_fault().unwrap().contains(name));
            assert!(!file.exists(), "{ending}: it was made anew");
            fs::copy(&away, &file).unwrap();
            assert!(store.ping().await.unwrap_err().to_string().contains("replaced"), "{ending}");
            fs::rename(&away, &file).unwrap();
            store.ping().await.unwrap();
            assert_eq!(store.file_fault(), None);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_emptied_file_is_noticed() {
        let (_folder, path, store) = database().await;
        fs::File::options().write(true).truncate(true).open(&path).unwrap();
        assert!(store.ping().await.unwrap_err().to_string().contains("emptied"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_the_last_connection_removed_may_be_made_anew() {
        let (_folder, path, store) = database().await;
        store.close();
        assert!(!beside(&path, "-wal").exists());
        let again = Store::sqlite(&path, 1).unwrap();
        again.ping().await.unwrap();
        assert!(beside(&path, "-wal").exists());
        again.ping().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_files_beside_a_link_are_those_of_the_file_it_leads_to() {
        let (folder, path, store) = database().await;
        store.close();
        let link = folder.path().join("link.db");
        symlink(&path, &link).unwrap();
        let store = Store::sqlite(&link, 2).unwrap();
        store.ping().await.unwrap();
        let other = folder.path().join("other.db");
        fs::copy(&path, &other).unwrap();
        fs::remove_file(&link).unwrap();
        symlink(&other, &link).unwrap();
        assert!(store.ping().await.unwrap_err().to_string().contains("replaced"));
    }
}
