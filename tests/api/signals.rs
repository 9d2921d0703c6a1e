//! Signals that mean "reload" to other programs do not stop a role.

use crate::support::{
    Person,
    database::Database,
    eventually,
    executable::{Role, serve_settings},
    installation::Installation,
    log::Log,
};
use reqwest::Client;

/// Signals that tools send after they rotate logs or renew certificates.
const RELOAD_SIGNALS: [&str; 3] = ["HUP", "USR1", "USR2"];

/// Sends each of the signals, waits until the log has all of them, and checks that the role still answers.
async fn goes_on(role: &Role, log: &Log, url: &str) {
    for name in RELOAD_SIGNALS {
        role.signal(name);
    }
    eventually("the signals to be ignored", async || {
        let text = log.text();
        RELOAD_SIGNALS.iter().all(|name| text.contains(&format!("SIG{name}"))).then_some(())
    })
    .await;
    Person::new(&Client::new(), url, None).get("/healthz").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_goes_on_after_a_hangup() {
    let (database, log) = (Database::file(), Log::new());
    let environment = serve_settings(&database.url, &[]);
    let mut serve = Role::start_logging_to(log.file(), &["serve", "--demo"], &environment);
    let url = serve.url().await;
    goes_on(&serve, &log, &url).await;
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_goes_on_after_a_hangup() {
    let (bar, log) = (Installation::new().await, Log::new());
    let settings = [("ADMIN_ADDR", "127.0.0.1:0"), ("RUST_LOG", "info")];
    let environment = [bar.environment().as_slice(), &settings].concat();
    let mut work = Role::start_logging_to(log.file(), &["work"], &environment);
    let url = work.admin_url().await;
    goes_on(&work, &log, &url).await;
    work.stop().await;
    bar.prefix.clear().await;
}
