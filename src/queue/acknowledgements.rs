//! Which deliveries of one channel are settled and not acknowledged yet: the bookkeeping of acknowledgements, without any I/O.

use std::collections::BTreeSet;

/// What to tell the broker: acknowledge this delivery, or all up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Acknowledgement {
    pub(super) tag: u64,
    pub(super) multiple: bool,
}

/// The deliveries of one channel that are not acknowledged, by delivery tag.
#[derive(Debug, Default)]
pub(super) struct Acknowledgements {
    open: BTreeSet<u64>,
    settled: BTreeSet<u64>,
}

impl Acknowledgements {
    /// Notes a delivery.
    pub(super) fn delivered(&mut self, tag: u64) {
        self.open.insert(tag);
    }

    /// Notes that a delivery is dealt with for good. One that is not open is left alone.
    pub(super) fn settle(&mut self, tag: u64) {
        if self.open.remove(&tag) {
            self.settled.insert(tag);
        }
    }

    /// Everything settled since the last call, as few acknowledgements: never one that covers an open delivery.
    pub(super) fn take(&mut self) -> Vec<Acknowledgement> {
        let beyond = match self.open.first() {
            Some(open) => self.settled.split_off(open),
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

    #[derive(Debug, Clone)]
    enum Step {
        Deliver,
        /// Settles one of those delivered so far, perhaps again.
        Settle(usize),
        Take,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => Just(Step::Deliver),
            3 => any::<usize>().prop_map(Step::Settle),
            1 => Just(Step::Take),
        ];
        prop::collection::vec(step, 0..200)
    }

    /// The broker's side: takes an acknowledgement, and minds what it must not be given.
    fn acknowledge(unacknowledged: &mut BTreeSet<u64>, settled: &BTreeSet<u64>, given: Acknowledgement) {
        let covered: Vec<u64> = if given.multiple {
            unacknowledged.range(..=given.tag).copied().collect()
        } else {
            unacknowledged.get(&given.tag).copied().into_iter().collect()
        };
        assert!(!covered.is_empty(), "the broker closes the channel on a tag that it does not know");
        for tag in covered {
            assert!(settled.contains(&tag), "{tag} was acknowledged and is not settled");
            unacknowledged.remove(&tag);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_settled_and_nothing_else_is_acknowledged(steps in steps()) {
            let mut acknowledgements = Acknowledgements::default();
            let (mut last, mut settled, mut unacknowledged) = (0, BTreeSet::new(), BTreeSet::new());
            for step in steps.into_iter().chain([Step::Take]) {
                match step {
                    Step::Deliver => {
                        last += 1;
                        unacknowledged.insert(last);
                        acknowledgements.delivered(last);
                    }
                    Step::Settle(any) if last > 0 => {
                        let tag = 1 + any as u64 % last;
                        settled.insert(tag);
                        acknowledgements.settle(tag);
                    }
                    Step::Settle(_) => acknowledgements.settle(1),
                    Step::Take => {
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
        (1..=500).for_each(|tag| acknowledgements.delivered(tag));
        (1..=400).rev().for_each(|tag| acknowledgements.settle(tag));
        assert_eq!(acknowledgements.take(), [Acknowledgement { tag: 400, multiple: true }]);
        assert_eq!(acknowledgements.take(), []);
    }
}
