//! Responses agree with the document.

use super::{Operation, document, operations, resolved, schema::misfit};
use crate::dead_letters::{keep, message};
use crate::support::{
    Bar, Person, Sqlite,
    person::{Answer, id, send},
};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_succeeds_as_it_says() {
    let bar = Bar::open(Sqlite).await;
    let (customer, admin) = (bar.customer().await, bar.admin().await);
    let document = document();
    let mut done = Vec::new();
    let recipe = admin.get("/recipes/Negroni").await.expect(200);
    let order = customer.order("Margarita").await;
    let account = admin.get("/users").await.expect(200)["users"][0].clone();
    let water = json!({
        "name": "Water", "build": "built", "glass": "highball", "method": "Pour.",
        "ingredients": [{ "name": "water", "amount": 200, "unit": "ml" }],
    });
    let (store, lost) = (bar.database.store(), Uuid::now_v7());
    let lost = keep(&store, Some(lost), message(lost, id(&account), &recipe)).await;
    let rubbish = keep(&store, None, b"rubbish".to_vec()).await;
    let [lost, rubbish] = [&lost, &rubbish].map(|path| path.trim_start_matches("/dead-letters/"));
    let password = json!({ "email": "user@example.com", "password": "password123" });
    let session = bar.stranger().post("/login", password).await.expect(200);
    let leaving = bar.holder_of(session["token"].as_str().unwrap());
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    let (order, recipe, account) = (id(&order), id(&recipe), id(&account));
    for (who, name, of, body, status) in [
        (&admin, "get_health", "", None, 200),
        (&admin, "get_readiness", "", None, 200),
        (&admin, "get_metrics", "", None, 200),
        (&admin, "get_document", "", None, 200),
        (&admin, "show_docs", "", None, 200),
        (&admin, "get_docs_part", "start.js", None, 200),
        (&admin, "list_problems", "", None, 200),
        (&admin, "show_problem", "invalid", None, 200),
        (&admin, "register", "", None, 201),
        (&admin, "login", "", None, 200),
        (&admin, "refresh_token", "", Some(refresh), 200),
        (&leaving, "logout", "", None, 204),
        (&admin, "get_me", "", None, 200),
        (&admin, "list_accounts", "", None, 200),
        (&admin, "get_account", account, None, 200),
        (&admin, "change_account", account, Some(json!({ "active": true })), 200),
        (&admin, "list_recipes", "", None, 200),
        (&admin, "get_recipe", "Negroni", None, 200),
        (&admin, "add_recipe", "", Some(water), 201),
        (&admin, "set_availability", recipe, None, 200),
        (&customer, "place_order", "", None, 201),
        (&customer, "list_orders", "", None, 200),
        (&admin, "claim_order", "", None, 200),
        (&admin, "undo_order", order, None, 200),
        (&admin, "start_order", order, None, 200),
        (&admin, "ready_order", order, None, 200),
        (&admin, "complete_order", order, None, 200),
        (&admin, "undo_order", order, None, 200),
        (&admin, "fail_order", order, None, 200),
        (&admin, "undo_order", order, None, 200),
        (&admin, "undo_order", order, None, 200),
        (&admin, "cancel_order", order, None, 200),
        (&admin, "cancel_orders", "", Some(json!({ "customer_id": account })), 200),
        (&admin, "get_order", order, None, 200),
        (&admin, "get_history", order, None, 200),
        (&admin, "list_audit_entries", "", None, 200),
        (&admin, "list_dead_letters", "", None, 200),
        (&admin, "get_dead_letter", rubbish, None, 200),
        (&admin, "replay_dead_letter", lost, None, 200),
        (&admin, "discard_dead_letter", rubbish, None, 204),
        (&admin, "replace_recipe", "Margarita", None, 200),
        (&admin, "archive_recipe", recipe, None, 204),
        (&customer, "change_password", "", None, 204),
    ] {
        let all = operations(&document);
        let operation = all.iter().find(|operation| operation.is["operationId"] == name).unwrap();
        let answer = match body {
            Some(body) => send(request(operation, who, of).json(&body)).await,
            None => call(&document, operation, who, of).await,
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
    send(match operation.body() {
        Some(body) => request.json(&resolved(document, body)["examples"][0]),
        None => request,
    })
    .await
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
