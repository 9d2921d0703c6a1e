//! Which published messages the broker has not answered yet: the bookkeeping of publisher confirms, without any I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::PublishError;
use crate::util::reply_channel;

/// Where the outcome of one publish goes: several may go in one message. Its permit counts against the bound until then.
pub(super) struct ConfirmReply {
    pub(super) to: reply_channel::ReplySender<Result<(), PublishError>>,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

impl ConfirmReply {
    pub(super) fn give(self, outcome: Result<(), PublishError>) {
        drop(self.permit);
        self.to.give(outcome);
    }

    pub(super) fn is_unwanted(&self) -> bool {
        self.to.is_unwanted()
    }
}

struct Sent {
    at: Instant,
    /// For the queue of probes: its answer tells nothing about the queue of orders.
    is_probe: bool,
    returned: bool,
    /// Taken when their deadline passed. The entry stays, for a late answer still says that the broker answers.
    replies: Vec<ConfirmReply>,
}

/// The unanswered messages of one channel, by delivery tag.
pub(super) struct ConfirmTracker {
    next_tag: u64,
    sent: BTreeMap<u64, Sent>,
    waiting: usize,
    last_answer: Instant,
    /// Since when there were refusals and nothing else.
    refused_since: Option<Instant>,
}

impl ConfirmTracker {
    pub(super) fn new(now: Instant) -> Self {
        Self { next_tag: 1, sent: BTreeMap::new(), waiting: 0, last_answer: now, refused_since: None }
    }

    /// Notes the message that is published next and returns its tag; the broker counts publishes on a channel in the same
    /// way, from 1.
    pub(super) fn register(&mut self, replies: Vec<ConfirmReply>, is_probe: bool, now: Instant) -> u64 {
        let tag = self.next_tag;
        self.waiting = self.waiting.saturating_add(replies.len());
        self.sent.insert(tag, Sent { at: now, is_probe, returned: false, replies });
        self.next_tag = tag.saturating_add(1);
        tag
    }

    /// Notes that the broker found no queue for a message. It acknowledges that message all the same, later.
    pub(super) fn returned(&mut self, tag: u64) {
        if let Some(sent) = self.sent.get_mut(&tag) {
            sent.returned = true;
        }
    }

    /// Takes the broker's answer for `tag`, or for all up to it, and says of each how long it took.
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
        // AMQP's tag 0 means all of them.
        let later = if tag == 0 { BTreeMap::new() } else { self.sent.split_off(&tag.saturating_add(1)) };
        let sent = std::mem::replace(&mut self.sent, later);
        self.note(sent.values(), outcome, now);
        for sent in sent.values() {
            took(now - sent.at);
        }
        self.settle(sent.into_values(), outcome);
    }

    /// Notes whether orders are refused. A probe that is taken is no order that is.
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

    /// Whether someone waits in vain for what was sent before `deadline`, and no answer at all has come since.
    pub(super) fn is_stalled(&self, deadline: Instant) -> bool {
        self.sent_before(deadline).any(|sent| !sent.replies.is_empty() && self.last_answer < sent.at)
    }

    /// Whether something sent before `deadline` is without an answer, and nothing sent later has one: waited for or not.
    pub(super) fn is_silent(&self, deadline: Instant) -> bool {
        self.sent_before(deadline).any(|sent| self.last_answer < sent.at)
    }

    /// Whether the broker has refused everything that it answered since `deadline`, and some of it before.
    pub(super) fn is_refused(&self, deadline: Instant) -> bool {
        self.refused_since.is_some_and(|since| since < deadline)
    }

    /// Gives up on what was sent before `deadline`.
    pub(super) fn expire(&mut self, deadline: Instant) {
        for sent in self.sent.values_mut().take_while(|sent| sent.at < deadline) {
            self.waiting = self.waiting.saturating_sub(sent.replies.len());
            sent.replies.drain(..).for_each(|reply| reply.give(Err(PublishError::Unconfirmed)));
        }
    }

    /// Tags and times grow together, so that the first one in time ends the search.
    fn sent_before(&self, deadline: Instant) -> impl Iterator<Item = &Sent> {
        self.sent.values().take_while(move |sent| sent.at < deadline)
    }

    /// Gives up on everything.
    pub(super) fn end(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        self.settle(sent.into_values(), Err(PublishError::Unconfirmed));
    }

    /// Callers that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Messages without an answer, including those that nobody waits for any more.
    pub(super) fn unanswered(&self) -> usize {
        self.sent.len()
    }
}

#[cfg(test)]
#[path = "confirm_tracker_tests.rs"]
mod tests;
