//! Keeps messages back whose ids were used before.

use super::error::PublishError;
use super::publish_batch::PublishBatch;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use uuid::Uuid;

/// Knows which messages would be duplicates. It is asked about all messages of one bundle together, between gathering them and sending
/// them: that costs one query a bundle, and the messages no further way between threads.
pub trait DuplicateCheck: Send + Sync {
    /// Those of these ids that were used before. It must end soon by itself: the bundle waits for it.
    fn used(&self, ids: Vec<Uuid>) -> BoxFuture<'static, Vec<Uuid>>;
}

impl PublishBatch {
    /// The check that some of its messages need. All of one process' share theirs.
    pub(super) fn check(&self) -> Option<Arc<dyn DuplicateCheck>> {
        self.messages.iter().find_map(|message| message.check.clone())
    }

    /// Answers those of its messages that are duplicates, and keeps the others.
    pub(super) async fn without_duplicates(mut self, check: Arc<dyn DuplicateCheck>) -> Self {
        let checked = self.messages.iter().filter(|message| message.check.is_some());
        let used = check.used(checked.map(|message| message.message.id).collect()).await;
        if used.is_empty() {
            return self;
        }
        let is_used = |message: &mut super::publisher::Outgoing| {
            message.check.is_some() && used.contains(&message.message.id)
        };
        for message in self.messages.extract_if(.., is_used) {
            message.reply.give(Err(PublishError::Duplicate));
        }
        self
    }
}
