//! Policies of the broker that would make it lose accepted orders. Policies apply besides the arguments that queues are declared with.
//!
//! | key | on the queue of orders and the delay queues | on the queue of overruns, which dead-letters nowhere |
//! |---|---|---|
//! | `expires` | deletes the queue with its orders while no worker consumes it | the same |
//! | `message-ttl` | moves orders to the next queue sooner: harmless | removes orders |
//! | `max-length`, `max-length-bytes` | refuses orders, which are then recorded directly; with `overflow: drop-head` it dead-letters them without a confirm | removes orders, unless `overflow` is `reject-publish` |
//! | `delivery-limit` | moves orders to the next queue sooner: harmless | removes orders that some workers could not finish |
//!
//! `dead-letter-exchange`, `dead-letter-routing-key` and `dead-letter-strategy` have no effect where the arguments set them, and are
//! harmless on the queue of overruns, whose arguments don't.

use serde::Deserialize;
use serde_json::{Map, Value};

/// A limit from this number of deliveries on is harmless: it is the limit of the queue of orders.
const HARMLESS_DELIVERY_LIMIT: i64 = crate::broker::topology::DELIVERY_LIMIT;

/// A queue as the management API describes it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ListedQueue {
    pub(crate) name: String,
    #[serde(default)]
    policy: Option<String>,
    #[serde(default)]
    operator_policy: Option<String>,
    /// The combined policies; a list if there are none.
    #[serde(default)]
    effective_policy_definition: Value,
}

/// Returns a sentence about the first policy that would lose orders. `overrun` is the name of the queue of overruns.
pub(crate) fn harmful_policy(queues: &[ListedQueue], overrun: &str) -> Option<String> {
    queues.iter().find_map(|queue| {
        let definition = queue.effective_policy_definition.as_object()?;
        let key = harmful_key(definition, queue.name == overrun)?;
        let title = |kind: &str, name: &Option<String>| {
            name.as_ref().filter(|name| !name.is_empty()).map(|name| format!("{kind} {name:?}"))
        };
        let names = [title("policy", &queue.policy), title("operator policy", &queue.operator_policy)];
        let names = names.into_iter().flatten().collect::<Vec<_>>().join(" with the ");
        let value = definition.get(key).unwrap_or(&Value::Null);
        Some(format!("the {names} ({key}: {value}) removes messages from the queue {}", queue.name))
    })
}

fn harmful_key(definition: &Map<String, Value>, is_overrun: bool) -> Option<&'static str> {
    let overflow = definition.get("overflow").and_then(Value::as_str);
    let is_dropped = match overflow {
        Some(overflow) => overflow == "drop-head",
        // The arguments of the other queues say `reject-publish`.
        None => is_overrun,
    };
    let is_harmful = |key: &str, value: &Value| match key {
        "expires" => true,
        "message-ttl" => is_overrun,
        "max-length" | "max-length-bytes" => is_dropped,
        "delivery-limit" => {
            is_overrun && value.as_i64().is_some_and(|limit| (0..HARMLESS_DELIVERY_LIMIT).contains(&limit))
        }
        _ => false,
    };
    let keys = ["expires", "message-ttl", "max-length", "max-length-bytes", "delivery-limit"];
    keys.into_iter().find(|key| definition.get(*key).is_some_and(|value| is_harmful(key, value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn listed(name: &str, definition: &Value) -> ListedQueue {
        let queue = json!({ "name": name, "policy": "short", "effective_policy_definition": definition });
        serde_json::from_value(queue).unwrap()
    }

    #[test]
    fn a_policy_is_harmful_where_the_queue_dead_letters_nowhere() {
        for (definition, on_orders, on_overrun) in [
            (json!({ "expires": 1000 }), true, true),
            (json!({ "message-ttl": 86_400_000 }), false, true),
            (json!({ "max-length": 10 }), false, true),
            (json!({ "max-length-bytes": 10, "overflow": "drop-head" }), true, true),
            (json!({ "max-length": 10, "overflow": "reject-publish" }), false, false),
            (json!({ "delivery-limit": 2 }), false, true),
            (json!({ "delivery-limit": 1000 }), false, false),
            (json!({ "delivery-limit": -1 }), false, false),
            (json!({ "dead-letter-exchange": "elsewhere" }), false, false),
            (json!({ "overflow": "reject-publish" }), false, false),
            (json!([]), false, false),
        ] {
            for (queue, harmful) in [("bar.orders", on_orders), ("bar.orders.overrun", on_overrun)] {
                let found = harmful_policy(&[listed(queue, &definition)], "bar.orders.overrun");
                assert_eq!(found.is_some(), harmful, "{definition} on {queue}: {found:?}");
            }
        }
    }

    #[test]
    fn a_finding_names_the_policies_and_the_queue() {
        let queue = json!({
            "name": "bar.orders", "policy": "pin", "operator_policy": "op",
            "effective_policy_definition": { "expires": 60_000 },
        });
        let found = harmful_policy(&[serde_json::from_value(queue).unwrap()], "bar.orders.overrun");
        let sentence = r#"the policy "pin" with the operator policy "op" (expires: 60000) removes messages from the queue bar.orders"#;
        assert_eq!(found.as_deref(), Some(sentence));
    }
}
