//! Messages that are not orders, or orders that can't be recorded.

use crate::{Result, harness::wait::WAIT_TIMEOUT, scene::Scene};
use chrono::Utc;
use serde_json::{Value, json};
use shakerqueue::broker::{Broker, Settings};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

const MESSAGES_PER_KIND: usize = 50;

/// Ids in the database that a message may name.
struct KnownIds {
    customer: String,
    bartender: String,
    recipe: String,
    name: String,
    orders: Vec<String>,
}

pub async fn storm(scene: &mut Scene, hold: Duration) -> Result<()> {
    let known = known(scene).await?;
    let url = scene.servers.rabbitmq.url(scene.servers.rabbitmq.address());
    let broker = Broker::start(Settings::new(url.into(), scene.prefix.clone()))?;
    timeout(WAIT_TIMEOUT, broker.until_up()).await?;
    let publisher = broker.publisher();
    let pause = hold / u32::try_from(MESSAGES_PER_KIND)?;
    for stored in &known.orders {
        for (id, body) in bad(&known, stored) {
            publisher.publish(id, body).await.map_err(|error| format!("a bad message: {error}"))?;
            scene.dead.push(id.to_string());
        }
        if let Some((id, body)) = reused(&known, stored) {
            publisher.publish(id, body).await.map_err(|error| format!("a used key: {error}"))?;
            scene.reused.push(id.to_string());
        }
        sleep(pause).await;
    }
    drop(publisher);
    broker.close(Duration::from_secs(5)).await;
    Ok(())
}

async fn known(scene: &Scene) -> Result<KnownIds> {
    let database = scene.servers.data.postgres.client(&scene.database).await?;
    let customer = database.query_one("SELECT id::text FROM users WHERE role = 'customer'", &[]).await?;
    let bartender = database.query_one("SELECT id::text FROM users WHERE role = 'employee'", &[]).await?;
    let recipe = database.query_one("SELECT id::text, name FROM recipes LIMIT 1", &[]).await?;
    let limit = i64::try_from(MESSAGES_PER_KIND)?;
    let orders = database.query("SELECT id::text FROM orders ORDER BY id LIMIT $1", &[&limit]).await?;
    Ok(KnownIds {
        customer: customer.get(0),
        bartender: bartender.get(0),
        recipe: recipe.get(0),
        name: recipe.get(1),
        orders: orders.iter().map(|row| row.get(0)).collect(),
    })
}

fn message(version: u32, order: &Value) -> Vec<u8> {
    json!({ "version": version, "order": order }).to_string().into_bytes()
}

/// Builds a valid order and applies one change.
fn order(known: &KnownIds, id: &str, change: &dyn Fn(&mut Value)) -> Value {
    let mut order = json!({
        "id": id, "customer_id": known.customer, "placed_by": known.customer, "table": null, "note": "bad",
        "lines": [{ "recipe": { "id": known.recipe, "name": known.name }, "quantity": 1, "note": null }],
        "priority": 1, "due_at": Utc::now(), "placed_at": Utc::now(),
    });
    change(&mut order);
    order
}

/// Builds another order of the same customer under the id of a recorded one, which is no dead letter.
fn reused(known: &KnownIds, stored: &str) -> Option<(Uuid, Vec<u8>)> {
    Some((stored.parse().ok()?, message(1, &order(known, stored, &|_| {}))))
}

/// Builds one message of each kind, with the id of its dead letter.
fn bad(known: &KnownIds, stored: &str) -> Vec<(Uuid, Vec<u8>)> {
    let new = |version: u32, change: &dyn Fn(&mut Value)| {
        let id = Uuid::now_v7();
        (id, message(version, &order(known, &id.to_string(), change)))
    };
    let mut all = vec![
        (Uuid::now_v7(), b"not JSON".to_vec()),
        // What is wrong with it quotes what no database takes.
        (Uuid::now_v7(), br#"{"version":1,"order":{"id":"\u0000"}}"#.to_vec()),
        new(2, &|_| {}),
        new(1, &|order| order["lines"] = json!([])),
        new(1, &|order| order["lines"][0]["quantity"] = json!(0)),
        new(1, &|order| order["customer_id"] = json!(Uuid::now_v7())),
        new(1, &|order| order["lines"][0]["recipe"]["id"] = json!(Uuid::now_v7())),
    ];
    if let Ok(id) = stored.parse() {
        let of_another = |order: &mut Value| order["customer_id"] = json!(known.bartender);
        all.push((id, message(1, &order(known, stored, &of_another))));
    }
    all
}
