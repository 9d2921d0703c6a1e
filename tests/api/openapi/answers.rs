//! Responses agree with the document.

use super::{Operation, document, operations, resolved, schema::misfit};
use crate::dead_letters::{keep, message};
use crate::support::{
    Bar, Person, Sqlite,
    person::{Answer, id, send},
};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use shakerqueue::http;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anyone_can_read_it() {
    let bar = Bar::open(Sqlite).await;
    let answer = bar.stranger().get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.text, http::document());
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_answers_everyone_as_it_says() {
    let bar = Bar::open(Sqlite).await;
    let (guest, employee, admin) = (bar.guest().await, bar.employee().await, bar.admin().await);
    let other = id(&bar.guest().await.get("/me").await.expect(200)).to_owned();
    let document = document();
    let people =
        [("", bar.stranger()), ("customer", guest.clone()), ("employee", employee), ("admin", admin)];
    let mut all = operations(&document);
    // The last one: who calls it is signed out.
    all.sort_by_key(|operation| operation.path == "/logout");
    for operation in all {
        for (role, person) in &people {
            let name = match operation.path.split('/').nth(1) {
                Some("orders") => id(&guest.order("Margarita").await).to_owned(),
                Some("users") => other.clone(),
                _ if operation.method == "DELETE" => "Negroni".to_owned(),
                _ => "Margarita".to_owned(),
            };
            let answer = call(&document, &operation, person, &name).await;
            let what = format!("{} {} as {role:?}: {answer:?}", operation.method, operation.path);
            agrees(&document, &operation, &answer);
            assert!(answer.status != 405, "{what}");
            assert_ne!(answer.body["detail"], "There is no such resource.", "{what}");
            let roles = operation.roles();
            let no_token = answer.body["type"] == "/problems/not-signed-in";
            assert_eq!(no_token, role.is_empty() && roles.is_some(), "{what}");
            // The refresh token of the example is nobody's.
            let no_session = answer.body["type"] == "/problems/session-ended";
            assert_eq!(no_session, operation.path == "/token/refresh", "{what}");
            assert_eq!(no_token || no_session, answer.status == 401, "{what}");
            let needed = roles.unwrap_or_default();
            let refused = match *role {
                "customer" => !needed.is_empty(),
                "employee" => needed == ["admin"],
                _ => false,
            };
            let detail = answer.body["detail"].as_str().unwrap_or_default();
            assert_eq!(answer.status == 403 && detail.starts_with("This is for"), refused, "{what}");
        }
    }
    bar.close().await;
}

/// People, and the ids of everything that the operations act on.
struct Examples {
    admin: Person,
    customer: Person,
    leaving: Person,
    refresh_token: Value,
    order: String,
    recipe: String,
    account: String,
    lost: String,
    rubbish: String,
    cursor: String,
}

impl Examples {
    async fn of(bar: &Bar) -> Self {
        let (customer, admin) = (bar.customer().await, bar.admin().await);
        let recipe = admin.get("/recipes/Negroni").await.expect(200);
        let order = id(&customer.order("Margarita").await).to_owned();
        let orders = admin.get("/orders").await;
        let cursor = orders.header("changes-cursor").expect("a position").to_owned();
        let account = id(&admin.get("/users").await.expect(200)["users"][0]).to_owned();
        let (store, lost) = (bar.database.store(), Uuid::now_v7());
        let lost = keep(&store, Some(lost), message(lost, &account, &recipe)).await;
        let rubbish = keep(&store, None, b"rubbish".to_vec()).await;
        let [lost, rubbish] = [lost, rubbish].map(|path| path.replace("/dead-letters/", ""));
        let password = json!({ "email": "user@example.com", "password": "password123" });
        let session = bar.stranger().post("/login", password).await.expect(200);
        let leaving = bar.holder_of(session["token"].as_str().unwrap());
        let (recipe, refresh_token) = (id(&recipe).to_owned(), session["refresh_token"].clone());
        Self { admin, customer, leaving, refresh_token, order, recipe, account, lost, rubbish, cursor }
    }
}

const BOARD: &str = "2f0c8f4e-7d0b-4a57-9c0e-0d7c4c2b6a11";

/// A caller, an operation's id, the id in its path, a body in place of the example, and the status.
type Call<'a> = (&'a Person, &'static str, &'a str, Option<Value>, u16);

/// Returns a call of each operation, in an order in which all of them succeed.
fn calls(bar: &Examples) -> Vec<Call<'_>> {
    let water = json!({
        "name": "Water", "build": "built", "glass": "highball", "method": "Pour.",
        "ingredients": [{ "name": "water", "amount": 200, "unit": "ml" }],
    });
    vec![
        (&bar.admin, "get_health", "", None, 200),
        (&bar.admin, "get_readiness", "", None, 200),
        (&bar.admin, "get_metrics", "", None, 200),
        (&bar.admin, "get_document", "", None, 200),
        (&bar.admin, "show_docs", "", None, 200),
        (&bar.admin, "get_docs_part", "start.js", None, 200),
        (&bar.admin, "list_problems", "", None, 200),
        (&bar.admin, "show_problem", "invalid", None, 200),
        (&bar.admin, "register", "", None, 201),
        (&bar.admin, "login", "", None, 200),
        (&bar.admin, "refresh_token", "", Some(json!({ "refresh_token": bar.refresh_token })), 200),
        (&bar.leaving, "logout", "", None, 204),
        (&bar.admin, "get_me", "", None, 200),
        (&bar.admin, "list_accounts", "", None, 200),
        (&bar.admin, "get_account", &bar.account, None, 200),
        (&bar.admin, "change_account", &bar.account, Some(json!({ "active": true })), 200),
        (&bar.admin, "list_recipes", "", None, 200),
        (&bar.admin, "get_recipe", "Negroni", None, 200),
        (&bar.admin, "add_recipe", "", Some(water), 201),
        (&bar.admin, "set_availability", &bar.recipe, None, 200),
        (&bar.customer, "place_order", "", None, 201),
        (&bar.customer, "list_orders", "", None, 200),
        (&bar.customer, "stream_changes", "", None, 200),
        (&bar.admin, "report_seen", BOARD, Some(json!({ "cursor": bar.cursor })), 204),
        (&bar.admin, "list_instances", "", None, 200),
        (&bar.admin, "claim_order", "", None, 200),
        (&bar.admin, "undo_order", &bar.order, None, 200),
        (&bar.admin, "start_order", &bar.order, None, 200),
        (&bar.admin, "ready_order", &bar.order, None, 200),
        (&bar.admin, "complete_order", &bar.order, None, 200),
        (&bar.admin, "undo_order", &bar.order, None, 200),
        (&bar.admin, "fail_order", &bar.order, None, 200),
        (&bar.admin, "undo_order", &bar.order, None, 200),
        (&bar.admin, "undo_order", &bar.order, None, 200),
        (&bar.admin, "cancel_order", &bar.order, None, 200),
        (&bar.admin, "cancel_orders", "", Some(json!({ "customer_id": bar.account })), 200),
        (&bar.admin, "get_order", &bar.order, None, 200),
        (&bar.admin, "get_history", &bar.order, None, 200),
        (&bar.admin, "list_audit_entries", "", None, 200),
        (&bar.admin, "list_dead_letters", "", None, 200),
        (&bar.admin, "get_dead_letter", &bar.rubbish, None, 200),
        (&bar.admin, "replay_dead_letter", &bar.lost, None, 200),
        (&bar.admin, "discard_dead_letter", &bar.rubbish, None, 204),
        (&bar.admin, "replace_recipe", "Margarita", None, 200),
        (&bar.admin, "archive_recipe", &bar.recipe, None, 204),
        (&bar.customer, "change_password", "", None, 204),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_succeeds_as_it_says() {
    let bar = Bar::open(Sqlite).await;
    let examples = Examples::of(&bar).await;
    let document = document();
    let mut done = Vec::new();
    for (person, name, id, body, status) in calls(&examples) {
        let all = operations(&document);
        let operation = all.iter().find(|operation| operation.is["operationId"] == name).unwrap();
        let answer = match body {
            Some(body) => send(request(operation, person, id).json(&body)).await,
            None => call(&document, operation, person, id).await,
        };
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
        agrees(&document, operation, &answer);
        done.push(name);
    }
    for operation in operations(&document) {
        assert!(
            done.contains(&operation.is["operationId"].as_str().unwrap()),
            "{} was not tried",
            operation.path
        );
    }
    bar.close().await;
}

fn request(operation: &Operation, person: &Person, id: &str) -> reqwest::RequestBuilder {
    let path = operation.path.replace("{id}", id).replace("{name}", id);
    let request = person.request(operation.method.parse().unwrap(), &path);
    let parameters = operation.is["parameters"].as_array().into_iter().flatten();
    let needs_match = |parameter: &Value| parameter["name"] == "If-Match" && parameter["required"] == true;
    if parameters.into_iter().any(needs_match) { request.header("If-Match", "*") } else { request }
}

/// Calls an operation with the example of its body.
async fn call(document: &Value, operation: &Operation, person: &Person, id: &str) -> Answer {
    let request = request(operation, person, id);
    match operation.body() {
        Some(body) => send(request.json(&resolved(document, body)["examples"][0])).await,
        None if operation.path == "/stream" => begin(request).await,
        None => send(request).await,
    }
}

/// Sends a request. Reads no further than to the beginning of the body if that has no length.
async fn begin(request: RequestBuilder) -> Answer {
    let mut response = request.send().await.expect("the bar answers");
    if response.content_length().is_some() {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        return Answer::new(status, headers, response.text().await.expect("a whole answer"));
    }
    let first = response.chunk().await.expect("a body").expect("its beginning");
    let text = String::from_utf8(first.to_vec()).expect("text");
    Answer::new(response.status().as_u16(), response.headers().clone(), text)
}

/// Asserts that the document has this response of the operation.
#[track_caller]
fn agrees(document: &Value, operation: &Operation, answer: &Answer) {
    let what = format!("{} {}: {answer:?}", operation.method, operation.path);
    let response = operation.is["responses"].get(answer.status.to_string());
    let response = resolved(document, response.unwrap_or_else(|| panic!("not documented: {what}")));
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let always = resolved(document, header)["required"] == true;
        assert!(!always || answer.header(name).is_some(), "no {name}: {what}");
    }
    match response["content"].as_object() {
        None => assert_eq!(answer.text, "", "{what}"),
        Some(contents) => {
            let kind =
                answer.header("content-type").and_then(|kind| kind.split(';').next()).unwrap_or_default();
            let content = contents.get(kind).unwrap_or_else(|| panic!("not of a kind that is said: {what}"));
            assert_eq!(misfit(document, &content["schema"], &answer.body), None, "{what}");
            if kind == "application/problem+json" {
                let name = answer.body["type"].as_str().unwrap().trim_start_matches("/problems/");
                assert!(content["examples"].get(name).is_some(), "{name} is not said: {what}");
            }
        }
    }
}
