//! Examples of responses in the API's document.

use serde_json::{Value, json};

pub const REQUEST_ID: &str = "01a20600b08f727ca7ea8f81ea24b4de";
pub const ORDER: &str = "01a203c7-a828-7562-865f-b3ef9919e243";
pub const CURSOR: &str = "n0006494c1d5e3a9201a203c7a8287562865fb3ef9919e243e3b0c442";
pub const CHANGES_CURSOR: &str = "7586421398765432109-00000001-16384-16532.1795359746.731:733:731";
pub const FEED: &str = "7586421398765432109-00000001-16384-16532";
const GUEST: &str = "01a203c7-9c4d-73e0-b5cb-40c566f38883";
const STAFF: &str = "01a203c7-9c51-7b13-a2bf-1f3a7d04c9e6";
pub const INSTANCE: &str = "01a203ab-0f3c-7c11-9d06-5b8d3c1e7a42";
pub const DRINK: &str = "01a203c7-9c71-7534-a4de-b7b975551839";

pub fn order() -> Value {
    json!({
        "id": ORDER, "status": "pending", "status_reason": null,
        "items": [{ "recipe": { "id": DRINK, "name": "Margarita" }, "quantity": 2, "note": "no salt" }],
        "table": "4", "note": null, "customer_id": GUEST, "placed_by": GUEST, "bartender_id": null, "priority": 4,
        "placed_at": "2026-11-22T15:02:26.088658Z", "due_at": "2026-11-22T15:03:26.088658Z",
        "recorded_at": "2026-11-22T15:02:26.092732Z", "updated_at": "2026-11-22T15:02:26.092732Z",
    })
}

pub fn recipe() -> Value {
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

pub fn account() -> Value {
    json!({ "id": GUEST, "username": "Ana", "email": "ana@example.com", "role": "customer", "active": true,
        "created_at": "2026-11-22T14:58:03.117214Z" })
}

pub fn dead_letter() -> Value {
    json!({
        "id": "01a203c7-b1d0-8c44-9a27-6e2f0b5d9c31", "order_id": ORDER,
        "reason": "it names a customer that there is not", "attempts": 6,
        "first_failed_at": "2026-11-22T15:02:26.092732Z", "created_at": "2026-11-22T15:15:02.551020Z",
        "resolution": null, "resolved_at": null, "resolved_by": null,
        "payload": "{\"version\":1}", "payload_base64": "eyJ2ZXJzaW9uIjoxfQ==",
    })
}

pub fn audit_entry() -> Value {
    json!({
        "id": "01a203d2-3c5e-7d10-9a3c-7d7f5f1c2b11", "at": "2026-11-22T15:13:51.070114Z", "actor_id": STAFF,
        "action": "account_role_changed", "subject": { "kind": "account", "id": GUEST },
        "changes": [{ "field": "role", "before": "customer", "after": "employee" }], "request_id": REQUEST_ID,
    })
}

pub fn listed_dead_letter() -> Value {
    let mut letter = dead_letter();
    for name in ["payload", "payload_base64"] {
        letter.as_object_mut().map(|letter| letter.remove(name));
    }
    letter
}

pub fn transition() -> Value {
    json!({ "number": 2, "from": "pending", "to": "in_progress", "by": STAFF, "reason": null,
        "at": "2026-11-22T15:02:40.502417Z" })
}

pub fn missing_part() -> Value {
    json!({ "fails": [], "part": "broker",
        "reason": "the policy \"short\" (expires: 60000) removes messages from the queue shakerqueue.orders",
        "works": ["taking orders, which are stored directly (201)", "reading and working orders"] })
}
