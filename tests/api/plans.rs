//! No request reads more orders than it shows, however many are recorded: none scans a table, and late pages of a list
//! cost as much as the first one.

mod postgres;
mod sqlite;

use crate::support::{
    Bar, Person,
    person::{id, send},
};
use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use shakerqueue::{
    domain::now,
    store::{
        Store,
        open_orders::{self, cancellations},
        users,
    },
};

const PAGE_SIZE: u64 = 10;

/// Limit on the orders that a search by drink reads.
const MAX_SEARCHED_ORDERS: u64 = 5_000;

/// A request whose cost is measured.
struct BarRequest {
    /// Name of the request in failure messages.
    name: String,
    who: Person,
    path: String,
    /// Body of a POST; none for a GET.
    posted: Option<Value>,
    /// Limit on the index entries of orders that it may read.
    max_entries: u64,
}

impl BarRequest {
    fn read(who: &Person, path: impl Into<String>, max_entries: u64) -> Self {
        let path = path.into();
        Self { name: format!("GET {path}"), who: who.clone(), path, posted: None, max_entries }
    }

    fn post(who: &Person, path: impl Into<String>, body: Value) -> Self {
        let path = path.into();
        // Itself, and as a foreign key of its lines and moves.
        Self { name: format!("POST {path}"), who: who.clone(), path, posted: Some(body), max_entries: 30 }
    }

    /// Sends the request to the `serve` at this address.
    async fn ask(&self, url: &str) {
        let who = self.who.at(url);
        let answer = match &self.posted {
            None => who.get(&self.path).await,
            Some(body) => {
                let post = who.request(Method::POST, &self.path).json(body);
                // An order that is there already is looked for too.
                send(if self.path == "/orders" { post.header("Idempotency-Key", "round 1") } else { post })
                    .await
            }
        };
        // Moves are repeated, and so become illegal.
        let expected = [200, 201, 204, 409].contains(&answer.status);
        assert!(expected, "{}: answered {}: {}", self.name, answer.status, answer.body);
    }
}

/// Returns every request that reads orders. `live` orders are on the board; cursors point behind `pages` pages.
async fn requests(bar: &Bar, live: u64, pages: usize) -> Vec<BarRequest> {
    let (guest, staff, admin) = (bar.customer().await, bar.employee().await, bar.admin().await);
    let mut requests = lists(&guest, false, live, pages).await;
    requests.extend(lists(&staff, true, live, pages).await);
    let never = json!({
        "name": "Never", "build": "built", "glass": "highball", "method": "Pour.",
        "ingredients": [{ "name": "water", "amount": 200, "unit": "ml" }],
    });
    staff.post("/recipes", never).await.expect(201);
    requests.extend(narrowed(&guest, None, live, pages).await);
    let customer = guest.get("/me").await.expect(200);
    requests.extend(narrowed(&staff, Some(id(&customer)), live, pages).await);
    for list in ["/users", "/dead-letters?resolution=open", "/dead-letters?resolution=all"] {
        requests.push(BarRequest::read(&admin, list, 0));
    }
    requests.extend(trail(&admin, &staff, pages).await);
    // It counts the board.
    requests.push(BarRequest::read(&admin, "/metrics", live + PAGE_SIZE));
    requests.push(BarRequest::post(&guest, "/orders", json!({ "recipe": "Negroni", "table": "7" })));
    requests.push(BarRequest::post(&staff, "/orders/next", Value::Null));
    // It passes by what this customer had since the first of those that wait, and by all that is in progress.
    let (path, body) = ("/orders/cancel", json!({ "customer_id": id(&customer) }));
    requests.push(BarRequest { max_entries: live + 2 * PAGE_SIZE, ..BarRequest::post(&staff, path, body) });
    let board = staff.get("/orders?status=pending&limit=10").await.expect(200);
    let mut waiting = board["orders"].as_array().expect("orders").iter();
    let mut order = move || format!("/orders/{}", id(waiting.next_back().expect("an order that waits")));
    requests.push(BarRequest::read(&staff, order(), PAGE_SIZE));
    requests.push(BarRequest::read(&staff, order() + "/history", PAGE_SIZE));
    for action in ["start", "cancel"] {
        requests.push(BarRequest::post(&staff, format!("{}/{action}", order()), json!({})));
    }
    requests.push(BarRequest::post(&staff, order() + "/fail", json!({ "reason": "no gin" })));
    let begun = order();
    for action in ["start", "ready", "complete", "undo"] {
        requests.push(BarRequest::post(&staff, format!("{begun}/{action}"), json!({})));
    }
    requests
}

/// Returns each list of orders: its first page, and one behind a cursor.
async fn lists(who: &Person, staff: bool, live: u64, pages: usize) -> Vec<BarRequest> {
    let states = ["", "pending", "in_progress", "ready", "completed", "cancelled", "failed"];
    let mut requests = Vec::new();
    for (status, table) in states.into_iter().flat_map(|status| [(status, ""), (status, "7")]) {
        let list = format!("/orders?limit={PAGE_SIZE}&status={status}&table={table}");
        // One more tells whether there is another page, and a cursor may stand among orders of the same moment.
        let shown = PAGE_SIZE + 10;
        let max_entries = match (status, table) {
            ("", "") => shown,
            ("", _) | ("pending" | "in_progress" | "ready" | "cancelled" | "failed", "") if staff => shown,
            // Read through what is live, which is newer than all that is completed, or what the guest or the table had.
            _ => shown + live,
        };
        requests.push(BarRequest::read(who, &list, max_entries));
        if let Some(cursor) = cursor(who, &list, pages).await {
            requests.push(BarRequest::read(who, format!("{list}&cursor={cursor}"), max_entries));
        }
    }
    requests
}

/// Returns the audit trail with each filter: its first page, and one behind a cursor.
async fn trail(admin: &Person, staff: &Person, pages: usize) -> Vec<BarRequest> {
    let staff = staff.get("/me").await.expect(200);
    let order = admin.get("/audit?action=order_moved&limit=1").await.expect(200);
    let order = order["entries"][0]["subject"]["id"].as_str().expect("an order that was moved").to_owned();
    let by = id(&staff);
    let mut requests = Vec::new();
    for narrow in [
        String::new(),
        format!("actor={by}"),
        "actor=system".into(),
        "action=recipe_availability_changed".into(),
        "action=order_moved".into(),
        "subject_kind=recipe".into(),
        "subject_kind=order".into(),
        format!("subject_id={order}"),
        format!("actor={by}&action=recipe_availability_changed"),
        format!("actor={by}&subject_kind=recipe"),
        format!("actor={by}&action=order_moved"),
        format!("actor={by}&subject_id={order}"),
        "action=recipe_added&subject_kind=recipe".into(),
        "from=2020-01-01T00:00:00Z&until=2090-01-01T00:00:00Z".into(),
        format!("actor={by}&from=2020-01-01T00:00:00Z&until=2090-01-01T00:00:00Z"),
    ] {
        let list = format!("/audit?limit={PAGE_SIZE}&{narrow}");
        // A page of each part; of what somebody did, every fourth is of a kind here.
        let max_entries = 4 * (PAGE_SIZE + 5);
        requests.push(BarRequest::read(admin, &list, max_entries));
        if let Some(cursor) = cursor(admin, &list, pages).await {
            requests.push(BarRequest::read(admin, format!("{list}&cursor={cursor}"), max_entries));
        }
    }
    requests
}

/// Returns lists with more filters: time, several states, a frequent drink, a drink that nobody orders, and a customer.
async fn narrowed(who: &Person, customer_id: Option<&str>, live: u64, pages: usize) -> Vec<BarRequest> {
    let mut requests = Vec::new();
    let ago = |days| (now() - TimeDelta::days(days)).to_string();
    let span = format!("placed_from={}&placed_until={}", ago(400), ago(300));
    let shown = PAGE_SIZE + 10;
    // Once to see how far it may look, and once to look. What is completed stands among a few others.
    let searched = 2 * (MAX_SEARCHED_ORDERS + MAX_SEARCHED_ORDERS / 8) + shown;
    let mut cases = vec![
        ("", span.clone(), shown),
        ("completed", span.clone(), 2 * shown),
        ("cancelled", span.clone(), shown),
        ("pending", span.clone(), shown + live),
        ("in_progress,ready", String::new(), 2 * shown),
        ("in_progress,ready,cancelled,failed", span.clone(), 4 * shown),
        ("pending,completed", String::new(), 2 * (shown + live)),
    ];
    for (drink, max_entries) in [("Negroni", searched), ("Never", searched)] {
        cases.extend([
            ("", format!("drink={drink}"), max_entries),
            ("", format!("drink={drink}&{span}"), max_entries),
            ("completed", format!("drink={drink}"), max_entries + 2 * live),
            ("cancelled", format!("drink={drink}"), max_entries),
            ("pending", format!("drink={drink}"), 2 * (shown + live)),
            ("in_progress,ready", format!("drink={drink}"), 4 * (shown + live)),
        ]);
    }
    for (status, more, max_entries) in cases {
        let by_customer = customer_id.map(|id| format!("&customer={id}"));
        for narrow in
            [Some("&table=".to_owned()), Some("&table=7".to_owned()), by_customer].into_iter().flatten()
        {
            // What only one table or customer had is found by passing by the rest of what they had, once for each state.
            let states = u64::try_from(status.split(',').count()).expect("a few");
            let all = customer_id.is_some() && narrow == "&table=";
            let max_entries = if all { max_entries } else { max_entries.max(states * (shown + live)) };
            let list = format!("/orders?limit={PAGE_SIZE}&status={status}{narrow}&{more}");
            requests.push(BarRequest::read(who, &list, max_entries));
            if let Some(cursor) = cursor(who, &list, pages).await {
                requests.push(BarRequest::read(who, format!("{list}&cursor={cursor}"), max_entries));
            }
        }
    }
    requests
}

/// Runs the queries that processes make by themselves.
async fn background(store: &Store, customers: i64) {
    let reading = store.read(async move |conn| {
        let page = users::page(conn, users::UserFilter::default(), None, customers).await?;
        let ids: Vec<_> = page.into_iter().map(|user| user.id).collect();
        let since = now() - TimeDelta::hours(24);
        open_orders::of_customers(conn, &ids, since, 20_000).await?;
        cancellations::with_untouched(conn, &ids, since).await
    });
    reading.await.expect("an answer");
}

/// Returns the cursor behind this many pages, or behind the last but one; none if there is only one page.
async fn cursor(who: &Person, list: &str, pages: usize) -> Option<String> {
    let mut behind = None;
    for _ in 0..pages {
        let path =
            behind.as_ref().map_or_else(|| list.to_owned(), |cursor| format!("{list}&cursor={cursor}"));
        match who.get(&path).await.expect(200)["next_cursor"].as_str() {
            Some(cursor) => behind = Some(cursor.to_owned()),
            None => break,
        }
    }
    behind
}
