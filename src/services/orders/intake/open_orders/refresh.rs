//! Asks the database for the open orders of customers, once a second for those whose orders have changed.

use super::{Customer, Load, OpenOrders};
use crate::{
    domain::{
        ids::{OrderId, UserId},
        now,
    },
    store::{
        self, Store, dead_letters,
        open_orders::{self, OpenOrder},
        orders,
    },
    util::lock,
};
use chrono::TimeDelta;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const REFRESH_INTERVAL: Duration = Duration::from_secs(1);
/// Age of an answer after which the customer is asked about without a change: the feed has no changes by programs of
/// earlier versions, and no dead letters.
const RECHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Customers per question: those who ordered last come first.
const MAX_ASKED_CUSTOMERS: usize = 1000;
/// Accepted orders looked up per question.
const MAX_ASKED_ORDERS: usize = 5000;
/// Open orders read per question.
const MAX_READ_ORDERS: i64 = 20_000;
/// Age beyond which an order does not count, whatever its status: nobody waits that long for a drink.
const MAX_COUNTED_AGE: TimeDelta = TimeDelta::hours(24);

#[derive(Clone, Default)]
struct Question {
    customers: Vec<UserId>,
    unseen: Vec<OrderId>,
}

struct Answer {
    /// Stored orders and dead letters.
    settled: HashSet<OrderId>,
    open: Vec<OpenOrder>,
}

impl OpenOrders {
    /// Asks until `stop`. While the database is unavailable, only accepted orders count.
    pub async fn keep_counting(
        self: Arc<Self>,
        store: Store,
        is_feed_late: impl Fn() -> bool,
        stop: CancellationToken,
    ) {
        if self.limits.is_none() {
            stop.cancelled().await;
            return;
        }
        let mut is_failing = false;
        while stop.run_until_cancelled(sleep(REFRESH_INTERVAL)).await.is_some() {
            let recheck_interval = if is_feed_late() { Duration::ZERO } else { RECHECK_INTERVAL };
            let outcome = self.ask(&store, recheck_interval).await;
            match &outcome {
                Err(error) if !is_failing => {
                    tracing::warn!(%error, "failed to count open orders; only those accepted by this process count");
                }
                Ok(()) if is_failing => tracing::info!("open orders are counted again"),
                Ok(()) | Err(_) => {}
            }
            is_failing = outcome.is_err();
        }
    }

    async fn ask(&self, store: &Store, recheck_interval: Duration) -> store::Result<()> {
        let at = Instant::now();
        let question = self.question(at, recheck_interval);
        if question.customers.is_empty() {
            return Ok(());
        }
        let customers = question.customers.clone();
        let answer = store.read(async move |conn| answer(conn, question).await).await?;
        self.take_over(&customers, answer, at);
        Ok(())
    }

    /// Selects the customers whose orders have changed or whose answers are old, first those whose answers matter
    /// most.
    fn question(&self, at: Instant, recheck_interval: Duration) -> Question {
        let limit = self.limits.map_or(u32::MAX, |limits| limits.orders);
        let mut due = Vec::new();
        for shard in &self.shards {
            let rank =
                |(id, customer): (&UserId, &Customer)| (!customer.is_urgent(limit), customer.answered, *id);
            let shard = lock(shard);
            due.extend(shard.iter().filter(|(_, customer)| customer.is_due(at, recheck_interval)).map(rank));
        }
        if due.len() > MAX_ASKED_CUSTOMERS {
            due.sort_unstable();
            due.truncate(MAX_ASKED_CUSTOMERS);
        }
        let mut question = Question::default();
        for (_, _, id) in due {
            if let Some(customer) = self.shard(id).get(&id) {
                question.customers.push(id);
                let room = MAX_ASKED_ORDERS.saturating_sub(question.unseen.len());
                question.unseen.extend(customer.unseen().take(room));
            }
        }
        question
    }

    fn take_over(&self, customers: &[UserId], answer: Answer, at: Instant) {
        let mut seen = answer.settled;
        let mut loads = HashMap::<UserId, Load>::with_capacity(customers.len());
        for OpenOrder { id, customer_id, drinks } in answer.open {
            seen.insert(id);
            let load = loads.entry(customer_id).or_default();
            *load = load.plus(drinks);
        }
        let now = now();
        for id in customers {
            let mut shard = self.shard(*id);
            let Some(customer) = shard.get_mut(id) else { continue };
            customer.answer(loads.remove(id).unwrap_or_default(), |id| seen.contains(&id), at);
            let load = customer.load(Instant::now());
            self.recharge(*id, customer, load, now);
            if customer.is_idle(at) {
                shard.remove(id);
            }
        }
    }
}

async fn answer(conn: &mut store::Conn, question: Question) -> store::Result<Answer> {
    let Question { customers, unseen } = question;
    let mut settled = HashSet::new();
    // First: orders stored after this are among the open ones read below.
    if !unseen.is_empty() {
        settled.extend(orders::stored(conn, &unseen).await?);
        settled.extend(dead_letters::of(conn, &unseen).await?);
    }
    let since = now() - MAX_COUNTED_AGE;
    let open = open_orders::of_customers(conn, &customers, since, MAX_READ_ORDERS).await?;
    Ok(Answer { settled, open })
}
