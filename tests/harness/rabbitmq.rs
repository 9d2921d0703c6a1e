//! A private `RabbitMQ` with all of its state in one folder.

use super::{
    Result,
    process::Process,
    programs::{Programs, User, free_port},
    wait::{WAIT_TIMEOUT, until},
};
use amqprs::{
    channel::{Channel, QueueDeclareArguments},
    connection::{Connection, OpenConnectionArguments},
};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::timeout,
};
use uuid::Uuid;

/// Protocol header of AMQP 0-9-1, which a client sends first.
const PROTOCOL_HEADER: &[u8] = b"AMQP\0\0\x09\x01";

pub struct RabbitMq {
    program: PathBuf,
    user: User,
    home: PathBuf,
    log: PathBuf,
    port: u16,
    password: String,
    environment: Vec<(String, String)>,
    server: Option<Process>,
    _name_server: Process,
}

impl RabbitMq {
    /// User of the product at the broker.
    pub const USER: &'static str = "shakerqueue";

    /// Creates a broker in this folder, which must exist, and begins to start it: see [`RabbitMq::await_start`].
    pub fn create(programs: &Programs, folder: &Path) -> Result<Self> {
        let user = User::for_server("rabbitmq")?;
        let (port, name_port, node_port) = (free_port(), free_port(), free_port());
        let password = Uuid::new_v4().simple().to_string();
        let log = folder.with_extension("log");
        fs::create_dir(folder.join("conf.d"))?;
        fs::write(folder.join("empty"), "")?;
        fs::write(folder.join("plugins"), "[].\n")?;
        fs::write(
            folder.join("rabbitmq.conf"),
            format!(
                "listeners.tcp.default = 127.0.0.1:{port}\ndefault_user = {}\ndefault_pass = {password}\n\
                 log.file.level = info\n",
                Self::USER
            ),
        )?;
        user.own(folder)?;
        // Erlang's name server would outlive it; ours is private.
        let mut name_server = user.command(&[], &programs.epmd);
        name_server.args(["-address", "127.0.0.1", "-port", &name_port.to_string()]).env("HOME", folder);
        let name_server = Process::start("epmd", name_server, &log)?;
        let path = |name: &str| folder.join(name).display().to_string();
        let environment = [
            ("HOME", folder.display().to_string()),
            // Makes the start script become the server instead of a parent that only waits for it.
            ("RUNNING_UNDER_SYSTEMD", "true".into()),
            ("ERL_EPMD_PORT", name_port.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
            ("RABBITMQ_NODENAME", format!("shakerqueue-{}@localhost", std::process::id())),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".into()),
            ("RABBITMQ_NODE_PORT", port.to_string()),
            ("RABBITMQ_DIST_PORT", node_port.to_string()),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}".into()),
            ("RABBITMQ_CONF_ENV_FILE", path("empty")),
            ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
            ("RABBITMQ_CONFIG_FILES", path("conf.d")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", path("advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins")),
            ("RABBITMQ_PID_FILE", path("pid")),
            ("RABBITMQ_MNESIA_BASE", path("mnesia")),
            ("RABBITMQ_GENERATED_CONFIG_DIR", path("config")),
            ("RABBITMQ_SCHEMA_DIR", path("schema")),
            ("RABBITMQ_LOG_BASE", path("log")),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        let mut broker = Self {
            program: programs.rabbitmq_server.clone(),
            user,
            home: folder.to_owned(),
            log,
            port,
            password,
            environment: environment.into(),
            server: None,
            _name_server: name_server,
        };
        broker.spawn()?;
        Ok(broker)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = self.user.command(&[], program);
        command.envs(self.environment.iter().cloned()).current_dir(&self.home);
        command
    }

    fn spawn(&mut self) -> Result<()> {
        self.server = Some(Process::start("RabbitMQ", self.command(&self.program), &self.log)?);
        Ok(())
    }

    /// Starts the broker on its data and waits until it answers.
    pub async fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.await_start().await
    }

    pub async fn await_start(&mut self) -> Result<()> {
        until("RabbitMQ answers", async || {
            if let Some(status) = self.server.as_mut().and_then(Process::ended) {
                return Ok(Some(Err(format!("it ended: {status}; its log: {}", self.log.display()).into())));
            }
            Ok(timeout(Duration::from_secs(2), greeted(self.address())).await?.then_some(Ok(())))
        })
        .await?
    }

    pub async fn kill(&mut self) -> Result<()> {
        self.server()?.kill().await
    }

    pub async fn stop(&mut self) -> Result<ExitStatus> {
        self.server()?.signal("TERM");
        self.server()?.wait(WAIT_TIMEOUT).await
    }

    pub fn server(&mut self) -> Result<&mut Process> {
        self.server.as_mut().ok_or_else(|| "RabbitMQ does not run".into())
    }

    pub async fn control(&self, arguments: &[&str]) -> Result<()> {
        let mut command = self.command(&self.program.with_file_name("rabbitmqctl"));
        let output = timeout(WAIT_TIMEOUT, command.arg("-q").args(arguments).output()).await??;
        if output.status.success() {
            Ok(())
        } else {
            Err(format!("rabbitmqctl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
        }
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Returns the broker's URL at this address, such as a proxy's.
    pub fn url(&self, by: SocketAddr) -> String {
        format!("amqp://{}:{}@{by}/%2f", Self::USER, self.password)
    }

    /// Opens a connection that bypasses every proxy, and a channel.
    pub async fn connect(&self) -> Result<(Connection, Channel)> {
        let arguments = OpenConnectionArguments::new("127.0.0.1", self.port, Self::USER, &self.password);
        let opening = async {
            let connection = Connection::open(&arguments).await?;
            let channel = connection.open_channel(None).await?;
            Ok::<_, amqprs::error::Error>((connection, channel))
        };
        Ok(timeout(Duration::from_secs(5), opening).await??)
    }

    /// Counts the ready messages of a queue.
    pub async fn waiting(&self, queue: &str) -> Result<u32> {
        let (connection, channel) = self.connect().await?;
        let asked = QueueDeclareArguments::new(queue).passive(true).finish();
        let answer = timeout(Duration::from_secs(5), channel.queue_declare(asked)).await??;
        let _ = timeout(Duration::from_secs(1), connection.close()).await;
        Ok(answer.map_or(0, |(_, messages, _)| messages))
    }
}

async fn greeted(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    stream.write_all(PROTOCOL_HEADER).await.is_ok() && stream.read_u8().await.is_ok()
}
