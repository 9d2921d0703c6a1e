//! Certificates that are invalid or renewed.

use super::{Certificate, CertificateFiles, ask, connect, get};
use crate::support::{
    database::Database,
    eventually,
    executable::{Role, run, serve_settings},
    raw::Raw,
};
use rcgen::KeyPair;
use rustls::version::TLS13;
use std::fs::{self, File};
use tempfile::TempDir;

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
        let files = CertificateFiles(TempDir::new().unwrap());
        for (path, text) in [(files.certificate(), certificate), (files.key(), key)] {
            if let Some(text) = text {
                fs::write(path, text).unwrap();
            }
        }
        let (paths, database) = ([files.certificate(), files.key()], Database::file());
        let [cert_file, key_file] = paths.each_ref().map(|path| path.to_str().unwrap());
        let environment =
            serve_settings(&database.url, &[("TLS_CERT_FILE", cert_file), ("TLS_KEY_FILE", key_file)]);
        let output = run(&["serve"], &environment).await;
        let sentence = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{sentence}");
        assert!(sentence.contains(named) && sentence.contains(".pem"), "{named}: {sentence}");
        assert!(!sentence.contains("BEGIN") && !sentence.contains(&one.key[50..80]), "{sentence}");
    }
    let files = CertificateFiles::of(&one);
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
    let files = CertificateFiles::of(&first);
    let (database, paths) = (Database::file(), [files.certificate(), files.key()]);
    let [certificate, key] = paths.each_ref().map(|path| path.to_str().unwrap());
    let environment = serve_settings(&database.url, &[("TLS_CERT_FILE", certificate), ("TLS_KEY_FILE", key)]);
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
