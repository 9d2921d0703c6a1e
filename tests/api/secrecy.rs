//! No secret appears in the most detailed log, in an error message, or in the list of processes.

use crate::support::{
    Person,
    broker::{self, Prefix},
    database::Database,
    eventually,
    executable::{Role, run, serve_settings, shakerqueue},
    person::send,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Parser;
use reqwest::{Client, Method};
use serde_json::json;
use shakerqueue::{cli::seed::SeedArgs, config::ServeArgs};
use std::fs::{self, File};
use url::Url;
use uuid::Uuid;

const DATABASE_PASSWORD: &str = "zq-database-7311";
const BROKER_PASSWORD: &str = "zq-broker-7312";
const SIGNING_SECRET: &str = "zq-signing-7313 zq-signing-7313 zq-signing-7313";
const PREVIOUS_SIGNING_SECRET: &str = "zq-before-7314 zq-before-7314 zq-before-7314";
const ADMIN_PASSWORD: &str = "zq-admin-7315";
const PASSWORD: &str = "zq-password-7316";
const NEW_PASSWORD: &str = "zq-new-password-7317";
const WRONG_PASSWORD: &str = "zq-wrong-password-7318";
const WRONG_TOKEN: &str = "zq.wrong.token-7319";
const COLLECTOR_PASSWORD: &str = "zq-collector-7320";
const COLLECTOR_KEY: &str = "zq-key-7321";

/// URL of a collector that does not exist.
const COLLECTOR_URL: &str = "http://bar:zq-collector-7320@127.0.0.1:9";

/// Secrets that must not appear anywhere.
const SECRETS: [&str; 12] = [
    DATABASE_PASSWORD,
    BROKER_PASSWORD,
    SIGNING_SECRET,
    PREVIOUS_SIGNING_SECRET,
    ADMIN_PASSWORD,
    PASSWORD,
    NEW_PASSWORD,
    WRONG_PASSWORD,
    WRONG_TOKEN,
    COLLECTOR_PASSWORD,
    COLLECTOR_KEY,
    // As a dump breaks it into lines.
    "zq-key",
];

/// A URL with another password, and another user if one is given.
fn with_login(url: &str, user: Option<&str>, password: &str) -> String {
    let mut url = Url::parse(url).expect("a URL");
    let user = user.unwrap_or(url.username()).to_owned();
    url.set_username(if user.is_empty() { "guest" } else { &user }).expect("a user");
    url.set_password(Some(password)).expect("a password");
    url.into()
}

/// Finds the lines that have a secret, in plain text or in a common encoding.
fn told(text: &str, secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let listed = |separator: &str, number: fn(&u8) -> String| {
        bytes.iter().map(number).collect::<Vec<_>>().join(separator)
    };
    let forms = [
        secret.to_owned(),
        BASE64_STANDARD.encode(bytes).trim_end_matches('=').to_owned(),
        listed(", ", u8::to_string),
        listed("", |byte| format!("{byte:02x}")),
        percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string(),
    ];
    let lines = text.lines().filter(|line| forms.iter().any(|form| line.contains(form)));
    lines.map(str::to_owned).collect()
}

#[track_caller]
fn keeps(what: &str, text: &str, secrets: &[&str]) {
    for secret in secrets {
        let lines = told(text, secret);
        assert!(lines.is_empty(), "{what} tells {secret}: {}", lines.join("\n"));
    }
}

#[test]
fn the_check_sees_a_secret_however_it_is_written() {
    for text in ["a zq", "[97, 122, 113]", "7a71", "enE", "x%7Azq"] {
        assert_eq!(told(text, "zq").len(), 1, "{text}");
    }
    assert!(told("q z", "zq").is_empty());
}

#[derive(Debug, Parser)]
struct ServeFlags {
    #[command(flatten)]
    serving: ServeArgs,
}

#[derive(Debug, Parser)]
struct SeedFlags {
    #[command(flatten)]
    seeding: SeedArgs,
}

#[test]
fn settings_tell_no_secret() {
    let database = format!("postgres://bar:{DATABASE_PASSWORD}@127.0.0.1/bar");
    let broker = format!("amqp://bar:{BROKER_PASSWORD}@127.0.0.1");
    let flags = ServeFlags::parse_from(
        [
            ["serve", "--database-url"],
            [&database, "--amqp-url"],
            [&broker, "--jwt-secret"],
            [SIGNING_SECRET, "--jwt-previous-secrets"],
            [PREVIOUS_SIGNING_SECRET, "--demo"],
        ]
        .concat(),
    );
    let shown = format!("{flags:?}");
    assert!(shown.contains("127.0.0.1:8080"), "{shown}");
    keeps("Debug", &shown, &[DATABASE_PASSWORD, BROKER_PASSWORD, SIGNING_SECRET, PREVIOUS_SIGNING_SECRET]);
    let flags = SeedFlags::parse_from(["seed", "--admin", "boss@example.com", "--admin-password", PASSWORD]);
    let shown = format!("{flags:?}");
    assert!(shown.contains("boss@example.com"), "{shown}");
    keeps("Debug", &shown, &[PASSWORD]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_tells_a_secret() {
    let database = Database::empty().await;
    let user = format!("bar_{}", Uuid::new_v4().simple());
    let client = database.client().await;
    let role = format!("CREATE ROLE {user} LOGIN SUPERUSER PASSWORD '{DATABASE_PASSWORD}'");
    client.batch_execute(&role).await.expect("CREATE ROLE");
    let url = with_login(&database.url, Some(&user), DATABASE_PASSWORD);
    let prefix = Prefix::new();
    let amqp = broker::url();
    let settings = [
        ("QUEUE_PREFIX", prefix.name.as_str()),
        ("JWT_SECRET", SIGNING_SECRET),
        ("JWT_PREVIOUS_SECRETS", PREVIOUS_SIGNING_SECRET),
        ("ADMIN_EMAIL", "boss@bar.example"),
        ("ADMIN_PASSWORD", ADMIN_PASSWORD),
        ("RUST_LOG", "trace,tokio_postgres::query[{message}]=trace"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", COLLECTOR_URL),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=zq-key-7321"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let environment = serve_settings(&url, &settings);
    let with = |amqp| [&environment[..], &[("AMQP_URL", amqp)]].concat();
    let seeded = run(&["seed"], &environment).await;
    assert!(seeded.status.success(), "{}", String::from_utf8_lossy(&seeded.stderr));
    let mut logged = String::from_utf8_lossy(&seeded.stderr).into_owned();

    let logs = [(); 3].map(|()| tempfile::NamedTempFile::new().expect("a file"));
    let start = |number: usize, role, amqp| {
        Role::start_logging_to(File::create(logs[number].path()).unwrap().into(), &[role], &with(amqp))
    };
    // The broker lets one of them in and turns the other away.
    let wrong = with_login(&amqp, None, BROKER_PASSWORD);
    let (mut serve, mut turned_away) = (start(0, "serve", &amqp), start(1, "serve", &wrong));
    let work = start(2, "work", &amqp);
    let mut tokens = Vec::new();
    for url in [serve.url().await, turned_away.url().await] {
        tokens.push(exercise(&url, tokens.len()).await);
    }
    let said = |number: usize| fs::read_to_string(logs[number].path()).unwrap_or_default();
    eventually("the broker to turn it away", async || {
        said(1).contains("failed to use the broker").then_some(())
    })
    .await;
    let processes = running_processes();
    for role in [serve, turned_away, work] {
        role.stop().await;
    }
    for number in 0..3 {
        assert!(said(number).contains("TRACE"), "it says nothing: {}", said(number));
        logged += &said(number);
    }
    let stored = stored_secrets(&client).await;
    let issued = tokens.iter().chain(&stored).map(String::as_str);
    let secrets: Vec<_> = SECRETS.into_iter().chain(issued).collect();
    keeps("the log", &logged, &secrets);
    keeps("the list of processes", &processes, &secrets);
    prefix.clear().await;
    let dropped = format!("DROP OWNED BY {user} CASCADE; DROP ROLE {user}");
    client.batch_execute(&dropped).await.expect("DROP ROLE");
}

/// Lists all processes with their arguments.
fn running_processes() -> String {
    let output = std::process::Command::new("ps").args(["-A", "-o", "args"]).output().expect("ps");
    let processes = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(processes.contains("shakerqueue"), "{processes}");
    processes
}

/// Reads the secrets that the database has.
async fn stored_secrets(client: &tokio_postgres::Client) -> Vec<String> {
    let query =
        "SELECT password_hash FROM users UNION SELECT value FROM settings WHERE name = 'identity_key'";
    let rows = client.query(query, &[]).await.expect("rows");
    assert_eq!(rows.len(), 4, "three accounts, and the key of orders' ids");
    rows.iter().map(|row| row.get(0)).collect()
}

/// Sends each request that has a secret, valid and invalid, and returns a token.
async fn exercise(url: &str, number: usize) -> String {
    let http = Client::new();
    let stranger = Person::new(&http, url, None);
    let email = format!("ana{number}@bar.example");
    let account = json!({ "username": "Ana", "email": email, "password": PASSWORD });
    let answer = stranger.post("/register", account.clone()).await.expect(201);
    let token = answer["token"].as_str().expect("a token").to_owned();
    stranger.post("/register", account).await.expect_problem(409, "email-taken");
    let guest = Person::new(&http, url, Some(&token));
    guest.order("Negroni").await;
    let change = |old: &str, new: &str| json!({ "current_password": old, "new_password": new });
    assert_eq!(guest.put("/me/password", change(WRONG_PASSWORD, NEW_PASSWORD)).await.status, 403);
    guest.put("/me/password", change(PASSWORD, NEW_PASSWORD)).await.expect(204);
    for (password, status) in [(WRONG_PASSWORD, 401), (NEW_PASSWORD, 200)] {
        stranger.post("/login", json!({ "email": email, "password": password })).await.expect(status);
    }
    let boss = json!({ "email": "boss@bar.example", "password": ADMIN_PASSWORD });
    stranger.post("/login", boss).await.expect(200);
    // In the wrong place, or cut off.
    for login in [
        json!({ "email": email, "password": [WRONG_PASSWORD] }),
        json!({ "email": email, "password": { "is": WRONG_PASSWORD } }),
        json!({ "email": email, "password": "x", WRONG_PASSWORD: 1 }),
    ] {
        assert_eq!(stranger.post("/login", login).await.status, 422);
    }
    let cut = stranger.request(Method::POST, "/login").header("Content-Type", "application/json");
    assert_eq!(send(cut.body(format!(r#"{{"password":"{WRONG_PASSWORD}"#))).await.status, 400);
    for header in
        [format!("Bearer {WRONG_TOKEN}"), format!("Basic {WRONG_TOKEN}"), format!("Bearer {token}x")]
    {
        let request = stranger.request(Method::GET, "/me").header("Authorization", header);
        send(request).await.expect_problem(401, "not-signed-in");
    }
    token
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_refusal_tells_a_secret() {
    let nowhere = format!("postgres://bar:{DATABASE_PASSWORD}@127.0.0.1:1/bar");
    let no_port = format!("postgres://bar:{DATABASE_PASSWORD}@127.0.0.1:x/bar");
    let no_broker = format!("amqp://bar:{BROKER_PASSWORD}@127.0.0.1:x");
    let postgres = ("DATABASE_URL", nowhere.as_str());
    let sqlite = Database::file();
    for (role, environment) in [
        ("migrate", vec![("DATABASE_URL", no_port.as_str())]),
        ("serve", vec![postgres, ("AMQP_URL", &no_broker), ("JWT_SECRET", SIGNING_SECRET)]),
        ("work", vec![postgres, ("AMQP_URL", &no_broker)]),
        ("serve", vec![postgres, ("JWT_SECRET", PASSWORD)]),
        ("serve", vec![postgres, ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://bar:zq-collector-7320@127.0.0.1")]),
        ("serve", vec![postgres, ("JWT_SECRET", SIGNING_SECRET), ("JWT_PREVIOUS_SECRETS", PASSWORD)]),
        (
            "seed",
            vec![("DATABASE_URL", &sqlite.url), ("ADMIN_EMAIL", "no address"), ("ADMIN_PASSWORD", PASSWORD)],
        ),
        ("seed", vec![("DATABASE_URL", &sqlite.url), ("ADMIN_PASSWORD", PASSWORD)]),
    ] {
        let environment = [environment.as_slice(), &[("RUST_LOG", "trace")]].concat();
        let output = run(&[role], &environment).await;
        assert!(!output.status.success(), "{role} {environment:?}");
        let said = [output.stdout, output.stderr].concat();
        keeps(
            role,
            &String::from_utf8_lossy(&said),
            &[DATABASE_PASSWORD, BROKER_PASSWORD, SIGNING_SECRET, PASSWORD, COLLECTOR_PASSWORD],
        );
    }
    // While it waits for a database that does not answer, it says so.
    let mut waiting =
        shakerqueue(&["migrate"], &[postgres, ("RUST_LOG", "trace")]).spawn().expect("it starts");
    let mut said = tokio::io::BufReader::new(waiting.stderr.take().expect("its log"));
    let mut lines = String::new();
    while !lines.contains("waiting for the database") {
        tokio::io::AsyncBufReadExt::read_line(&mut said, &mut lines).await.expect("its log");
    }
    waiting.kill().await.expect("it is ended");
    keeps("migrate", &lines, &[DATABASE_PASSWORD]);
}
