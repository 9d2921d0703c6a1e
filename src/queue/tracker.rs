//! Which published messages the broker has not answered yet: the bookkeeping of publisher confirms, without any I/O.

use std::collections::BTreeMap;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::PublishError;

/// Where the outcome of one publish goes. Its permit counts against the bound until then.
pub(super) struct Reply {
    pub(super) sender: oneshot::Sender<Result<(), PublishError>>,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

impl Reply {
    pub(super) fn give(self, outcome: Result<(), PublishError>) {
        drop(self.permit);
        // A caller that went away wants no answer.
        let _ = self.sender.send(outcome);
    }

    pub(super) fn is_unwanted(&self) -> bool {
        self.sender.is_closed()
    }
}

struct Sent {
    id: Uuid,
    at: Instant,
    returned: bool,
    /// Taken when its deadline passed. The entry stays, for a late answer still says that the broker answers.
    reply: Option<Reply>,
}

/// The unanswered messages of one channel, by delivery tag.
pub(super) struct Tracker {
    next_tag: u64,
    sent: BTreeMap<u64, Sent>,
    waiting: usize,
    last_answer: Instant,
}

impl Tracker {
    pub(super) fn new(now: Instant) -> Self {
        Self { next_tag: 1, sent: BTreeMap::new(), waiting: 0, last_answer: now }
    }

    /// Notes the message that is published next; the broker counts publishes on a channel in the same way, from 1.
    pub(super) fn register(&mut self, id: Uuid, reply: Reply, now: Instant) {
        self.sent.insert(self.next_tag, Sent { id, at: now, returned: false, reply: Some(reply) });
        self.next_tag = self.next_tag.saturating_add(1);
        self.waiting = self.waiting.saturating_add(1);
    }

    /// Notes that the broker found no queue for a message. It acknowledges that message all the same, later.
    pub(super) fn returned(&mut self, id: Uuid) {
        if let Some(sent) = self.sent.values_mut().find(|sent| sent.id == id && !sent.returned) {
            sent.returned = true;
        }
    }

    /// Takes the broker's answer for `tag`, or for all up to it.
    pub(super) fn answer(
        &mut self,
        tag: u64,
        multiple: bool,
        outcome: Result<(), PublishError>,
        now: Instant,
    ) {
        self.last_answer = now;
        if !multiple {
            if let Some(sent) = self.sent.remove(&tag) {
                self.settle(sent, outcome);
            }
            return;
        }
        // AMQP's tag 0 means all of them.
        let later = if tag == 0 { BTreeMap::new() } else { self.sent.split_off(&tag.saturating_add(1)) };
        for sent in std::mem::replace(&mut self.sent, later).into_values() {
            self.settle(sent, outcome);
        }
    }

    fn settle(&mut self, sent: Sent, outcome: Result<(), PublishError>) {
        if let Some(reply) = sent.reply {
            self.waiting = self.waiting.saturating_sub(1);
            reply.give(if sent.returned { Err(PublishError::NoQueue) } else { outcome });
        }
    }

    /// Whether someone waits in vain for what was sent before `deadline`, and no answer at all has come since.
    pub(super) fn is_stalled(&self, deadline: Instant) -> bool {
        self.sent_before(deadline).any(|sent| sent.reply.is_some() && self.last_answer < sent.at)
    }

    /// Gives up on what was sent before `deadline`.
    pub(super) fn expire(&mut self, deadline: Instant) {
        for sent in self.sent.values_mut().take_while(|sent| sent.at < deadline) {
            if let Some(reply) = sent.reply.take() {
                self.waiting = self.waiting.saturating_sub(1);
                reply.give(Err(PublishError::Unconfirmed));
            }
        }
    }

    /// Tags and times grow together, so that the first one in time ends the search.
    fn sent_before(&self, deadline: Instant) -> impl Iterator<Item = &Sent> {
        self.sent.values().take_while(move |sent| sent.at < deadline)
    }

    /// Gives up on everything.
    pub(super) fn end(&mut self) {
        for sent in std::mem::take(&mut self.sent).into_values() {
            self.settle(sent, Err(PublishError::Unconfirmed));
        }
    }

    /// Messages whose callers wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Messages without an answer, including those that nobody waits for any more.
    pub(super) fn unanswered(&self) -> usize {
        self.sent.len()
    }
}

#[cfg(test)]
#[allow(clippy::panic, reason = "a test may fail where it stands")]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot::Receiver;
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    type Outcome = Result<(), PublishError>;

    /// A tracker with `count` messages sent at `now`, whose ids are their tags.
    fn sent(count: u64, now: Instant) -> (Tracker, Vec<Receiver<Outcome>>) {
        let mut tracker = Tracker::new(now);
        let receivers = (1..=count).map(|tag| send(&mut tracker, tag, now)).collect();
        (tracker, receivers)
    }

    fn send(tracker: &mut Tracker, id: u64, now: Instant) -> Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        tracker.register(Uuid::from_u64_pair(0, id), Reply { sender, permit: None }, now);
        receiver
    }

    fn outcomes(receivers: &mut [Receiver<Outcome>]) -> Vec<Option<Outcome>> {
        receivers
            .iter_mut()
            .map(|receiver| match receiver.try_recv() {
                Ok(outcome) => Some(outcome),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Closed) => panic!("answered twice or never"),
            })
            .collect()
    }

    #[test]
    fn answers_out_of_order() {
        let now = Instant::now();
        let (mut tracker, mut receivers) = sent(3, now);
        tracker.answer(2, false, Ok(()), now);
        assert_eq!(outcomes(&mut receivers[..]), [None, Some(Ok(())), None]);
        receivers.remove(1);
        tracker.answer(3, false, Err(PublishError::Refused), now);
        tracker.answer(1, false, Ok(()), now);
        assert_eq!(outcomes(&mut receivers), [Some(Ok(())), Some(Err(PublishError::Refused))]);
        assert_eq!((tracker.waiting(), tracker.unanswered()), (0, 0));
    }

    #[test]
    fn multiple_answers_everything_up_to_the_tag() {
        let now = Instant::now();
        let (mut tracker, mut receivers) = sent(4, now);
        tracker.answer(3, true, Ok(()), now);
        assert_eq!(outcomes(&mut receivers), [Some(Ok(())), Some(Ok(())), Some(Ok(())), None]);
        let mut fifth = [send(&mut tracker, 5, now)];
        tracker.answer(0, true, Ok(()), now);
        assert_eq!(outcomes(&mut fifth), [Some(Ok(()))]);
        assert_eq!((tracker.waiting(), tracker.unanswered()), (0, 0));
    }

    #[test]
    fn a_return_makes_the_acknowledgement_a_refusal() {
        let now = Instant::now();
        let (mut tracker, mut receivers) = sent(2, now);
        tracker.returned(Uuid::from_u64_pair(0, 2));
        tracker.returned(Uuid::from_u64_pair(0, 77));
        tracker.answer(2, true, Ok(()), now);
        assert_eq!(outcomes(&mut receivers), [Some(Ok(())), Some(Err(PublishError::NoQueue))]);
    }

    #[test]
    fn the_same_message_twice_is_returned_twice() {
        let now = Instant::now();
        let (mut tracker, _) = sent(0, now);
        let mut receivers = [send(&mut tracker, 9, now), send(&mut tracker, 9, now)];
        tracker.returned(Uuid::from_u64_pair(0, 9));
        tracker.returned(Uuid::from_u64_pair(0, 9));
        tracker.answer(2, true, Ok(()), now);
        assert_eq!(outcomes(&mut receivers), [Some(Err(PublishError::NoQueue)); 2]);
    }

    #[test]
    fn the_end_leaves_everything_unconfirmed() {
        let (mut tracker, mut receivers) = sent(2, Instant::now());
        tracker.end();
        assert_eq!(outcomes(&mut receivers), [Some(Err(PublishError::Unconfirmed)); 2]);
    }

    #[test]
    fn a_deadline_passes_for_the_old_only() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let (mut tracker, mut old) = sent(2, start);
        let mut young = [send(&mut tracker, 3, later)];
        // One answer came after all of the old were sent: slow, not stalled.
        tracker.answer(2, false, Ok(()), later);
        assert!(!tracker.is_stalled(later));
        tracker.expire(later);
        assert_eq!(outcomes(&mut old), [Some(Err(PublishError::Unconfirmed)), Some(Ok(()))]);
        assert_eq!(outcomes(&mut young), [None]);
        assert_eq!((tracker.waiting(), tracker.unanswered()), (1, 2));
        // The late answer is taken without a caller.
        tracker.answer(1, false, Ok(()), later);
        assert_eq!(tracker.unanswered(), 1);
    }

    #[test]
    fn silence_since_a_message_was_sent_is_a_stall() {
        let start = Instant::now();
        let mut tracker = Tracker::new(start);
        let _first = send(&mut tracker, 1, start + Duration::from_millis(1));
        assert!(tracker.is_stalled(start + Duration::from_secs(1)));
        tracker.expire(start + Duration::from_secs(1));
        assert!(!tracker.is_stalled(start + Duration::from_secs(1)), "nobody waits any more");
    }
}
