//! How an order travels through the broker: JSON with a version, so that workers of the next release read what
//! this one left in the queue.

use crate::domain::{ids::OrderId, order::NewOrder};
use serde::{Deserialize, Serialize};

/// The format that this version writes.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Outgoing<'a> {
    version: u32,
    order: &'a NewOrder,
}

#[derive(Deserialize)]
struct Incoming {
    version: u32,
    order: NewOrder,
}

/// What any version says.
#[derive(Deserialize)]
struct Head {
    version: u32,
}

/// What is looked for in what can't be read as a whole.
#[derive(Deserialize)]
struct Named {
    order: Id,
}

#[derive(Deserialize)]
struct Id {
    id: OrderId,
}

/// Why a message is no order.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It can't be read.
    #[error("not an order: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It reads like an order, and can't be one.
    #[error("no possible order: {0}")]
    Impossible(&'static str),
    /// A later release wrote it.
    #[error("written in version {0}, and this program reads version {VERSION}")]
    Version(u32),
    /// It is of a content type that no order has: a later release wrote it, perhaps.
    #[error("of the type {0}, which this program does not read")]
    Foreign(String),
}

/// An order as a message's body.
pub fn encode(order: &NewOrder) -> Vec<u8> {
    // An order is made of strings, numbers and lists: there is nothing that JSON could not say.
    serde_json::to_vec(&Outgoing { version: VERSION, order }).unwrap_or_default()
}

/// The order in a message's body.
pub fn decode(body: &[u8]) -> Result<NewOrder, DecodeError> {
    let Incoming { version, order } =
        serde_json::from_slice(body).map_err(|error| match serde_json::from_slice(body) {
            // A later format may be of another shape.
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

/// The id that an order in a message's body says it has, also where the rest can't be read.
pub fn named_id(body: &[u8]) -> Option<OrderId> {
    serde_json::from_slice(body).ok().map(|Named { order }| order.id)
}

#[cfg(test)]
#[path = "order_message_proptests.rs"]
mod proptests;
