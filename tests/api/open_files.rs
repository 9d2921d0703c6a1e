//! The system's limit of open files.

use crate::support::{
    Person, WAIT_TIMEOUT,
    database::Database,
    eventually,
    executable::{Role, limited, serve_settings},
    raw::Raw,
};
use reqwest::Client;
use std::fs::{self, File};
use tempfile::TempDir;
use tokio::time::timeout;

/// Files that a `serve` with one thread, `ADMIN_ADDR` and default settings needs beside its clients' connections.
const OWN_FILES: usize = 64 + 3 * 10 + 256 + 2;

fn environment(database: &Database) -> Vec<(&str, &str)> {
    serve_settings(&database.url, &[("ADMIN_ADDR", "127.0.0.1:0"), ("HTTP_THREADS", "1")])
}

/// Sends a request on a connection that stays open.
async fn ask(raw: &mut Raw, path: &str, token: &str) -> u16 {
    let head = format!("GET {path} HTTP/1.1\r\nHost: bar\r\nAuthorization: Bearer {token}\r\n\r\n");
    raw.send(head.as_bytes()).await;
    raw.answer().await.expect("an answer").status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_lowered_to_what_the_system_allows_and_leave_the_database_its_own() {
    let (database, folder) = (Database::file(), TempDir::new().expect("a folder"));
    let log = folder.path().join("log");
    let (connections, streams) = (75, 25);
    let limit = u32::try_from(OWN_FILES + connections + streams).expect("small");
    let mut command = limited((128, limit), &["serve", "--demo"], &environment(&database));
    command.stderr(File::create(&log).expect("a log"));
    let mut role = Role::of(command);
    let (admin, url) = (role.admin_url().await, role.url().await);
    eventually("the log says so", async || {
        let log = fs::read_to_string(&log).expect("the log");
        let lowered = format!("HTTP_CONNECTIONS is lowered from 4096 to {connections}, STREAMS is lowered from 10000 to {streams}");
        log.contains(&lowered).then_some(())
    })
    .await;
    let http = Client::new();
    let guest = Person::new(&http, &url, None).sign_in("user@example.com").await;
    let token = guest.token();
    // With the one that is kept after signing in these are all.
    let mut all = Vec::new();
    for _ in 1..connections {
        let mut raw = Raw::open(&url).await;
        assert_eq!(ask(&mut raw, "/healthz", token).await, 200);
        all.push(raw);
    }
    // One more has to wait, also where each of the others needs the database.
    let mut waiting = Raw::open(&url).await;
    waiting.send(b"GET /healthz HTTP/1.1\r\nHost: bar\r\n\r\n").await;
    let asked: Vec<_> = all
        .into_iter()
        .map(|mut raw| {
            let token = token.to_owned();
            tokio::spawn(async move {
                let status = ask(&mut raw, "/orders", &token).await;
                (raw, status)
            })
        })
        .collect();
    let mut all = Vec::new();
    for asked in asked {
        let (raw, status) = timeout(WAIT_TIMEOUT, asked).await.expect("an answer in time").expect("no panic");
        assert_eq!(status, 200);
        all.push(raw);
    }
    Person::new(&http, &admin, None).get("/readyz").await.expect(200);
    all.clear();
    assert_eq!(waiting.answer().await.expect("its turn").status, 200);
    role.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_soft_limit_is_raised_to_what_is_needed() {
    let database = Database::file();
    let mut role = Role::of(limited((128, 20_000), &["serve"], &environment(&database)));
    role.url().await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", role.id())).expect("its limits");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("of files");
    let soft = files.split_whitespace().nth(3).expect("the soft one");
    assert_eq!(soft, (OWN_FILES + 4096 + 10_000).to_string(), "{files}");
    role.stop().await;
}

#[tokio::test]
async fn a_limit_that_leaves_no_clients_is_refused_at_start() {
    let database = Database::file();
    let mut command = limited((128, 128), &["serve"], &environment(&database));
    let output = timeout(WAIT_TIMEOUT, command.output()).await.expect("an end in time").expect("it starts");
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complained}");
    assert!(
        complained.contains(&format!("raise the hard limit to {}", OWN_FILES + 4096 + 10_000)),
        "{complained}"
    );
}
