//! Tests of confirms in usual and in random orders.

use super::*;
use proptest::prelude::*;
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::{
    Semaphore,
    oneshot::{Receiver, error::TryRecvError},
};

type Outcome = Result<(), PublishError>;

/// A tracker with `count` messages sent at `now`.
fn sent(count: u64, now: Instant) -> (ConfirmTracker, Vec<Receiver<Outcome>>) {
    let mut tracker = ConfirmTracker::new(now);
    let receivers = (1..=count).map(|tag| send(&mut tracker, tag, now)).collect();
    (tracker, receivers)
}

fn send(tracker: &mut ConfirmTracker, tag: u64, now: Instant) -> Receiver<Outcome> {
    let (to, receiver) = reply_channel::channel();
    assert_eq!(tracker.register(vec![ConfirmReply { to, permit: None }], false, now), tag);
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
    tracker.answer(2, false, Ok(()), now, |_| ());
    assert_eq!(outcomes(&mut receivers[..]), [None, Some(Ok(())), None]);
    receivers.remove(1);
    tracker.answer(3, false, Err(PublishError::Refused), now, |_| ());
    tracker.answer(1, false, Ok(()), now, |_| ());
    assert_eq!(outcomes(&mut receivers), [Some(Ok(())), Some(Err(PublishError::Refused))]);
    assert_eq!((tracker.waiting(), tracker.unanswered()), (0, 0));
}

#[test]
fn multiple_answers_everything_up_to_the_tag() {
    let now = Instant::now();
    let (mut tracker, mut receivers) = sent(4, now);
    tracker.answer(3, true, Ok(()), now, |_| ());
    assert_eq!(outcomes(&mut receivers), [Some(Ok(())), Some(Ok(())), Some(Ok(())), None]);
    let mut fifth = [send(&mut tracker, 5, now)];
    tracker.answer(0, true, Ok(()), now, |_| ());
    assert_eq!(outcomes(&mut fifth), [Some(Ok(()))]);
    assert_eq!((tracker.waiting(), tracker.unanswered()), (0, 0));
}

#[test]
fn a_return_makes_the_acknowledgement_a_refusal() {
    let now = Instant::now();
    let (mut tracker, mut receivers) = sent(2, now);
    tracker.returned(2);
    tracker.returned(77);
    tracker.answer(2, true, Ok(()), now, |_| ());
    assert_eq!(outcomes(&mut receivers), [Some(Ok(())), Some(Err(PublishError::NoQueue))]);
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
    tracker.answer(2, false, Ok(()), later, |_| ());
    assert!(!tracker.is_stalled(later));
    tracker.expire(later);
    assert_eq!(outcomes(&mut old), [Some(Err(PublishError::Unconfirmed)), Some(Ok(()))]);
    assert_eq!(outcomes(&mut young), [None]);
    assert_eq!((tracker.waiting(), tracker.unanswered()), (1, 2));
    // The late answer is taken without a caller.
    tracker.answer(1, false, Ok(()), later, |_| ());
    assert_eq!(tracker.unanswered(), 1);
}

#[test]
fn silence_is_noticed_whoever_waits() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let mut tracker = ConfirmTracker::new(start);
    drop(send(&mut tracker, 1, at(1)));
    let _second = send(&mut tracker, 2, at(2));
    tracker.expire(at(9));
    assert!(tracker.is_silent(at(9)) && !tracker.is_silent(at(1)), "given up, and still not answered");
    tracker.answer(2, false, Ok(()), at(10), |_| ());
    assert!(!tracker.is_silent(at(20)), "slow, not silent");
}

#[test]
fn refusals_and_nothing_else_are_noticed() {
    let start = Instant::now();
    let (mut tracker, _receivers) = sent(4, start);
    let at = |millis| start + Duration::from_millis(millis);
    tracker.answer(1, false, Err(PublishError::Refused), at(1), |_| ());
    assert!(tracker.is_refused(at(2)) && !tracker.is_refused(at(1)));
    tracker.answer(2, false, Err(PublishError::Refused), at(5), |_| ());
    assert!(tracker.is_refused(at(2)), "since the first of them");
    tracker.answer(3, false, Ok(()), at(6), |_| ());
    tracker.answer(4, false, Err(PublishError::Refused), at(7), |_| ());
    assert!(!tracker.is_refused(at(7)) && tracker.is_refused(at(8)));
    // A probe that is taken is no order that is.
    let tag = tracker.register(Vec::new(), true, at(8));
    tracker.answer(tag, false, Ok(()), at(9), |_| ());
    assert!(tracker.is_refused(at(10)));
}

#[test]
fn silence_since_a_message_was_sent_is_a_stall() {
    let start = Instant::now();
    let mut tracker = ConfirmTracker::new(start);
    let _first = send(&mut tracker, 1, start + Duration::from_millis(1));
    assert!(tracker.is_stalled(start + Duration::from_secs(1)));
    tracker.expire(start + Duration::from_secs(1));
    assert!(!tracker.is_stalled(start + Duration::from_secs(1)), "nobody waits any more");
}

/// Events on a channel. Numbers choose among the messages sent so far.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A message of 1 to 3 callers.
    Send(usize),
    /// One caller of a message stops waiting.
    Leave(usize),
    Return(usize),
    Answer {
        tag: usize,
        multiple: bool,
        ack: bool,
    },
    /// Expires messages that are older than this, in milliseconds.
    Expire(u8),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (1..=3_usize).prop_map(Event::Send),
        1 => any::<usize>().prop_map(Event::Leave),
        1 => any::<usize>().prop_map(Event::Return),
        4 => (any::<usize>(), any::<bool>(), prop::bool::weighted(0.8))
            .prop_map(|(tag, multiple, ack)| Event::Answer { tag, multiple, ack }),
        1 => any::<u8>().prop_map(Event::Expire),
    ];
    prop::collection::vec(event, 0..150)
}

/// The expected outcomes, computed in the simplest way.
#[derive(Default)]
struct Model {
    sent: u64,
    returned: BTreeSet<u64>,
    answered: BTreeSet<u64>,
    sent_at: BTreeMap<u64, Instant>,
    /// The number of callers of each message.
    callers: BTreeMap<u64, usize>,
    told: BTreeMap<u64, Outcome>,
}

impl Model {
    fn one_of(&self, any: usize) -> Option<u64> {
        (self.sent > 0).then(|| 1 + any as u64 % self.sent)
    }

    fn answer(&mut self, tag: u64, multiple: bool, outcome: Outcome) {
        let first = if multiple { 1 } else { tag };
        for tag in first..=tag {
            if self.answered.insert(tag) {
                let outcome = if self.returned.contains(&tag) { Err(PublishError::NoQueue) } else { outcome };
                self.told.entry(tag).or_insert(outcome);
            }
        }
    }

    fn expire(&mut self, deadline: Instant) {
        for (tag, _) in self.sent_at.iter().filter(|(_, at)| **at < deadline) {
            self.told.entry(*tag).or_insert(Err(PublishError::Unconfirmed));
        }
    }
}

/// A tracker beside its model, with the callers that wait.
struct Scene {
    model: Model,
    tracker: ConfirmTracker,
    callers: BTreeMap<(u64, usize), Receiver<Outcome>>,
    permits: Arc<Semaphore>,
}

impl Scene {
    fn new(now: Instant) -> Self {
        Self {
            model: Model::default(),
            tracker: ConfirmTracker::new(now),
            callers: BTreeMap::new(),
            permits: Arc::new(Semaphore::new(1000)),
        }
    }

    fn apply(&mut self, event: Event, now: Instant) -> Result<(), TestCaseError> {
        let Self { model, tracker, callers, permits } = self;
        match event {
            Event::Send(count) => {
                model.sent += 1;
                model.sent_at.insert(model.sent, now);
                let replies = (0..count).map(|caller| {
                    let (to, receiver) = reply_channel::channel();
                    callers.insert((model.sent, caller), receiver);
                    ConfirmReply { to, permit: permits.clone().try_acquire_owned().ok() }
                });
                let replies = replies.collect();
                prop_assert_eq!(tracker.register(replies, false, now), model.sent);
                model.callers.insert(model.sent, count);
            }
            Event::Leave(any) => {
                model.one_of(any).and_then(|tag| callers.remove(&(tag, any % 3)));
            }
            Event::Return(any) => {
                if let Some(tag) = model.one_of(any).filter(|tag| !model.answered.contains(tag)) {
                    model.returned.insert(tag);
                    tracker.returned(tag);
                }
            }
            Event::Answer { tag, multiple, ack } => {
                let Some(tag) = model.one_of(tag) else { return Ok(()) };
                let outcome = if ack { Ok(()) } else { Err(PublishError::Refused) };
                model.answer(tag, multiple, outcome);
                tracker.answer(tag, multiple, outcome, now, |_| ());
            }
            Event::Expire(age) => {
                let deadline = now - Duration::from_millis(age.into());
                model.expire(deadline);
                tracker.expire(deadline);
            }
        }
        Ok(())
    }

    /// Checks that every caller was told the model's outcome once, and that the counts agree.
    fn check(&mut self) -> Result<(), TestCaseError> {
        let Self { model, tracker, callers, permits } = self;
        for ((tag, _), caller) in callers {
            let told = match caller.try_recv() {
                Ok(outcome) => outcome,
                // Told before.
                Err(TryRecvError::Closed) => continue,
                Err(TryRecvError::Empty) => {
                    prop_assert_eq!(model.told.get(tag), None, "{} was not told", tag);
                    continue;
                }
            };
            prop_assert_eq!(model.told.get(tag), Some(&told), "{}", tag);
        }
        let untold = model.callers.iter().filter(|(tag, _)| !model.told.contains_key(tag));
        let waiting: usize = untold.map(|(_, callers)| callers).sum();
        prop_assert_eq!(tracker.waiting(), waiting);
        prop_assert_eq!(tracker.unanswered(), usize::try_from(model.sent)? - model.answered.len());
        prop_assert_eq!(permits.available_permits(), 1000 - waiting, "who was told counts no more");
        Ok(())
    }
}

proptest! {
    #[test]
    fn everyone_is_told_once_and_what_the_broker_said(events in events()) {
        let mut now = Instant::now();
        let mut scene = Scene::new(now);
        for event in events {
            now += Duration::from_millis(1);
            scene.apply(event, now)?;
            scene.check()?;
        }
        let Scene { model, mut tracker, callers, permits } = scene;
        tracker.end();
        prop_assert_eq!((tracker.waiting(), tracker.unanswered(), permits.available_permits()), (0, 0, 1000));
        for ((tag, _), mut caller) in callers {
            if !model.told.contains_key(&tag) {
                let returned = model.returned.contains(&tag);
                let told = if returned { PublishError::NoQueue } else { PublishError::Unconfirmed };
                prop_assert_eq!(caller.try_recv(), Ok(Err(told)), "{}", tag);
            }
        }
    }
}

#[test]
fn each_answer_says_how_long_it_took() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let mut tracker = ConfirmTracker::new(start);
    for millis in [0, 10, 20] {
        tracker.register(Vec::new(), false, at(millis));
    }
    let mut took = Vec::new();
    tracker.answer(2, false, Ok(()), at(50), |time| took.push(time.as_millis()));
    tracker.answer(3, true, Ok(()), at(60), |time| took.push(time.as_millis()));
    assert_eq!(took, [40, 60, 40]);
}
