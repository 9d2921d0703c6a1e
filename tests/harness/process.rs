//! A child process that logs to a file and ends with its owner.

use super::Result;
use std::{
    fs::File,
    path::Path,
    process::{Command as Blocking, ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

pub struct Process {
    pub name: String,
    child: Child,
}

impl Process {
    /// Starts a process in a group of its own, so that a terminal's Ctrl-C does not reach it.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.process_group(0).spawn().map_err(|error| format!("{name}: {error}"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// Returns the process id, until the process has been waited for.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, signal: &str) {
        if let Some(id) = self.id() {
            send(signal, &[id]);
        }
    }

    /// Returns the exit status once it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    pub async fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        match timeout(within, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => Err(format!("{} did not end within {} s", self.name, within.as_secs()).into()),
        }
    }

    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }
}

/// Sends a signal to processes. Those that have ended are ignored.
pub fn send(signal: &str, ids: &[u32]) {
    if !ids.is_empty() {
        let ids = ids.iter().map(u32::to_string);
        let _ = Blocking::new("kill").arg(format!("-{signal}")).args(ids).stderr(Stdio::null()).status();
    }
}

/// Sends a signal to a process group.
pub fn send_to_group(signal: &str, leader: Option<u32>) {
    if let Some(id) = leader {
        let group = format!("-{id}");
        let _ =
            Blocking::new("kill").args([&format!("-{signal}"), "--", &group]).stderr(Stdio::null()).status();
    }
}

/// Returns the ids of a process's children.
pub fn children(parent: u32) -> Vec<u32> {
    let Ok(output) = Blocking::new("ps").args(["-A", "-o", "pid=", "-o", "ppid="]).output() else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().map(str::parse::<u32>);
            match (words.next(), words.next()) {
                (Some(Ok(id)), Some(Ok(of))) if of == parent => Some(id),
                _ => None,
            }
        })
        .collect()
}
