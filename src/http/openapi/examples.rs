use crate::http::{
    examples::{REQUEST_ID, order},
    problem::types::{self, ProblemType},
};
use serde_json::{Map, Value, json};

/// An example of each type of problem, by its name.
pub fn of_problems() -> Value {
    let each = types::ALL
        .iter()
        .map(|kind| (kind.name.into(), json!({ "summary": kind.title, "value": problem(kind) })));
    each.collect::<Map<_, _>>().into()
}

pub fn problem(kind: &ProblemType) -> Value {
    let mut problem = json!({ "type": kind.path, "title": kind.title, "status": kind.status.as_u16(), "detail": detail(kind),
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
    if let Some((name, value)) = more {
        problem[name] = value;
    }
    problem
}

/// A detail, if it differs from problem to problem of the type.
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
