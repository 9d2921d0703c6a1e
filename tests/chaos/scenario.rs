//! One fault, from the start of the load to the comparison with the database.

use crate::{
    Result,
    audit::{Verdict, audit},
    clock::Clock,
    disk::Disk,
    faults::{Fault, Requirement},
    harness::{
        postgres::Tuning,
        programs::User,
        servers::{SeededPostgres, Servers},
        wait::until,
    },
    ledger::AttemptStatus,
    scene::Scene,
    viewers::StreamCounts,
};
use amqprs::channel::{ExchangeDeleteArguments, QueueDeleteArguments};
use rand::rngs::StdRng;
use std::{collections::BTreeMap, mem, path::Path, time::Duration};
use tokio::time::{Instant, sleep};

const WARM_UP: Duration = Duration::from_secs(1);
const COOL_DOWN: Duration = Duration::from_secs(1);

pub enum Outcome {
    Ran(Box<Report>),
    /// Not possible here, with the reason.
    NotRun(String),
}

pub struct Report {
    pub attempts: usize,
    pub accepted: usize,
    pub refused: usize,
    pub unknown: usize,
    pub verdict: Verdict,
    /// Time from the repair until orders went through the broker again, and until all accepted so far were recorded.
    pub resumed: Option<Duration>,
    pub caught_up: Option<Duration>,
    pub slowest: Duration,
    pub slowest_attempt: String,
    /// Number of answers of each kind.
    pub answers: BTreeMap<String, usize>,
    pub streams: StreamCounts,
}

/// Runs one fault and returns the servers, repaired. On an error they are stopped.
pub async fn run(
    fault: &Fault,
    mut servers: Servers,
    folder: &Path,
    hold: Duration,
    rng: StdRng,
) -> Result<(Servers, Outcome)> {
    let (mut clock, mut disk, mut ordinary) = (None, None, None);
    match fault.requirement {
        Requirement::Plain => {}
        Requirement::OwnClock => match Clock::new(folder) {
            Ok(made) => clock = Some(made),
            Err(missing) => return Ok((servers, Outcome::NotRun(missing.to_string()))),
        },
        Requirement::SmallDisk => {
            let place = folder.join("disk");
            std::fs::create_dir(&place)?;
            let mut made = match Disk::mount(&place).await {
                Ok(made) => made,
                Err(missing) => return Ok((servers, Outcome::NotRun(missing.to_string()))),
            };
            let on_disk = made.make_folder("postgres").await?;
            made.own("postgres", &User::for_server("postgres")?)?;
            let small =
                SeededPostgres::create(&servers.programs, Tuning::SMALL, &on_disk, &place, &made.inside())
                    .await?;
            ordinary = Some(mem::replace(&mut servers.data, small));
            disk = Some(made);
        }
    }
    let scene = Scene::open(servers, clock, disk, rng, folder).await?;
    let (mut scene, report) = play(fault, scene, hold).await?;
    if report.verdict.violations() == 0 {
        clear(&scene).await?;
    }
    if let Some(ordinary) = ordinary {
        scene.servers.data = ordinary;
    }
    Ok((scene.servers, Outcome::Ran(Box::new(report))))
}

async fn play(fault: &Fault, mut scene: Scene, hold: Duration) -> Result<(Scene, Report)> {
    let begun = Instant::now();
    sleep(WARM_UP).await;
    orders_are_queued(&scene, begun).await?;
    scene.pause(0..500).await;
    (fault.inject)(&mut scene, hold).await?;
    scene.revive_roles()?;
    let repaired = Instant::now();
    let (resumed, caught_up) = tokio::join!(orders_are_queued(&scene, repaired), async {
        scene.promised_are_stored().await.map(|()| repaired.elapsed())
    });
    let resumed = noted(resumed, &mut scene);
    let caught_up = noted(caught_up, &mut scene);
    sleep(COOL_DOWN).await;
    scene.load.stop().await;
    if caught_up.is_some() {
        let stored = scene.promised_are_stored().await;
        noted(stored, &mut scene);
        let found = scene.the_dead_are_found().await;
        noted(found, &mut scene);
        let empty = scene.queue_is_empty().await;
        noted(empty, &mut scene);
        let current = scene.viewers_are_current().await;
        noted(current, &mut scene);
    }
    let streams = scene.viewers.counts();
    // With streams open.
    scene.stop_roles().await;
    let seen = scene.viewers.stop().await;
    scene.findings.extend(seen);
    // What a worker held unacknowledged waits again once it is gone.
    let queue = scene.orders_queue();
    let unacknowledged = scene.servers.rabbitmq.waiting(&queue).await?;
    if unacknowledged > 0 {
        scene
            .findings
            .push(format!("{unacknowledged} messages were in the queue when the workers had stopped"));
    }
    let verdict = audit(&scene).await?;
    let ledger = scene.load.ledger();
    let report = Report {
        attempts: ledger.attempts.len(),
        accepted: ledger.count(AttemptStatus::Accepted),
        refused: ledger.count(AttemptStatus::Refused),
        unknown: ledger.count(AttemptStatus::Unknown),
        verdict,
        resumed,
        caught_up,
        slowest: ledger.slowest().map(|(_, took)| took).unwrap_or_default(),
        slowest_attempt: ledger.slowest().map(|(attempt, _)| attempt).unwrap_or_default(),
        answers: ledger.kinds(),
        streams,
    };
    drop(ledger);
    Ok((scene, report))
}

/// Waits until each `serve` has queued an order that was requested after `since`, and returns the time since then.
async fn orders_are_queued(scene: &Scene, since: Instant) -> Result<Duration> {
    until("orders are queued by both serves", async || {
        let ledger = scene.load.ledger();
        let both = (ledger.queued_again(0, since), ledger.queued_again(1, since));
        Ok(if let (Some(first), Some(second)) = both { Some(first.max(second) - since) } else { None })
    })
    .await
}

fn noted<T>(outcome: Result<T>, scene: &mut Scene) -> Option<T> {
    outcome.map_err(|error| scene.findings.push(error.to_string())).ok()
}

/// Removes the fault's queues and database.
async fn clear(scene: &Scene) -> Result<()> {
    let (connection, channel) = scene.servers.rabbitmq.connect().await?;
    for name in ["orders", "orders.overrun", "orders.after.1000ms", "orders.after.2000ms"] {
        channel.queue_delete(QueueDeleteArguments::new(&format!("{}.{name}", scene.prefix))).await?;
    }
    for name in ["orders", "dead"] {
        channel.exchange_delete(ExchangeDeleteArguments::new(&format!("{}.{name}", scene.prefix))).await?;
    }
    connection.close().await?;
    let statement = format!("DROP DATABASE {} WITH (FORCE)", scene.database);
    Ok(scene.servers.data.postgres.client("postgres").await?.batch_execute(&statement).await?)
}
