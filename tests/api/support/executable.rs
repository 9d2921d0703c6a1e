//! The executable, as an operator runs it.

use super::WAIT_TIMEOUT;
use std::process::{ExitStatus, Output, Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// Builds a command without this process's environment, and without rate limits and limits on open orders.
pub fn shakerqueue(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shakerqueue"));
    command
        .args(arguments)
        .env_clear()
        .envs([("RATE_LIMITS", "off"), ("OPEN_ORDERS", "off")])
        .envs(environment.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Builds the environment of a `serve` on a free port that stops at once, without a broker, with more settings.
pub fn serve_settings<'a>(database_url: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [
        ("DATABASE_URL", database_url),
        ("BIND_ADDR", "127.0.0.1:0"),
        ("BCRYPT_COST", "4"),
        ("SHUTDOWN_DELAY_SECONDS", "0"),
    ];
    [&usual, more].concat()
}

/// Builds a command with a soft and a hard limit on open files.
pub fn limited(limits: (u32, u32), arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let plain = shakerqueue(arguments, environment);
    let mut command = Command::new("/bin/sh");
    let (soft, hard) = limits;
    let script = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
    command
        .args(["-c", &script])
        .arg(plain.as_std().get_program())
        .args(plain.as_std().get_args())
        .env_clear();
    command.envs(plain.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

pub async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    timeout(WAIT_TIMEOUT, shakerqueue(arguments, environment).output())
        .await
        .expect("an end in time")
        .expect("it starts")
}

/// A process of the product that runs until it is stopped.
pub struct Role {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Role {
    /// Starts a role that logs to this test's standard error.
    pub fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_logging_to(Stdio::inherit(), arguments, environment)
    }

    /// Starts a role that logs to `log`.
    pub fn start_logging_to(log: Stdio, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = shakerqueue(arguments, environment);
        command.stderr(log);
        Self::of(command)
    }

    /// Starts a command whose output is piped.
    pub fn of(mut command: Command) -> Self {
        let mut child = command.spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self { child, lines }
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Waits for a line of output with this text, and returns it.
    pub async fn says(&mut self, text: &str) -> String {
        timeout(WAIT_TIMEOUT, async {
            loop {
                let line = self.lines.next_line().await.expect("its output").expect("it goes on");
                if line.contains(text) {
                    return line;
                }
            }
        })
        .await
        .unwrap_or_else(|_| panic!("it never said {text:?}"))
    }

    /// Waits until a `serve` listens and returns its URL.
    pub async fn url(&mut self) -> String {
        let line = self.says("listens on").await;
        line.rsplit(' ').next().expect("a URL").to_owned()
    }

    /// Waits until the admin server listens and returns its URL. Call it before [`url`](Self::url).
    pub async fn admin_url(&mut self) -> String {
        let line = self.says("health and metrics on").await;
        line.rsplit(' ').next().expect("a URL").to_owned()
    }

    pub fn terminate(&self) {
        self.signal("TERM");
    }

    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = std::process::Command::new("kill").args([format!("-{name}"), pid]).status().expect("kill");
        assert!(sent.success());
    }

    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub async fn ended(mut self) -> ExitStatus {
        timeout(WAIT_TIMEOUT, self.child.wait()).await.expect("an end in time").expect("an exit status")
    }

    pub async fn kill(mut self) {
        self.child.kill().await.expect("it is killed");
    }

    /// Terminates the role and waits for a clean end.
    pub async fn stop(self) {
        self.terminate();
        let status = self.ended().await;
        assert!(status.success(), "ended with {status}");
    }
}
