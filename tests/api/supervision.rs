//! A role fails when one of its background tasks ends, instead of running without it.

use crate::support::{
    database::Database,
    executable::{Role, serve_settings},
    installation::Installation,
    log::Log,
};
use rcgen::generate_simple_self_signed;
use std::fs;
use tempfile::TempDir;

/// Starts a role with a task that ends at once, and checks that the role fails.
async fn ends_without(task: &str, role: &str, environment: &[(&str, &str)]) {
    let log = Log::new();
    let settings =
        [environment, &[("ADMIN_ADDR", "127.0.0.1:0"), ("SHAKERQUEUE_FAULT_ENDING_TASK", task)]].concat();
    let role = Role::start_logging_to(log.file(), &[role], &settings);
    assert_eq!(role.ended().await.code(), Some(1), "{task}");
    let reason = format!("shakerqueue: the background task {task:?} ended: it returned");
    assert!(log.text().contains(&reason), "{task}: {}", log.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serve_does_not_go_on_without_one_of_its_tasks() {
    let database = Database::file();
    let environment = serve_settings(&database.url, &[]);
    for task in ["menu", "access", "tidy-up", "open orders", "recorder", "admin server", "api server"] {
        ends_without(task, "serve", &environment).await;
    }
    let folder = TempDir::new().unwrap();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    let made = generate_simple_self_signed(["bar.example".to_owned()]).expect("a certificate");
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let files = [("TLS_CERT_FILE", certificate.to_str().unwrap()), ("TLS_KEY_FILE", key.to_str().unwrap())];
    ends_without("certificate", "serve", &[&environment[..], &files].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_does_not_go_on_without_its_broker_or_its_worker() {
    let bar = Installation::new().await;
    for task in ["broker", "recovery"] {
        ends_without(task, "serve", &bar.environment()).await;
    }
    for task in ["broker", "admin server", "worker"] {
        ends_without(task, "work", &bar.environment()).await;
    }
    bar.prefix.clear().await;
}
