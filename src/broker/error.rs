//! Errors of publishing, and of other requests to the broker.

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No broker, or one that has stopped confirming. The message was not sent.
    #[error("the broker is not available")]
    Unavailable,
    /// The limit of waiting messages is reached. The message was not sent.
    #[error("too many messages wait for the broker")]
    Busy,
    /// The broker did not answer in time, or the connection was lost: the message may be queued or not.
    #[error("the broker did not confirm the message")]
    Unconfirmed,
    /// The queue is full, or it failed while it took the message, which may be queued all the same.
    #[error("the broker refused the message")]
    Refused,
    /// The message is certainly not queued.
    #[error("the broker has no queue for the message")]
    NoQueue,
    /// The message was certainly not sent.
    #[error("the message's id was used before")]
    Duplicate,
}

#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The connection is opened again in the background.
    #[error("not connected to the broker")]
    NotConnected,
    #[error("the broker took too long to {0}")]
    TimedOut(&'static str),
    #[error("failed to {what}: {cause}")]
    Failed { what: &'static str, cause: amqprs::error::Error },
    /// The server closed the channel; `reason` is its code and its text.
    #[error("failed to {what}: the broker says {reason}")]
    Refused { what: &'static str, reason: String },
}

#[derive(Debug, thiserror::Error)]
pub enum PostponeError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Publish(#[from] PublishError),
}
