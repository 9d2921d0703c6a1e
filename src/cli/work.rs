//! `shakerqueue work`

use super::{
    deployment::Deployment,
    error::{CliError, say},
    lifecycle::{self, Lifecycle},
    open_files::{ClientFiles, OpenFiles},
    startup::{self, ReservedAddress},
};
use crate::{
    config::WorkArgs,
    http::{self, ThreadWatchdog},
    services::{
        feed::Feed,
        health::{Health, Needs},
        instances,
        sampled_metrics::SampledMetrics,
    },
    telemetry::metrics,
    worker::{InFlight, Worker},
};
use futures_util::{FutureExt, future::ready};

const WORKER: &str = "worker";

/// Records orders from the broker until a signal stops it.
pub async fn run(args: WorkArgs) -> Result<(), CliError> {
    let stop = lifecycle::stop_on_signal()?;
    let database = args.servers.database.database_connections;
    OpenFiles { database, others: http::ADMIN_CONNECTIONS }.allow(ClientFiles::default())?;
    let deployment = Deployment::choose(&args.servers)?;
    let broker = deployment.need_broker()?.clone();
    let store = deployment.store.clone();
    let mut lifecycle = Lifecycle::start("work", deployment, &args.tracing, args.stopping, stop.clone())?;
    let preparation = startup::ready_database(&lifecycle.deployment, false);
    if lifecycle.prepare(preparation).await?.is_none() {
        return Ok(());
    }
    let in_flight = InFlight::default();
    if let Some(address) = args.admin_addr {
        let health = Health::new(store.clone(), Some(broker.clone()), Needs::Both, stop.clone());
        let metrics = sampled_metrics(lifecycle.deployment.name, health.clone(), in_flight.clone());
        lifecycle.serve_admin(ReservedAddress::new(address)?, health, metrics, &ThreadWatchdog::start()?)?;
    }
    say("ShakerQueue records orders from the broker");
    let (batch_size, retries) = (args.batch_size, args.servers.retry_delays());
    let notifying = Feed::keep_notifying(store.clone(), None, stop.clone());
    lifecycle.tasks.spawn("notifications", notifying);
    lifecycle.tasks.spawn("instances", instances::keep_reporting(store.clone(), "work", stop.clone()));
    let worker = Worker { broker, store, batch_size, retries, in_flight };
    lifecycle.tasks.spawn(WORKER, worker.run(stop));
    lifecycle.run(WORKER, ready(())).await
}

fn sampled_metrics(deployment: &str, health: Health, in_flight: InFlight) -> SampledMetrics {
    metrics::worker();
    let oldest_waiting = move || ready(in_flight.oldest()).boxed();
    SampledMetrics::new("work", deployment, health, None, Box::new(oldest_waiting))
}
