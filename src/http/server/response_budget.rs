//! The bytes that responses under way may take, in the whole process.

use super::connections_per_address::ADDRESS_SHARE;
use crate::telemetry::metrics;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Bytes that the framework gets at a time, and the size of its buffer beyond which it writes before it takes more.
pub const SLICE_BYTES: usize = 32 * 1024;

/// Bytes reserved for each response before anything is done. The response to a change takes less (the largest order takes about
/// 30 kB), and so does the menu of a usual bar.
const STANDARD_BYTES: usize = 64 * 1024;

/// Bounds the bytes of responses under way.
///
/// Responses that are larger than [`STANDARD_BYTES`] have three quarters of the budget and each address a quarter: a client that
/// asks for lists and reads none keeps nobody from ordering.
pub struct ResponseMemoryBudget {
    max_bytes: usize,
    used: AtomicUsize,
}

impl ResponseMemoryBudget {
    pub fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { max_bytes, used: AtomicUsize::new(0) })
    }

    /// Reserves [`STANDARD_BYTES`]; `None` if fewer are left.
    pub fn reserve(self: &Arc<Self>, by_address: Option<Arc<AtomicUsize>>) -> Option<MemoryReservation> {
        if !add(&self.used, STANDARD_BYTES, self.max_bytes) {
            return None;
        }
        if let Some(address) = &by_address {
            address.fetch_add(STANDARD_BYTES, Relaxed);
        }
        metrics::http().answer_bytes.add(signed(STANDARD_BYTES));
        Some(MemoryReservation { budget: self.clone(), by_address, bytes: STANDARD_BYTES })
    }
}

/// The reserved bytes of one response.
pub struct MemoryReservation {
    budget: Arc<ResponseMemoryBudget>,
    by_address: Option<Arc<AtomicUsize>>,
    bytes: usize,
}

impl MemoryReservation {
    /// Changes the number of bytes. Returns false, and changes nothing, if so many are not left.
    pub fn resize(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 {
            let max = self.budget.max_bytes;
            if !add(&self.budget.used, more, max / ADDRESS_SHARE * (ADDRESS_SHARE - 1)) {
                return false;
            }
            if self.by_address.as_ref().is_some_and(|address| !add(address, more, max / ADDRESS_SHARE)) {
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

    /// Lowers the number of bytes to at most this many.
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

/// Adds if the sum is at most `max`; returns whether it did.
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
        let budget = ResponseMemoryBudget::new(100 * STANDARD_BYTES);
        let address = Arc::new(AtomicUsize::new(0));
        let mut reservation = budget.reserve(Some(address.clone())).expect("there is enough");
        for bytes in [100, 20 * STANDARD_BYTES, 5, STANDARD_BYTES] {
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
        let budget = ResponseMemoryBudget::new(100 * STANDARD_BYTES);
        let address = Arc::new(AtomicUsize::new(0));
        let mut own = budget.reserve(Some(address.clone())).expect("there is enough");
        assert!(!own.resize(26 * STANDARD_BYTES) && own.resize(25 * STANDARD_BYTES));
        // Also beyond that, where each takes no more than the standard.
        let more = budget.reserve(Some(address)).expect("there is enough");
        let mut proxied = budget.reserve(None).expect("there is enough");
        assert!(!proxied.resize(50 * STANDARD_BYTES) && proxied.resize(49 * STANDARD_BYTES));
        let rest: Vec<_> = std::iter::from_fn(|| budget.reserve(None)).take(100).collect();
        assert_eq!(rest.len(), 25);
        drop((own, more, proxied, rest));
        assert_eq!(used(&budget), 0);
    }
}
