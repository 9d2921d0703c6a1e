//! `shakerqueue work`

use super::{
    Failure, say,
    startup::{self, Reserved},
};
use crate::{
    config::Working,
    deployment::Deployment,
    health::{Health, Needs},
    http::{self, ThreadWatchdog},
    monitor::Monitor,
    shutdown,
    telemetry::{metrics, traces},
    worker::{Held, Worker},
};
use futures_util::{FutureExt, future::ready};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Stores orders until it is told to stop.
pub async fn run(working: Working) -> Result<(), Failure> {
    let stop = shutdown::on_signal()?;
    let traces = traces::start(&working.tracing, "work").map_err(Failure::new)?;
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
    let held = Held::default();
    let admin = match working.admin_addr {
        None => None,
        Some(address) => {
            let health = Health {
                store: deployment.store.clone(),
                broker: Some(broker.clone()),
                needs: Needs::Both,
                stopping: stop.clone(),
            };
            let monitor = monitor(deployment.name, health.clone(), held.clone());
            let reserved = Reserved::new(address)?;
            let address = reserved.address()?;
            let watchdog = ThreadWatchdog::start()?;
            let admin = http::serve_admin(health, monitor, reserved.listen()?, within, &watchdog)?;
            startup::say_where(address);
            Some(admin)
        }
    };
    say("ShakerQueue works");
    let worker = Worker {
        broker: broker.clone(),
        store: deployment.store.clone(),
        batch_size: working.batch_size,
        retries: working.retry_seconds.iter().copied().map(Duration::from_secs).collect(),
        held,
    };
    let mut working = tokio::spawn(worker.run(stop.clone()));

    tokio::select! {
        () = stop.cancelled() => {}
        _ = &mut working => return Err(Failure::new("the task that stores orders ended")),
    }
    let deadline = Instant::now() + within;
    let finished = timeout_at(deadline, async {
        let _ = working.await;
        broker.close(deadline.saturating_duration_since(Instant::now())).await;
        if let Some(admin) = admin {
            admin.stop().await;
        }
    })
    .await;
    traces.finish().await;
    deployment.store.close();
    finished.map_err(|_| Failure::new(format!("not everything was finished within {} s", within.as_secs())))
}

/// Tells those who watch over it how this process is.
fn monitor(deployment: &str, health: Health, held: Held) -> Monitor {
    metrics::worker();
    let oldest_waiting = move || ready(held.oldest()).boxed();
    Monitor::new("work", deployment, health, Box::new(oldest_waiting))
}
