//! Microbenchmarks of the steps that every order passes. `make microbench` runs them with a private PostgreSQL.

#![allow(clippy::expect_used, reason = "a benchmark may fail where it stands")]

// Private to the library, so compiled here with the modules that they use.
use serde::Deserialize;
use shakerqueue::{broker, config, util};
#[allow(dead_code)]
#[path = "../src/http/middleware/rate_limit/limiter.rs"]
mod budget;
#[allow(dead_code, unused_imports)]
#[path = "../src/broker/publisher/confirm_tracker.rs"]
mod tracker;

use chrono::TimeDelta;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use secrecy::SecretString;
use shakerqueue::{
    broker::{PublishError, order_message},
    domain::{
        account::{Email, Role, User},
        ids::{OrderId, SessionId, UserId},
        json::JsonObject,
        now,
        order::{Drink, NewOrder, OrderLine, Quantity},
        priority,
        text::Username,
    },
    services::{
        accounts::{PasswordHasher, Tokens, new_user},
        orders::{
            board::{Board, OrderFilter},
            intake::{OrderIds, Request},
            recorder::record_batch,
        },
        seed,
    },
    store::{Store, recipes, users},
};
use std::{env, hint::black_box, path::Path, sync::Arc};
use tokio::{
    runtime::Runtime,
    time::{Duration, Instant},
};
use tracker::{ConfirmReply, ConfirmTracker};

const SMALL_ORDER: &str = r#"{"recipe":"Margarita","table":"7"}"#;
/// Waiting orders while the board is read.
const WAITING_ORDERS: usize = 10_000;

fn tokens(criterion: &mut Criterion) {
    let tokens = Tokens::new(&SecretString::from("x".repeat(32)), &[], TimeDelta::hours(8));
    let email = Email::try_from("user@example.com").expect("an address");
    let user = new_user(Username::try_from("user").expect("a name"), email, Role::Customer);
    let token = tokens.issue(&user, SessionId::new_v7()).text;
    criterion.bench_function("token: verify", |bencher| {
        bencher.iter(|| tokens.verify(black_box(&token)).expect("its own token"));
    });
    // As many tokens as a bar has guests, so that none is cached when its turn comes again.
    let another = || tokens.issue(&User { id: UserId::new_v7(), ..user.clone() }, SessionId::new_v7()).text;
    let all: Vec<_> = (0..20_000).map(|_| another()).collect();
    let mut next = all.iter().cycle();
    criterion.bench_function("token: verify, not remembered", |bencher| {
        bencher.iter(|| tokens.verify(next.next().expect("a token")).expect("its own token"));
    });
    let identity = OrderIds::new("bench");
    criterion
        .bench_function("order id: make", |bencher| bencher.iter(|| identity.generate(black_box(user.id))));
}

/// One policy of 1,200 a minute, which is soon used up, and one that always has room.
fn limits(criterion: &mut Criterion) {
    let limits: config::RateLimits = "ordering=1000000".parse().expect("limits");
    let ordering = limits.policies().iter().filter(|policy| policy.kind == config::RouteClass::Ordering);
    for budget in ordering.map(|policy| budget::PolicyLimiter::new(*policy, 10)) {
        let share = budget.share(1).expect("a share");
        // The full capacity of the limiter: the worst case.
        assert!((0..16_384).all(|whose| share.take(whose).is_ok()));
        criterion.bench_function(&format!("limit: take from {}", budget.policy.name), |bencher| {
            bencher.iter(|| share.take(black_box(7)));
        });
    }
}

fn parsing(criterion: &mut Criterion) {
    let item = r#"{"recipe":"Margarita","quantity":2,"note":"no salt, please"}"#;
    let large = format!(r#"{{"items":[{}],"table":"7"}}"#, [item; 20].join(","));
    for (name, body) in [("order, 1 line: parse", SMALL_ORDER), ("order, 20 lines: parse", large.as_str())] {
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                // As the API reads it: errors carry the path to the wrong field.
                let json = &mut serde_json::Deserializer::from_str(black_box(body));
                let JsonObject(request): JsonObject<Request> =
                    JsonObject::deserialize(json).expect("an order");
                request
            });
        });
    }
}

fn order(customer: UserId, drink: Drink) -> NewOrder {
    let placed_at = now();
    NewOrder {
        id: OrderId::new_v7(),
        customer_id: customer,
        placed_by: customer,
        lines: vec![OrderLine { recipe: drink, quantity: Quantity::ONE, note: None }],
        table: None,
        note: None,
        priority: priority::priority(30),
        due_at: priority::due(placed_at, 30),
        placed_at,
    }
}

fn messages(criterion: &mut Criterion) {
    let name = "Margarita".try_into().expect("a name");
    let order = order(UserId::new_v7(), Drink { id: shakerqueue::domain::ids::RecipeId::new_v7(), name });
    let body = order_message::encode(&order);
    criterion.bench_function("message: encode", |bencher| {
        bencher.iter(|| order_message::encode(black_box(&order)));
    });
    criterion.bench_function("message: decode", |bencher| {
        bencher.iter(|| order_message::decode(black_box(&body)).expect("its own message"));
    });
    criterion
        .bench_function("order: fingerprint", |bencher| bencher.iter(|| black_box(&order).fingerprint()));
}

/// 1,024 messages sent and confirmed.
fn confirms(criterion: &mut Criterion) {
    const MESSAGES: u64 = 1024;
    let mut group = criterion.benchmark_group("confirms");
    group.throughput(Throughput::Elements(MESSAGES));
    for (name, at_a_time) in [("one at a time", 1), ("64 at a time", 64)] {
        group.bench_function(name, |bencher| {
            let replies = || -> Vec<_> { (0..MESSAGES).map(|_| util::reply_channel::channel()).collect() };
            bencher.iter_batched(
                replies,
                |replies| {
                    let at = Instant::now();
                    let mut tracker = ConfirmTracker::new(at);
                    let mut receivers = Vec::with_capacity(replies.len());
                    for (to, receiver) in replies {
                        tracker.register(vec![ConfirmReply { to, permit: None }], false, at);
                        receivers.push(receiver);
                    }
                    for tag in (at_a_time..=MESSAGES).step_by(usize::try_from(at_a_time).unwrap_or(1)) {
                        tracker.answer(tag, at_a_time > 1, Ok::<_, PublishError>(()), at, |_| ());
                    }
                    assert_eq!(tracker.unanswered(), 0);
                    receivers
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// The first page of the board, in working order.
fn working_order(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bench.db");
    let mut stores = vec![("SQLite", runtime.block_on(async { open_sqlite(&file) }))];
    match env::var("TEST_DATABASE_URL") {
        Ok(url) => stores.push(("PostgreSQL", runtime.block_on(open_postgres(&url)))),
        Err(_) => eprintln!("PostgreSQL: NOT MEASURED (TEST_DATABASE_URL is not set: use `make microbench`)"),
    }
    for (name, store) in stores {
        // Recording starts a task of its own and waits for it.
        let bar = runtime.block_on(async { Board::new(store.clone()) });
        runtime.block_on(fill(&store));
        criterion.bench_function(&format!("board of {WAITING_ORDERS}, first page: {name}"), |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                let page = bar.page(OrderFilter::default(), true, None, 51).await.expect("a page");
                assert_eq!(page.orders.len(), 51);
                page
            });
        });
        store.close();
    }
}

fn open_sqlite(file: &Path) -> Store {
    Store::sqlite(file, 2).expect("a store")
}

async fn open_postgres(url: &str) -> Store {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("PostgreSQL");
    tokio::spawn(connection);
    let name = format!("bench_{}", uuid::Uuid::new_v4().simple());
    client.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a database");
    let mut url = url::Url::parse(url).expect("a URL");
    url.set_path(&name);
    Store::postgres(&SecretString::from(url.as_str()), 2).expect("a store")
}

async fn fill(store: &Store) {
    store.migrate().await.expect("migrations");
    let accounts = seed::demo_accounts().expect("the demo accounts");
    seed::fill(store, seed::house_menu().expect("the menu"), accounts).await.expect("the seed");
    let (customer, drink) = store
        .read(async |conn| {
            let page = users::page(conn, users::UserFilter::default(), None, 1).await?;
            let menu = recipes::menu(conn).await?;
            Ok((
                page.first().map(|user| user.id),
                menu.first().map(|recipe| (recipe.id, recipe.spec.name.clone())),
            ))
        })
        .await
        .expect("the seed");
    let (id, name) = drink.expect("a drink");
    let customer = customer.expect("an account");
    for _ in 0..WAITING_ORDERS / 500 {
        let batch: Vec<_> = (0..500).map(|_| order(customer, Drink { id, name: name.clone() })).collect();
        record_batch(store, Arc::from(batch)).await;
    }
}

fn passwords(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let passwords = PasswordHasher::start(4).expect("threads");
    let wrong = SecretString::from("password123");
    // At the lowest bcrypt cost, so that the time is that of the way to the threads and back.
    criterion.bench_function("password: verify at cost 4", |bencher| {
        bencher
            .to_async(&runtime)
            .iter(async || passwords.slot().expect("a place").verify(&wrong, None).await);
    });
}

criterion_group! {
    name = hot_path;
    config = Criterion::default().sample_size(50).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    targets = tokens, limits, parsing, messages, confirms, working_order, passwords
}
criterion_main!(hot_path);
