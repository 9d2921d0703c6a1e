//! Examples of answers.

use crate::http::problem::types::{self, ProblemType};
use serde_json::{Map, Value, json};

const REQUEST_ID: &str = "01a20600b08f727ca7ea8f81ea24b4de";
const ORDER: &str = "01a203c7-a828-7562-865f-b3ef9919e243";
const GUEST: &str = "01a203c7-9c4d-73e0-b5cb-40c566f38883";
const STAFF: &str = "01a203c7-9c51-7b13-a2bf-1f3a7d04c9e6";
const DRINK: &str = "01a203c7-9c71-7534-a4de-b7b975551839";
const CURSOR: &str = "n0006494c1d5e3a9201a203c7a8287562865fb3ef9919e243e3b0c442";

/// Adds one to the schema of each answer.
pub fn of_answers(schemas: &mut Value) {
    let (order, recipe, account, letter, entry) = (order(), recipe(), account(), letter(), entry());
    let moved = json!({ "number": 2, "from": "pending", "to": "in_progress", "by": STAFF, "reason": null,
        "at": "2026-11-22T15:02:40.502417Z" });
    let missing = json!({ "fails": [], "part": "broker",
        "reason": "the policy \"short\" (expires: 60000) removes messages from the queue shakerqueue.orders",
        "works": ["taking orders, which are stored directly (201)", "reading and working orders"] });
    let mut listed = letter.clone();
    for name in ["payload", "payload_base64"] {
        listed.as_object_mut().map(|letter| letter.remove(name));
    }
    for (name, example) in [
        ("Account", account.clone()),
        ("AccountPage", json!({ "users": [account], "next_cursor": null })),
        ("Alive", json!({ "status": "ok" })),
        ("AuditPage", json!({ "entries": [entry], "next_cursor": null })),
        ("AuditEntry", entry),
        ("DeadLetter", letter),
        ("DeadLetterPage", json!({ "dead_letters": [listed], "next_cursor": null })),
        ("OrderHistory", json!({ "history": [moved] })),
        ("HistoryEntry", moved),
        ("RecipePage", json!({ "recipes": [recipe], "next_cursor": null })),
        ("Order", order.clone()),
        ("OrderPage", json!({ "orders": [order], "next_cursor": CURSOR })),
        ("OrderStanding", order),
        ("Problem", problem(types::INVALID)),
        ("MissingPart", missing.clone()),
        (
            "Readiness",
            json!({ "missing": [missing], "parts": { "broker": "down", "database": "up", "http": "up" }, "status": "ready" }),
        ),
        ("Recipe", recipe),
        (
            "SignedIn",
            json!({ "user": account, "token": "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIw.c2lnbmVk",
            "token_type": "Bearer", "expires_at": "2026-11-22T15:17:26Z", "expires_in": 900,
            "refresh_token": "AaIDxxxwdVOktN6Xt1UYOdcPbWD6Q0qh3kV1R8yq2oZ0lYx4JtB7uN5mE9wS6cKf" }),
        ),
        ("UnstoredOrder", json!({ "id": ORDER, "status": "queued", "status_reason": null })),
    ] {
        if let Some(schema) = schemas.get_mut(name).and_then(Value::as_object_mut) {
            schema.insert("examples".into(), json!([example]));
        }
    }
}

/// One of each kind of problem, by its name.
pub fn of_problems() -> Value {
    let each = types::ALL
        .iter()
        .map(|kind| (kind.name.into(), json!({ "summary": kind.title, "value": problem(kind) })));
    each.collect::<Map<_, _>>().into()
}

fn problem(kind: &ProblemType) -> Value {
    let mut problem = json!({ "type": kind.path(), "title": kind.title, "status": kind.status.as_u16(), "detail": detail(kind),
        "request_id": REQUEST_ID });
    let more = match kind.name {
        "invalid" => {
            let error = json!({ "field": "items[0].quantity", "pointer": "#/items/0/quantity", "problem": "must be 1 to 20" });
            Some(("errors", json!([error])))
        }
        "illegal-move" => Some(("order", order())),
        "precondition-failed" => Some(("etag", json!("\"4-01a203c79c717534a4deb7b975551839\""))),
        _ => None,
    };
    if let (Some((name, value)), Some(problem)) = (more, problem.as_object_mut()) {
        problem.insert(name.into(), value);
    }
    problem
}

/// What is wrong, for instance. What is always wrong in the same way is said as the kind says it.
fn detail(kind: &ProblemType) -> &'static str {
    match kind.name {
        "invalid" => "items[0].quantity: must be 1 to 20",
        "malformed-request" => "The body is not JSON: EOF while parsing an object at line 1 column 1.",
        "not-found" => "There is no such order.",
        "not-permitted" => "This is for staff.",
        "illegal-move" => "The order is pending: that can't be done with it.",
        "precondition-failed" => "The recipe has changed since. Please read it again.",
        "too-many-open" => {
            "A customer can have 10 open orders: please wait until one is ready, or cancel one."
        }
        "sold-out" => "Margarita is sold out.",
        "too-large" => "A body may have at most 65536 bytes.",
        _ => kind.about,
    }
}

fn order() -> Value {
    json!({
        "id": ORDER, "status": "pending", "status_reason": null,
        "items": [{ "recipe": { "id": DRINK, "name": "Margarita" }, "quantity": 2, "note": "no salt" }],
        "table": "4", "note": null, "customer_id": GUEST, "placed_by": GUEST, "bartender_id": null, "priority": 4,
        "placed_at": "2026-11-22T15:02:26.088658Z", "due_at": "2026-11-22T15:03:26.088658Z",
        "recorded_at": "2026-11-22T15:02:26.092732Z", "updated_at": "2026-11-22T15:02:26.092732Z",
    })
}

fn recipe() -> Value {
    json!({
        "id": DRINK, "name": "Margarita", "build": "sour", "glass": "coupe", "garnish": "salt rim",
        "ingredients": [
            { "name": "tequila", "amount": 50, "unit": "ml" },
            { "name": "orange liqueur", "amount": 20, "unit": "ml" },
            { "name": "lime juice", "amount": 15, "unit": "ml" },
        ],
        "method": "Shake with ice and strain.", "preparation_seconds": 60, "priority": 4, "available": true,
        "created_at": "2026-11-22T14:00:00Z", "updated_at": "2026-11-22T14:00:00Z",
    })
}

fn account() -> Value {
    json!({ "id": GUEST, "username": "Ana", "email": "ana@example.com", "role": "customer", "active": true,
        "created_at": "2026-11-22T14:58:03.117214Z" })
}

fn letter() -> Value {
    json!({
        "id": "01a203c7-b1d0-8c44-9a27-6e2f0b5d9c31", "order_id": ORDER,
        "reason": "it names a customer that there is not", "attempts": 6,
        "first_failed_at": "2026-11-22T15:02:26.092732Z", "created_at": "2026-11-22T15:15:02.551020Z",
        "resolution": null, "resolved_at": null, "resolved_by": null,
        "payload": "{\"version\":1}", "payload_base64": "eyJ2ZXJzaW9uIjoxfQ==",
    })
}

fn entry() -> Value {
    json!({
        "id": "01a203d2-3c5e-7d10-9a3c-7d7f5f1c2b11", "at": "2026-11-22T15:13:51.070114Z", "actor_id": STAFF,
        "action": "account_role_changed", "subject": { "kind": "account", "id": GUEST },
        "changes": [{ "field": "role", "before": "customer", "after": "employee" }], "request_id": REQUEST_ID,
    })
}
