//! PostgreSQL and `RabbitMQ`, started once for all faults or measurements.

use super::{
    Result,
    postgres::{Postgres, Tuning},
    programs::{Programs, User},
    rabbitmq::RabbitMq,
    roles,
    tokens::Tokens,
    wait::WAIT_TIMEOUT,
};
use std::path::{Path, PathBuf};
use tokio::time::timeout;
use uuid::Uuid;

pub struct Servers {
    pub programs: Programs,
    pub data: SeededPostgres,
    pub rabbitmq: RabbitMq,
}

impl Servers {
    pub async fn start(programs: &Programs, tuning: Tuning, folder: &Path) -> Result<Self> {
        let mut rabbitmq = RabbitMq::create(programs, &new_folder(folder, "rabbitmq", "rabbitmq")?)?;
        let home = new_folder(folder, "postgres", "postgres")?;
        let data = SeededPostgres::create(programs, tuning, &home, &home, &[]).await?;
        rabbitmq.await_start().await?;
        Ok(Self { programs: programs.clone(), data, rabbitmq })
    }
}

/// Creates a folder with an unused name.
pub fn new_folder(within: &Path, name: &str, user: &str) -> Result<PathBuf> {
    let folder = within.join(format!("{name}-{}", Uuid::new_v4().simple()));
    std::fs::create_dir(&folder)?;
    User::for_server(user)?.own(&folder)?;
    Ok(folder)
}

/// A PostgreSQL with a template database: schema, menu and demo accounts.
pub struct SeededPostgres {
    pub postgres: Postgres,
    pub template: String,
    /// Names of the menu's recipes.
    pub drinks: Vec<String>,
    /// Tokens of the demo accounts, which are the same in every copy.
    pub tokens: Option<Tokens>,
}

impl SeededPostgres {
    /// Creates a cluster in `home`, which only programs run by `inside` need to reach, with its log beside `log`.
    pub async fn create(
        programs: &Programs,
        tuning: Tuning,
        home: &Path,
        log: &Path,
        inside: &[String],
    ) -> Result<Self> {
        let mut postgres = Postgres::create(programs, tuning, home, log, inside).await?;
        let template = postgres.new_database(None).await?;
        let settings = [("DATABASE_URL".to_owned(), postgres.url(postgres.address(), &template))];
        let output = timeout(WAIT_TIMEOUT, roles::command(&["seed"], &settings).output()).await??;
        if !output.status.success() {
            return Err(format!("seed: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let menu =
            postgres.client(&template).await?.query("SELECT name FROM recipes ORDER BY name", &[]).await?;
        let drinks = menu.iter().map(|row| row.get(0)).collect();
        Ok(Self { postgres, template, drinks, tokens: None })
    }
}
