//! Sets up the measured system: a private PostgreSQL and `RabbitMQ`, and processes of the product.

use crate::harness::{
    Result,
    postgres::Tuning,
    process::Process,
    programs::{Programs, User, free_port},
    roles::{Role, SECRET, command},
    servers::{SeededPostgres, Servers},
    tokens::Tokens,
    wait::{WAIT_TIMEOUT, until},
};
use amqprs::{
    channel::{Channel, QueueDeclareArguments},
    connection::Connection,
};
use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::time::timeout;

/// Fully durable (fsync and synchronous commits stay on), with memory and log sized for a server.
const SERVER_TUNING: Tuning = Tuning {
    initdb: &[],
    settings: &["shared_buffers=1GB", "max_wal_size=8GB", "maintenance_work_mem=512MB", "jit=off"],
};

pub struct Stage {
    pub servers: Servers,
    pub folder: PathBuf,
    numbers: AtomicUsize,
}

impl Stage {
    pub async fn set(programs: &Programs, folder: &Path) -> Result<Self> {
        let servers = Servers::start(programs, SERVER_TUNING, folder).await?;
        Ok(Self { servers, folder: folder.to_owned(), numbers: AtomicUsize::new(0) })
    }

    pub fn number(&self) -> usize {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub fn drinks(&self) -> &[String] {
        &self.servers.data.drinks
    }

    /// Creates a database with the menu and the demo accounts.
    pub async fn database(&mut self) -> Result<String> {
        let SeededPostgres { postgres, template, .. } = &mut self.servers.data;
        postgres.new_database(Some(template)).await
    }

    /// Starts a new system: its database, its queue, a `serve`, and this many `work`.
    pub async fn scaled_out(&mut self, workers: usize) -> Result<System> {
        let database = self.database().await?;
        let prefix = format!("bench-{}", self.number());
        let postgres = &self.servers.data.postgres;
        let rabbitmq = &self.servers.rabbitmq;
        let settings = vec![
            ("DATABASE_URL".to_owned(), postgres.url(postgres.address(), &database)),
            ("AMQP_URL".to_owned(), rabbitmq.url(rabbitmq.address())),
            ("QUEUE_PREFIX".to_owned(), prefix.clone()),
            ("JWT_SECRET".to_owned(), SECRET.to_owned()),
        ];
        let (connection, channel) = rabbitmq.connect().await?;
        let serve = self.serve(&settings).await?;
        let tokens = Tokens::sign_in(serve.address).await?;
        let mut system = System {
            database,
            queue: format!("{prefix}.orders"),
            folder: self.folder.clone(),
            settings,
            serve,
            workers: Vec::new(),
            tokens,
            _connection: connection,
            channel,
        };
        for number in 0..workers {
            system.add_worker(number + 1).await?;
        }
        Ok(system)
    }

    /// Starts a `serve` alone, on a SQLite file in a new folder.
    pub async fn embedded(&self) -> Result<(Role, Tokens)> {
        self.embedded_with(&[]).await
    }

    /// Does the same with more settings.
    pub async fn embedded_with(&self, more: &[(String, String)]) -> Result<(Role, Tokens)> {
        let file = self.folder.join(format!("embedded-{}.db", self.number()));
        let mut settings = vec![
            ("DATABASE_URL".to_owned(), format!("sqlite://{}", file.display())),
            ("JWT_SECRET".to_owned(), SECRET.to_owned()),
        ];
        settings.extend_from_slice(more);
        let mut seed = command(&["seed"], &settings);
        if !timeout(WAIT_TIMEOUT, seed.output()).await??.status.success() {
            return Err("seed failed".into());
        }
        let serve = self.serve(&settings).await?;
        let tokens = Tokens::sign_in(serve.address).await?;
        Ok((serve, tokens))
    }

    /// Starts a `serve` alone, which records in this database.
    pub async fn recording(&self, database: &str) -> Result<(Role, Tokens)> {
        self.recording_with(database, &[]).await
    }

    /// Does the same with more settings.
    pub async fn recording_with(&self, database: &str, more: &[(String, String)]) -> Result<(Role, Tokens)> {
        let postgres = &self.servers.data.postgres;
        let mut settings = vec![
            ("DATABASE_URL".to_owned(), postgres.url(postgres.address(), database)),
            ("JWT_SECRET".to_owned(), SECRET.to_owned()),
        ];
        settings.extend_from_slice(more);
        let serve = self.serve(&settings).await?;
        let tokens = Tokens::sign_in(serve.address).await?;
        Ok((serve, tokens))
    }

    async fn serve(&self, settings: &[(String, String)]) -> Result<Role> {
        let mut serve = Role::start("serve", self.number(), "BIND_ADDR", settings, &self.folder)?;
        serve.ready().await?;
        Ok(serve)
    }

    /// Starts the bare handler, in a process of its own as `serve` is.
    pub async fn bare_handler(&self) -> Result<(Process, SocketAddr)> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut command = User::myself().command(&[], std::env::current_exe()?);
        command.args(["--bare-handler", &address.to_string()]);
        let process = Process::start("bare handler", command, &self.folder.join("bare-handler.log"))?;
        until("the bare handler listens", async || Ok(TcpStream::connect(address).ok())).await?;
        Ok((process, address))
    }

    pub async fn client(&self, database: &str) -> Result<tokio_postgres::Client> {
        self.servers.data.postgres.client(database).await
    }

    /// Removes what a round leaves behind and writes it to disk now, so that the next round finds the same machine.
    pub async fn clean_up(&self, database: &str) -> Result<()> {
        let client = self.client("postgres").await?;
        client.batch_execute(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await?;
        Ok(client.batch_execute("CHECKPOINT").await?)
    }
}

/// Processes of one scaled-out deployment.
pub struct System {
    pub database: String,
    pub queue: String,
    folder: PathBuf,
    settings: Vec<(String, String)>,
    pub serve: Role,
    pub workers: Vec<Role>,
    pub tokens: Tokens,
    _connection: Connection,
    channel: Channel,
}

impl System {
    pub async fn add_worker(&mut self, number: usize) -> Result<()> {
        let mut work = Role::start("work", number, "ADMIN_ADDR", &self.settings, &self.folder)?;
        work.ready().await?;
        self.workers.push(work);
        Ok(())
    }

    /// Counts messages in the queue that no worker has received.
    pub async fn waiting(&self) -> Result<u32> {
        waiting(&self.channel, &self.queue).await
    }

    /// Stops all processes and removes the queue.
    pub async fn stop(mut self, stage: &Stage) -> Result<()> {
        for role in self.workers.iter_mut().chain([&mut self.serve]) {
            if let Some(problem) = role.stop().await {
                return Err(problem.into());
            }
        }
        delete_queue(&self.channel, &self.queue).await?;
        stage.clean_up(&self.database).await
    }
}

pub async fn waiting(channel: &Channel, queue: &str) -> Result<u32> {
    let asked = QueueDeclareArguments::new(queue).passive(true).finish();
    let answer = timeout(Duration::from_secs(20), channel.queue_declare(asked)).await??;
    Ok(answer.map_or(0, |(_, messages, _)| messages))
}

pub async fn delete_queue(channel: &Channel, queue: &str) -> Result<()> {
    let delete = amqprs::channel::QueueDeleteArguments::new(queue);
    timeout(Duration::from_secs(20), channel.queue_delete(delete)).await??;
    Ok(())
}

pub async fn stored(client: &tokio_postgres::Client) -> Result<u64> {
    let count: i64 = client.query_one("SELECT count(*) FROM orders", &[]).await?.get(0);
    Ok(u64::try_from(count)?)
}
