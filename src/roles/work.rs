//! `shakerqueue work`

use super::{
    Failure, say,
    startup::{self, Reserved},
};
use crate::{
    config::Working,
    deployment::Deployment,
    health::{Health, Needs},
    http, shutdown,
    worker::Worker,
};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Stores orders until it is told to stop.
pub async fn run(working: Working) -> Result<(), Failure> {
    let stop = shutdown::on_signal()?;
    let deployment = Deployment::choose(&working.servers)?;
    let broker = deployment.need_broker()?.clone();
    // Told to stop while it waits for the database: nothing has begun.
    let Some(ready_database) = stop.run_until_cancelled(startup::ready_database(&deployment, false)).await
    else {
        return Ok(());
    };
    ready_database?;

    let within = working.stopping.within();
    let health = match working.admin_addr {
        None => None,
        Some(address) => {
            let health = Health {
                store: deployment.store.clone(),
                broker: Some(broker.clone()),
                needs: Needs::Both,
                stopping: stop.clone(),
            };
            let server = http::serve_health(health, Reserved::new(address)?.listen()?, within)?;
            say(format_args!("ShakerQueue tells its health on http://{address}"));
            let handle = server.handle();
            tokio::spawn(server);
            Some(handle)
        }
    };
    say("ShakerQueue works");
    let worker = Worker {
        broker: broker.clone(),
        store: deployment.store.clone(),
        batch_size: working.batch_size,
        retries: working.retry_seconds.iter().copied().map(Duration::from_secs).collect(),
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
        if let Some(handle) = health {
            handle.stop(false).await;
        }
    })
    .await;
    deployment.store.close();
    finished.map_err(|_| Failure::new(format!("not everything was finished within {} s", within.as_secs())))
}
