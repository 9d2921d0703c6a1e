//! Deletes the product's queues, exchanges and bindings while guests order: in random order, and again while the
//! product declares them anew.

use crate::{Result, harness::rabbitmq::RabbitMq, scene::Scene};
use amqprs::channel::{Channel, ExchangeDeleteArguments, QueueDeleteArguments, QueueUnbindArguments};
use rand::RngExt;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug, Clone, Copy)]
enum Deletion {
    Queue,
    OverrunQueue,
    Exchange,
    DeadExchange,
    Binding,
    Connections,
    Permissions,
    VirtualHost,
}

/// Deletions to choose from at random, so that those of the queue of orders are the most frequent.
const WEIGHTED_DELETIONS: [Deletion; 11] = [
    Deletion::Queue,
    Deletion::Queue,
    Deletion::Queue,
    Deletion::OverrunQueue,
    Deletion::Exchange,
    Deletion::DeadExchange,
    Deletion::Binding,
    Deletion::Binding,
    Deletion::Connections,
    Deletion::Permissions,
    Deletion::VirtualHost,
];

/// Deletes the queue of orders repeatedly. It is declared again within milliseconds, before the workers learn of the
/// deletion. Its messages are lost to the broker, and `serve` publishes them again.
pub async fn queue_deleted_under_load(scene: &mut Scene, hold: Duration) -> Result<()> {
    let end = Instant::now() + hold;
    while Instant::now() < end {
        tamper(scene, Deletion::Queue).await?;
        scene.pause(100..1000).await;
    }
    Ok(())
}

pub async fn everything_deleted(scene: &mut Scene, hold: Duration) -> Result<()> {
    let end = Instant::now() + hold;
    while Instant::now() < end {
        let deletion = WEIGHTED_DELETIONS[scene.rng.random_range(0..WEIGHTED_DELETIONS.len())];
        tamper(scene, deletion).await?;
        scene.pause(0..500).await;
    }
    // A queue that is deleted while somebody declares it can be left as one that exists and refuses everything (RabbitMQ 3.10.8,
    // 541 INTERNAL_ERROR). Only deleting it helps, so the last deletion comes while nobody may declare.
    scene.servers.rabbitmq.control(&["clear_permissions", "-p", "/", RabbitMq::USER]).await?;
    tamper(scene, Deletion::VirtualHost).await
}

async fn tamper(scene: &Scene, deletion: Deletion) -> Result<()> {
    let broker = &scene.servers.rabbitmq;
    match deletion {
        Deletion::Connections => {
            broker.control(&["close_all_connections", "--vhost", "/", "tampering"]).await
        }
        Deletion::Permissions => {
            broker.control(&["clear_permissions", "-p", "/", RabbitMq::USER]).await?;
            allow(broker).await
        }
        Deletion::VirtualHost => {
            broker.control(&["delete_vhost", "/"]).await?;
            broker.control(&["add_vhost", "/"]).await?;
            allow(broker).await
        }
        Deletion::Queue
        | Deletion::OverrunQueue
        | Deletion::Exchange
        | Deletion::DeadExchange
        | Deletion::Binding => {
            let (connection, channel) = broker.connect().await?;
            // What is gone already costs the channel, and that is all.
            let _ = delete(&channel, &scene.prefix, deletion).await;
            let _ = connection.close().await;
            Ok(())
        }
    }
}

async fn allow(broker: &RabbitMq) -> Result<()> {
    broker.control(&["set_permissions", "-p", "/", RabbitMq::USER, ".*", ".*", ".*"]).await
}

async fn delete(
    channel: &Channel,
    prefix: &str,
    deletion: Deletion,
) -> std::result::Result<(), amqprs::error::Error> {
    let name = |suffix: &str| format!("{prefix}.{suffix}");
    let orders = name("orders");
    match deletion {
        Deletion::Queue => channel.queue_delete(QueueDeleteArguments::new(&orders)).await.map(drop),
        Deletion::OverrunQueue => {
            channel.queue_delete(QueueDeleteArguments::new(&name("orders.overrun"))).await.map(drop)
        }
        Deletion::Exchange => channel.exchange_delete(ExchangeDeleteArguments::new(&orders)).await,
        Deletion::DeadExchange => channel.exchange_delete(ExchangeDeleteArguments::new(&name("dead"))).await,
        Deletion::Binding => channel.queue_unbind(QueueUnbindArguments::new(&orders, &orders, &orders)).await,
        Deletion::Connections | Deletion::Permissions | Deletion::VirtualHost => Ok(()),
    }
}
