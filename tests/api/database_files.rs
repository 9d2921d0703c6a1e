//! Files of a SQLite database that are removed or replaced under a running `serve`: it accepts no order that would be
//! lost.

use crate::support::{
    Person,
    database::Database,
    eventually,
    executable::{Role, serve_settings},
    log::Log,
    person::Answer,
};
use reqwest::Client;
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A `serve` process on a file in a folder of its own, and a guest who has ordered.
struct FileServe {
    role: Role,
    guest: Person,
    order: Value,
    folder: PathBuf,
    file: PathBuf,
    log: Log,
    _kept: TempDir,
}

impl FileServe {
    async fn start() -> Self {
        let kept = TempDir::new().expect("a temporary folder");
        let folder = kept.path().join("data");
        fs::create_dir(&folder).expect("a folder");
        let file = folder.join("bar.db");
        let url = format!("sqlite://{}", file.display());
        let environment = serve_settings(&url, &[("RUST_LOG", "error,shakerqueue::store=info")]);
        let log = Log::new();
        let mut role = Role::start_logging_to(log.file(), &["serve", "--demo"], &environment);
        let stranger = Person::new(&Client::new(), &role.url().await, None);
        let guest = stranger.sign_in("user@example.com").await;
        let order = guest.order("Negroni").await;
        Self { role, guest, order, folder, file, log, _kept: kept }
    }

    fn beside(&self, ending: &str) -> PathBuf {
        PathBuf::from(format!("{}{ending}", self.file.display()))
    }

    async fn place(&self) -> Answer {
        self.guest.post("/orders", json!({ "recipe": "Negroni" })).await
    }

    /// Asserts that orders are refused, and that `/readyz` has the reason.
    async fn refuses(&self, why: &str) {
        let refused = self.place().await;
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        refused.expect_problem(503, "unavailable");
        self.guest.sees(&self.order).await.expect_problem(503, "unavailable");
        let ready = self.guest.get("/readyz").await.expect(503);
        assert_eq!(ready["parts"]["database"], "down");
        assert_eq!(ready["missing"][0]["part"], "database");
        assert!(ready["missing"][0]["reason"].as_str().expect("a reason").contains(why), "{ready}");
        assert!(!ready.to_string().contains("bar.db"), "a stranger is told a path: {ready}");
    }

    /// Asserts that orders are accepted again, and that the first one is still there.
    async fn goes_on(&self) {
        self.place().await.expect(201);
        self.guest.sees(&self.order).await.expect(200);
        self.guest.get("/readyz").await.expect(200);
    }

    /// Counts the log lines with these words.
    fn said(&self, words: &str) -> usize {
        self.log.text().lines().filter(|line| line.contains(words)).count()
    }
}

fn rename(from: &Path, to: &Path) {
    fs::rename(from, to).expect("renamed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_refused_while_the_file_is_gone_and_taken_once_it_is_back() {
    let bar = FileServe::start().await;
    let away = bar.folder.join("away.db");
    rename(&bar.file, &away);
    bar.refuses("gone").await;
    for _ in 0..20 {
        bar.refuses("gone").await;
    }
    assert!(!bar.file.exists(), "an empty file was made in its place");
    assert_eq!(bar.said("ERROR"), 1, "{}", bar.log.text());
    assert!(bar.log.text().contains("bar.db"), "{}", bar.log.text());
    rename(&away, &bar.file);
    bar.goes_on().await;
    assert_eq!(bar.said("are back"), 1, "{}", bar.log.text());
    bar.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_a_restore_put_in_its_place_is_not_written_to_behind_anybodys_back() {
    let bar = FileServe::start().await;
    let (copy, original) = (bar.folder.join("copy.db"), bar.folder.join("original.db"));
    fs::hard_link(&bar.file, &original).expect("a link");
    fs::copy(&bar.file, &copy).expect("a copy");
    rename(&copy, &bar.file);
    bar.refuses("replaced").await;
    rename(&original, &bar.file);
    bar.goes_on().await;
    bar.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_folder_and_what_is_beside_it_belong_to_it() {
    let bar = FileServe::start().await;
    let folder = bar.folder.with_file_name("elsewhere");
    rename(&bar.folder, &folder);
    bar.refuses("gone").await;
    rename(&folder, &bar.folder);
    bar.goes_on().await;
    for (ending, name) in [("-wal", "write-ahead log"), ("-shm", "-shm file")] {
        let (file, away) = (bar.beside(ending), bar.folder.join("away"));
        rename(&file, &away);
        bar.refuses(name).await;
        rename(&away, &file);
        bar.goes_on().await;
    }
    bar.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stored_before_the_log_was_removed_is_there_after_a_restart() {
    let bar = FileServe::start().await;
    fs::remove_file(bar.beside("-wal")).expect("removed");
    bar.refuses("write-ahead log").await;
    bar.role.stop().await;
    let url = format!("sqlite://{}", bar.file.display());
    let environment = serve_settings(&url, &[]);
    let mut again = Role::start(&["serve"], &environment);
    bar.guest.at(&again.url().await).sees(&bar.order).await.expect(200);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_file_takes_no_orders() {
    let bar = FileServe::start().await;
    File::options().write(true).truncate(true).open(&bar.file).expect("truncated");
    bar.refuses("emptied").await;
    bar.role.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_noticed_and_told_without_anybody_asking() {
    let bar = FileServe::start().await;
    fs::remove_file(&bar.file).expect("removed");
    eventually("the log to tell", async || (bar.said("ERROR") > 0).then_some(())).await;
    bar.role.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_may_need_percent_encoding() {
    let database = Database::file();
    let folder = Path::new(database.url.strip_prefix("sqlite://").unwrap()).parent().unwrap().to_owned();
    let url = format!("sqlite://{}/my%20bar%3F%23%20caf%C3%A9.db", folder.display());
    let environment = serve_settings(&url, &[]);
    let mut role = Role::start(&["serve"], &environment);
    Person::new(&Client::new(), &role.url().await, None).get("/readyz").await.expect(200);
    assert!(folder.join("my bar?# café.db").is_file());
    assert!(folder.join("my bar?# café.db.secret").is_file());
    role.stop().await;
}
