//! Ids of orders: they make repeated requests one order, and prove without a lookup that an id was issued.
//!
//! An id is a UUIDv7 or, with an `Idempotency-Key`, a UUIDv8 derived from the customer and the key, and also
//! from the sender if somebody else orders for the customer: each sender has their own keys. The last 32 bits
//! are a mark: 16 bits that only this installation can make, and 16 bits that also depend on the customer. So
//! every `serve` recognises an order that another one accepted and that is not recorded yet, and does not
//! mistake an invented id for one. The mark only decides between "queued" and "not found" for an id that is
//! not stored; it protects nothing.

use crate::{
    domain::ids::{OrderId, UserId},
    util::secrets::mac,
};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// Key of an installation, shared by all its processes.
#[derive(Clone)]
pub struct OrderIds {
    key: [u8; 32],
}

impl OrderIds {
    /// Derives the key from the installation's setting.
    pub fn new(setting: &str) -> Self {
        Self { key: Sha256::digest(setting).into() }
    }

    pub fn generate(&self, customer: UserId) -> OrderId {
        self.marked(*Uuid::now_v7().as_bytes(), customer)
    }

    /// Derives the id of the order that this sender places for this customer under this key.
    pub fn derived(&self, sender: UserId, customer: UserId, idempotency_key: &str) -> OrderId {
        let mut hash = Sha256::new();
        if sender != customer {
            // Unambiguous: keys are ASCII, and account ids are not.
            hash.update(sender.0.as_bytes());
        }
        let hash = hash.chain_update(customer.0.as_bytes()).chain_update(idempotency_key).finalize();
        let mut bytes = [0; 16];
        for (byte, hashed) in bytes.iter_mut().zip(hash) {
            *byte = hashed;
        }
        self.marked(*Builder::from_custom_bytes(bytes).as_uuid().as_bytes(), customer)
    }

    /// Returns whether this installation issued the id, to this customer if one is given.
    pub fn issued(&self, id: OrderId, customer: Option<UserId>) -> bool {
        let [body @ .., a, b, c, d] = *id.0.as_bytes();
        self.mark(&body, None) == [a, b]
            && customer.is_none_or(|customer| self.mark(&body, Some(customer)) == [c, d])
    }

    fn marked(&self, mut bytes: [u8; 16], customer: UserId) -> OrderId {
        let [body @ .., a, b, c, d] = &mut bytes;
        [*a, *b] = self.mark(body, None);
        [*c, *d] = self.mark(body, Some(customer));
        OrderId(Uuid::from_bytes(bytes))
    }

    fn mark(&self, body: &[u8; 12], customer: Option<UserId>) -> [u8; 2] {
        let customer = customer.as_ref().map(|customer| customer.0.as_bytes().as_slice());
        let [first, second, ..] = mac(&self.key, [body.as_slice()].into_iter().chain(customer));
        [first, second]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_one_customer_one_id() {
        let identity = OrderIds::new("bar");
        let (ana, ben) = (UserId::new_v7(), UserId::new_v7());
        assert_eq!(identity.derived(ana, ana, "k1"), identity.derived(ana, ana, "k1"));
        assert_ne!(identity.derived(ana, ana, "k1"), identity.derived(ana, ana, "k2"));
        assert_ne!(identity.derived(ana, ana, "k1"), identity.derived(ben, ben, "k1"));
        assert_eq!(identity.derived(ana, ana, "k1").0.get_version_num(), 8);
        assert_eq!(identity.generate(ana).0.get_version_num(), 7);
    }

    #[test]
    fn a_key_counts_for_its_sender() {
        let identity = OrderIds::new("bar");
        let [ana, till, other_till] = [(); 3].map(|()| UserId::new_v7());
        let by_till = identity.derived(till, ana, "k1");
        assert_eq!(by_till, identity.derived(till, ana, "k1"));
        for other in [(ana, ana), (till, till), (other_till, ana), (till, other_till), (ana, till)] {
            assert_ne!(by_till, identity.derived(other.0, other.1, "k1"));
        }
        assert!(identity.issued(by_till, Some(ana)) && !identity.issued(by_till, Some(till)));
    }

    #[test]
    fn an_id_is_the_same_in_every_release() {
        let ana = "01a203c7-9c4d-73e0-b5cb-40c566f38883".parse().unwrap();
        assert_eq!(
            OrderIds::new("bar").derived(ana, ana, "k1").to_string(),
            "af98cde9-f04c-8d9a-9a74-4a526c2f1bff"
        );
    }

    #[test]
    fn only_ids_given_out_here_are_recognised() {
        let (bar, other_bar) = (OrderIds::new("bar"), OrderIds::new("other bar"));
        let (ana, ben) = (UserId::new_v7(), UserId::new_v7());
        for id in [bar.generate(ana), bar.derived(ana, ana, "k1")] {
            assert!(bar.issued(id, None) && bar.issued(id, Some(ana)));
            assert!(!bar.issued(id, Some(ben)) && !other_bar.issued(id, Some(ana)));
        }
        let made_up = (0..100).filter(|_| bar.issued(OrderId::new_v7(), Some(ana))).count();
        assert_eq!(made_up, 0, "ids that nobody gave out");
    }

    #[test]
    fn ids_of_one_moment_differ() {
        let (identity, ana) = (OrderIds::new("bar"), UserId::new_v7());
        let ids: std::collections::HashSet<_> = (0..10_000).map(|_| identity.generate(ana)).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
