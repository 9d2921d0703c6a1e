//! Bytes that answers under way may take, in the whole process.

use crate::{http::server::connections_per_address::SHARE, telemetry::metrics};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Bytes reserved for each answer before anything is done. What changes something is answered with less (the largest order
/// takes about 30 kB), and so is the menu of a usual bar.
const STANDARD: usize = 64 * 1024;

/// Bytes that answers under way may take.
///
/// Larger answers than usual have three quarters of it and each address a quarter: whoever asks for lists and reads none
/// keeps nobody from ordering.
pub struct ResponseMemoryBudget {
    max: usize,
    used: AtomicUsize,
}

impl ResponseMemoryBudget {
    /// Nothing is under way.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, used: AtomicUsize::new(0) })
    }

    /// Reserves what most answers take; `None` if there is not so much.
    pub fn reserve(self: &Arc<Self>, by_address: Option<Arc<AtomicUsize>>) -> Option<MemoryReservation> {
        if !add(&self.used, STANDARD, self.max) {
            return None;
        }
        if let Some(address) = &by_address {
            address.fetch_add(STANDARD, Relaxed);
        }
        metrics::http().answer_bytes.add(signed(STANDARD));
        Some(MemoryReservation { budget: self.clone(), by_address, bytes: STANDARD })
    }
}

/// Bytes of one answer.
pub struct MemoryReservation {
    budget: Arc<ResponseMemoryBudget>,
    by_address: Option<Arc<AtomicUsize>>,
    bytes: usize,
}

impl MemoryReservation {
    /// Makes it so many; false, and nothing is changed, if it is more than there is.
    pub fn resize(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 {
            let max = self.budget.max;
            if !add(&self.budget.used, more, max / SHARE * (SHARE - 1)) {
                return false;
            }
            if self.by_address.as_ref().is_some_and(|address| !add(address, more, max / SHARE)) {
                self.budget.used.fetch_sub(more, Relaxed);
                return false;
            }
            metrics::http().answer_bytes.add(signed(more));
        } else {
            self.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
        true
    }

    /// Makes it no more than that.
    pub fn shrink(&mut self, bytes: usize) {
        self.give_back(self.bytes.saturating_sub(bytes));
        self.bytes = self.bytes.min(bytes);
    }

    fn give_back(&self, bytes: usize) {
        self.budget.used.fetch_sub(bytes, Relaxed);
        if let Some(address) = &self.by_address {
            address.fetch_sub(bytes, Relaxed);
        }
        metrics::http().answer_bytes.sub(signed(bytes));
    }
}

impl Drop for MemoryReservation {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

/// Adds where the sum is no more than that.
fn add(to: &AtomicUsize, bytes: usize, max: usize) -> bool {
    let sum = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= max);
    to.fetch_update(Relaxed, Relaxed, sum).is_ok()
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(budget: &ResponseMemoryBudget) -> usize {
        budget.used.load(Relaxed)
    }

    #[test]
    fn a_reservation_goes_with_its_answer() {
        let budget = ResponseMemoryBudget::new(100 * STANDARD);
        let address = Arc::new(AtomicUsize::new(0));
        let mut reservation = budget.reserve(Some(address.clone())).expect("there is enough");
        for bytes in [100, 20 * STANDARD, 5, STANDARD] {
            assert!(reservation.resize(bytes));
            assert_eq!([used(&budget), address.load(Relaxed)], [bytes; 2]);
        }
        reservation.shrink(7);
        reservation.shrink(8);
        assert_eq!([used(&budget), address.load(Relaxed)], [7; 2]);
        drop(reservation);
        assert_eq!([used(&budget), address.load(Relaxed)], [0; 2]);
    }

    #[test]
    fn large_answers_leave_some_for_the_others_and_an_address_has_a_quarter() {
        let budget = ResponseMemoryBudget::new(100 * STANDARD);
        let address = Arc::new(AtomicUsize::new(0));
        let mut own = budget.reserve(Some(address.clone())).expect("there is enough");
        assert!(!own.resize(26 * STANDARD) && own.resize(25 * STANDARD));
        // Also more than that, where each takes no more than usual.
        let more = budget.reserve(Some(address)).expect("there is enough");
        let mut proxied = budget.reserve(None).expect("there is enough");
        assert!(!proxied.resize(50 * STANDARD) && proxied.resize(49 * STANDARD));
        let rest: Vec<_> = std::iter::from_fn(|| budget.reserve(None)).take(100).collect();
        assert_eq!(rest.len(), 25);
        drop((own, more, proxied, rest));
        assert_eq!(used(&budget), 0);
    }
}
