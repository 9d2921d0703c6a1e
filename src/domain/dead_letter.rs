//! Messages that were accepted and could not become orders.

use super::{
    Timestamp,
    ids::{DeadLetterId, OrderId, UserId},
    words,
};

words! {
    /// What was decided about a dead letter.
    pub enum Resolution {
        /// Its order was stored after all.
        Replayed = "replayed",
        /// Nobody wants it any more.
        Discarded = "discarded",
    }
}

/// Why and when storing a message failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its name. It follows from the message, so that a message that comes again leaves one letter.
    pub id: DeadLetterId,
    /// The order that it would have been, if it says so.
    pub order_id: Option<OrderId>,
    /// Why it can't be stored, for staff.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it failed for the first time.
    pub first_failed_at: Timestamp,
    /// When it was given up.
    pub created_at: Timestamp,
    /// What was decided about it, when, and by whom: nobody for an operator at the command line, and where its order was stored.
    pub resolution: Option<(Resolution, Timestamp, Option<UserId>)>,
}
