//! A `serve` in this process, on a port and a database of its own.

use super::{
    Person,
    database::{Database, DatabaseKind},
};
use clap::Parser;
use serde_json::json;
use shakerqueue::{
    cli::{error::CliError, serve},
    config::ServeArgs,
};
use std::net::TcpListener;
use tokio::{sync::oneshot, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Secret that signs the tokens of every bar here.
pub const SECRET: &str = "a secret for tests, long enough for HS256";

#[derive(Parser)]
#[command(args_override_self = true)]
struct Flags {
    #[command(flatten)]
    serving: ServeArgs,
}

pub struct Bar {
    pub url: String,
    pub database: Database,
    pub http: reqwest::Client,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), CliError>>,
}

impl Bar {
    /// Opens a bar with the demo accounts and the demo menu.
    pub async fn open(kind: DatabaseKind) -> Self {
        Self::open_on(Database::new(kind).await, &[]).await
    }

    /// Opens a bar on this database with more flags.
    pub async fn open_on(database: Database, flags: &[&str]) -> Self {
        let mut all = vec!["serve", "--demo", "--bcrypt-cost", "4", "--http-threads", "1"];
        all.extend(["--rate-limits", "off", "--open-orders", "off"]);
        all.extend(["--shutdown-seconds", "10", "--shutdown-delay-seconds", "0"]);
        all.extend(["--database-url", &database.app_url, "--jwt-secret", SECRET]);
        all.extend(flags);
        let serving = Flags::parse_from(all).serving;
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a non-blocking listener");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        let (ready, is_ready) = oneshot::channel();
        let stopping = stop.clone();
        let serving = tokio::spawn(async move {
            serve::serve(
                serving,
                || Ok(listener),
                stopping,
                |_| {
                    let _ = ready.send(());
                },
            )
            .await
        });
        assert!(is_ready.await.is_ok(), "the bar did not open: {:?}", serving.await);
        Self { url, database, http: reqwest::Client::new(), stop, serving }
    }

    /// Opens another `serve` on the same database. It must be closed before this one.
    pub async fn another(&self) -> Self {
        Self::open_on(self.database.lent(), &[]).await
    }

    /// Closes the bar, which must succeed.
    pub async fn close(self) {
        self.shut().await;
    }

    /// Closes the bar and returns its database.
    pub async fn shut(self) -> Database {
        self.stop.cancel();
        self.serving.await.expect("no panic").expect("a clean end");
        self.database
    }

    pub fn stranger(&self) -> Person {
        Person::new(&self.http, &self.url, None)
    }

    /// Returns a person with this token, valid or not.
    pub fn holder_of(&self, token: &str) -> Person {
        Person::new(&self.http, &self.url, Some(token))
    }

    pub async fn guest(&self) -> Person {
        let name = Uuid::new_v4().simple().to_string();
        let account = json!({ "username": name, "email": format!("{name}@example.com"), "password": "a good password" });
        let answer = self.stranger().post("/register", account).await.expect(201);
        self.holder_of(answer["token"].as_str().expect("a token"))
    }

    /// Signs in the customer of the demo data.
    pub async fn customer(&self) -> Person {
        self.sign_in("user@example.com").await
    }

    /// Signs in the bartender of the demo data.
    pub async fn employee(&self) -> Person {
        self.sign_in("employee@example.com").await
    }

    /// Signs in the admin of the demo data.
    pub async fn admin(&self) -> Person {
        self.sign_in("admin@example.com").await
    }

    async fn sign_in(&self, email: &str) -> Person {
        self.stranger().sign_in(email).await
    }
}
