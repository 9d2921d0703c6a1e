//! The number of accounts that share an address: those that were seen there lately.

use quick_cache::sync::Cache;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

/// Addresses that are tracked, at about 350 bytes each. Beyond that those are forgotten that did not come again.
const MAX_ADDRESSES: usize = 16_384;

/// An account counts in the epoch in which it was seen and in the next.
const EPOCH_SECONDS: u64 = 600;

/// Bits of an epoch, of which each account has one, by the random end of its id. More than any limit needs, so that few accounts
/// have the same.
const MARK_BITS: u128 = 1024;
const MARK_WORDS: usize = 16;

/// The accounts at all addresses.
pub struct SharedAddresses {
    addresses: Cache<u128, Arc<SharedAddress>>,
    start: Instant,
}

impl SharedAddresses {
    pub fn new() -> Self {
        Self { addresses: Cache::new(MAX_ADDRESSES), start: Instant::now() }
    }

    /// Notes that an account is at this address. Returns about how many were there lately, this one among them.
    pub fn note(&self, address: u128, account: u128) -> u32 {
        self.note_in(self.start.elapsed().as_secs() / EPOCH_SECONDS, address, account)
    }

    fn note_in(&self, epoch: u64, address: u128, account: u128) -> u32 {
        let Ok(address) = self.addresses.get_or_insert_with(&address, || Ok::<_, Infallible>(Arc::default()));
        address.note(epoch, account)
    }
}

/// The accounts of one address, in the latest epoch and the one before. Without a lock: a mark that is lost where two threads
/// begin an epoch at once is made again by the account's next request.
#[derive(Default)]
struct SharedAddress {
    epoch: AtomicU64,
    even: [AtomicU64; MARK_WORDS],
    odd: [AtomicU64; MARK_WORDS],
}

impl SharedAddress {
    fn note(&self, epoch: u64, account: u128) -> u32 {
        let latest = self.epoch.load(Relaxed);
        // A thread that was held up may still be in the epoch before.
        if epoch > latest && self.epoch.compare_exchange(latest, epoch, Relaxed, Relaxed).is_ok() {
            clear(self.marks(epoch));
            if epoch > latest + 1 {
                clear(self.marks(latest));
            }
        }
        let mark = account % MARK_BITS;
        let word = usize::try_from(mark / 64).unwrap_or_default();
        if let Some(word) = self.marks(epoch).get(word) {
            let bit = 1 << (mark % 64);
            if word.load(Relaxed) & bit == 0 {
                word.fetch_or(bit, Relaxed);
            }
        }
        let both = self.even.iter().zip(&self.odd);
        both.map(|(even, odd)| (even.load(Relaxed) | odd.load(Relaxed)).count_ones()).sum()
    }

    fn marks(&self, epoch: u64) -> &[AtomicU64; MARK_WORDS] {
        if epoch.is_multiple_of(2) { &self.even } else { &self.odd }
    }
}

fn clear(marks: &[AtomicU64; MARK_WORDS]) {
    for word in marks {
        word.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn accounts(number: usize) -> Vec<u128> {
        (0..number).map(|_| Uuid::now_v7().as_u128()).collect()
    }

    fn note_all(shared: &SharedAddresses, epoch: u64, address: u128, accounts: &[u128]) -> u32 {
        accounts.iter().fold(0, |_, account| shared.note_in(epoch, address, *account))
    }

    #[test]
    fn each_account_counts_once_and_where_it_is() {
        let (shared, guests) = (SharedAddresses::new(), accounts(100));
        note_all(&shared, 0, 1, &guests);
        let seen = note_all(&shared, 0, 1, &guests);
        assert!((85..=100).contains(&seen), "{seen}");
        assert_eq!(note_all(&shared, 0, 2, &guests[..1]), 1);
    }

    #[test]
    fn who_left_counts_no_more_after_the_next_epoch() {
        let (shared, guests) = (SharedAddresses::new(), accounts(50));
        let all = note_all(&shared, 7, 1, &guests);
        assert_eq!(note_all(&shared, 8, 1, &guests[..1]), all);
        assert_eq!(note_all(&shared, 9, 1, &guests[..1]), 1);
        note_all(&shared, 10, 1, &guests);
        // Nobody came for hours, or for an odd number of epochs.
        assert_eq!(note_all(&shared, 31, 1, &guests[..1]), 1);
        assert_eq!(note_all(&shared, 34, 1, &guests[..1]), 1);
        // A thread that still is in the epoch before undoes nothing.
        assert_eq!(note_all(&shared, 33, 1, &guests[..1]), 1);
        assert_eq!(note_all(&shared, 34, 1, &guests), all);
    }

    #[test]
    fn memory_is_bounded() {
        let (shared, addresses) = (SharedAddresses::new(), 20 * MAX_ADDRESSES as u128);
        for address in 0..addresses {
            shared.note_in(0, address, address);
        }
        assert!(shared.addresses.len() <= MAX_ADDRESSES);
        assert!(size_of::<SharedAddress>() <= 300, "{}", size_of::<SharedAddress>());
    }
}
