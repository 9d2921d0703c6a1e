//! The scaled-out deployment with real servers and processes.

use super::{
    Person,
    bar::SECRET,
    broker::{self, Prefix},
    database::{APP_PASSWORD, Database},
    eventually,
    executable::{Role, run},
};
use reqwest::Client;

/// A scaled-out installation: a database of its own, and a prefix at the broker that all tests share.
pub struct Installation {
    pub database: Database,
    pub amqp_url: String,
    pub prefix: Prefix,
    pub http: Client,
}

impl Installation {
    /// Migrates and seeds a database, as an operator does.
    pub async fn new() -> Self {
        let mut this = Self {
            database: Database::empty().await,
            amqp_url: broker::url(),
            prefix: Prefix::new(),
            http: Client::new(),
        };
        let (role, owner) = (this.database.name(), ("DATABASE_URL", this.database.url.as_str()));
        for command in [["migrate", "--app-role", role].as_slice(), &["seed"]] {
            let password: &[_] = if command.len() > 1 { &[("APP_ROLE_PASSWORD", APP_PASSWORD)] } else { &[] };
            let done = run(command, &[password, &[owner]].concat()).await;
            assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
        }
        this.database.app_url = this.database.url_as(this.database.name());
        this
    }

    pub fn environment(&self) -> Vec<(&str, &str)> {
        vec![
            ("DATABASE_URL", &self.database.app_url),
            ("AMQP_URL", &self.amqp_url),
            ("QUEUE_PREFIX", &self.prefix.name),
            ("JWT_SECRET", SECRET),
            ("BIND_ADDR", "127.0.0.1:0"),
            ("BCRYPT_COST", "4"),
            ("RETRY_SECONDS", "1,1"),
            ("SHUTDOWN_DELAY_SECONDS", "0"),
            ("RUST_LOG", "warn"),
        ]
    }

    pub async fn serve(&self) -> (Role, String) {
        self.serve_with(&[]).await
    }

    /// Starts a `serve` with more settings.
    pub async fn serve_with(&self, settings: &[(&str, &str)]) -> (Role, String) {
        self.serve_role(Role::start(&["serve"], &[&self.environment(), settings].concat())).await
    }

    /// Waits until a `serve` is ready, and returns it with its URL.
    pub async fn serve_role(&self, mut role: Role) -> (Role, String) {
        let url = role.url().await;
        // Until its broker is up it records directly, which is right but not what is tested here.
        eventually("a serve whose broker is up", async || {
            let ready = Person::new(&self.http, &url, None).get("/readyz").await;
            (ready.body["parts"]["broker"] == "up").then_some(())
        })
        .await;
        (role, url)
    }

    pub async fn work(&self) -> Role {
        self.work_with(&[]).await
    }

    /// Starts a `work` with more settings.
    pub async fn work_with(&self, settings: &[(&str, &str)]) -> Role {
        let mut role = Role::start(&["work"], &[&self.environment(), settings].concat());
        role.says("records orders").await;
        role
    }

    pub async fn sign_in(&self, url: &str, email: &str) -> Person {
        Person::new(&self.http, url, None).sign_in(email).await
    }
}
