//! Measures how long a bare amqprs publish waits for its confirm, while messages come at a fixed rate.

use super::broker::{MESSAGE_BYTES, OnAck, queue};
use crate::{
    figures::{Times, micros, times},
    harness::Result,
    stage::{Stage, delete_queue},
};
use amqprs::{
    BasicProperties, DELIVERY_MODE_PERSISTENT,
    channel::{BasicPublishArguments, ConfirmSelectArguments},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep_until, timeout};

const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// Due times of messages without a confirm, by number, and the times of the others.
struct UnconfirmedTimes {
    due: BTreeMap<u64, Instant>,
    took: Times,
}

impl UnconfirmedTimes {
    fn confirm(&mut self, tag: u64, multiple: bool) {
        let confirmed = if multiple {
            let rest = self.due.split_off(&(tag + 1));
            std::mem::replace(&mut self.due, rest).into_values().collect()
        } else {
            Vec::from_iter(self.due.remove(&tag))
        };
        for due in confirmed {
            self.took.saturating_record(micros(due.elapsed()));
        }
    }
}

/// Measures from when a message was due until its confirm, at this many messages a second.
pub async fn measure(stage: &Stage, rate: f64, during: Duration) -> Result<Times> {
    let (_connection, channel) = stage.servers.rabbitmq.connect().await?;
    let queue = queue(stage, &channel).await?;
    let waiting = Arc::new(Mutex::new(UnconfirmedTimes { due: BTreeMap::new(), took: times() }));
    let confirmed = Arc::clone(&waiting);
    let note = move |tag, multiple| {
        confirmed.lock().unwrap_or_else(PoisonError::into_inner).confirm(tag, multiple);
    };
    channel.register_callback(OnAck(note)).await?;
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
        channel.basic_publish(properties.clone(), vec![b'x'; MESSAGE_BYTES], to.clone()).await?;
    }
    let all = async {
        while !waiting.lock().unwrap_or_else(PoisonError::into_inner).due.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(WAIT_TIMEOUT, all).await?;
    delete_queue(&channel, &queue).await?;
    let took = waiting.lock().unwrap_or_else(PoisonError::into_inner).took.clone();
    Ok(took)
}
