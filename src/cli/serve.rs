//! `shakerqueue serve`

use super::{
    deployment::Deployment,
    error::{CliError, say},
    lifecycle::{self, Lifecycle},
    open_files::{ClientFiles, OpenFiles},
    startup::{self, ReservedAddress, retry_until_available},
};
use crate::{
    config::ServeArgs,
    http::{self, AppState, Capacity, Clients, ThreadWatchdog, Tls},
    services::{
        accounts::{self, Accounts, LoginThrottle, PasswordHasher, Revocations, Tokens},
        audit::AuditTrail,
        boards::Boards,
        dead_letters::DeadLetters,
        feed::{Caches, Feed},
        health::{Health, Needs},
        instances,
        menu::Menu,
        orders::{
            OrderCaches,
            board::Board,
            intake::{Intake, OrderIds, Recovery},
            recorder::Recorder,
        },
        sampled_metrics::SampledMetrics,
        seed,
    },
    store::{Store, settings},
    telemetry::metrics,
    util::secrets,
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
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The setting that holds the key of order ids.
const IDENTITY_KEY_SETTING: &str = "identity_key";

const API_SERVER: &str = "api server";

/// The share of the shutdown timeout for requests under way; the rest is for the orders that they placed.
const DRAIN_SHARE: f32 = 0.6;

/// Serves the API until a signal stops it.
pub async fn run(args: ServeArgs) -> Result<(), CliError> {
    let stop = lifecycle::stop_on_signal()?;
    let reserved = ReservedAddress::new(args.bind_addr)?;
    let address = reserved.address()?;
    let demo = args.demo;
    let scheme = if args.tls_files().is_ok_and(|files| files.is_some()) { "https" } else { "http" };
    let ready = |deployment| {
        say(format_args!("ShakerQueue ({deployment}) listens on {scheme}://{address}"));
        if demo {
            // One can listen on the unspecified address, but not connect to it.
            let any = address.ip().is_unspecified();
            let host = if any { format!("localhost:{}", address.port()) } else { address.to_string() };
            say(welcome(&format!("{scheme}://{host}")));
        }
    };
    serve(args, || reserved.listen(), stop, ready).await
}

/// Serves the API on the listener until `stop`. Calls `ready` with the deployment's name once it listens.
pub async fn serve(
    args: ServeArgs,
    listen: impl FnOnce() -> Result<TcpListener, CliError>,
    stop: CancellationToken,
    ready: impl FnOnce(&'static str),
) -> Result<(), CliError> {
    let capacity = capacity(&args)?;
    let admin = args.admin_addr.map(ReservedAddress::new).transpose()?;
    // Wrong settings are found before anything is written.
    let given = args.checked_secret().map_err(CliError::new)?.cloned();
    let tls = args.tls_files().and_then(|files| files.map(Tls::load).transpose()).map_err(CliError::new)?;
    let deployment = Deployment::choose(&args.servers)?;
    let secret = secret(given, args.demo, &deployment)?;
    let mut lifecycle = Lifecycle::start("serve", deployment, &args.tracing, args.stopping, stop)?;
    let preparation = prepare(&lifecycle.deployment, &args, lifecycle.stop.clone());
    let Some(Prepared { order_ids, feed, menu, revocations }) = lifecycle.prepare(preparation).await? else {
        return Ok(());
    };
    let intake = start_intake(&mut lifecycle, &args, menu.clone(), order_ids, &feed);
    let board = Board::new(lifecycle.deployment.store.clone());
    let orders = OrderCaches::new(&board, &intake);
    let caches = Caches { menu: menu.clone(), revocations: revocations.clone(), orders };
    spawn_background_tasks(&mut lifecycle, &feed, caches, tls.clone());
    let boards = start_boards(&mut lifecycle, &feed, args.unseen_seconds);
    let Deployment { store, broker, name, .. } = &lifecycle.deployment;
    let health = Health::new(store.clone(), broker.clone(), Needs::Either, lifecycle.stop.clone());
    let metrics = sampled_metrics(name, health.clone(), feed.clone(), Arc::downgrade(&intake));
    let app = AppState {
        accounts: accounts(&args, &secret, store.clone(), revocations)?,
        intake,
        board,
        dead_letters: DeadLetters { store: store.clone() },
        trail: AuditTrail { store: store.clone() },
        menu,
        boards,
        feed,
        max_streams: capacity.streams,
        health: health.clone(),
        monitor: admin.is_none().then(|| metrics.clone()),
    };
    let watchdog = ThreadWatchdog::start()?;
    if let Some(reserved) = admin {
        lifecycle.serve_admin(reserved, health, metrics, &watchdog)?;
    }
    // Requests under way need time as well.
    let timeout = lifecycle.shutdown_timeout;
    let delay = Duration::from_secs(args.shutdown_delay_seconds).min(timeout / 2);
    let drain_timeout = timeout.saturating_sub(delay).mul_f32(DRAIN_SHARE);
    let server = http::serve(app, listen()?, capacity, clients(args, tls), drain_timeout, &watchdog)?;
    let api = server.handle();
    lifecycle.spawn_server(API_SERVER, server);
    ready(lifecycle.deployment.name);
    let stopping = async move {
        // `/readyz` fails from here on, and requests are still answered: load balancers need a moment to notice.
        sleep(delay).await;
        api.stop(true).await;
    };
    lifecycle.run(API_SERVER, stopping).await
}

fn start_boards(lifecycle: &mut Lifecycle, feed: &Feed, unseen_seconds: u32) -> Boards {
    let boards = Boards { store: lifecycle.deployment.store.clone(), feed: feed.clone() };
    let watching =
        boards.clone().keep_watching(TimeDelta::seconds(unseen_seconds.into()), lifecycle.stop.clone());
    lifecycle.tasks.spawn("boards", watching);
    boards
}

fn clients(args: ServeArgs, tls: Option<Tls>) -> Clients {
    Clients {
        origins: args.cors_origins.into_iter().flatten().collect(),
        proxies: args.trusted_proxies,
        limits: args.rate_limits,
        tls,
    }
}

/// Reads the limits on the work at one time, and raises the limit of open files to suit them.
fn capacity(args: &ServeArgs) -> Result<Capacity, CliError> {
    let threads = args.http_threads.or_else(|| available_parallelism().ok().map(NonZero::get)).unwrap_or(1);
    let admin = if args.admin_addr.is_some() { http::ADMIN_CONNECTIONS } else { 0 };
    // Each thread rounds its share of the connections up.
    let files =
        OpenFiles { database: args.servers.database.database_connections, others: admin + 2 * threads };
    let ClientFiles { connections, streams } =
        files.allow(ClientFiles { connections: args.http_connections, streams: args.streams })?;
    Ok(Capacity { threads, connections, streams, answer_bytes: args.http_answer_bytes })
}

/// Returns the secret that signs tokens.
fn secret(
    given: Option<SecretString>,
    demo: bool,
    deployment: &Deployment,
) -> Result<SecretString, CliError> {
    match (given, &deployment.file) {
        (Some(secret), _) => Ok(secret),
        (None, Some(file)) => secrets::beside(file).map_err(CliError::new),
        (None, None) if demo => Ok(secrets::random_text().into()),
        (None, None) => Err(CliError::new(
            "JWT_SECRET must be set: at least 32 bytes, the same for every serve (try: openssl rand -base64 48)",
        )),
    }
}

/// The parts that are held in memory.
struct Prepared {
    order_ids: OrderIds,
    feed: Feed,
    menu: Menu,
    revocations: Revocations,
}

/// Prepares the database, and reads the parts that are held in memory.
async fn prepare(
    deployment: &Deployment,
    args: &ServeArgs,
    stop: CancellationToken,
) -> Result<Prepared, CliError> {
    startup::ready_database(deployment, args.migrate).await?;
    let store = &deployment.store;
    if args.demo {
        let menu = seed::house_menu().map_err(CliError::new)?;
        seed::fill(store, menu, seed::demo_accounts().map_err(CliError::new)?).await?;
    }
    let new_key = secrets::random_text();
    let key = retry_until_available(|| {
        let new_key = new_key.clone();
        store.write(async |conn| settings::get_or_set(conn, IDENTITY_KEY_SETTING, new_key).await)
    });
    let order_ids = OrderIds::new(&key.await?);
    // The feed first: it has every change that the others were too early for.
    let feed = retry_until_available(|| Feed::begin(store.clone(), stop.clone())).await?;
    let menu = retry_until_available(|| Menu::load(store.clone())).await?;
    let revocations = retry_until_available(|| Revocations::load(store.clone())).await?;
    Ok(Prepared { order_ids, feed, menu, revocations })
}

fn spawn_background_tasks(lifecycle: &mut Lifecycle, feed: &Feed, caches: Caches, tls: Option<Tls>) {
    let Lifecycle { deployment, stop, tasks, .. } = lifecycle;
    let store = &deployment.store;
    let (menu, revocations) = (caches.menu.clone(), caches.revocations.clone());
    tasks.spawn("feed", feed.clone().run(caches));
    tasks.spawn("notifications", Feed::keep_notifying(store.clone(), Some(feed.clone()), stop.clone()));
    tasks.spawn("old changes", Feed::keep_pruning(store.clone(), stop.clone()));
    tasks.spawn("instances", instances::keep_reporting(store.clone(), "serve", stop.clone()));
    tasks.spawn("menu", menu.keep_fresh(stop.clone()));
    tasks.spawn("access", revocations.keep_fresh(lateness(feed), stop.clone()));
    tasks.spawn("tidy-up", accounts::keep_tidy(store.clone(), stop.clone()));
    tasks.spawn("deactivation", accounts::keep_cancelling(store.clone(), stop.clone()));
    if let Some(tls) = tls {
        tasks.spawn("certificate", tls.keep_fresh(stop.clone()));
    }
}

/// Returns a function that says whether the feed is late.
fn lateness(feed: &Feed) -> impl Fn() -> bool + use<> {
    let feed = feed.clone();
    move || feed.is_late()
}

/// Starts the recorder and intake. The recorder ends when the last owner of intake is gone.
fn start_intake(
    lifecycle: &mut Lifecycle,
    args: &ServeArgs,
    menu: Menu,
    order_ids: OrderIds,
    feed: &Feed,
) -> Arc<Intake> {
    let Lifecycle { deployment, stop, tasks, .. } = lifecycle;
    let store = &deployment.store;
    let (recorder, recording) = Recorder::start(store.clone());
    tasks.supervise("recorder", recording);
    let (sink, settlement) = (deployment.sink(recorder), deployment.settlement());
    let intake = Arc::new(Intake::new(menu, sink, store.clone(), order_ids, &args.ordering, settlement));
    let counting = Arc::clone(&intake.open).keep_counting(store.clone(), lateness(feed), stop.clone());
    tasks.spawn("open orders", counting);
    if let Some(broker) = deployment.broker.clone() {
        let retries = args.servers.retry_delays();
        let recovery = Recovery { broker, retries, quiet: Duration::from_secs(args.queue_settle_seconds) };
        tasks.spawn("recovery", recovery.run(Arc::downgrade(&intake), stop.clone()));
    }
    intake
}

fn accounts(
    args: &ServeArgs,
    secret: &SecretString,
    store: Store,
    revocations: Revocations,
) -> Result<Accounts, CliError> {
    let previous: Vec<_> = args.previous_secrets().cloned().collect();
    let lifetime = TimeDelta::minutes(args.token_minutes.into());
    Ok(Accounts {
        store,
        passwords: PasswordHasher::start(args.bcrypt_cost)?,
        tokens: Tokens::new(secret, &previous, lifetime),
        revocations,
        throttle: LoginThrottle::new(secret, !args.rate_limits.policies().is_empty()),
        session_life: TimeDelta::days(args.session_days.into()),
    })
}

fn sampled_metrics(deployment: &str, health: Health, feed: Feed, intake: Weak<Intake>) -> SampledMetrics {
    metrics::feed();
    metrics::intake();
    metrics::accounts();
    metrics::transitions();
    let oldest_waiting = move || {
        let intake = intake.upgrade();
        async move { intake?.oldest_waiting().await }.boxed()
    };
    SampledMetrics::new("serve", deployment, health, Some(feed), Box::new(oldest_waiting))
}

/// Returns the accounts and commands to try a demo with.
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
