//! How long a bare amqprs publish waits for its confirm, while messages come by the clock.

use super::broker::{Outcome, SIZE, queue};
use crate::{
    figures::{Times, micros, times},
    harness::Result,
    stage::{Stage, delete_queue},
};
use amqprs::{
    Ack, BasicProperties, Cancel, CloseChannel, DELIVERY_MODE_PERSISTENT, Nack, Return,
    callbacks::ChannelCallback,
    channel::{BasicPublishArguments, Channel, ConfirmSelectArguments},
};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep_until, timeout};

const PATIENCE: Duration = Duration::from_secs(30);

/// When each message without a confirm was due, by its number, and how long the others took.
struct Waiting {
    due: BTreeMap<u64, Instant>,
    took: Times,
}

struct Confirms(Arc<Mutex<Waiting>>);

#[async_trait]
impl ChannelCallback for Confirms {
    async fn close(&mut self, _: &Channel, _: CloseChannel) -> Outcome<()> {
        Ok(())
    }
    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Outcome<()> {
        Ok(())
    }
    async fn flow(&mut self, _: &Channel, active: bool) -> Outcome<bool> {
        Ok(active)
    }
    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        let waiting = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tag = ack.delivery_tag();
        let confirmed = if ack.mutiple() {
            let rest = waiting.due.split_off(&(tag + 1));
            std::mem::replace(&mut waiting.due, rest).into_values().collect()
        } else {
            Vec::from_iter(waiting.due.remove(&tag))
        };
        for due in confirmed {
            waiting.took.saturating_record(micros(due.elapsed()));
        }
    }
    async fn publish_nack(&mut self, _: &Channel, _: Nack) {}
    async fn publish_return(&mut self, _: &Channel, _: Return, _: BasicProperties, _: Vec<u8>) {}
}

/// The times from when a message was due until its confirm, at so many messages a second.
pub async fn measure(stage: &Stage, rate: f64, during: Duration) -> Result<Times> {
    let (_connection, channel) = stage.servers.rabbitmq.connect().await?;
    let queue = queue(stage, &channel).await?;
    let waiting = Arc::new(Mutex::new(Waiting { due: BTreeMap::new(), took: times() }));
    channel.register_callback(Confirms(Arc::clone(&waiting))).await?;
    channel.confirm_select(ConfirmSelectArguments::default()).await?;
    let properties = BasicProperties::default().with_delivery_mode(DELIVERY_MODE_PERSISTENT).finish();
    let to = BasicPublishArguments::new("", &queue);
    let begun = Instant::now();
    let mut due = begun;
    for number in 1.. {
        due += Duration::from_secs_f64(1.0 / rate);
        if due > begun + during {
            break;
        }
        sleep_until(due).await;
        waiting.lock().unwrap_or_else(PoisonError::into_inner).due.insert(number, due);
        channel.basic_publish(properties.clone(), vec![b'x'; SIZE], to.clone()).await?;
    }
    let all = async {
        while !waiting.lock().unwrap_or_else(PoisonError::into_inner).due.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, all).await?;
    delete_queue(&channel, &queue).await?;
    let took = waiting.lock().unwrap_or_else(PoisonError::into_inner).took.clone();
    Ok(took)
}
