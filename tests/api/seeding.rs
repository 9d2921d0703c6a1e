//! The executable as an operator runs it: filling databases, and refusing wrong settings.

mod help;
mod menus;
mod migrations;
mod refusals;
mod schema;
mod secrets;
mod seed;

use crate::support::{
    Person,
    database::Database,
    executable::{Role, run, serve_settings},
};
use reqwest::Client;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Runs a command that must succeed, and returns its output.
async fn does(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output = run(arguments, environment).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs a command that must fail with one line and exit code 1, and returns the line.
async fn refuses(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    // Only what it says itself: its log is of no concern here.
    let environment = [environment, &[("RUST_LOG", "off")]].concat();
    let output = run(arguments, &environment).await;
    let (said, complained) =
        (String::from_utf8(output.stdout).expect("UTF-8"), String::from_utf8(output.stderr).expect("UTF-8"));
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}{complained}");
    assert_eq!(said, "", "standard output is for what succeeded");
    let mut lines = complained.lines();
    let (sentence, more) = (lines.next().unwrap_or_default(), lines.next());
    assert_eq!(more, None, "one sentence is enough: {complained}");
    let sentence =
        sentence.strip_prefix("shakerqueue: ").unwrap_or_else(|| panic!("no sentence: {complained}"));
    assert!(!sentence.to_lowercase().contains("panicked") && !sentence.contains("src/"), "{sentence}");
    sentence.to_owned()
}

/// Starts a `serve` without demo data on this database. Returns it, and a stranger at it.
async fn serve(database: &Database, environment: &[(&str, &str)]) -> (Role, Person) {
    let mut role = Role::start(&["serve"], &serve_settings(&database.url, environment));
    let url = role.url().await;
    (role, Person::new(&Client::new(), &url, None))
}

/// Signs in and returns the status.
async fn login(stranger: &Person, email: &str, password: &str) -> u16 {
    stranger.post("/login", json!({ "email": email, "password": password })).await.status
}

fn file_of(database: &Database) -> PathBuf {
    Path::new(database.url.strip_prefix("sqlite://").expect("a file")).to_owned()
}

/// Returns true if nothing was written: no database file, and no table.
async fn is_untouched(database: &Database) -> bool {
    if database.url.starts_with("sqlite://") {
        let folder = file_of(database).parent().expect("a folder").to_owned();
        return folder.read_dir().expect("the folder").next().is_none();
    }
    database.count("pg_tables WHERE schemaname = 'public'").await == 0
}
