//! Accepted orders that could not be recorded.

use super::{
    Timestamp,
    ids::{DeadLetterId, OrderId, UserId},
    words::words,
};

words! {
    /// The decision about a dead letter.
    pub enum Resolution {
        /// Its order was recorded after all.
        Replayed = "replayed",
        /// The order is not wanted any more.
        Discarded = "discarded",
    }
}

/// A message whose order could not be recorded, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Derived from the message, so that a redelivered message leaves one dead letter.
    pub id: DeadLetterId,
    /// None if the message names no order.
    pub order_id: Option<OrderId>,
    pub reason: String,
    pub attempts: u32,
    pub first_failed_at: Timestamp,
    pub created_at: Timestamp,
    /// The decision, its time, and its author: none for an operator at the command line, or if recording the order resolved it.
    pub resolution: Option<(Resolution, Timestamp, Option<UserId>)>,
}
