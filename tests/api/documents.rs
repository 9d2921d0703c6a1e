//! Documents are true: links lead somewhere, the tests that a requirement names exist, and commands work.

pub mod commands;
mod links;
mod security;

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Finds the repository's files with this extension below this folder, without build output and hidden folders other than
/// `.ci` and `.github`.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![root().join(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            let name = path.file_name().expect("a name").to_string_lossy();
            let hidden = name.starts_with('.') && name != ".ci" && name != ".github";
            if path.is_dir() && !hidden && name != "target" {
                folders.push(path);
            } else if path.is_file() && path.extension().is_some_and(|is| is == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

pub fn documents() -> Vec<PathBuf> {
    files("", "md")
}

/// Returns the path of a file in the repository, as documents write it.
fn name(path: &Path) -> String {
    path.strip_prefix(root()).expect("a file of the repository").to_string_lossy().into_owned()
}

/// Returns the texts between backticks.
pub fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
