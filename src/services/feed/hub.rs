//! Distributes changes to the streams of this process.

use crate::{
    domain::{
        change_set::RecipeChange,
        ids::{OrderId, UserId},
        order::Order,
    },
    services::accounts::Caller,
    store::changes::StoredChange,
    util::lock,
};
use futures_util::task::AtomicWaker;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock},
};

/// Changes that wait for one stream, beyond which its client reads the lists again.
pub const MAX_PENDING: usize = 200;

/// An order as it is now, for all streams that send it.
pub struct OrderEvent {
    pub order: Order,
    /// The event as it is sent, encoded by the first stream that sends it.
    pub encoded: OnceLock<String>,
}

impl OrderEvent {
    pub fn new(order: Order) -> Arc<Self> {
        Arc::new(Self { order, encoded: OnceLock::new() })
    }
}

/// The changes for one stream since it sent the last ones.
#[derive(Default)]
pub struct Pending {
    pub orders: Vec<Arc<OrderEvent>>,
    pub menu: Option<PendingMenu>,
    /// The set of unseen orders has changed.
    pub unseen: bool,
    /// There were more changes than this lists: the client must read everything again.
    pub reset: bool,
}

pub struct PendingMenu {
    pub edition: String,
    pub changed: Vec<RecipeChange>,
}

impl Pending {
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.menu.is_none() && !self.unseen && !self.reset
    }

    /// Adds changes that came later.
    pub fn add(&mut self, later: &Self) {
        self.unseen |= later.unseen;
        if later.reset {
            self.reset();
            return;
        }
        later.orders.iter().for_each(|event| self.add_order(event));
        if let Some(menu) = &later.menu {
            self.add_menu(&menu.edition, &menu.changed);
        }
    }

    fn add_order(&mut self, event: &Arc<OrderEvent>) {
        if self.reset {
            return;
        }
        let id = event.order.placed.id;
        match self.orders.iter_mut().find(|pending| pending.order.placed.id == id) {
            Some(pending) if pending.order.version < event.order.version => *pending = Arc::clone(event),
            Some(_) => {}
            None => self.orders.push(Arc::clone(event)),
        }
        self.limit();
    }

    pub(super) fn add_menu(&mut self, edition: &str, changed: &[RecipeChange]) {
        if self.reset {
            return;
        }
        let menu =
            self.menu.get_or_insert_with(|| PendingMenu { edition: String::new(), changed: Vec::new() });
        edition.clone_into(&mut menu.edition);
        menu.changed.retain(|known| changed.iter().all(|change| change.id != known.id));
        menu.changed.extend_from_slice(changed);
        self.limit();
    }

    fn limit(&mut self) {
        let recipes = self.menu.as_ref().map_or(0, |menu| menu.changed.len());
        if self.orders.len() + recipes > MAX_PENDING {
            self.reset();
        }
    }

    /// Replaces the changes by the request to read everything again.
    fn reset(&mut self) {
        *self = Self { reset: true, unseen: self.unseen, ..Self::default() };
    }
}

/// The changes for one stream, and the task that sends them.
#[derive(Default)]
pub struct Mailbox {
    pending: Mutex<Pending>,
    waker: AtomicWaker,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        lock(&self.pending)
    }

    fn change(&self, change: impl FnOnce(&mut Pending)) {
        change(&mut self.lock());
        self.waker.wake();
    }

    pub fn take(&self) -> Pending {
        std::mem::take(&mut *self.lock())
    }

    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub fn waker(&self) -> &AtomicWaker {
        &self.waker
    }
}

/// All streams of this process.
#[derive(Default)]
pub struct Hub {
    streams: Mutex<Streams>,
}

#[derive(Default)]
struct Streams {
    next: u64,
    /// Those of staff, which get every order.
    staff: HashMap<u64, Arc<Mailbox>>,
    customers: HashMap<UserId, Vec<(u64, Arc<Mailbox>)>>,
    count: usize,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, Streams> {
        lock(&self.streams)
    }

    /// Registers a stream unless there are `limit` already.
    pub fn register(&self, caller: Caller, limit: usize) -> Option<(u64, Arc<Mailbox>)> {
        let mut streams = self.lock();
        if streams.count >= limit {
            return None;
        }
        streams.count += 1;
        streams.next += 1;
        let (number, mailbox) = (streams.next, Arc::new(Mailbox::default()));
        if caller.role.is_staff() {
            streams.staff.insert(number, Arc::clone(&mailbox));
        } else {
            streams.customers.entry(caller.id).or_default().push((number, Arc::clone(&mailbox)));
        }
        Some((number, mailbox))
    }

    pub fn remove(&self, caller: Caller, number: u64) {
        let mut streams = self.lock();
        streams.count = streams.count.saturating_sub(1);
        streams.staff.remove(&number);
        if let Some(own) = streams.customers.get_mut(&caller.id) {
            own.retain(|(other, _)| *other != number);
            if own.is_empty() {
                streams.customers.remove(&caller.id);
            }
        }
    }

    pub fn count(&self) -> usize {
        self.lock().count
    }

    /// Returns the changed orders that some stream would send. With many for staff none of them: their streams
    /// are reset.
    pub fn wanted(&self, changes: &[Arc<StoredChange>]) -> HashSet<OrderId> {
        self.lock().wanted(changes)
    }

    /// Hands changes to the streams, with those of the changed orders that are [`wanted`](Self::wanted).
    /// `loaded` are the ids that were looked up. If a stream that has just begun wants more of them, nothing is
    /// handed out, and all that are wanted now are returned.
    pub fn distribute(
        &self,
        changes: &[Arc<StoredChange>],
        loaded: &HashSet<OrderId>,
        orders: &[Arc<OrderEvent>],
    ) -> Result<(), HashSet<OrderId>> {
        let streams = self.lock();
        let wanted = streams.wanted(changes);
        if !wanted.is_subset(loaded) {
            return Err(wanted);
        }
        streams.distribute(changes, orders);
        Ok(())
    }

    /// Tells all streams of staff, and those of the customers, that these orders are unseen, or no longer.
    pub fn tell_unseen(&self, customers: &HashSet<UserId>) {
        let streams = self.lock();
        let own = customers.iter().filter_map(|customer| streams.customers.get(customer));
        let own = own.flatten().map(|(_, mailbox)| mailbox);
        for mailbox in streams.staff.values().chain(own) {
            mailbox.change(|pending| pending.unseen = true);
        }
    }

    /// Makes all clients read everything again.
    pub fn reset(&self) {
        self.lock().for_each(|mailbox| {
            mailbox.change(Pending::reset);
        });
    }

    /// Wakes all streams, because the process stops.
    pub fn wake_all(&self) {
        self.lock().for_each(|mailbox| mailbox.waker.wake());
    }
}

impl Streams {
    fn wanted(&self, changes: &[Arc<StoredChange>]) -> HashSet<OrderId> {
        let orders = changes.iter().flat_map(|change| &change.what.orders);
        let all: HashSet<OrderId> = orders.clone().map(|order| order.id).collect();
        if !self.staff.is_empty() && all.len() <= MAX_PENDING {
            return all;
        }
        let own = orders.filter(|order| self.customers.contains_key(&order.customer_id));
        own.map(|order| order.id).collect()
    }

    fn distribute(&self, changes: &[Arc<StoredChange>], orders: &[Arc<OrderEvent>]) {
        let order_ids: HashSet<OrderId> =
            changes.iter().flat_map(|change| &change.what.orders).map(|order| order.id).collect();
        let has_many = order_ids.len() > MAX_PENDING;
        for mailbox in self.staff.values() {
            if has_many {
                mailbox.change(Pending::reset);
            } else if !orders.is_empty() {
                mailbox.change(|pending| orders.iter().for_each(|event| pending.add_order(event)));
            }
        }
        for event in orders {
            for (_, mailbox) in self.customers.get(&event.order.placed.customer_id).into_iter().flatten() {
                mailbox.change(|pending| pending.add_order(event));
            }
        }
        for menu in changes.iter().filter_map(|change| change.what.menu.as_ref()) {
            self.for_each(|mailbox| {
                mailbox.change(|pending| pending.add_menu(&menu.edition, &menu.changed));
            });
        }
        // An ended session or another role: the stream looks at its caller again.
        for account in changes.iter().flat_map(|change| &change.what.access) {
            for (_, mailbox) in self.customers.get(account).into_iter().flatten() {
                mailbox.waker.wake();
            }
            self.staff.values().for_each(|mailbox| mailbox.waker.wake());
        }
    }

    fn for_each(&self, act: impl Fn(&Mailbox)) {
        self.staff.values().for_each(|mailbox| act(mailbox));
        self.customers.values().flatten().for_each(|(_, mailbox)| act(mailbox));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
mod tests {
    use super::*;
    use crate::{
        domain::{
            account::Role,
            change_set::{ChangeSet, OrderChange},
            ids::SessionId,
            now,
        },
        store::changes::Key,
    };

    fn caller(id: UserId, role: Role) -> Caller {
        Caller { id, role, session: SessionId::new_v7() }
    }

    /// Makes a change of so many orders of one customer.
    fn changes(customer_id: UserId, count: usize) -> [Arc<StoredChange>; 1] {
        let orders = (0..count).map(|_| OrderChange { id: OrderId::new_v7(), version: 1, customer_id });
        let what = ChangeSet::of_orders(orders.collect());
        [Arc::new(StoredChange { key: Key { xid: 1, seq: 1 }, at: now(), what })]
    }

    #[test]
    fn a_stream_that_begins_while_orders_are_loaded_gets_them_too() {
        let (hub, guest) = (Hub::default(), UserId::new_v7());
        let changes = changes(guest, 1);
        let loaded = hub.wanted(&changes);
        assert!(loaded.is_empty(), "nobody listens");
        let (_, mailbox) = hub.register(caller(guest, Role::Customer), 10).unwrap();
        let more = hub.distribute(&changes, &loaded, &[]).unwrap_err();
        assert_eq!(more.len(), 1);
        // One that is not found has been looked up.
        assert!(hub.distribute(&changes, &more, &[]).is_ok());
        assert!(mailbox.is_empty());
    }

    #[test]
    fn staff_are_reset_by_many_orders_and_their_guest_is_not() {
        let (hub, guest) = (Hub::default(), UserId::new_v7());
        let (_, board) = hub.register(caller(UserId::new_v7(), Role::Employee), 10).unwrap();
        let (_, own) = hub.register(caller(guest, Role::Customer), 10).unwrap();
        let changes = changes(guest, MAX_PENDING + 1);
        assert!(hub.distribute(&changes, &hub.wanted(&changes), &[]).is_ok());
        assert!(board.take().reset && !own.take().reset);
        let changes = self::changes(UserId::new_v7(), MAX_PENDING + 1);
        assert!(hub.wanted(&changes).is_empty(), "nobody can be shown them");
    }
}
