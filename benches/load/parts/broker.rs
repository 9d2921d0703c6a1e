//! Bare amqprs: persistent publishes to a durable quorum queue with 1,024 in flight, and consuming with batched
//! acknowledgements.

use super::each;
use crate::{
    harness::Result,
    stage::{Stage, delete_queue},
};
use amqprs::{
    Ack, BasicProperties, Cancel, CloseChannel, DELIVERY_MODE_PERSISTENT, FieldTable, Nack, Return,
    callbacks::ChannelCallback,
    channel::{
        BasicAckArguments, BasicConsumeArguments, BasicPublishArguments, BasicQosArguments, Channel,
        ConfirmSelectArguments, QueueDeclareArguments,
    },
};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

const MAX_IN_FLIGHT: u32 = 1024;
/// Size of a message in bytes.
pub const MESSAGE_BYTES: usize = 250;
/// Prefetched messages; half of them are acknowledged at a time.
const PREFETCH_MESSAGES: u16 = 1000;
const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

type Outcome<T> = std::result::Result<T, amqprs::error::Error>;

/// Receives each confirm: its delivery tag, and whether it stands for all earlier ones too.
pub struct OnAck<F>(pub F);

#[async_trait]
impl<F: FnMut(u64, bool) + Send> ChannelCallback for OnAck<F> {
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
        (self.0)(ack.delivery_tag(), ack.mutiple());
    }
    async fn publish_nack(&mut self, _: &Channel, _: Nack) {}
    async fn publish_return(&mut self, _: &Channel, _: Return, _: BasicProperties, _: Vec<u8>) {}
}

/// Measures the cost of one confirmed publish and of one acknowledged delivery, over this many messages.
pub async fn costs(stage: &Stage, messages: usize) -> Result<(f64, f64)> {
    let (_connection, channel) = stage.servers.rabbitmq.connect().await?;
    let queue = queue(stage, &channel).await?;
    let publish = timeout(WAIT_TIMEOUT, publish(&channel, &queue, messages)).await??;
    let consume = timeout(WAIT_TIMEOUT, consume(&channel, &queue, messages)).await??;
    delete_queue(&channel, &queue).await?;
    Ok((publish, consume))
}

/// Declares a new durable quorum queue.
pub async fn queue(stage: &Stage, channel: &Channel) -> Result<String> {
    let queue = format!("bare-{}", stage.number());
    let mut arguments = FieldTable::new();
    arguments.insert("x-queue-type".try_into()?, "quorum".into());
    channel
        .queue_declare(QueueDeclareArguments::durable_client_named(&queue).arguments(arguments).finish())
        .await?;
    Ok(queue)
}

async fn publish(channel: &Channel, queue: &str, messages: usize) -> Result<f64> {
    let places = Arc::new(Semaphore::new(MAX_IN_FLIGHT as usize));
    // Single confirms come out of order, each for itself. They are counted by number, so none counts twice.
    let (freed, mut confirmed) = (Arc::clone(&places), 0);
    let give_back = move |tag: u64, multiple: bool| {
        let count = if multiple { tag.saturating_sub(confirmed) } else { 1 };
        confirmed += count;
        freed.add_permits(usize::try_from(count).unwrap_or_default());
    };
    channel.register_callback(OnAck(give_back)).await?;
    channel.confirm_select(ConfirmSelectArguments::default()).await?;
    let properties = BasicProperties::default().with_delivery_mode(DELIVERY_MODE_PERSISTENT).finish();
    let to = BasicPublishArguments::new("", queue);
    let begun = Instant::now();
    for _ in 0..messages {
        places.acquire().await?.forget();
        channel.basic_publish(properties.clone(), vec![b'x'; MESSAGE_BYTES], to.clone()).await?;
    }
    // All are confirmed once all permits are back.
    let _all = places.acquire_many(MAX_IN_FLIGHT).await?;
    Ok(each(begun.elapsed(), messages))
}

async fn consume(channel: &Channel, queue: &str, messages: usize) -> Result<f64> {
    channel.basic_qos(BasicQosArguments::new(0, PREFETCH_MESSAGES, false)).await?;
    let begun = Instant::now();
    let consume = BasicConsumeArguments::new(queue, "").manual_ack(true).finish();
    let (_, mut deliveries) = channel.basic_consume_rx(consume).await?;
    let (mut batch, mut count, mut acknowledged) = (Vec::new(), 0, 0);
    while count < messages {
        count += deliveries.recv_many(&mut batch, usize::from(PREFETCH_MESSAGES) / 2).await;
        let last = batch.drain(..).filter_map(|message| message.deliver).next_back();
        let Some(last) = last else { return Err("the consumer ended".into()) };
        if count - acknowledged >= usize::from(PREFETCH_MESSAGES) / 2 || count == messages {
            channel.basic_ack(BasicAckArguments::new(last.delivery_tag(), true)).await?;
            acknowledged = count;
        }
    }
    Ok(each(begun.elapsed(), messages))
}
