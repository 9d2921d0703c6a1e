//! The commands of documents work: they run as they are, in a shell, except for addresses and ids, and their output is
//! compared with the document.

mod api;
mod backups;
mod operations;
mod psql;
mod readme;

use crate::{documents::commands::block, support::WAIT_TIMEOUT};
use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{process::Command, time::timeout};

/// Replaces a placeholder, which must be there.
fn with(text: &str, theirs: &str, ours: &str) -> String {
    assert!(text.contains(theirs), "there is no {theirs:?} to be replaced in {text}");
    text.replace(theirs, ours)
}

/// Builds a shell that stops at the first failure, in this folder, with `shakerqueue` on its path and these variables.
fn shell(commands: &str, folder: &Path, environment: &[(&str, &str)]) -> Command {
    let programs = Path::new(env!("CARGO_BIN_EXE_shakerqueue")).parent().expect("a folder").to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([programs].into_iter().chain(env::split_paths(&path))).expect("a path");
    let mut shell = Command::new("bash");
    shell.args(["-euc", commands]).current_dir(folder).env_clear().env("PATH", path);
    shell.env("BCRYPT_COST", "4").envs(environment.iter().copied());
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    shell
}

/// Runs commands that must succeed, and returns their output.
async fn run(commands: &str, folder: &Path, environment: &[(&str, &str)]) -> String {
    let mut shell = shell(commands, folder, environment);
    let ended = timeout(WAIT_TIMEOUT * 2, shell.stderr(Stdio::piped()).output());
    let output = ended.await.expect("an end in time").expect("bash");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{commands}\n{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Returns true if all programs are installed. If one is missing, panics unless `TEST_CLIENTS=optional`
/// (`tests/with-servers`).
pub fn are_here(programs: &[&str]) -> bool {
    let is_here = |program: &&str| {
        env::split_paths(&env::var_os("PATH").unwrap_or_default())
            .any(|folder| folder.join(program).is_file())
    };
    let missing: Vec<_> = programs.iter().filter(|program| !is_here(program)).collect();
    let excused = env::var_os("TEST_CLIENTS").is_some_and(|clients| clients == "optional");
    assert!(
        missing.is_empty() || excused,
        "not installed: {missing:?} (Debian: sqlite3, postgresql-client, pgbouncer)"
    );
    missing.is_empty()
}

/// Creates a folder for one test.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().to_owned();
    (folder, path)
}
