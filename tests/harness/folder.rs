//! The folder for data and logs of a run.

use super::Result;
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    thread::sleep,
    time::Duration,
};
use tempfile::TempDir;

pub struct Folder {
    pub path: PathBuf,
}

impl Folder {
    /// Creates a temporary folder that the servers' users may enter.
    pub fn new(prefix: &str) -> Result<Self> {
        let path = TempDir::with_prefix(prefix)?.keep();
        fs::set_permissions(&path, Permissions::from_mode(0o711))?;
        Ok(Self { path })
    }

    /// Removes the folder, with retries: processes that write there may take a moment to end.
    pub fn remove(&self) {
        for _ in 0..50 {
            match fs::remove_dir_all(&self.path) {
                Err(_) if self.path.exists() => sleep(Duration::from_millis(100)),
                _ => return,
            }
        }
        eprintln!("could not remove {}", self.path.display());
    }
}
