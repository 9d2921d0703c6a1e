use super::{
    Result,
    process::Process,
    programs::{User, free_port},
    wait::until,
};
use reqwest::Client;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};
use tokio::process::Command;

pub const SECRET: &str = "a secret for this harness, long enough for HS256";
const STOP_TIMEOUT: Duration = Duration::from_secs(12);

/// Rate limits that the load never reaches, so that requests are counted and none is refused.
const HIGH_RATE_LIMITS: &str = "login=10000000,login-address=10000000,refresh=10000000,refresh-address=10000000,registration-address=10000000,ordering=10000000,\
    ordering-staff=10000000,ordering-address=10000000,reading=10000000,reading-staff=10000000,reading-address=10000000,\
    writing=10000000,writing-staff=10000000,writing-address=10000000";

/// Builds a command of the product with these settings.
pub fn command(arguments: &[&str], settings: &[(String, String)]) -> Command {
    let mut command = User::myself().command(&[], env!("CARGO_BIN_EXE_shakerqueue"));
    // One token lasts for all that is done with it.
    command.envs([("RATE_LIMITS", HIGH_RATE_LIMITS), ("OPEN_ORDERS", "off"), ("TOKEN_MINUTES", "1440")]);
    command.args(arguments).envs(settings.iter().cloned());
    command
}

/// A process of the product, which can be stopped and started again.
pub struct Role {
    pub name: String,
    does: &'static str,
    pub address: SocketAddr,
    settings: Vec<(String, String)>,
    log: PathBuf,
    process: Option<Process>,
}

impl Role {
    /// Starts a process. `address` is the name of the setting for the address of its health endpoints.
    pub fn start(
        role: &'static str,
        number: usize,
        address: &str,
        settings: &[(String, String)],
        folder: &Path,
    ) -> Result<Self> {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut settings = settings.to_vec();
        settings.push((address.to_owned(), at.to_string()));
        let log = folder.join(format!("{role}-{number}.log"));
        let name = format!("{role} {number}");
        let mut role = Self { name, does: role, address: at, settings, log, process: None };
        role.begin()?;
        Ok(role)
    }

    pub fn begin(&mut self) -> Result<()> {
        self.process = Some(Process::start(&self.name, command(&[self.does], &self.settings), &self.log)?);
        Ok(())
    }

    pub async fn ready(&mut self) -> Result<()> {
        let http = Client::builder().timeout(Duration::from_secs(2)).build()?;
        let url = format!("http://{}/readyz", self.address);
        let what = format!("{} is ready", self.name);
        until(&what, async || match self.ended() {
            Some(status) => Ok(Some(Err(self.had_ended(status).into()))),
            None => Ok(http.get(&url).send().await?.status().is_success().then_some(Ok(()))),
        })
        .await?
    }

    /// Kills the process. If it had ended before, that is a finding.
    pub async fn kill(&mut self) -> Result<Option<String>> {
        let ended = self.ended().map(|status| self.had_ended(status));
        if let Some(mut process) = self.process.take()
            && ended.is_none()
        {
            process.kill().await?;
        }
        Ok(ended)
    }

    fn had_ended(&self, status: ExitStatus) -> String {
        format!("{} had ended by itself: {status}; its log: {}", self.name, self.log.display())
    }

    /// Restarts the process if it has ended, which is a finding.
    pub fn revive(&mut self) -> Result<Option<String>> {
        match self.ended() {
            Some(status) => self.begin().map(|()| Some(self.had_ended(status))),
            None => Ok(None),
        }
    }

    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().and_then(Process::id)
    }

    pub fn signal(&self, signal: &str) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut().and_then(Process::ended)
    }

    /// Stops the process and waits for its end. Returns a finding if it did not stop cleanly.
    pub async fn stop(&mut self) -> Option<String> {
        if let Some(status) = self.ended() {
            return Some(self.had_ended(status));
        }
        self.signal("TERM");
        let mut process = self.process.take()?;
        match process.wait(STOP_TIMEOUT).await {
            Ok(status) if status.success() => None,
            Ok(status) => Some(format!("{} was asked to stop and ended with {status}", self.name)),
            Err(error) => Some(error.to_string()),
        }
    }
}
