//! A private PostgreSQL, as durable as in production.

use super::{
    Result,
    process::{Process, children, send, send_to_group},
    programs::{Programs, User, free_port},
    wait::{WAIT_TIMEOUT, until},
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command as Blocking, ExitStatus},
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    time::timeout,
};
use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

/// Role of the product: not a superuser, so that some connections stay free for this harness.
pub const ROLE: &str = "bar";
/// Room for the product's 40 connections and a few more.
const MAX_CONNECTIONS: u32 = 60;

/// Additional options of a cluster.
#[derive(Clone, Copy)]
pub struct Tuning {
    pub initdb: &'static [&'static str],
    pub settings: &'static [&'static str],
}

impl Tuning {
    /// Small log segments, for a fast start with little data.
    pub const SMALL: Self = Self { initdb: &["--wal-segsize=1"], settings: &[] };
}

pub struct Postgres {
    programs: PathBuf,
    tuning: Tuning,
    user: User,
    inside: Vec<String>,
    home: PathBuf,
    log: PathBuf,
    port: u16,
    password: String,
    server: Option<Process>,
    version: u32,
    made: u32,
}

impl Postgres {
    /// Creates a cluster in the folder `home`, with its log beside the path `log`, and starts it. `inside` is a command
    /// that runs its programs.
    pub async fn create(
        programs: &Programs,
        tuning: Tuning,
        home: &Path,
        log: &Path,
        inside: &[String],
    ) -> Result<Self> {
        let version = Blocking::new(programs.postgres.join("postgres")).arg("--version").output()?.stdout;
        let version = String::from_utf8_lossy(&version);
        let digits = version.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        let version = digits.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or("").parse()?;
        let mut postgres = Self {
            programs: programs.postgres.clone(),
            tuning,
            user: User::for_server("postgres")?,
            inside: inside.to_vec(),
            home: home.join("data"),
            log: log.with_extension("log"),
            port: free_port(),
            password: Uuid::new_v4().simple().to_string(),
            server: None,
            version,
            made: 0,
        };
        postgres.initialise(&log.with_extension("password")).await?;
        postgres.start().await?;
        postgres.add_role(ROLE).await?;
        Ok(postgres)
    }

    async fn initialise(&self, password: &Path) -> Result<()> {
        std::fs::write(password, &self.password)?;
        self.user.own(password)?;
        // A debug build takes a tenth of a second for a full SCRAM exchange.
        let method = if self.version >= 16 { "scram-sha-256" } else { "md5" };
        let mut command = self.command("initdb");
        command.arg("--pgdata").arg(&self.home).args([
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
            "--no-sync",
        ]);
        command.args(self.tuning.initdb);
        command.arg(format!("--auth={method}")).arg("--pwfile").arg(password);
        let output = timeout(WAIT_TIMEOUT, command.output()).await??;
        if output.status.success() {
            Ok(())
        } else {
            Err(format!("initdb: {}", String::from_utf8_lossy(&output.stderr)).into())
        }
    }

    fn command(&self, program: &str) -> Command {
        self.user.command(&self.inside, self.programs.join(program))
    }

    /// Starts the server on its data and waits until it answers.
    pub async fn start(&mut self) -> Result<()> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(&self.home).args(["-p", &self.port.to_string()]);
        let mut settings = vec![
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            format!("max_connections={MAX_CONNECTIONS}"),
            "fsync=on".to_owned(),
            "synchronous_commit=on".to_owned(),
        ];
        if self.version >= 16 {
            settings.push("scram_iterations=1".to_owned());
        }
        settings.extend(self.tuning.settings.iter().map(|setting| (*setting).to_owned()));
        for setting in settings {
            command.args(["-c", &setting]);
        }
        self.server = Some(Process::start("PostgreSQL", command, &self.log)?);
        until("PostgreSQL answers", async || {
            if let Some(status) = self.server.as_mut().and_then(Process::ended) {
                return Ok(Some(Err(format!("it ended: {status}; its log: {}", self.log.display()).into())));
            }
            self.client("postgres").await?;
            Ok(Some(Ok(())))
        })
        .await?
    }

    pub fn ended(&mut self) -> bool {
        self.server.as_mut().is_none_or(|server| server.ended().is_some())
    }

    /// Makes a fast shutdown: rolls transactions back and closes connections.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        let server = self.server.as_mut().ok_or("PostgreSQL does not run")?;
        server.signal("INT");
        server.wait(WAIT_TIMEOUT).await
    }

    pub async fn kill(&mut self) -> Result<()> {
        let ids = self.frozen_processes();
        send("KILL", &ids);
        if let Some(mut server) = self.server.take() {
            server.wait(WAIT_TIMEOUT).await?;
        }
        Ok(())
    }

    /// Pauses all processes of the server. A helper process resumes them after a while in any case: if this harness were
    /// killed, nothing else would resume those that are not its children.
    pub fn freeze(&self, at_most: Duration) -> Result<PausedProcesses> {
        let ids = self.frozen_processes();
        let words: Vec<_> = ids.iter().map(u32::to_string).collect();
        let script = format!("sleep {}; kill -CONT {}", at_most.as_secs() + 5, words.join(" "));
        let mut waking = Command::new("sh");
        waking.args(["-c", &script]).kill_on_drop(true).process_group(0);
        Ok(PausedProcesses { ids, waking: waking.spawn()? })
    }

    /// Pauses the server's processes, the first one first so that it starts no new ones, and returns their ids.
    fn frozen_processes(&self) -> Vec<u32> {
        let Some(first) = self.server.as_ref().and_then(Process::id) else { return Vec::new() };
        send("STOP", &[first]);
        let mut ids = children(first);
        ids.push(first);
        send("STOP", &ids);
        ids
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Returns the product's URL of a database at this address, such as a proxy's.
    pub fn url(&self, by: SocketAddr, database: &str) -> String {
        format!("postgres://{ROLE}:{}@{by}/{database}", self.password)
    }

    /// Creates a role that may log in and nothing else.
    pub async fn add_role(&self, name: &str) -> Result<()> {
        let statement = format!("CREATE ROLE {name} LOGIN PASSWORD '{}'", self.password);
        Ok(self.client("postgres").await?.batch_execute(&statement).await?)
    }

    /// Creates a database of the product, empty or as a copy.
    pub async fn new_database(&mut self, template: Option<&str>) -> Result<String> {
        self.made += 1;
        let name = format!("bar_{}", self.made);
        let template = template.map(|name| format!("TEMPLATE {name}")).unwrap_or_default();
        let statement = format!("CREATE DATABASE {name} OWNER {ROLE} {template}");
        self.client("postgres").await?.batch_execute(&statement).await?;
        Ok(name)
    }

    /// Connects as a superuser, bypassing every proxy.
    pub async fn client(&self, database: &str) -> Result<Client> {
        self.connect("postgres", database).await
    }

    pub async fn connect(&self, role: &str, database: &str) -> Result<Client> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user(role).password(&self.password).dbname(database);
        let (client, connection) = timeout(Duration::from_secs(5), config.connect(NoTls)).await??;
        tokio::spawn(connection);
        Ok(client)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        send("KILL", &self.frozen_processes());
    }
}

/// Processes that are paused until this is dropped.
pub struct PausedProcesses {
    ids: Vec<u32>,
    waking: Child,
}

impl Drop for PausedProcesses {
    fn drop(&mut self) {
        send("CONT", &self.ids);
        send_to_group("KILL", self.waking.id());
    }
}
