//! The message of an order: JSON with a version, so that workers of the next release can read what this one left in the queue.

use crate::domain::{ids::OrderId, order::NewOrder};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Envelope<O> {
    version: u32,
    order: O,
}

/// The part that every version has.
#[derive(Deserialize)]
struct Head {
    version: u32,
}

/// The part that is read if the whole can't be.
#[derive(Deserialize)]
struct Named {
    order: Id,
}

#[derive(Deserialize)]
struct Id {
    id: OrderId,
}

#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("not an order: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The message can be read, but its values can't belong to an order.
    #[error("no possible order: {0}")]
    Impossible(&'static str),
    #[error("written in version {0}, and this program reads version {VERSION}")]
    Version(u32),
    /// No order has this content type: perhaps a later release wrote it.
    #[error("of the type {0}, which this program does not read")]
    Foreign(String),
}

pub fn encode(order: &NewOrder) -> Vec<u8> {
    // An order consists of strings, numbers and lists, which JSON can always express.
    serde_json::to_vec(&Envelope { version: VERSION, order }).unwrap_or_default()
}

pub fn decode(body: &[u8]) -> Result<NewOrder, DecodeError> {
    let Envelope { version, order }: Envelope<NewOrder> =
        serde_json::from_slice(body).map_err(|error| match serde_json::from_slice(body) {
            // A later format may have another shape.
            Ok(Head { version }) if version != VERSION => DecodeError::Version(version),
            _ => DecodeError::Malformed(error),
        })?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    match order.flaw() {
        None => Ok(order),
        Some(flaw) => Err(DecodeError::Impossible(flaw)),
    }
}

/// Returns the id of the order in a body, also if the rest can't be read.
pub fn named_id(body: &[u8]) -> Option<OrderId> {
    serde_json::from_slice(body).ok().map(|Named { order }| order.id)
}

#[cfg(test)]
#[path = "order_message_proptests.rs"]
mod proptests;
