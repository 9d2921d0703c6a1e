//! The product's clock, set by libfaketime.

use crate::Result;
use std::{
    fs,
    path::{Path, PathBuf},
};

const LIBRARY: &str = "libfaketimeMT.so.1";
const LIBRARY_FOLDERS: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu/faketime",
    "/usr/lib/aarch64-linux-gnu/faketime",
    "/usr/lib/faketime",
    "/usr/lib64/faketime",
    "/usr/local/lib/faketime",
    "/opt/homebrew/lib/faketime",
];

pub struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// Builds a clock that is right so far. The error says what is not installed.
    pub fn new(folder: &Path) -> Result<Self> {
        let library = LIBRARY_FOLDERS
            .iter()
            .map(|folder| Path::new(folder).join(LIBRARY))
            .find(|library| library.exists())
            .ok_or_else(|| format!("{LIBRARY} is missing (Debian: faketime)"))?;
        let clock = Self { library, file: folder.join("clock") };
        clock.step(0)?;
        Ok(clock)
    }

    /// Sets the clock this many seconds ahead of the system's.
    pub fn step(&self, seconds: i32) -> Result<()> {
        // At once or not at all: it is read at any moment.
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{seconds:+}\n"))?;
        Ok(fs::rename(&new, &self.file)?)
    }

    /// Returns the environment of a process that uses this clock.
    pub fn settings(&self) -> Vec<(String, String)> {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("DONT_FAKE_MONOTONIC", "1".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}
