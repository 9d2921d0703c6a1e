//! Limits on the open orders of customers, so that nobody fills the board.
//!
//! Each process counts the orders that it accepted, and asks the database once a second for the open orders
//! of the customers who ordered here and whose orders have changed. No order waits for that. So, however fast, a customer has at most the
//! allowed number of open orders per `serve`; once they are stored, every `serve` knows of all of them within
//! about a second.

mod customer;
mod refresh;

use crate::{
    config::{OpenOrdersLimit as Setting, OrderLimits},
    domain::{
        Timestamp,
        ids::{OrderId, UserId},
        network::client_network,
        order::NewOrder,
    },
    util::lock,
};
use customer::{Customer, Load, is_new};
use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{Mutex, MutexGuard},
};
use tokio::time::Instant;

/// Customers remembered, about 300 bytes each. While so many have open orders, others are not limited.
const MAX_CUSTOMERS: usize = 32_768;
/// Independently locked parts of the table.
const SHARDS: usize = 16;

/// Open orders of an account younger than an hour.
const NEW_ACCOUNT_ORDERS: u32 = 3;
/// Open drinks of an account younger than an hour.
const NEW_ACCOUNT_DRINKS: u32 = 20;

/// Reason for rejecting a further order; the message is a full sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenOrdersError {
    /// The general limit per customer.
    #[error("A customer can have {0} open orders: please wait until one is ready, or cancel one.")]
    Orders(u32),
    /// The limit for new accounts.
    #[error("An account younger than an hour can have {orders} open orders of {NEW_ACCOUNT_DRINKS} drinks in all.", orders = .0)]
    NewAccount(u32),
    /// The limit for all new accounts at one address.
    #[error("New accounts at one address can have {0} open drinks in all: please wait until some are ready.")]
    NewAccountsAtAddress(u32),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct CustomerLimits {
    orders: u32,
    new_accounts_drinks: u32,
    pub(super) drinks_per_order: u32,
}

pub struct OpenOrders {
    /// `None` if there are no limits.
    pub(super) limits: Option<CustomerLimits>,
    shards: [Mutex<HashMap<UserId, Customer>>; SHARDS],
    /// Open drinks of new accounts, by network. Locked after a shard if both are needed.
    networks: Mutex<HashMap<u128, u32>>,
}

/// An order that is counted and about to be accepted. Dropped without a result, it counts for a minute.
#[must_use]
pub struct OrderReservation<'a> {
    open: &'a OpenOrders,
    customer: UserId,
    order: OrderId,
    is_repeat: bool,
}

impl OpenOrders {
    pub fn new(settings: &OrderLimits) -> Self {
        let OrderLimits { open_orders, new_accounts_drinks, drinks_per_order } = *settings;
        let limits = match open_orders {
            Setting::Off => None,
            Setting::Limit(orders) => {
                Some(CustomerLimits { orders: orders.get(), new_accounts_drinks, drinks_per_order })
            }
        };
        Self { limits, shards: Default::default(), networks: Mutex::default() }
    }

    /// Counts an order from this address, unless it exceeds a limit. Returns `None` if nothing is counted.
    pub fn admit(
        &self,
        order: &NewOrder,
        address: IpAddr,
    ) -> Result<Option<OrderReservation<'_>>, OpenOrdersError> {
        let Some(limits) = &self.limits else { return Ok(None) };
        let (at, network) = (Instant::now(), client_network(address));
        let mut shard = self.shard(order.customer_id);
        let is_full = shard.len() >= MAX_CUSTOMERS / SHARDS;
        let customer = match shard.entry(order.customer_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if is_full => return Ok(None),
            Entry::Vacant(vacant) => vacant.insert(Customer::new(network, at)),
        };
        customer.attempts(at);
        let reservation = |is_repeat| {
            Ok(Some(OrderReservation { open: self, customer: order.customer_id, order: order.id, is_repeat }))
        };
        if customer.has(order.id) {
            return reservation(true);
        }
        let drinks = order.drinks();
        let load = customer.load(at).plus(drinks);
        if is_new(order.customer_id, order.placed_at) {
            let orders = limits.orders.min(NEW_ACCOUNT_ORDERS);
            if load.orders > orders || load.drinks > NEW_ACCOUNT_DRINKS {
                return Err(OpenOrdersError::NewAccount(orders));
            }
            self.charge(customer, network, load.drinks, Some(limits.new_accounts_drinks))?;
        } else {
            if load.orders > limits.orders {
                return Err(OpenOrdersError::Orders(limits.orders));
            }
            self.charge(customer, network, 0, None)?;
        }
        customer.reserve(order.id, drinks, at);
        reservation(false)
    }

    /// Replaces a customer's charge by one to this network, unless its total exceeds `limit`.
    fn charge(
        &self,
        customer: &mut Customer,
        network: u128,
        drinks: u32,
        limit: Option<u32>,
    ) -> Result<(), OpenOrdersError> {
        if drinks == 0 && customer.charged == 0 {
            return Ok(());
        }
        let mut networks = lock(&self.networks);
        let others = |network: u128, networks: &HashMap<u128, u32>| {
            let own = if network == customer.network { customer.charged } else { 0 };
            networks.get(&network).copied().unwrap_or_default().saturating_sub(own)
        };
        let charged = others(network, &networks).saturating_add(drinks);
        if let Some(limit) = limit.filter(|limit| charged > *limit) {
            return Err(OpenOrdersError::NewAccountsAtAddress(limit));
        }
        // Removes the charge to another network.
        for (network, drinks) in [(customer.network, others(customer.network, &networks)), (network, charged)]
        {
            if drinks == 0 {
                networks.remove(&network);
            } else {
                networks.insert(network, drinks);
            }
        }
        (customer.network, customer.charged) = (network, drinks);
        Ok(())
    }

    /// Notes that orders of a customer were stored or changed: the last answer for them is out of date.
    pub fn note_changed(&self, customer: UserId) {
        if self.limits.is_some() {
            self.change(customer, Customer::note_changed);
        }
    }

    /// Charges the customer's network with the current drinks.
    fn recharge(&self, id: UserId, customer: &mut Customer, load: Load, now: Timestamp) {
        let drinks = if is_new(id, now) { load.drinks } else { 0 };
        // Without a limit this can't fail.
        let _ = self.charge(customer, customer.network, drinks, None);
    }

    fn change(&self, id: UserId, change: impl FnOnce(&mut Customer, Instant)) {
        let at = Instant::now();
        let mut shard = self.shard(id);
        if let Some(customer) = shard.get_mut(&id) {
            change(customer, at);
        }
    }

    fn shard(&self, id: UserId) -> MutexGuard<'_, HashMap<UserId, Customer>> {
        // The last bits of an id are random. The index is always within the array.
        let at = usize::from(id.0.as_bytes().last().copied().unwrap_or_default()) % SHARDS;
        let [first, ..] = &self.shards;
        lock(self.shards.get(at).unwrap_or(first))
    }
}

impl OrderReservation<'_> {
    /// The order was accepted: it counts until the database shows that it has ended.
    pub fn accepted(self) {
        self.open.change(self.customer, |customer, at| customer.accept(self.order, at));
    }

    pub fn released(self) {
        // The earlier request that this one repeats may have been accepted.
        if self.is_repeat {
            return;
        }
        self.open.change(self.customer, |customer, at| {
            customer.release(self.order);
            self.open.recharge(self.customer, customer, customer.load(at), crate::domain::now());
        });
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
