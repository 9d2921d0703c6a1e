//! `null` and blank text count as absent in every optional field of a body.

use crate::{
    openapi::{Operation, document, misfit, operations, resolved},
    support::{
        Bar, DatabaseKind, Person, PostgreSql, Sqlite,
        person::{id, send},
    },
};
use rstest::rstest;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Returns all fields that a body may have, as JSON Pointers.
fn fields(document: &Value, schema: &Value, body: &Value, place: &str, found: &mut BTreeSet<String>) {
    let schema = resolved(document, schema);
    for choice in ["oneOf", "anyOf"].iter().flat_map(|list| schema[list].as_array().into_iter().flatten()) {
        if misfit(document, choice, body).is_none() {
            fields(document, choice, body, place, found);
        }
    }
    if let Some(first) = body.get(0) {
        fields(document, &schema["items"], first, &format!("{place}/0"), found);
    }
    for (name, property) in
        schema["properties"].as_object().into_iter().flatten().filter(|_| body.is_object())
    {
        let place = format!("{place}/{name}");
        fields(document, property, &body[name], &place, found);
        found.insert(place);
    }
}

/// Returns the object that has this field, and the field's name.
fn parent<'a, 'p>(body: &'a mut Value, place: &'p str) -> (&'a mut Map<String, Value>, &'p str) {
    let (parent, name) = place.rsplit_once('/').unwrap();
    (body.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object"), name)
}

/// Returns true if the operation accepts this body.
async fn is_taken(bar: &Bar, admin: &Person, operation: &Operation, mut body: Value) -> bool {
    let name = match operation.path.split('/').nth(1) {
        Some("orders") => id(&bar.guest().await.order("Margarita").await).to_owned(),
        Some("users") => id(&bar.guest().await.get("/me").await.expect(200)).to_owned(),
        _ => "Margarita".to_owned(),
    };
    if operation.path == "/recipes" && body["name"] == "Margarita" {
        body["name"] = json!(uuid::Uuid::new_v4().to_string());
    }
    let request = admin.request(operation.method.parse().unwrap(), &operation.path.replace("{id}", &name));
    let answer = send(request.header("If-Match", "*").json(&body)).await;
    assert!(answer.status < 500, "{answer:?}");
    if answer.status == 422 {
        assert!(answer.body["errors"][0]["field"].is_string(), "{answer:?}");
    }
    answer.status < 300
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_every_field_of_every_body_nothing_and_spaces_are_as_if_it_were_left_out() {
    let bar = Bar::open(Sqlite).await;
    let (admin, document) = (bar.admin().await, document());
    let (mut tried, mut taken) = (0, 0);
    for operation in operations(&document) {
        let Some(schema) = operation.body() else { continue };
        for example in resolved(&document, schema)["examples"].as_array().unwrap() {
            let mut places = BTreeSet::new();
            fields(&document, schema, example, "", &mut places);
            assert!(!places.is_empty(), "{}", operation.path);
            for place in places {
                let mut absent = example.clone();
                let (object, name) = parent(&mut absent, &place);
                object.remove(name);
                let expected = is_taken(&bar, &admin, &operation, absent).await;
                for nothing in [Value::Null, json!(""), json!(" \u{a0}\n")] {
                    let mut body = example.clone();
                    let (object, name) = parent(&mut body, &place);
                    object.insert(name.to_owned(), nothing);
                    let what = format!("{} {}: {body}", operation.method, operation.path);
                    assert_eq!(is_taken(&bar, &admin, &operation, body.clone()).await, expected, "{what}");
                    let misfit = misfit(&document, schema, &body);
                    assert!(!expected || misfit.is_none(), "the document says otherwise: {misfit:?}: {what}");
                }
                tried += 1;
                taken += usize::from(expected);
            }
        }
    }
    assert!(tried > 30 && taken > 15, "{taken} of {tried}");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_with_empty_fields_is_an_order_without_them(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, staff) = (bar.guest().await, bar.employee().await);
    for nothing in [Value::Null, json!(""), json!(" "), json!("\u{a0}\t")] {
        let one = json!({ "recipe": "Negroni", "items": nothing, "quantity": nothing, "table": nothing,
            "note": nothing, "customer_id": nothing });
        let line = json!({ "recipe": "Negroni", "quantity": nothing, "note": nothing });
        let several = json!({ "items": [line], "recipe": nothing, "quantity": nothing, "table": nothing, "note": nothing });
        for order in [one, several] {
            let order = guest.post("/orders", order).await.expect(201);
            assert_eq!((&order["table"], &order["note"]), (&Value::Null, &Value::Null));
            assert_eq!(
                (&order["items"][0]["quantity"], &order["items"][0]["note"]),
                (&json!(1), &Value::Null)
            );
            let cancelled =
                guest.post(&format!("/orders/{}/cancel", id(&order)), json!({ "reason": nothing })).await;
            assert_eq!(cancelled.expect(200)["status_reason"], Value::Null);
        }
        let order = guest.order("Negroni").await;
        let failed = staff.post(&format!("/orders/{}/fail", id(&order)), json!({ "reason": nothing })).await;
        assert_eq!(failed.expect_problem(422, "invalid")["errors"][0]["field"], "reason");
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_in_which_nothing_is_seen_is_none(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let guest = bar.guest().await;
    let document = document();
    let operation = operations(&document)
        .into_iter()
        .find(|operation| operation.path == "/orders" && operation.method == "POST");
    let operation = operation.expect("orders are placed");
    for note in ["\u{200b}", " \u{3164}\u{202e}\n", "\u{fffc}\u{fffe}"] {
        let body = json!({ "items": [{ "recipe": "Negroni", "note": note }], "note": note });
        assert_eq!(misfit(&document, operation.body().unwrap(), &body), None, "{note:?}");
        let order = guest.post("/orders", body).await.expect(201);
        assert_eq!((&order["note"], &order["items"][0]["note"]), (&Value::Null, &Value::Null), "{note:?}");
        let cancelled =
            guest.post(&format!("/orders/{}/cancel", id(&order)), json!({ "reason": note })).await;
        assert_eq!(cancelled.expect(200)["status_reason"], Value::Null);
    }
    // A repeat is the same, whatever its client sends for nothing.
    let first =
        guest.post_once("b", "/orders", json!({ "recipe": "Negroni", "note": " " })).await.expect(201);
    let again =
        guest.post_once("b", "/orders", json!({ "recipe": "Negroni", "table": "\u{a0}" })).await.expect(201);
    assert_eq!(id(&again), id(&first));
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_may_be_a_number(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, staff) = (bar.guest().await, bar.employee().await);
    let order = |table: Value| json!({ "recipe": "Negroni", "table": table });
    for (sent, stored) in [(json!(0), "0"), (json!(12.0), "12"), (json!("Bar 4"), "Bar 4")] {
        assert_eq!(guest.post("/orders", order(sent)).await.expect(201)["table"], stored);
    }
    let first = guest.post_once("k", "/orders", order(json!(4))).await.expect(201);
    let again = guest.post_once("k", "/orders", order(json!("4"))).await.expect(201);
    assert_eq!((id(&again), &first["table"]), (id(&first), &json!("4")));
    let found = staff.get("/orders?table=4").await.expect(200);
    assert_eq!(found["orders"].as_array().unwrap().len(), 1);
    bar.close().await;
}
