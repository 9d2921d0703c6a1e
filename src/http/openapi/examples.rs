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
    let mut problem = json!({ "type": kind, "title": kind.title, "status": kind.status.as_u16(), "detail": kind.example,
        "request_id": REQUEST_ID });
    match kind.name {
        "invalid" => {
            problem["errors"] = json!([{ "field": "items[0].quantity", "pointer": "#/items/0/quantity", "problem": "must be 1 to 20" }]);
        }
        "illegal-move" => problem["order"] = order(),
        "precondition-failed" => problem["etag"] = "\"4-01a203c79c717534a4deb7b975551839\"".into(),
        _ => {}
    }
    problem
}
