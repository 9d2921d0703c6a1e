//! HTTPS: with a certificate that is good, bad, or renewed, and with clients that never come to the point.

use crate::support::{
    Bar, PATIENCE,
    database::{Database, Kind},
    eventually,
    executable::{Role, run},
    person::Answer,
    raw::Raw,
};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
    version::{TLS12, TLS13},
};
use serde_json::json;
use std::{
    fs::{self, File},
    io,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A certificate for `bar.example`, signed by itself.
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

/// Files that a `serve` reads its certificate from.
struct Files(TempDir);

impl Files {
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

    /// A bar that reads them.
    async fn bar(&self) -> Bar {
        let (certificate, key) = (self.certificate(), self.key());
        let flags =
            ["--tls-cert-file", certificate.to_str().unwrap(), "--tls-key-file", key.to_str().unwrap()];
        Bar::open_on(Database::new(Kind::Sqlite).await, &flags).await
    }
}

/// A connection of a client that trusts this certificate only and offers these versions and protocols.
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

/// Asks over a connection of its own.
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
    let files = Files::of(&certificate);
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
    let bar = Bar::open(Kind::Sqlite).await;
    assert_eq!(bar.stranger().get("/recipes").await.header("strict-transport-security"), None);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_asks_over_tls() {
    let certificate = Certificate::new();
    let files = Files::of(&certificate);
    let (database, paths) = (Database::file(), [files.certificate(), files.key()]);
    let [certificate, key] = paths.each_ref().map(|path| path.to_str().unwrap());
    let environment = [
        ("DATABASE_URL", database.url.as_str()),
        ("BIND_ADDR", "127.0.0.1:0"),
        ("TLS_CERT_FILE", certificate),
        ("TLS_KEY_FILE", key),
    ];
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
async fn a_certificate_that_can_not_be_used_is_refused_at_start() {
    let (one, other) = (Certificate::new(), Certificate::new());
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let broken_key = KeyPair::generate().expect("a key").serialize_pem().replace('M', "/");
    for (certificate, key, named) in [
        (Some(one.pem.as_str()), None, "TLS_KEY_FILE: can't read"),
        (None, Some(one.key.as_str()), "TLS_CERT_FILE: can't read"),
        (Some(""), Some(one.key.as_str()), "there is no certificate in"),
        (Some("rubbish"), Some(one.key.as_str()), "there is no certificate in"),
        (Some(one.key.as_str()), Some(one.key.as_str()), "there is no certificate in"),
        (Some(broken), Some(one.key.as_str()), "can't be used"),
        (Some(one.pem.as_str()), Some("rubbish"), "there is no private key in"),
        (Some(one.pem.as_str()), Some(one.pem.as_str()), "there is no private key in"),
        (Some(one.pem.as_str()), Some(broken_key.as_str()), "key"),
        (Some(one.pem.as_str()), Some(other.key.as_str()), "does not belong to the certificate in"),
    ] {
        let files = Files(TempDir::new().unwrap());
        for (path, text) in [(files.certificate(), certificate), (files.key(), key)] {
            if let Some(text) = text {
                fs::write(path, text).unwrap();
            }
        }
        let (paths, database) = ([files.certificate(), files.key()], Database::file());
        let [cert_file, key_file] = paths.each_ref().map(|path| path.to_str().unwrap());
        let environment = [
            ("DATABASE_URL", database.url.as_str()),
            ("BIND_ADDR", "127.0.0.1:0"),
            ("TLS_CERT_FILE", cert_file),
            ("TLS_KEY_FILE", key_file),
        ];
        let output = run(&["serve"], &environment).await;
        let sentence = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{sentence}");
        assert!(sentence.contains(named) && sentence.contains(".pem"), "{named}: {sentence}");
        assert!(!sentence.contains("BEGIN") && !sentence.contains(&one.key[50..80]), "{sentence}");
    }
    let files = Files::of(&one);
    let paths = [files.certificate(), files.key()];
    for ((variable, path), named) in ["TLS_CERT_FILE", "TLS_KEY_FILE"]
        .iter()
        .zip(&paths)
        .zip(["needs TLS_KEY_FILE", "needs TLS_CERT_FILE"])
    {
        let database = Database::file();
        let environment = [("DATABASE_URL", database.url.as_str()), (variable, path.to_str().unwrap())];
        let output = run(&["serve"], &environment).await;
        let sentence = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && sentence.contains(named), "{sentence}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_counts_and_a_broken_one_does_not() {
    let (first, second, third) = (Certificate::new(), Certificate::new(), Certificate::new());
    let files = Files::of(&first);
    let (database, paths) = (Database::file(), [files.certificate(), files.key()]);
    let [certificate, key] = paths.each_ref().map(|path| path.to_str().unwrap());
    let environment = [
        ("DATABASE_URL", database.url.as_str()),
        ("BIND_ADDR", "127.0.0.1:0"),
        ("TLS_CERT_FILE", certificate),
        ("TLS_KEY_FILE", key),
    ];
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut serve =
        Role::start_logging_to(File::create(log.path()).unwrap().into(), &["serve"], &environment);
    let url = serve.url().await;
    let shows = async |certificate: &Certificate| ask(&url, certificate, &get("/healthz")).await.is_ok();
    let logs = async |text: &str| {
        eventually(text, async || fs::read_to_string(log.path()).unwrap().contains(text).then_some(())).await;
    };
    assert!(shows(&first).await && !shows(&second).await);
    // A connection from before goes on.
    let mut kept = Raw(connect(&url, &first, &[&TLS13], &[]).await.expect("a connection"));

    files.put(&second.pem, &second.key);
    eventually("the second certificate", async || shows(&second).await.then_some(())).await;
    assert!(!shows(&first).await);
    kept.send(get("/healthz").as_bytes()).await;
    kept.answer().await.expect("an answer").expect(200);

    // Half renewed, broken, and gone: the second one stays.
    files.put(&third.pem, &second.key);
    logs("does not belong to the certificate").await;
    files.put("rubbish", &second.key);
    logs("there is no certificate in").await;
    fs::remove_file(files.key()).unwrap();
    logs("can't read").await;
    assert!(shows(&second).await);

    files.put(&third.pem, &third.key);
    eventually("the third certificate", async || shows(&third).await.then_some(())).await;
    serve.stop().await;
    let logged = fs::read_to_string(log.path()).unwrap();
    assert_eq!(logged.matches("there is no certificate in").count(), 1, "told about once: {logged}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_comes_to_the_point_is_cut_and_holds_up_nobody() {
    let certificate = Certificate::new();
    let files = Files::of(&certificate);
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
        let cut = timeout(PATIENCE, async { while raw.more(&mut bytes).await {} }).await;
        assert!(cut.is_ok(), "still let in after {:?}", started.elapsed());
    }
    bar.close().await;
}
