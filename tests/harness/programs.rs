//! Programs of the servers, found by `tests/with-servers --programs`, and the users that they run as.

use super::Result;
use std::{
    collections::BTreeSet,
    env,
    ffi::OsStr,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command as Blocking,
    sync::{Mutex, PoisonError},
};
use tokio::process::Command;

#[derive(Clone)]
pub struct Programs {
    pub postgres: PathBuf,
    pub rabbitmq_server: PathBuf,
    pub epmd: PathBuf,
}

impl Programs {
    pub fn found() -> Result<Self> {
        let path = |name: &str| {
            env::var_os(name)
                .map(PathBuf::from)
                .ok_or_else(|| format!("{name} is not set: tests/with-servers --programs sets it"))
        };
        Ok(Self {
            postgres: path("POSTGRES_BIN")?,
            rabbitmq_server: path("RABBITMQ_SERVER")?,
            epmd: path("EPMD")?,
        })
    }
}

/// A user of this system: name and group. `None` is the current user.
#[derive(Clone)]
pub struct User(Option<(String, String)>);

impl User {
    /// Returns the user for a server. Servers refuse to run as root, and only root can change the user.
    pub fn for_server(name: &str) -> Result<Self> {
        if id(&["-u"])? != "0" {
            return Ok(Self(None));
        }
        let name = if id(&["-u", name]).is_ok() { name } else { "nobody" };
        Ok(Self(Some((name.to_owned(), id(&["-g", name])?))))
    }

    pub fn myself() -> Self {
        Self(None)
    }

    /// Changes the owner of a folder and its content.
    pub fn own(&self, folder: &Path) -> Result<()> {
        let Some((name, _)) = &self.0 else { return Ok(()) };
        let status = Blocking::new("chown").arg("-R").arg(name).arg(folder).status()?;
        if status.success() { Ok(()) } else { Err(format!("chown {}: {status}", folder.display()).into()) }
    }

    /// Builds a command of this user with an empty environment. The process ends when this one ends, however that happens.
    /// `inside` is a command that runs it, if there is any.
    pub fn command(&self, inside: &[String], program: impl AsRef<OsStr>) -> Command {
        let mut words: Vec<String> = inside.to_vec();
        if let Some((name, group)) = &self.0 {
            words.extend(["setpriv".into(), format!("--reuid={name}"), format!("--regid={group}")]);
            words.extend(["--init-groups".into(), "--pdeathsig=KILL".into(), "--".into()]);
        } else if cfg!(target_os = "linux") && has("setpriv") {
            words.extend(["setpriv", "--pdeathsig=KILL", "--"].map(str::to_owned));
        }
        let mut command = match words.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).env("LANG", "C.UTF-8");
        command.kill_on_drop(true);
        command
    }
}

fn id(arguments: &[&str]) -> Result<String> {
    let output = Blocking::new("id").args(arguments).output()?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().into())
    }
}

/// Returns true if a program is in `PATH`.
pub fn has(program: &str) -> bool {
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(program).exists())
}

/// Returns a free port, each only once, below those that systems assign to outgoing connections.
pub fn free_port() -> u16 {
    static ASSIGNED_PORTS: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = ASSIGNED_PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let port = rand::random_range(20_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && given.insert(port) {
            return port;
        }
    }
}
