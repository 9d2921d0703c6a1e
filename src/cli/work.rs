//! `shakerqueue work`

use super::{
    error::{CliError, say},
    open_files::Files,
    startup::{self, Reserved},
};
use crate::{
    cli::{deployment::Deployment, lifecycle},
    config::WorkArgs,
    http::{self, ThreadWatchdog},
    services::{
        health::{Health, Needs},
        sampled_metrics::SampledMetrics,
    },
    telemetry::{metrics, report_unlogged, traces},
    util::supervised_tasks::SupervisedTasks,
    worker::{InFlight, Worker},
};
use futures_util::{FutureExt, future::ready};
use tokio::time::{Instant, timeout_at};

/// The background task that all others are there for.
const WORKER: &str = "worker";

/// Stores orders until it is told to stop.
pub async fn run(working: WorkArgs) -> Result<(), CliError> {
    let stop = lifecycle::on_signal()?;
    let database = working.servers.database.database_connections;
    Files { database, others: http::ADMIN_CONNECTIONS }.allow(0)?;
    let traces = traces::start(&working.tracing, "work").map_err(CliError::new)?;
    let deployment = Deployment::choose(&working.servers)?;
    let broker = deployment.need_broker()?.clone();
    // Told to stop while it waits for the database: nothing has begun.
    match stop.run_until_cancelled(startup::ready_database(&deployment, false)).await {
        Some(Ok(())) => {}
        other => {
            deployment.leave().await;
            return other.unwrap_or(Ok(()));
        }
    }

    let within = working.stopping.within();
    let held = InFlight::default();
    let mut tasks = SupervisedTasks::default();
    tasks.spawn("broker", broker.clone().ended());
    let admin = match working.admin_addr {
        None => None,
        Some(address) => {
            let health =
                Health::new(deployment.store.clone(), Some(broker.clone()), Needs::Both, stop.clone());
            let monitor = monitor(deployment.name, health.clone(), held.clone());
            let reserved = Reserved::new(address)?;
            let address = reserved.address()?;
            let watchdog = ThreadWatchdog::start()?;
            let server = http::serve_admin(health, monitor, reserved.listen()?, within, &watchdog)?;
            let admin = server.handle();
            tasks.spawn("admin server", startup::run_server(server));
            tasks.spawn("summary of the log", report_unlogged(stop.clone()));
            startup::say_where(address);
            Some(admin)
        }
    };
    say("ShakerQueue works");
    let worker = Worker {
        broker: broker.clone(),
        store: deployment.store.clone(),
        batch_size: working.batch_size,
        retries: working.servers.retries(),
        held,
    };
    tasks.spawn(WORKER, worker.run(stop.clone()));

    let failure = startup::until_stopped(&stop, &mut tasks).await;
    let deadline = Instant::now() + within;
    let finished = timeout_at(deadline, async {
        tasks.finish_task(WORKER).await;
        broker.close(deadline.saturating_duration_since(Instant::now())).await;
        if let Some(admin) = admin {
            admin.stop(false).await;
        }
        tasks.finish().await;
    })
    .await;
    traces.finish().await;
    deployment.store.close();
    match failure {
        Some(failure) => Err(failure),
        None => finished.map_err(|_| startup::unfinished(within)),
    }
}

/// Tells those who watch over it how this process is.
fn monitor(deployment: &str, health: Health, held: InFlight) -> SampledMetrics {
    metrics::worker();
    let oldest_waiting = move || ready(held.oldest()).boxed();
    SampledMetrics::new("work", deployment, health, Box::new(oldest_waiting))
}
