//! An nginx in front of a bar.

use super::WAIT_TIMEOUT;
use std::{env, fs, io::ErrorKind, net::TcpListener};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Duration, sleep, timeout},
};

/// Attempts to start on another port, because another process may take the free one first.
const MAX_STARTS: usize = 5;

pub struct Nginx {
    _process: Child,
    _folder: TempDir,
    pub url: String,
}

impl Nginx {
    /// Starts an nginx that forwards to this bar over persistent connections, with more lines of configuration. Returns
    /// `None` if it is not installed and need not be (`tests/with-servers` says so).
    pub async fn before(bar: &str, lines: &str) -> Option<Self> {
        for _ in 0..MAX_STARTS {
            let port =
                TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
            let folder = tempfile::tempdir().expect("a folder");
            let home = folder.path().display().to_string();
            let file = folder.path().join("nginx.conf");
            fs::write(&file, configuration(&home, port, bar, lines)).expect("its configuration");
            let mut command = Command::new("nginx");
            command
                .arg("-p")
                .arg(folder.path())
                .arg("-c")
                .arg(&file)
                .args(["-e", "stderr"])
                .kill_on_drop(true);
            let mut process = match command.spawn() {
                Err(missing) if missing.kind() == ErrorKind::NotFound => {
                    assert!(
                        env::var_os("TEST_NGINX").is_some_and(|nginx| nginx == "optional"),
                        "nginx is missing: make test"
                    );
                    return None;
                }
                process => process.expect("it starts"),
            };
            let listens = timeout(WAIT_TIMEOUT, async {
                while process.try_wait().expect("its state").is_none() {
                    if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                        return true;
                    }
                    sleep(Duration::from_millis(20)).await;
                }
                false
            });
            if listens.await.expect("it listens or ends in time") {
                return Some(Self {
                    _process: process,
                    _folder: folder,
                    url: format!("http://127.0.0.1:{port}"),
                });
            }
        }
        panic!("nginx did not start {MAX_STARTS} times");
    }
}

fn configuration(home: &str, port: u16, bar: &str, lines: &str) -> String {
    let address = bar.trim_start_matches("http://");
    let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {home}/{kind};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {home}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{folders}\
         map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}\n\
         upstream bar {{ server {address}; keepalive 16; }}\n\
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://bar;\n{lines}\n}} }}\n}}\n"
    )
}
