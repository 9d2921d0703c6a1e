//! `--help`: every setting, with its default, and no secret.

use super::does;
use std::{collections::BTreeSet, fs, path::Path};

const ROLES: [&str; 6] = ["serve", "work", "seed", "migrate", "dead-letters", "health"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_is_listed() {
    let help = does(&["--help"], &[]).await;
    for role in ROLES {
        assert!(help.lines().any(|line| line.trim_start().starts_with(role)), "{role} is missing: {help}");
    }
    assert!(does(&["--version"], &[]).await.contains(env!("CARGO_PKG_VERSION")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_setting_is_shown_with_its_default() {
    for (role, setting, default) in [
        ("serve", "DATABASE_URL", "shakerqueue.db"),
        ("serve", "AMQP_URL", "Unset"),
        ("serve", "QUEUE_PREFIX", "[default: shakerqueue]"),
        ("serve", "DATABASE_CONNECTIONS", "[default: 10]"),
        ("serve", "BIND_ADDR", "[default: 127.0.0.1:8080]"),
        ("serve", "JWT_SECRET", "unset"),
        ("serve", "TOKEN_MINUTES", "[default: 15]"),
        ("serve", "SESSION_DAYS", "[default: 30]"),
        ("serve", "BCRYPT_COST", "[default: 12]"),
        ("serve", "HTTP_THREADS", "Unset"),
        ("serve", "HTTP_CONNECTIONS", "[default: 4096]"),
        ("serve", "STREAMS", "[default: 10000]"),
        ("serve", "HTTP_ANSWER_BYTES", "[default: 268435456]"),
        ("serve", "RATE_LIMITS", "[default: on]"),
        ("serve", "OPEN_ORDERS", "[default: 10]"),
        ("serve", "NEW_ACCOUNTS_DRINKS", "[default: 60]"),
        ("serve", "DRINKS_PER_ORDER", "[default: 100]"),
        ("serve", "TRUSTED_PROXIES", "Unset"),
        ("serve", "TLS_CERT_FILE", "Unset"),
        ("serve", "TLS_KEY_FILE", "private key"),
        ("serve", "SHUTDOWN_SECONDS", "[default: 20]"),
        ("serve", "SHUTDOWN_DELAY_SECONDS", "[default: 1]"),
        ("work", "RETRY_SECONDS", "[default: 1,5,30,120,600]"),
        ("work", "DATABASE_URL", "shakerqueue.db"),
        ("work", "AMQP_URL", "Unset"),
        ("work", "QUEUE_PREFIX", "[default: shakerqueue]"),
        ("work", "ADMIN_ADDR", "Unset"),
        ("work", "BATCH_SIZE", "[default: 500]"),
        ("work", "SHUTDOWN_SECONDS", "[default: 20]"),
        ("seed", "DATABASE_URL", "shakerqueue.db"),
        ("seed", "ADMIN_EMAIL", "demo accounts"),
        ("migrate", "DATABASE_URL", "shakerqueue.db"),
        ("health", "HEALTH_URL", "[default: http://127.0.0.1:8080/healthz]"),
    ] {
        let help = words(&does(&[role, "--help"], &[]).await);
        // A setting's paragraph ends where the next one's name begins.
        let paragraph = help.split(" --").find(|paragraph| paragraph.contains(&format!("[env: {setting}")));
        let paragraph = paragraph.unwrap_or_else(|| panic!("{role} --help has no {setting}: {help}"));
        assert!(paragraph.contains(default), "{role} --help has no default of {setting}: {paragraph}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_setting_is_forgotten() {
    let mut helps = words(&does(&["--help"], &[]).await);
    for role in ROLES {
        helps += &words(&does(&[role, "--help"], &[]).await);
    }
    let mut read: BTreeSet<String> = ["RUST_LOG".to_owned()].into();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let commands = fs::read_dir(src.join("cli")).unwrap().map(|file| file.unwrap().path());
    let config = fs::read_dir(src.join("config")).unwrap().map(|file| file.unwrap().path());
    for file in commands.chain(config) {
        let text = fs::read_to_string(file).unwrap();
        read.extend(
            text.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned),
        );
    }
    assert!(read.contains("DATABASE_URL"), "settings are found in the sources");
    let missing: Vec<_> = read.iter().filter(|setting| !helps.contains(setting.as_str())).collect();
    assert!(missing.is_empty(), "no --help tells of {missing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_not_shown() {
    let environment = [
        ("DATABASE_URL", "postgres://bar:hunter2@127.0.0.1/bar"),
        ("AMQP_URL", "amqp://bar:hunter2@127.0.0.1"),
        ("JWT_SECRET", "hunter2 hunter2 hunter2 hunter2 hunter2"),
        ("ADMIN_EMAIL", "boss@bar.example"),
        ("ADMIN_PASSWORD", "hunter2 hunter2"),
    ];
    for role in ROLES {
        for flag in ["--help", "-h"] {
            let help = does(&[role, flag], &environment).await;
            assert!(!help.contains("hunter2"), "{role} {flag}: {help}");
        }
    }
}

/// Joins lines: the wrapping depends on the terminal.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
