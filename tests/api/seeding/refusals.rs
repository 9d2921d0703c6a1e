//! Wrong settings: one line that says what to set, and has no secret.

use super::refuses;
use crate::support::{WAIT_TIMEOUT, database::Database, executable::run};
use std::time::Instant;

const BROKER_SETTING: (&str, &str) = ("AMQP_URL", "amqp://guest:hunter2@127.0.0.1:1/%2f");
const SECRET_SETTING: (&str, &str) = ("JWT_SECRET", "a secret for tests, long enough for HS256");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deployments_that_do_not_exist_are_refused() {
    let sqlite = Database::file();
    let sqlite = ("DATABASE_URL", sqlite.url.as_str());
    let postgres = ("DATABASE_URL", "postgres://bar:hunter2@127.0.0.1:1/bar");
    let amqp = |url| ("AMQP_URL", url);
    let database = |url| ("DATABASE_URL", url);
    for (role, environment, named) in [
        ("serve", vec![sqlite, BROKER_SETTING], "DATABASE_URL=postgres://"),
        ("serve", vec![database(""), BROKER_SETTING], "DATABASE_URL=postgres://"),
        ("work", vec![sqlite, BROKER_SETTING], "DATABASE_URL=postgres://"),
        ("work", vec![sqlite], "AMQP_URL=amqp://"),
        ("work", vec![], "AMQP_URL=amqp://"),
        ("work", vec![postgres], "AMQP_URL=amqp://"),
        ("work", vec![postgres, amqp("")], "AMQP_URL=amqp://"),
        ("serve", vec![database("mysql://bar:hunter2@127.0.0.1/bar")], "postgres://"),
        ("work", vec![database("mysql://bar:hunter2@127.0.0.1/bar"), BROKER_SETTING], "postgres://"),
        ("seed", vec![database("mysql://bar:hunter2@127.0.0.1/bar")], "postgres://"),
        ("migrate", vec![database("mysql://bar:hunter2@127.0.0.1/bar")], "postgres://"),
        ("migrate", vec![database("bar.db")], "sqlite://"),
        ("migrate", vec![database("sqlite://")], "sqlite://"),
        ("serve", vec![postgres, amqp("http://bar:hunter2@127.0.0.1")], "amqp://"),
        ("serve", vec![postgres, amqp("amqps://bar:hunter2@127.0.0.1")], "amqp://"),
        ("serve", vec![postgres, amqp("amqp://bar:hunter2@127.0.0.1:port")], "port must be 1 to 65535"),
        ("work", vec![postgres, amqp("amqp://bar:hunter2@127.0.0.1:0")], "port must be 1 to 65535"),
        (
            "serve",
            vec![postgres, BROKER_SETTING, ("AMQP_MANAGEMENT_URL", "http://bar:hunter2@127.0.0.1:99999")],
            "port in the URL of the management API must be 1 to 65535",
        ),
        ("work", vec![postgres, amqp("amqp://bar:hunter2@127.0.0.1/a/b")], "%2F"),
        ("work", vec![postgres, amqp("hunter2")], "amqp://"),
        ("work", vec![postgres, BROKER_SETTING, ("QUEUE_PREFIX", "")], "prefix"),
    ] {
        let mut environment = environment;
        environment.extend([SECRET_SETTING, ("BIND_ADDR", "127.0.0.1:0")]);
        let sentence = refuses(&[role], &environment).await;
        assert!(sentence.contains(named), "{role} {environment:?}: {sentence}");
        assert!(!sentence.contains("hunter2"), "it tells the password: {sentence}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_that_can_not_be_read_is_refused_at_once() {
    for (role, url, named) in [
        ("migrate", "postgres://bar:hunter2@127.0.0.1:port/bar", "must be 1 to 65535"),
        ("seed", "postgres://bar:hunter2@127.0.0.1:99999/bar", "must be 1 to 65535"),
        ("serve", "postgres://bar:hunter2@127.0.0.1:0/bar", "must be 1 to 65535"),
        ("serve", "postgres://bar:hunter2@one:5432,two:65536/bar", "must be 1 to 65535"),
        ("seed", "postgres:///bar", "must look like"),
        ("serve", "postgres://bar:hunter2@127.0.0.1/bar?sslmode=maybe", "sslmode"),
        ("serve", "postgres://bar:hunter2@127.0.0.1/bar?sslmode=require", "sslmode"),
        ("serve", "postgres://bar:hunter2@127.0.0.1/bar?sslmode=prefer&schema=bar", "\"schema\""),
        ("migrate", "postgres://bar:hunter2@127.0.0.1/bar?pgbouncer=true", "\"pgbouncer\""),
        ("work", "postgres://bar:hunter2@127.0.0.1/bar?colour=red", "\"colour\""),
        ("serve", "postgres://bar:hunter2@127.0.0.1/bar?connect_timeout=hunter2", "connect_timeout"),
    ] {
        // Waiting, as for a server that may yet come up, would mend nothing.
        let started = Instant::now();
        let sentence = refuses(
            &[role],
            &[("DATABASE_URL", url), BROKER_SETTING, SECRET_SETTING, ("BIND_ADDR", "127.0.0.1:0")],
        )
        .await;
        assert!(started.elapsed() < WAIT_TIMEOUT / 2, "{role} {url} took {:?}", started.elapsed());
        assert!(sentence.contains("DATABASE_URL") && sentence.contains(named), "{role} {url}: {sentence}");
        assert!(!sentence.contains("hunter2"), "it tells the password: {sentence}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_can_not_be_one_is_named_wherever_it_is_set() {
    let database = Database::file();
    for (role, name, value, said) in [
        ("serve", "BIND_ADDR", "127.0.0.1:99999", "the port must be 0 to 65535"),
        ("serve", "BIND_ADDR", "localhost:8080", "must be an IP address"),
        ("serve", "ADMIN_ADDR", "[::1]:port", "the port must be 0 to 65535"),
        ("work", "ADMIN_ADDR", "127.0.0.1:65536", "the port must be 0 to 65535"),
        ("serve", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:99999", "port of 1 to 65535"),
        ("serve", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:0", "port of 1 to 65535"),
    ] {
        let mut environment = vec![("DATABASE_URL", database.url.as_str()), (name, value)];
        environment.extend((name != "BIND_ADDR").then_some(("BIND_ADDR", "127.0.0.1:0")));
        let output = run(&[role], &environment).await;
        let complained = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(!output.status.success() && complained.contains(said), "{role} {name}={value}: {complained}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_named_as_it_was_before_urls_were_decoded_gets_none_beside_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let url = |name: &str| format!("sqlite://{}/{name}", folder.path().display());
    super::does(&["migrate"], &[("DATABASE_URL", &url("my%2520bar.db"))]).await;
    assert!(folder.path().join("my%20bar.db").is_file());
    let sentence = refuses(&["migrate"], &[("DATABASE_URL", &url("my%20bar.db"))]).await;
    assert!(sentence.contains("my bar.db") && sentence.contains("%25"), "{sentence}");
    assert!(!folder.path().join("my bar.db").exists());
    let sentence = refuses(&["migrate"], &[("DATABASE_URL", &url("bar.db?mode=ro"))]).await;
    assert!(sentence.contains("\"mode\"") && sentence.contains("%3F"), "{sentence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_anybody_could_sign_are_refused() {
    let (sqlite, postgres) = (Database::file(), Database::empty().await);
    let short = "thirty-one bytes are not enough";
    for (database, secret, arguments) in [
        (&postgres, None, vec!["serve"]),
        (&postgres, None, vec!["serve", "--migrate"]),
        (&postgres, Some(""), vec!["serve"]),
        (&postgres, Some(short), vec!["serve"]),
        (&postgres, Some(short), vec!["serve", "--demo", "--migrate"]),
        (&sqlite, Some(short), vec!["serve"]),
        (&sqlite, Some(short), vec!["serve", "--demo"]),
    ] {
        let mut environment = vec![("DATABASE_URL", database.url.as_str()), ("BIND_ADDR", "127.0.0.1:0")];
        environment.extend(secret.map(|secret| ("JWT_SECRET", secret)));
        let sentence = refuses(&arguments, &environment).await;
        assert!(sentence.contains("JWT_SECRET") && sentence.contains("32 bytes"), "{sentence}");
        assert!(!sentence.contains(short), "it tells the secret: {sentence}");
    }
    assert!(super::is_untouched(&sqlite).await && super::is_untouched(&postgres).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let database = Database::file();
    let sentence = refuses(&["serve"], &[("DATABASE_URL", &database.url), ("BIND_ADDR", &address)]).await;
    assert!(sentence.contains(&address), "{sentence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_not_there_is_named() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("nowhere/bar.db");
    let url = format!("sqlite://{}", path.display());
    for role in ["serve", "seed", "migrate"] {
        let started = Instant::now();
        let sentence = refuses(&[role], &[("DATABASE_URL", &url), ("BIND_ADDR", "127.0.0.1:0")]).await;
        assert!(started.elapsed() < WAIT_TIMEOUT / 2, "{role} took {:?}", started.elapsed());
        assert!(sentence.contains("nowhere"), "{role}: {sentence}");
    }
}
