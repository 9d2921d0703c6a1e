//! Clients can't fill the log.

use super::{Log, serve};
use crate::{
    attacks,
    support::{
        database::Database,
        executable::{Role, serve_settings},
        installation::Installation,
        raw::Raw,
    },
};
use futures_util::future::join_all;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::Client;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use std::{fs, sync::Arc};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

/// Returns requests that need no account: unreadable ones, and valid ones.
fn anonymous_requests() -> (Vec<String>, Vec<String>) {
    let (mut malformed, mut others) = attacks::requests();
    malformed.extend(
        [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET / HTTP/9.9\r\n\r\n",
            "G\0T / HTTP/1.1\r\n\r\n",
            "GET /\u{1} HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : bar\r\n\r\n",
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}",
            "POST /login HTTP/1.1\r\nHost: bar\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ]
        .map(str::to_owned),
    );
    malformed.push(format!("GET / HTTP/1.1\r\nX-Long: {}\r\n\r\n", "x".repeat(200_000)));
    malformed.push(format!("GET / HTTP/1.1\r\n{}\r\n", "X-Many: x\r\n".repeat(200)));
    let heads = [
        "GET /nowhere HTTP/1.1",
        "GET /me HTTP/1.1\r\nAuthorization: Bearer no-token",
        "GET /me HTTP/1.1\r\nAuthorization: Basic bm9ib2R5",
        "OPTIONS /orders HTTP/1.1\r\nOrigin: https://elsewhere.example\r\nAccess-Control-Request-Method: POST",
        "GET /recipes HTTP/1.1\r\nOrigin: https://elsewhere.example",
        "GET /recipes HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket",
        "GET /recipes HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c",
        "GET /recipes HTTP/1.1\r\nAccept: text/html",
        "GET /recipes HTTP/1.1\r\nAccept-Encoding: identity;q=0, *;q=0",
        "GET /recipes?limit=%ff&=&& HTTP/1.1",
        "GET /recipes/%ff%00 HTTP/1.1",
        "GET /docs/../../etc/passwd HTTP/1.1",
        "CONNECT bar:443 HTTP/1.1",
        "BREW /orders HTTP/1.1",
        "POST /login HTTP/1.1\r\nContent-Length: 9999999",
        "POST /login HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2",
        "POST /token/refresh HTTP/1.1\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 1",
    ];
    others.extend(heads.map(|head| format!("{head}\r\nHost: bar\r\n\r\n")));
    others.push(format!("GET /{} HTTP/1.1\r\nHost: bar\r\n\r\n", "x".repeat(5000)));
    (malformed, others)
}

/// Sends bytes over a new connection, and waits for an answer or the end of the connection.
async fn send(url: &str, request: String) {
    let mut raw = Raw::open(url).await;
    raw.send(request.as_bytes()).await;
    // A body that never comes would be waited for.
    raw.hang_up().await;
    while raw.more(&mut Vec::new()).await {}
}

/// Returns the lines of the log without times and numbers.
fn told(log: &Log) -> Vec<String> {
    let text = log.text();
    let lines = text.lines().map(|line| line.split_once(' ').map_or(line, |(_, rest)| rest));
    let mut lines: Vec<_> =
        lines.map(|line| line.replace(|letter: char| letter.is_ascii_digit(), "")).collect();
    lines.sort();
    lines
}

async fn counter(url: &str, name: &str) -> f64 {
    let text = Client::new().get(format!("{url}/metrics")).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the metric");
    line.trim().parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_of_an_attacker_is_a_line() {
    for level in ["warn,shakerqueue=info", "info", "debug,access=info,actix_web=info"] {
        let mut logs = Vec::new();
        for attacked in [false, true] {
            let (log, database) = (Log::new(), Database::file());
            let settings = [("RUST_LOG", level), ("CORS_ORIGINS", "https://bar.example")];
            let (role, url) = serve(&log, &database, &settings).await;
            if attacked {
                let (malformed, others) = anonymous_requests();
                let (least, most) = (attacks::requests().0.len(), malformed.len() + 2);
                join_all(malformed.into_iter().chain(others).map(|request| send(&url, request))).await;
                let counted = counter(&url, "shakerqueue_http_malformed_requests_total").await;
                let bounds = [least, most].map(|number| f64::from(u32::try_from(number).unwrap()));
                assert!((bounds[0]..=bounds[1]).contains(&counted), "{counted}: {bounds:?}");
            }
            role.stop().await;
            logs.push(told(&log));
        }
        assert_eq!(logs[0], logs[1], "{level}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_library_that_reads_requests_is_heard_where_it_is_named() {
    let (log, database) = (Log::new(), Database::file());
    let (role, url) = serve(&log, &database, &[("RUST_LOG", "warn,actix_http=error")]).await;
    send(&url, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()).await;
    role.stop().await;
    assert!(log.text().contains("stream error"), "{}", log.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_handshake_of_an_attacker_is_a_line() {
    let folder = TempDir::new().unwrap();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    let made = || generate_simple_self_signed(["bar.example".to_owned()]).expect("a certificate");
    let (CertifiedKey { cert, signing_key }, another) = (made(), made());
    fs::write(&certificate, cert.pem()).unwrap();
    fs::write(&key, signing_key.serialize_pem()).unwrap();
    let (log, database) = (Log::new(), Database::file());
    let files = [("TLS_CERT_FILE", certificate.to_str().unwrap()), ("TLS_KEY_FILE", key.to_str().unwrap())];
    let settings = [&[("ADMIN_ADDR", "127.0.0.1:0")], &files[..]].concat();
    let settings = serve_settings(&database.url, &settings);
    let mut role = Role::start_logging_to(log.file(), &["serve"], &settings);
    let admin = role.admin_url().await;
    let url = role.url().await;
    // Whoever trusts somebody else says so with an alert.
    let mut roots = RootCertStore::empty();
    roots.add(another.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("bar.example").unwrap();
    assert!(connector.connect(name, Raw::open(&url).await.0).await.is_err());
    // No TLS, a record that comes too early, an alert, and a warning.
    let bytes: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\nHost: bar\r\n\r\n",
        &[23, 3, 3, 0, 1, 0],
        &[21, 3, 3, 0, 2, 2, 48],
        &[21, 3, 3, 0, 2, 1, 90],
    ];
    for bytes in bytes {
        let mut raw = Raw::open(&url).await;
        raw.send(bytes).await;
        raw.hang_up().await;
        while raw.more(&mut Vec::new()).await {}
    }
    assert!(counter(&admin, "shakerqueue_tls_handshakes_failed_total").await >= 5.0);
    role.stop().await;
    let loud: Vec<_> = told(&log).into_iter().filter(|line| !line.contains(" INFO ")).collect();
    assert!(loud.is_empty(), "{loud:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_with_5xx_are_lines_up_to_a_bound_and_counted_beyond_it() {
    const REQUESTS: usize = 300;
    let (bar, log) = (Installation::new().await, Log::new());
    let environment = [&bar.environment()[..], &[("RUST_LOG", ""), ("LOG_FORMAT", "json")]].concat();
    let (role, url) = bar.serve_role(Role::start_logging_to(log.file(), &["serve"], &environment)).await;
    let guest = bar.sign_in(&url, "user@example.com").await;
    bar.database.take_down().await;
    guest.get("/orders").await.expect_problem(503, "unavailable");
    // All at once: on a slow machine as many more lines are allowed meanwhile as it takes seconds.
    for answer in join_all((0..REQUESTS).map(|_| guest.get("/orders"))).await {
        answer.expect_problem(503, "unavailable");
    }
    let unlogged = counter(&url, "shakerqueue_http_unlogged_answers_total").await;
    role.stop().await;
    let lines = log.objects().into_iter().filter(|line| line["target"] == "access").count();
    assert!((100..REQUESTS).contains(&lines), "{lines} lines");
    assert!(unlogged > 0.0);
    bar.prefix.clear().await;
}
