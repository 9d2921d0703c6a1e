//! A PgBouncer between a test and its database.

use super::{database::Database, eventually};
use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, process::Stdio};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};
use url::Url;

/// Time for which a client keeps a connection to the server.
#[derive(Debug, Clone, Copy)]
pub enum PoolMode {
    Session,
    Transaction,
}

pub struct PgBouncer {
    /// URL of the database through the pooler.
    pub url: String,
    _process: Child,
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts a pooler that ignores these startup parameters.
    pub async fn start(database: &Database, mode: PoolMode, ignored: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let folder = TempDir::new().expect("a temporary folder");
        // It reads its settings as the user that it runs as.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        let settings = folder.path().join("pgbouncer.ini");
        fs::write(&settings, self::settings(database, port, mode, ignored)).expect("settings");
        let mut command = Command::new("pgbouncer");
        command.arg("-q");
        if is_root().await {
            // It refuses to run as root.
            command.args(["-u", "nobody"]);
        }
        command.arg(&settings).stdin(Stdio::null()).kill_on_drop(true);
        let process = command.spawn().expect("pgbouncer");
        eventually("PgBouncer to listen", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
        Self { url: format!("postgres://anybody@127.0.0.1:{port}/bar"), _process: process, _folder: folder }
    }
}

fn settings(database: &Database, port: u16, mode: PoolMode, ignored: &str) -> String {
    let url = Url::parse(&database.url).expect("a URL");
    let word = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mode = match mode {
        PoolMode::Session => "session",
        PoolMode::Transaction => "transaction",
    };
    format!(
        "[databases]\nbar = host={} port={} dbname={} user={} password={}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
         pool_mode = {mode}\nignore_startup_parameters = {ignored}\n",
        url.host_str().unwrap_or("127.0.0.1"),
        url.port().unwrap_or(5432),
        database.name(),
        word(url.username()),
        word(url.password().unwrap_or_default()),
    )
}

async fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().await.expect("id");
    id.stdout.trim_ascii() == b"0"
}
