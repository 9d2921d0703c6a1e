//! Tracks the deliveries of one channel that are not acknowledged yet, without any I/O.

use std::collections::BTreeSet;

/// An acknowledgement of one delivery, or of all up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acknowledgement {
    pub(crate) tag: u64,
    pub(crate) multiple: bool,
}

/// A part of a message on a subscription. A message is acknowledged when all of its parts are settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryTag {
    /// The consumer's number within the subscription.
    pub(crate) consumer: u64,
    pub(crate) message: u64,
    pub(crate) part: usize,
}

impl DeliveryTag {
    /// Returns what tells the message from others: all parts of an unacknowledged message are delivered again.
    pub fn message(self) -> (u64, u64) {
        (self.consumer, self.message)
    }
}

/// The unacknowledged deliveries of one channel, by delivery tag.
#[derive(Debug, Default)]
pub(crate) struct Acknowledgements {
    /// The number of the message, and of the part.
    open: BTreeSet<(u64, usize)>,
    settled: BTreeSet<u64>,
}

impl Acknowledgements {
    pub(crate) fn delivered(&mut self, message: u64, parts: usize) {
        self.open.extend((0..parts).map(|part| (message, part)));
    }

    /// Notes that a part is handled for good. Parts that are not open are ignored.
    pub(crate) fn settle(&mut self, tag: DeliveryTag) {
        let DeliveryTag { message, part, .. } = tag;
        if self.open.remove(&(message, part)) && !self.has_open_parts(message) {
            self.settled.insert(message);
        }
    }

    /// Returns whether all that was delivered is settled.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn has_open_parts(&self, message: u64) -> bool {
        self.open.range((message, 0)..).next().is_some_and(|(next, _)| *next == message)
    }

    /// Returns as few acknowledgements as possible for everything settled since the last call. None covers an open delivery.
    pub(crate) fn take(&mut self) -> Vec<Acknowledgement> {
        let beyond = match self.open.first() {
            Some((message, _)) => self.settled.split_off(message),
            None => BTreeSet::new(),
        };
        let below = std::mem::take(&mut self.settled);
        let all_up_to = below.last().map(|&tag| Acknowledgement { tag, multiple: true });
        let each = beyond.into_iter().map(|tag| Acknowledgement { tag, multiple: false });
        all_up_to.into_iter().chain(each).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tag(message: u64, part: usize) -> DeliveryTag {
        DeliveryTag { consumer: 0, message, part }
    }

    #[derive(Debug, Clone)]
    enum Event {
        /// A message of 1 to 3 parts.
        Deliver(usize),
        /// Settles one of the parts delivered so far, perhaps again.
        Settle(usize),
        Take,
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            3 => (1..=3_usize).prop_map(Event::Deliver),
            5 => any::<usize>().prop_map(Event::Settle),
            1 => Just(Event::Take),
        ];
        prop::collection::vec(event, 0..200)
    }

    /// Takes an acknowledgement as the broker does, and fails on an invalid one.
    fn acknowledge(unacknowledged: &mut BTreeSet<u64>, settled: &BTreeSet<u64>, given: Acknowledgement) {
        let covered: Vec<u64> = if given.multiple {
            unacknowledged.range(..=given.tag).copied().collect()
        } else {
            unacknowledged.get(&given.tag).copied().into_iter().collect()
        };
        assert!(!covered.is_empty(), "the broker closes the channel on an unknown tag");
        for tag in covered {
            assert!(settled.contains(&tag), "{tag} was acknowledged and is not settled");
            unacknowledged.remove(&tag);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_settled_and_nothing_else_is_acknowledged(events in events()) {
            let mut acknowledgements = Acknowledgements::default();
            let (mut parts, mut last) = (Vec::new(), 0);
            let (mut open, mut unacknowledged) = (BTreeSet::new(), BTreeSet::new());
            for event in events.into_iter().chain([Event::Take]) {
                match event {
                    Event::Deliver(count) => {
                        last += 1;
                        unacknowledged.insert(last);
                        let tags = (0..count).map(|part| tag(last, part));
                        parts.extend(tags.clone());
                        open.extend(tags);
                        acknowledgements.delivered(last, count);
                    }
                    Event::Settle(any) if !parts.is_empty() => {
                        let tag = parts[any % parts.len()];
                        open.remove(&tag);
                        acknowledgements.settle(tag);
                    }
                    Event::Settle(_) => acknowledgements.settle(tag(1, 0)),
                    Event::Take => {
                        let unsettled: BTreeSet<u64> = open.iter().map(|tag: &DeliveryTag| tag.message).collect();
                        let settled = (1..=last).filter(|tag| !unsettled.contains(tag)).collect();
                        for given in acknowledgements.take() {
                            acknowledge(&mut unacknowledged, &settled, given);
                        }
                        prop_assert!(settled.is_disjoint(&unacknowledged), "settled and not acknowledged");
                    }
                }
            }
        }
    }

    #[test]
    fn a_batch_without_gaps_takes_one_acknowledgement() {
        let mut acknowledgements = Acknowledgements::default();
        (1..=500).for_each(|message| acknowledgements.delivered(message, 2));
        let tags = (1..=400).rev().flat_map(|message| [0, 1].map(|part| tag(message, part)));
        tags.for_each(|tag| acknowledgements.settle(tag));
        assert_eq!(acknowledgements.take(), [Acknowledgement { tag: 400, multiple: true }]);
        assert_eq!(acknowledgements.take(), []);
    }
}
