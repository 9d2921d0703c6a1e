//! Tracks the published messages that the broker has not confirmed yet, without any I/O.

use crate::{broker::PublishError, util::reply_channel};
use std::{collections::BTreeMap, time::Duration};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

/// The way back to one caller; a publish batch has several. Its permits are taken until then.
pub(super) struct ConfirmReply {
    pub(super) to: reply_channel::ReplySender<Result<(), PublishError>>,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

impl ConfirmReply {
    pub(super) fn give(self, outcome: Result<(), PublishError>) {
        drop(self.permit);
        self.to.give(outcome);
    }
}

struct Sent {
    at: Instant,
    /// Sent to the queue of probes: its answer says nothing about the queue of orders.
    is_probe: bool,
    returned: bool,
    /// Emptied when their deadline passes. The entry stays, because a late answer still shows that the broker answers.
    replies: Vec<ConfirmReply>,
}

/// The unanswered messages of one channel, by delivery tag.
pub(super) struct ConfirmTracker {
    next_tag: u64,
    sent: BTreeMap<u64, Sent>,
    /// Callers that wait for an outcome.
    waiting: usize,
    last_answer: Instant,
    /// The first of the latest refusals, if there was nothing but refusals since.
    refused_since: Option<Instant>,
}

impl ConfirmTracker {
    pub(super) fn new(now: Instant) -> Self {
        Self { next_tag: 1, sent: BTreeMap::new(), waiting: 0, last_answer: now, refused_since: None }
    }

    /// Notes the message that is published next and returns its delivery tag: the broker counts the messages of a channel in the
    /// same way, from 1.
    pub(super) fn register(&mut self, replies: Vec<ConfirmReply>, is_probe: bool, now: Instant) -> u64 {
        let tag = self.next_tag;
        self.waiting = self.waiting.saturating_add(replies.len());
        self.sent.insert(tag, Sent { at: now, is_probe, returned: false, replies });
        self.next_tag = tag.saturating_add(1);
        tag
    }

    /// Notes that the broker found no queue for a message. It confirms the message all the same, later.
    pub(super) fn returned(&mut self, tag: u64) {
        if let Some(sent) = self.sent.get_mut(&tag) {
            sent.returned = true;
        }
    }

    /// Settles `tag`, or all tags up to it, and reports for each how long the answer took.
    pub(super) fn answer(
        &mut self,
        tag: u64,
        multiple: bool,
        outcome: Result<(), PublishError>,
        now: Instant,
        mut took: impl FnMut(Duration),
    ) {
        self.last_answer = now;
        if !multiple {
            let sent = self.sent.remove(&tag);
            self.note(sent.as_slice(), outcome, now);
            if let Some(sent) = &sent {
                took(now - sent.at);
            }
            self.settle(sent, outcome);
            return;
        }
        // In AMQP, tag 0 stands for all messages.
        let later = if tag == 0 { BTreeMap::new() } else { self.sent.split_off(&tag.saturating_add(1)) };
        let sent = std::mem::replace(&mut self.sent, later);
        self.note(sent.values(), outcome, now);
        for sent in sent.values() {
            took(now - sent.at);
        }
        self.settle(sent.into_values(), outcome);
    }

    /// Notes whether orders are refused. A confirmed probe says nothing about that.
    fn note<'a>(
        &mut self,
        answered: impl IntoIterator<Item = &'a Sent>,
        outcome: Result<(), PublishError>,
        now: Instant,
    ) {
        if answered.into_iter().any(|sent| !sent.is_probe) {
            self.refused_since = outcome.is_err().then(|| self.refused_since.unwrap_or(now));
        }
    }

    fn settle(&mut self, all: impl IntoIterator<Item = Sent>, outcome: Result<(), PublishError>) {
        reply_channel::give_all(all.into_iter().flat_map(|sent| {
            let outcome = if sent.returned { Err(PublishError::NoQueue) } else { outcome };
            self.waiting = self.waiting.saturating_sub(sent.replies.len());
            sent.replies.into_iter().map(move |ConfirmReply { to, permit }| {
                drop(permit);
                (to, outcome)
            })
        }));
    }

    /// Returns whether a caller waits for a message that was sent before `deadline`, and no answer at all has come since.
    pub(super) fn is_stalled(&self, deadline: Instant) -> bool {
        self.sent_before(deadline).any(|sent| !sent.replies.is_empty() && self.last_answer < sent.at)
    }

    /// Returns whether no answer has come since a message that was sent before `deadline`, also if no caller waits for it.
    pub(super) fn is_silent(&self, deadline: Instant) -> bool {
        self.sent_before(deadline).any(|sent| self.last_answer < sent.at)
    }

    /// Returns whether the broker has answered with refusals only, the first of them before `deadline`.
    pub(super) fn is_refused(&self, deadline: Instant) -> bool {
        self.refused_since.is_some_and(|since| since < deadline)
    }

    /// Tells the callers of messages from before `deadline` that they are unconfirmed.
    pub(super) fn expire(&mut self, deadline: Instant) {
        for sent in self.sent.values_mut().take_while(|sent| sent.at < deadline) {
            self.waiting = self.waiting.saturating_sub(sent.replies.len());
            sent.replies.drain(..).for_each(|reply| reply.give(Err(PublishError::Unconfirmed)));
        }
    }

    // Tags and times grow together, so the first message after the deadline ends the search.
    fn sent_before(&self, deadline: Instant) -> impl Iterator<Item = &Sent> {
        self.sent.values().take_while(move |sent| sent.at < deadline)
    }

    /// Tells all callers that their messages are unconfirmed.
    pub(super) fn end(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        self.settle(sent.into_values(), Err(PublishError::Unconfirmed));
    }

    /// Returns the number of callers that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Returns the number of messages without an answer, also if no caller waits for them.
    pub(super) fn unanswered(&self) -> usize {
        self.sent.len()
    }
}

#[cfg(test)]
#[path = "confirm_tracker_tests.rs"]
mod tests;
