//! Errors of the broker and of the way to it.

/// Why a message was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No broker, or one that has stopped confirming. Certainly not sent.
    #[error("the broker is not available")]
    Unavailable,
    /// As many messages as allowed wait already. Certainly not sent.
    #[error("too many messages wait for the broker")]
    Busy,
    /// Sent, and the broker did not answer in time, or the connection was lost: it may be queued or not.
    #[error("the broker did not confirm the message")]
    Unconfirmed,
    /// The broker refused it: its queue is full, or failed while it took the message, which may be there all the same.
    #[error("the broker refused the message")]
    Refused,
    /// The broker has no queue for it. Certainly not queued.
    #[error("the broker has no queue for the message")]
    NoQueue,
    /// Its id was used before. Certainly not sent.
    #[error("the message's id was used before")]
    Duplicate,
}

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
