//! `shakerqueue serve`

use super::{
    error::{CliError, say},
    open_files::Files,
    startup::{self, Reserved, retry_until_available},
};
use crate::{
    cli::{deployment::Deployment, lifecycle},
    config::ServeArgs,
    http::{self, AppState, Capacity, Clients, ServerHandle, ThreadWatchdog, Tls},
    services::{
        accounts::{self, Accounts, LoginThrottle, PasswordHasher, Revocations, Tokens},
        audit::AuditTrail,
        dead_letters::DeadLetters,
        health::{Health, Needs},
        menu::Menu,
        orders::{
            board::Board,
            intake::{Intake, OrderIds, Recovery},
            recorder::Recorder,
        },
        sampled_metrics::SampledMetrics,
        seed,
    },
    store::settings,
    telemetry::{metrics, report_unlogged, traces},
    util::{secrets, supervised_tasks::SupervisedTasks},
};
use chrono::TimeDelta;
use futures_util::FutureExt;
use secrecy::SecretString;
use std::{
    net::TcpListener,
    num::NonZero,
    sync::{Arc, Weak},
    thread::available_parallelism,
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

/// The setting that holds the key of order ids.
const IDENTITY_KEY_SETTING: &str = "identity_key";

/// Those of the background tasks that the others rely on while they stop.
const API_SERVER: &str = "api server";
const RECORDER: &str = "recorder";

/// How long requests under way may take after the listener closed; the rest of the bound is for what they accepted.
fn drain(within: Duration, delay: Duration) -> Duration {
    within.saturating_sub(delay).mul_f32(0.6)
}

/// Answers the API until it is told to stop.
pub async fn run(serving: ServeArgs) -> Result<(), CliError> {
    let stop = lifecycle::on_signal()?;
    let reserved = Reserved::new(serving.bind_addr)?;
    let address = reserved.address()?;
    let demo = serving.demo;
    let scheme = if serving.tls_files().is_ok_and(|files| files.is_some()) { "https" } else { "http" };
    let ready = |deployment| {
        say(format_args!("ShakerQueue ({deployment}) listens on {scheme}://{address}"));
        if demo {
            // "Any address" is where it listens, and not where it can be reached.
            let any = address.ip().is_unspecified();
            let reached = if any { format!("localhost:{}", address.port()) } else { address.to_string() };
            say(welcome(&format!("{scheme}://{reached}")));
        }
    };
    serve(serving, || reserved.listen(), stop, ready).await
}

/// What is known before anybody is let in.
struct Prepared {
    identity: OrderIds,
    menu: Menu,
    access: Revocations,
}

/// Answers the API where `listen` says, until `stop`; `ready` is called with the deployment's name once it does.
pub async fn serve(
    serving: ServeArgs,
    listen: impl FnOnce() -> Result<TcpListener, CliError>,
    stop: CancellationToken,
    ready: impl FnOnce(&'static str),
) -> Result<(), CliError> {
    let threads =
        serving.http_threads.or_else(|| available_parallelism().ok().map(NonZero::get)).unwrap_or(1);
    let capacity = capacity(&serving, threads)?;
    let traces = traces::start(&serving.tracing, "serve").map_err(CliError::new)?;
    let admin = serving.admin_addr.map(Reserved::new).transpose()?;
    // What can be wrong is found before anything is written.
    let given = serving.checked_secret().map_err(CliError::new)?.cloned();
    let tls =
        serving.tls_files().and_then(|files| files.map(Tls::load).transpose()).map_err(CliError::new)?;
    let deployment = Deployment::choose(&serving.servers)?;
    let secret = secret(given, serving.demo, &deployment)?;
    // Told to stop while it waits for the database: nothing has begun.
    let prepared = match stop.run_until_cancelled(prepare(&deployment, &serving)).await {
        Some(Ok(prepared)) => prepared,
        other => {
            deployment.leave().await;
            return other.map_or(Ok(()), |failed| failed.map(drop));
        }
    };
    let Prepared { identity, menu, access } = prepared;
    let store = &deployment.store;
    let previous: Vec<_> = serving.previous_secrets().cloned().collect();
    let lifetime = TimeDelta::minutes(serving.token_minutes.into());
    let mut tasks = background(&deployment, &stop, &menu, &access, tls.clone());
    let (recorder, recording) = Recorder::start(store.clone());
    tasks.supervise(RECORDER, recording);

    let health = Health::new(store.clone(), deployment.broker.clone(), Needs::Either, stop.clone());
    let (sink, settlement) = (deployment.sink(recorder), deployment.settlement());
    let intake = Intake::new(menu.clone(), sink, store.clone(), identity, &serving.ordering, settlement);
    let intake = Arc::new(intake);
    tasks.spawn("open orders", intake.open_orders().keep_counting(store.clone(), stop.clone()));
    if let Some(broker) = deployment.broker.clone() {
        let retries = serving.servers.retries();
        let recovery = Recovery { broker, retries, quiet: Duration::from_secs(serving.queue_settle_seconds) };
        tasks.spawn("recovery", recovery.run(Arc::downgrade(&intake), stop.clone()));
    }
    let monitor = monitor(deployment.name, health.clone(), Arc::downgrade(&intake));
    let within = serving.stopping.within();
    let watchdog = ThreadWatchdog::start()?;
    let admin = match admin {
        None => None,
        Some(reserved) => {
            let address = reserved.address()?;
            let listener = reserved.listen()?;
            let server = http::serve_admin(health.clone(), monitor.clone(), listener, within, &watchdog)?;
            let admin = server.handle();
            tasks.spawn("admin server", startup::run_server(server));
            startup::say_where(address);
            Some(admin)
        }
    };
    let app = AppState {
        accounts: Accounts::new(
            store.clone(),
            PasswordHasher::start(serving.bcrypt_cost)?,
            Tokens::new(&secret, &previous, lifetime),
            access,
            LoginThrottle::new(&secret, !serving.rate_limits.policies().is_empty()),
            TimeDelta::days(serving.session_days.into()),
        ),
        intake,
        bar: Board::new(store.clone()),
        dead_letters: DeadLetters::new(store.clone()),
        trail: AuditTrail::new(store.clone()),
        menu,
        health,
        monitor: admin.is_none().then_some(monitor),
    };
    // What is under way needs time as well.
    let delay = Duration::from_secs(serving.shutdown_delay_seconds).min(within / 2);
    let clients = Clients {
        origins: serving.cors_origins.into_iter().flatten().collect(),
        proxies: serving.trusted_proxies,
        limits: serving.rate_limits,
        tls,
    };
    let server = http::serve(app, listen()?, capacity, clients, drain(within, delay), &watchdog)?;
    let api = server.handle();
    tasks.spawn(API_SERVER, startup::run_server(server));
    ready(deployment.name);

    let failure = startup::until_stopped(&stop, &mut tasks).await;
    let deadline = Instant::now() + within;
    // `/readyz` says no from here on, and requests are still taken: load balancers need a moment to see it.
    sleep(delay).await;
    let finished = timeout_at(deadline, finish(&deployment, tasks, api, admin, deadline)).await;
    traces.finish().await;
    deployment.store.close();
    match failure {
        Some(failure) => Err(failure),
        None => finished.map_err(|_| startup::unfinished(within)),
    }
}

/// Starts what goes on beside answering, until `stop`.
fn background(
    deployment: &Deployment,
    stop: &CancellationToken,
    menu: &Menu,
    access: &Revocations,
    tls: Option<Tls>,
) -> SupervisedTasks {
    let store = &deployment.store;
    let mut tasks = SupervisedTasks::default();
    tasks.spawn("menu", menu.clone().keep_fresh(stop.clone()));
    tasks.spawn("access", access.clone().keep_fresh(stop.clone()));
    tasks.spawn("tidy-up", accounts::keep_tidy(store.clone(), stop.clone()));
    tasks.spawn("summary of the log", report_unlogged(stop.clone()));
    tasks.spawn("deactivation", accounts::keep_cancelling(store.clone(), stop.clone()));
    if let Some(tls) = tls {
        tasks.spawn("certificate", tls.keep_fresh(stop.clone()));
    }
    if let Some(broker) = deployment.broker.clone() {
        tasks.spawn("broker", broker.ended());
    }
    tasks
}

/// Stops what was started, in an order in which nothing that was accepted is lost.
async fn finish(
    deployment: &Deployment,
    mut tasks: SupervisedTasks,
    api: ServerHandle,
    admin: Option<ServerHandle>,
    deadline: Instant,
) {
    // Requests first: what they accept goes to the broker and the recorder, which therefore stop after them.
    api.stop(true).await;
    tasks.finish_task(API_SERVER).await;
    if let Some(broker) = &deployment.broker {
        broker.close(deadline.saturating_duration_since(Instant::now())).await;
    }
    // The last recorder went with the server.
    tasks.finish_task(RECORDER).await;
    if let Some(admin) = admin {
        admin.stop(false).await;
    }
    tasks.finish().await;
}

/// How much is done at a time, as far as the system allows.
fn capacity(serving: &ServeArgs, threads: usize) -> Result<Capacity, CliError> {
    let watchers = if serving.admin_addr.is_some() { http::ADMIN_CONNECTIONS } else { 0 };
    // Each thread rounds up what it has of the connections.
    let files =
        Files { database: serving.servers.database.database_connections, others: watchers + 2 * threads };
    let connections = files.allow(serving.http_connections)?;
    Ok(Capacity { threads, connections, answer_bytes: serving.http_answer_bytes })
}

/// What signs tokens.
fn secret(
    given: Option<SecretString>,
    demo: bool,
    deployment: &Deployment,
) -> Result<SecretString, CliError> {
    match (given, &deployment.file) {
        (Some(secret), _) => Ok(secret),
        (None, Some(file)) => secrets::beside(file).map_err(CliError::new),
        (None, None) if demo => Ok(secrets::generate()),
        (None, None) => Err(CliError::new(
            "JWT_SECRET must be set: at least 32 bytes, the same for every serve (try: openssl rand -base64 48)",
        )),
    }
}

/// Tells those who watch over it how this process is.
fn monitor(deployment: &str, health: Health, intake: Weak<Intake>) -> SampledMetrics {
    metrics::intake();
    metrics::accounts();
    metrics::transitions();
    // Orders go on to the recorder, which ends when the last of those is gone who could give it one.
    let oldest_waiting = move || {
        let intake = intake.upgrade();
        async move { intake?.oldest_waiting().await }.boxed()
    };
    SampledMetrics::new("serve", deployment, health, Box::new(oldest_waiting))
}

/// Brings the database to where it must be, and reads from it what is held in memory.
async fn prepare(deployment: &Deployment, serving: &ServeArgs) -> Result<Prepared, CliError> {
    startup::ready_database(deployment, serving.migrate).await?;
    let store = &deployment.store;
    if serving.demo {
        let menu = seed::house_menu().map_err(CliError::new)?;
        seed::fill(store, menu, seed::demo_accounts().map_err(CliError::new)?).await?;
    }
    let new_key = secrets::random_text();
    let key = retry_until_available(|| {
        let new_key = new_key.clone();
        store.write(async |conn| settings::get_or_set(conn, IDENTITY_KEY_SETTING, new_key).await)
    });
    Ok(Prepared {
        identity: OrderIds::new(&key.await?),
        menu: retry_until_available(|| Menu::load(store.clone())).await?,
        access: retry_until_available(|| Revocations::load(store.clone())).await?,
    })
}

/// What someone who tries it wants to know.
fn welcome(url: &str) -> String {
    let accounts: Vec<_> =
        seed::DEMO_ACCOUNTS.iter().map(|(email, role)| format!("  {email:<21} {role}")).collect();
    format!(
        "\nDemo accounts, each with the password {password}:\n{accounts}\n\nTry:\n  \
         TOKEN=$(curl -s {url}/login -H 'Content-Type: application/json' -d '{{\"email\":\"user@example.com\",\"password\":\"{password}\"}}' | sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/')\n  \
         curl -i {url}/orders -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -d '{{\"recipe\":\"Margarita\"}}'\n",
        password = seed::DEMO_PASSWORD,
        accounts = accounts.join("\n"),
    )
}
