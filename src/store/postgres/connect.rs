//! Opens connections to PostgreSQL that notice when their server is gone, and that keep the SQLSTATE of their
//! last error.

use super::{
    address::{ServerAddress, addresses},
    wire::{LastError, watch},
};
use crate::store::{PgConn, TRANSACTION_TIMEOUT, error::SqlState};
use diesel::{
    ConnectionError,
    connection::{Instrumentation, InstrumentationEvent},
    result::Error as DieselError,
};
use diesel_async::AsyncConnection;
use rand::seq::SliceRandom;
use socket2::{SockRef, TcpKeepalive};
use std::{
    error::Error, future::poll_fn, io, iter::successors, net::SocketAddr, path::PathBuf, sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpStream, UnixStream, lookup_host},
    sync::Notify,
    time::timeout,
};
use tokio_postgres::{
    AsyncMessage, Client, NoTls, SimpleQueryMessage,
    config::{Config, LoadBalanceHosts, TargetSessionAttrs},
};
use tokio_util::{either::Either, task::AbortOnDropHandle};

/// Time limit for one server of several to answer before the next is tried, and for any TCP connection.
const NEXT_SERVER_TIMEOUT: Duration = Duration::from_secs(3);
/// `TCP_USER_TIMEOUT`: time that sent data may stay unacknowledged.
const USER_TIMEOUT: Duration = Duration::from_secs(10);
/// TCP keepalive: idle time, interval and number of probes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_RETRIES: u32 = 3;

/// Reason that no connection could be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server refused the connection, or ended it during the start.
    #[error("{}", with_causes(.0))]
    Server(#[source] tokio_postgres::Error),
    #[error("failed to connect to the server: {0}")]
    Unreachable(#[from] io::Error),
    #[error("the server did not answer in time")]
    TimedOut,
    /// No server has the properties that the URL asks for.
    #[error("the server is not {0} (target_session_attrs)")]
    OtherKind(&'static str),
}

impl From<tokio_postgres::Error> for ConnectError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

/// Diesel's error has no other variant for foreign errors.
impl From<ConnectError> for ConnectionError {
    fn from(error: ConnectError) -> Self {
        Self::CouldntSetupConfiguration(DieselError::QueryBuilderError(Box::new(error)))
    }
}

/// Returns whether the server accepts no further connection for now: `max_connections` or a CONNECTION LIMIT is reached.
pub fn is_too_many_connections(error: &ConnectionError) -> bool {
    let ConnectionError::CouldntSetupConfiguration(DieselError::QueryBuilderError(error)) = error else {
        return false;
    };
    let Some(ConnectError::Server(error)) = error.downcast_ref() else { return false };
    error.code() == Some(&tokio_postgres::error::SqlState::TOO_MANY_CONNECTIONS)
}

/// Formats an error with its sources: tokio-postgres itself only says "db error".
fn with_causes(error: &tokio_postgres::Error) -> String {
    let causes = successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}

/// Task that drives an open connection; dropping it closes the connection.
pub struct Driver {
    last_error: LastError,
    _task: AbortOnDropHandle<()>,
}

/// A Diesel connection owns its instrumentation, so the driver is stored as one.
impl Instrumentation for Driver {
    fn on_connection_event(&mut self, _: InstrumentationEvent<'_>) {}
}

/// Takes the SQLSTATE of the last error on a connection.
pub fn last_error(conn: &mut PgConn) -> Option<SqlState> {
    conn.instrumentation().downcast_ref::<Driver>().and_then(|driver| driver.last_error.take())
}

/// Opens a connection for Diesel. These session options come before those of the URL. Calls `notified` for
/// each notification that the server sends.
pub async fn pg_connection(
    config: &Config,
    options: &str,
    notified: Option<Arc<Notify>>,
) -> Result<PgConn, ConnectionError> {
    let (client, driver) = connect(config, options, notified).await?;
    let mut conn = PgConn::try_from(client).await?;
    conn.set_instrumentation(driver);
    Ok(conn)
}

/// Opens a connection. These session options come before those of the URL.
pub async fn connect(
    config: &Config,
    options: &str,
    notified: Option<Arc<Notify>>,
) -> Result<(Client, Driver), ConnectError> {
    let mut config = config.clone();
    let options = match config.get_options() {
        Some(given) => format!("{options} {given}"),
        None => options.to_owned(),
    };
    config.options(options).application_name("shakerqueue");
    let mut servers = servers(&config).await?;
    if config.get_load_balance_hosts() == LoadBalanceHosts::Random {
        servers.shuffle(&mut rand::rng());
    }
    let limit = if servers.len() > 1 { NEXT_SERVER_TIMEOUT } else { TRANSACTION_TIMEOUT };
    let mut failure = ConnectError::Unreachable(io::ErrorKind::HostUnreachable.into());
    for server in &servers {
        match timeout(limit, connect_to(server, &config, notified.clone())).await {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(error)) => failure = error,
            Err(_) => failure = ConnectError::TimedOut,
        }
    }
    Err(failure)
}

/// A server at one address of its host.
enum Server {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Resolves the hosts of a URL. Those without an address are left out, unless none has one.
async fn servers(config: &Config) -> Result<Vec<Server>, ConnectError> {
    let (mut servers, mut failure) = (Vec::new(), None);
    for address in addresses(config) {
        match address {
            ServerAddress::Tcp(host, port) => match lookup_host((host.as_str(), port)).await {
                Ok(found) => servers.extend(found.map(Server::Tcp)),
                Err(error) => failure = Some(error),
            },
            ServerAddress::Unix(path) => servers.push(Server::Unix(path)),
        }
    }
    match failure {
        Some(error) if servers.is_empty() => Err(error.into()),
        _ => Ok(servers),
    }
}

async fn connect_to(
    server: &Server,
    config: &Config,
    notified: Option<Arc<Notify>>,
) -> Result<(Client, Driver), ConnectError> {
    let last_error = LastError::default();
    let stream = watch(open(server).await?, last_error.clone());
    let (client, mut connection) = config.connect_raw(stream, NoTls).await?;
    let task = tokio::spawn(async move {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            match message {
                Ok(AsyncMessage::Notification(_)) => {
                    if let Some(notified) = &notified {
                        notified.notify_one();
                    }
                }
                Ok(message) => tracing::debug!(?message, "the database sent a message"),
                Err(error) => {
                    tracing::debug!(%error, "a connection to the database ended");
                    break;
                }
            }
        }
    });
    let driver = Driver { last_error, _task: AbortOnDropHandle::new(task) };
    check_kind(&client, config.get_target_session_attrs()).await?;
    Ok((client, driver))
}

async fn open(server: &Server) -> Result<Either<TcpStream, UnixStream>, ConnectError> {
    let address = match server {
        Server::Tcp(address) => address,
        Server::Unix(path) => return Ok(Either::Right(UnixStream::connect(path).await?)),
    };
    let connecting = timeout(NEXT_SERVER_TIMEOUT, TcpStream::connect(address)).await;
    let stream = connecting.map_err(|_| ConnectError::TimedOut)??;
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(Either::Left(stream))
}

/// Checks that the server is writable or read-only, if the URL asks for that.
async fn check_kind(client: &Client, wanted: TargetSessionAttrs) -> Result<(), ConnectError> {
    let (read_only, name) = match wanted {
        TargetSessionAttrs::ReadWrite => ("off", "read-write"),
        TargetSessionAttrs::ReadOnly => ("on", "read-only"),
        _ => return Ok(()),
    };
    let answers = client.simple_query("SHOW transaction_read_only").await?;
    let is_wanted = answers.iter().any(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0) == Some(read_only),
        _ => false,
    });
    if is_wanted { Ok(()) } else { Err(ConnectError::OtherKind(name)) }
}
