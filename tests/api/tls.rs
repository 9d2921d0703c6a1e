//! HTTPS: with a valid, invalid or renewed certificate, and with clients that stall.

mod certificates;

use crate::support::{
    Bar, Sqlite, WAIT_TIMEOUT,
    database::Database,
    executable::{Role, run, serve_settings},
    person::Answer,
    raw::Raw,
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
    version::{TLS12, TLS13},
};
use serde_json::json;
use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A self-signed certificate for `bar.example`.
struct Certificate {
    pem: String,
    key: String,
    der: CertificateDer<'static>,
}

impl Certificate {
    fn new() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["bar.example".to_owned()]).expect("a certificate");
        Self { pem: cert.pem(), key: signing_key.serialize_pem(), der: cert.der().clone() }
    }
}

/// Files from which a `serve` reads its certificate.
struct CertificateFiles(TempDir);

impl CertificateFiles {
    fn of(certificate: &Certificate) -> Self {
        let this = Self(TempDir::new().expect("a folder"));
        this.put(&certificate.pem, &certificate.key);
        this
    }

    fn put(&self, certificate: &str, key: &str) {
        fs::write(self.certificate(), certificate).expect("written");
        fs::write(self.key(), key).expect("written");
    }

    fn certificate(&self) -> PathBuf {
        self.0.path().join("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    /// Opens a bar with these files.
    async fn bar(&self) -> Bar {
        let (certificate, key) = (self.certificate(), self.key());
        let flags =
            ["--tls-cert-file", certificate.to_str().unwrap(), "--tls-key-file", key.to_str().unwrap()];
        Bar::open_on(Database::new(Sqlite).await, &flags).await
    }
}

/// Connects as a client that trusts only this certificate and offers these versions and protocols.
async fn connect(
    url: &str,
    trusted: &Certificate,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der.clone()).expect("a certificate");
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("bar.example").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, Raw::open(url).await.0).await
}

/// Sends a request on a new connection.
async fn ask(url: &str, trusted: &Certificate, request: &str) -> io::Result<Answer> {
    let mut raw = Raw(connect(url, trusted, &[&TLS13, &TLS12], &[]).await?);
    raw.send(request.as_bytes()).await;
    Ok(raw.answer().await.expect("an answer"))
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: bar.example\r\n\r\n")
}

fn post(path: &str, token: &str, body: &serde_json::Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nHost: bar.example\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_it_works_over_tls() {
    let certificate = Certificate::new();
    let files = CertificateFiles::of(&certificate);
    let bar = files.bar().await;
    for versions in [[&TLS12], [&TLS13]] {
        let stream =
            connect(&bar.url, &certificate, &versions, &["h2", "http/1.1"]).await.expect("a connection");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
        // Several requests on one connection.
        let mut raw = Raw(stream);
        let login = json!({ "email": "user@example.com", "password": "password123" });
        raw.send(post("/login", "", &login).as_bytes()).await;
        let token = raw.answer().await.expect("an answer").expect(200)["token"].as_str().unwrap().to_owned();
        raw.send(post("/orders", &token, &json!({ "recipe": "Negroni" })).as_bytes()).await;
        let answer = raw.answer().await.expect("an answer");
        assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"));
        answer.expect(201);
        raw.send(get("/nothing").as_bytes()).await;
        let answer = raw.answer().await.expect("an answer");
        assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"));
        answer.expect_problem(404, "not-found");
    }
    // Who does not speak it gets nothing.
    let mut plain = Raw::open(&bar.url).await;
    plain.send(get("/recipes").as_bytes()).await;
    let mut answer = Vec::new();
    while plain.more(&mut answer).await {}
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_certificate_browsers_are_not_told_to_use_it() {
    let bar = Bar::open(Sqlite).await;
    assert_eq!(bar.stranger().get("/recipes").await.header("strict-transport-security"), None);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_asks_over_tls() {
    let certificate = Certificate::new();
    let files = CertificateFiles::of(&certificate);
    let (database, paths) = (Database::file(), [files.certificate(), files.key()]);
    let [certificate, key] = paths.each_ref().map(|path| path.to_str().unwrap());
    let environment = serve_settings(&database.url, &[("TLS_CERT_FILE", certificate), ("TLS_KEY_FILE", key)]);
    let mut serve = Role::start(&["serve"], &environment);
    let url = serve.url().await;
    assert!(url.starts_with("https://"), "{url}");
    for path in ["/healthz", "/readyz"] {
        let output = run(&["health"], &[("HEALTH_URL", &format!("{url}{path}"))]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let plain = url.replace("https://", "http://");
    assert_eq!(run(&["health", "--url", &plain], &[]).await.status.code(), Some(1));
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_comes_to_the_point_is_cut_and_holds_up_nobody() {
    let certificate = Certificate::new();
    let files = CertificateFiles::of(&certificate);
    let bar = files.bar().await;
    let started = Instant::now();
    let mut silent = Vec::new();
    for number in 0..200 {
        let mut raw = Raw::open(&bar.url).await;
        // Nothing at all, or the beginning of a handshake.
        raw.send(&[22, 3, 1, 2, 0, 1][..number % 7]).await;
        silent.push(raw);
    }
    for _ in 0..5 {
        ask(&bar.url, &certificate, &get("/recipes")).await.expect("an answer").expect(200);
    }
    assert!(started.elapsed() < Duration::from_secs(4), "others waited {:?}", started.elapsed());
    for mut raw in silent {
        let mut bytes = Vec::new();
        let cut = timeout(WAIT_TIMEOUT, async { while raw.more(&mut bytes).await {} }).await;
        assert!(cut.is_ok(), "still let in after {:?}", started.elapsed());
    }
    bar.close().await;
}
