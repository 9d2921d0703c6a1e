//! Faults of the exchange and the queue of orders.

use crate::{Result, harness::wait::WAIT_TIMEOUT, scene::Scene};
use amqprs::channel::{
    ExchangeDeclareArguments, ExchangeDeleteArguments, ExchangeType, QueueDeleteArguments,
    QueueUnbindArguments,
};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const EXCHANGE_DELETIONS: u32 = 100;

/// Deletes the queue of orders while it is empty and nobody orders: a deletion destroys confirmed messages.
pub async fn queue_deleted(scene: &mut Scene, hold: Duration) -> Result<()> {
    let nobody = scene.load.pause().await;
    scene.promised_are_stored().await?;
    scene.queue_is_empty().await?;
    let (connection, channel) = scene.servers.rabbitmq.connect().await?;
    channel.queue_delete(QueueDeleteArguments::new(&scene.orders_queue())).await?;
    drop(nobody);
    connection.close().await?;
    sleep(hold).await;
    Ok(())
}

/// Removes the binding of the queue, which only the product repairs.
pub async fn queue_unbound(scene: &mut Scene, hold: Duration) -> Result<()> {
    let orders = scene.orders_queue();
    let (connection, channel) = scene.servers.rabbitmq.connect().await?;
    channel.queue_unbind(QueueUnbindArguments::new(&orders, &orders, &orders)).await?;
    connection.close().await?;
    sleep(hold).await;
    Ok(())
}

/// Deletes the exchange repeatedly: the broker closes the channel of each publisher to a missing exchange.
pub async fn exchange_deleted(scene: &mut Scene, _hold: Duration) -> Result<()> {
    let orders = scene.orders_queue();
    let mut asking = ExchangeDeclareArguments::of_type(&orders, ExchangeType::Direct);
    asking.passive(true);
    let (connection, mut channel) = scene.servers.rabbitmq.connect().await?;
    let mut deleted = 0;
    let deadline = Instant::now() + WAIT_TIMEOUT;
    while deleted < EXCHANGE_DELETIONS {
        if Instant::now() > deadline {
            let finding =
                format!("the exchange was there again {deleted} times in {} s", WAIT_TIMEOUT.as_secs());
            scene.findings.push(finding);
            break;
        }
        if timeout(Duration::from_secs(5), channel.exchange_declare(asking.clone())).await?.is_ok() {
            channel.exchange_delete(ExchangeDeleteArguments::new(&orders)).await?;
            deleted += 1;
        } else {
            // To ask for what is not there costs the channel.
            sleep(Duration::from_millis(20)).await;
            channel = connection.open_channel(None).await?;
        }
    }
    connection.close().await?;
    Ok(())
}

/// Keeps the queue full, with the workers stopped, which would empty it.
pub async fn queue_full(scene: &mut Scene, hold: Duration) -> Result<()> {
    let pattern = format!("^{}$", scene.orders_queue().replace('.', "\\."));
    let full = ["set_policy", "--apply-to", "queues", "full", &pattern, r#"{"max-length":1}"#];
    scene.servers.rabbitmq.control(&full).await?;
    for work in &mut scene.works {
        scene.findings.extend(work.stop().await);
    }
    sleep(hold).await;
    scene.servers.rabbitmq.control(&["clear_policy", "full"]).await?;
    for work in &mut scene.works {
        work.begin()?;
    }
    Ok(())
}
