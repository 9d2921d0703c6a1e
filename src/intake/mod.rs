//! Taking orders: from what a guest asks for to an order that is safe.

mod accepted;
mod identity;
mod keyed;
pub mod message;
mod open_orders;
mod recovery;
mod request;
mod settlement;
mod sink;
mod stored;
mod waiting;

pub use crate::recorder::Refusal;
pub use identity::Identity;
pub use keyed::Placement;
pub use open_orders::{OpenOrders, TooManyOpen};
pub use recovery::Recovery;
pub use request::{IdempotencyKey, Item, Request};
pub use settlement::Settlement;
pub use sink::{BrokerFirst, Direct, OrderSink, Taken};
pub use stored::StoredOrders;

use crate::{
    accounts::Caller,
    config::{self, Ordering},
    domain::{
        Instant, Invalid,
        ids::{OrderId, UserId},
        now,
        order::{Drink, Line, MOST_LINES, NewOrder},
        text::{Name, Note},
        validation::FieldPath,
        working_order,
    },
    menu::{Menu, Snapshot},
    store::{self, Store, users},
    telemetry::metrics::{self, KeptBy, Refused},
};
use accepted::Accepted;
use futures_util::FutureExt;
use keyed::KeyedRequest;
use quick_cache::{Weighter, sync::Cache};
use std::{net::IpAddr, sync::Arc};
use waiting::Waiting;

/// How many accepted orders are remembered until they can be read from the database.
const REMEMBERED: usize = 10_000;
/// How large they may be together, in bytes.
const REMEMBERED_BYTES: u64 = 16 * 1024 * 1024;
/// What an order counts for at least, so that there are never more of them.
const LEAST_BYTES: u64 = REMEMBERED_BYTES / REMEMBERED as u64;

/// Lines of an order with an unknown drink for which names are suggested. Each compares it with much of the menu.
const MAX_SUGGESTED_LINES: usize = 3;

/// Why an order was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// These fields of it are wrong.
    #[error("{}", .0.iter().map(Invalid::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Invalid>),
    /// A drink of it is sold out.
    #[error("{0} is sold out")]
    SoldOut(Name),
    /// Only staff order for others.
    #[error("only staff order for others")]
    NotForOthers,
    /// Another order was placed under the same key.
    #[error("another order was placed under this key")]
    Conflict,
    /// The customer has as many open orders as they may have.
    #[error(transparent)]
    TooManyOpen(#[from] TooManyOpen),
    /// It could not be stored, though it looked well.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// Neither the broker nor the database can take it now.
    #[error("no part that could keep it is up")]
    Unavailable,
    /// It may be kept or not: neither the broker nor the database said so in time.
    #[error("nobody knows whether it is kept")]
    Undecided,
    /// The database could not answer what needed to be known first.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Takes orders.
pub struct Intake {
    menu: Menu,
    sink: Box<dyn OrderSink>,
    store: Store,
    identity: Identity,
    accepted: Cache<OrderId, Arc<Accepted>, Bytes>,
    settlement: Settlement,
    waiting: Waiting,
    open: Arc<OpenOrders>,
    /// The most drinks of one order.
    max_drinks: Option<u32>,
}

/// About how much memory an order takes.
#[derive(Clone)]
struct Bytes;

impl Weighter<OrderId, Arc<Accepted>> for Bytes {
    fn weight(&self, _: &OrderId, accepted: &Arc<Accepted>) -> u64 {
        let order = &accepted.order;
        let note = |note: &Option<Note>| note.as_ref().map_or(0, |note| note.as_str().len());
        let line = |line: &Line| size_of::<Line>() + line.recipe.name.as_str().len() + note(&line.note);
        let lines: usize = order.lines.iter().map(line).sum();
        LEAST_BYTES.max((size_of::<NewOrder>() + lines + note(&order.note)) as u64)
    }
}

/// An order that is accepted but not stored, as far as this process knows it.
#[derive(Debug, Clone)]
pub enum Queued {
    /// Accepted here.
    Whole(Arc<NewOrder>),
    /// Accepted by another process of this installation.
    Elsewhere,
    /// Accepted, and no longer on its way: it was stored and is deleted, or was lost.
    Gone,
}

impl Intake {
    /// Takes orders from this menu into this sink.
    pub fn new(
        menu: Menu,
        sink: Box<dyn OrderSink>,
        store: Store,
        identity: Identity,
        settings: &Ordering,
        settlement: Settlement,
    ) -> Self {
        let accepted = Cache::with_weighter(REMEMBERED, REMEMBERED_BYTES, Bytes);
        let open = Arc::new(OpenOrders::new(settings));
        let is_limited = settings.open_orders != config::OpenOrders::Off;
        let max_drinks = is_limited.then_some(settings.drinks_per_order);
        let waiting = Waiting::default();
        Self { menu, sink, store, identity, accepted, settlement, waiting, open, max_drinks }
    }

    /// Counts open orders, which needs to be kept up.
    pub fn open_orders(&self) -> Arc<OpenOrders> {
        Arc::clone(&self.open)
    }

    /// Takes an order from this address: on success it is safe at the broker or in the database.
    pub async fn place(
        &self,
        caller: Caller,
        address: IpAddr,
        request: Request,
        key: Option<&IdempotencyKey>,
    ) -> Result<Placement, NotTaken> {
        let outcome = self.take(caller, address, request, key).await;
        match &outcome {
            Ok(Placement { taken: Taken::Queued, order, .. }) => {
                metrics::intake().accepted.of(KeptBy::Broker).inc();
                self.waiting.accepted(order.id, order.placed_at, now());
            }
            Ok(Placement { taken: Taken::Stored(_), .. }) => {
                metrics::intake().accepted.of(KeptBy::Database).inc();
            }
            Err(error) => metrics::intake().refused.of(refused(error)).inc(),
        }
        outcome
    }

    /// Since when the oldest of the orders has been waiting that were accepted here and are not stored yet.
    pub async fn oldest_waiting(&self) -> Option<Instant> {
        self.waiting.oldest(&self.store).await
    }

    async fn take(
        &self,
        caller: Caller,
        address: IpAddr,
        request: Request,
        key: Option<&IdempotencyKey>,
    ) -> Result<Placement, NotTaken> {
        let customer_id = self.customer(caller, request.customer_id()).await?;
        let keyed =
            key.map(|key| KeyedRequest::new(&self.identity, caller.id, customer_id, key, request.clone()));
        let id = keyed.as_ref().map_or_else(|| self.identity.fresh(customer_id), |keyed| keyed.id);
        let built = self.order(id, customer_id, caller.id, request);
        if let Some(keyed) = &keyed
            && let Some(order) = self.before_keys_of_senders(keyed, caller.id, built.as_ref().ok()).await?
        {
            return Ok(Placement { taken: Taken::Stored(None), order, is_replayed: true });
        }
        let (order, is_repeat) = match (built, &keyed) {
            (Ok(order), _) => (Arc::new(order), false),
            // The menu has changed since, perhaps: what was taken before is answered as it was then.
            (Err(refusal), Some(keyed)) => (self.earlier(keyed, None).await?.ok_or(refusal)?, true),
            (Err(refusal), None) => return Err(refusal),
        };
        let is_staff = caller.role.is_staff();
        let admitted = if is_staff { Ok(None) } else { self.open.admit(&order, address) };
        let (order, reservation, is_repeat) = match (admitted, &keyed) {
            (Ok(reservation), _) => (order, reservation, is_repeat),
            // What was taken before is no further order.
            (Err(too_many), Some(keyed)) => match self.earlier(keyed, Some(&order)).await {
                Ok(earlier) => (earlier.ok_or(too_many)?, None, true),
                // Nobody can say whether it is a repeat.
                Err(NotTaken::Store(error)) if error.may_pass() => (order, None, is_repeat),
                Err(refusal) => return Err(refusal),
            },
            (Err(too_many), None) => return Err(too_many.into()),
        };
        let outcome = match &keyed {
            None => self.keep(order).await,
            Some(keyed) => self.keep_once(order, keyed, is_repeat).await,
        };
        match (&outcome, reservation) {
            (_, None) => {}
            (Ok(_), Some(reservation)) => reservation.accepted(),
            // It may be kept: it counts for a while.
            (Err(NotTaken::Undecided), Some(reservation)) => drop(reservation),
            (Err(_), Some(reservation)) => reservation.released(),
        }
        outcome
    }

    /// Keeps an order safe that no other request stands for.
    async fn keep(&self, order: Arc<NewOrder>) -> Result<Placement, NotTaken> {
        let taken = self.sink.take(Arc::clone(&order)).await?;
        if taken == Taken::Queued {
            let accepted = Accepted::new(Arc::clone(&order));
            accepted.set_published(now());
            self.accepted.insert(order.id, Arc::new(accepted));
        }
        Ok(Placement { taken, order, is_replayed: false })
    }

    /// Notes that an accepted order was seen stored: it was not lost, whatever becomes of it.
    pub fn note_stored(&self, id: OrderId) {
        if let Some(accepted) = self.accepted.get(&id) {
            accepted.set_stored();
        }
    }

    /// What is known of an order that is not stored. None: nothing, or it is none of this customer's.
    pub fn queued(&self, id: OrderId, customer: Option<UserId>) -> Option<Queued> {
        let (queued, is_gone) = match self.accepted.get(&id) {
            Some(accepted) if customer.is_none_or(|customer| accepted.order.customer_id == customer) => {
                // What the broker lost of these is published again: until that is given up they are on their way.
                (Queued::Whole(Arc::clone(&accepted.order)), accepted.is_stored())
            }
            None if self.identity.gave(id, customer) => {
                (Queued::Elsewhere, self.settlement.is_settled_elsewhere(id, now()))
            }
            Some(_) | None => return None,
        };
        Some(if is_gone { Queued::Gone } else { queued })
    }

    async fn customer(&self, caller: Caller, named: Option<UserId>) -> Result<UserId, NotTaken> {
        match named {
            None => Ok(caller.id),
            Some(id) if id == caller.id => Ok(id),
            Some(_) if !caller.role.is_staff() => Err(NotTaken::NotForOthers),
            // Not the hot path: staff order for a guest now and then.
            Some(id) => match self.store.read(move |conn| users::by_id(conn, id).boxed()).await? {
                Some((customer, _)) if customer.active => Ok(id),
                Some(_) => Err(Invalid::new("customer_id", "is switched off").into()),
                None => Err(Invalid::new("customer_id", "there is no such customer").into()),
            },
        }
    }

    fn order(
        &self,
        id: OrderId,
        customer_id: UserId,
        placed_by: UserId,
        request: Request,
    ) -> Result<NewOrder, NotTaken> {
        let menu = self.menu.current();
        let (table, note) = (request.table().cloned(), request.note().cloned());
        let is_list = request.is_list();
        let items = request.into_items()?;
        if !(1..=MOST_LINES).contains(&items.len()) {
            return Err(Invalid::new("items", format!("must have 1 to {MOST_LINES} lines")).into());
        }
        let mut slowest_seconds = 0;
        let mut lines = Vec::with_capacity(items.len());
        let mut wrong = Vec::new();
        for (field, item) in items {
            match line(&menu, field, item, wrong.len() < MAX_SUGGESTED_LINES) {
                Ok((line, seconds)) => {
                    slowest_seconds = slowest_seconds.max(seconds);
                    lines.push(line);
                }
                Err(NotTaken::Invalid(fields)) => wrong.extend(fields),
                Err(refusal) => return Err(refusal),
            }
        }
        if !wrong.is_empty() {
            return Err(NotTaken::Invalid(wrong));
        }
        let drinks: u32 = lines.iter().map(|line| u32::from(line.quantity.get())).sum();
        if let Some(most) = self.max_drinks.filter(|most| drinks > *most) {
            let problem = format!("has {drinks} drinks, and an order may have {most}");
            return Err(Invalid::new(if is_list { "items" } else { "quantity" }, problem).into());
        }
        let placed_at = now();
        Ok(NewOrder {
            id,
            customer_id,
            placed_by,
            lines,
            table,
            note,
            priority: working_order::priority(slowest_seconds),
            due_at: working_order::due(placed_at, slowest_seconds),
            placed_at,
        })
    }
}

fn refused(error: &NotTaken) -> Refused {
    match error {
        NotTaken::Invalid(_) => Refused::Invalid,
        NotTaken::SoldOut(_) => Refused::SoldOut,
        NotTaken::NotForOthers => Refused::NotPermitted,
        NotTaken::Conflict => Refused::Conflict,
        NotTaken::TooManyOpen(_) => Refused::TooManyOpen,
        NotTaken::Refused(_) => Refused::Unstorable,
        NotTaken::Unavailable | NotTaken::Store(store::Error::Unavailable(_)) => Refused::Unavailable,
        NotTaken::Undecided | NotTaken::Store(store::Error::Undecided(_)) => Refused::Undecided,
        NotTaken::Store(_) => Refused::Failed,
    }
}

impl From<Invalid> for NotTaken {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(vec![invalid])
    }
}

fn line(menu: &Snapshot, field: FieldPath, item: Item, suggests: bool) -> Result<(Line, u16), NotTaken> {
    let Some(recipe) = menu.find(&item.recipe) else {
        let suggestions = if suggests { menu.suggestions(&item.recipe) } else { Vec::new() };
        return Err(Invalid::not_on_menu(field, &item.recipe, suggestions).into());
    };
    if !recipe.available {
        return Err(NotTaken::SoldOut(recipe.formula.name.clone()));
    }
    let drink = Drink { id: recipe.id, name: recipe.formula.name.clone() };
    let line = Line { recipe: drink, quantity: item.quantity(), note: item.note.0 };
    Ok((line, recipe.formula.seconds()))
}
