//! Errors of the broker and of the way to it.

use super::publisher::PublishError;

/// Why the broker did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// There is no connection now; it comes back by itself.
    #[error("not connected to the broker")]
    NotConnected,
    /// The broker took too long. Names what for.
    #[error("the broker took too long to {0}")]
    TimedOut(&'static str),
    /// It failed in amqprs, or on the way.
    #[error("cannot {what}: {cause}")]
    Failed {
        /// What was asked.
        what: &'static str,
        /// What amqprs says.
        cause: amqprs::error::Error,
    },
    /// The server closed the channel instead of doing it.
    #[error("cannot {what}: the broker says {reason}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// Its code and its words.
        reason: String,
    },
}

/// Why a message could not be postponed.
#[derive(Debug, thiserror::Error)]
pub enum PostponeError {
    /// The queue for it could not be declared.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// It could not be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
}
