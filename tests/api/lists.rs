//! Filters and search of lists, the same on both databases.

use crate::support::{
    Bar, DatabaseKind, Person, PostgreSql, Sqlite,
    person::{id, send},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Places an order and returns it.
async fn order(guest: &Person, order: Value) -> Value {
    guest.post("/orders", order).await.expect(201)
}

/// Reads a list in pages of this size, and checks that each entry comes once. Returns the ids.
async fn all(who: &Person, list: &str, of: &str, limit: usize) -> Vec<String> {
    let start = format!("{list}{}limit={limit}", if list.contains('?') { '&' } else { '?' });
    let (mut path, mut entries) = (start.clone(), Vec::new());
    loop {
        let page = who.get(&path).await.expect(200);
        entries.extend(page[of].as_array().expect("a list").iter().map(|entry| id(entry).to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("{start}&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(entries.iter().collect::<BTreeSet<_>>().len(), entries.len(), "{list}: {entries:?}");
    entries
}

/// Returns filters, each with the orders that it finds, newest first. `time` says when an order was placed.
fn order_filters(ana: &str, negroni: &str, time: impl Fn(usize) -> String) -> Vec<(String, Vec<usize>)> {
    let (from, until) = (time(2), time(6));
    vec![
        (String::new(), vec![7, 6, 5, 4, 3, 2, 1, 0]),
        (format!("customer={ana}"), vec![3, 2, 1, 0]),
        ("drink=NEGRONI".into(), vec![6, 4, 2, 0]),
        (format!("drink={negroni}"), vec![6, 4, 2, 0]),
        (format!("drink={}", encoded("PIÑA colada")), vec![5, 1]),
        ("drink=engine%20oil".into(), vec![]),
        ("drink=00000000-0000-7000-8000-000000000000".into(), vec![]),
        (format!("placed_from={from}"), vec![7, 6, 5, 4, 3, 2]),
        (format!("placed_until={until}"), vec![5, 4, 3, 2, 1, 0]),
        (format!("placed_from={from}&placed_until={until}"), vec![5, 4, 3, 2]),
        (format!("placed_from={from}&placed_until={until}&table=1"), vec![4, 2]),
        ("status=in_progress,ready".into(), vec![1, 0]),
        ("status=ready,cancelled,in_progress,ready".into(), vec![4, 1, 0]),
        ("status=pending,cancelled".into(), vec![7, 6, 5, 4, 3, 2]),
        ("status=cancelled&status=pending".into(), vec![7, 6, 5, 4, 3, 2]),
        ("status=ready,cancelled&status=&status=in_progress&status=ready".into(), vec![4, 1, 0]),
        ("status=pending,cancelled&table=1".into(), vec![6, 4, 2]),
        ("status=completed,failed".into(), vec![]),
        (format!("customer={ana}&drink=negroni&table=1"), vec![2, 0]),
        (format!("customer={ana}&drink=negroni&status=in_progress,pending"), vec![2, 0]),
        (format!("customer={ana}&placed_from={from}"), vec![3, 2]),
        ("drink=mojito&status=pending,ready".into(), vec![7, 6, 3, 2]),
        // Alone, those that wait come as they are worked, whatever else is asked.
        (format!("status=pending&customer={ana}"), vec![2, 3]),
        ("status=pending&drink=negroni&table=1".into(), vec![2, 6]),
        (format!("status=pending&placed_from={}&placed_until={until}", time(3)), vec![3, 5]),
    ]
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_narrowed_by_all_that_is_asked(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (ana, ben, staff) = (bar.guest().await, bar.guest().await, bar.employee().await);
    let ana_id = id(&ana.get("/me").await.expect(200)).to_owned();
    let drinks = [
        json!({ "recipe": "Negroni", "table": "1" }),
        json!({ "recipe": "Piña Colada", "table": "2" }),
        json!({ "items": [{ "recipe": "Mojito" }, { "recipe": "negroni" }], "table": "1" }),
        json!({ "recipe": "Mojito" }),
    ];
    let mut orders = Vec::new();
    for who in [&ana, &ben] {
        for drink in &drinks {
            orders.push(order(who, drink.clone()).await);
        }
    }
    // Ana's first is in progress, her second ready, Ben's first cancelled.
    for (at, moves) in [(0, &["start"][..]), (1, &["start", "ready"]), (4, &["cancel"])] {
        for action in moves {
            staff.moves(&orders[at], action).await.expect(200);
        }
    }
    let time = |at: usize| encoded(orders[at]["placed_at"].as_str().unwrap());
    let negroni = id(&staff.get("/recipes/negroni").await.expect(200)).to_owned();
    for (list, mut expected) in order_filters(&ana_id, &negroni, time) {
        if list.starts_with("status=pending&") {
            // By when they are due, which depends on the drinks as well.
            expected.sort_by_key(|at| (orders[*at]["due_at"].as_str().unwrap(), id(&orders[*at])));
        }
        let expected: Vec<_> = expected.into_iter().map(|at| id(&orders[at])).collect();
        for limit in [1, 2, 100] {
            assert_eq!(
                all(&staff, &format!("/orders?{list}"), "orders", limit).await,
                expected,
                "{list}, {limit} a page"
            );
        }
    }
    // Guests have their own, however they are narrowed.
    for (list, expected) in [
        ("drink=negroni", vec![2, 0]),
        ("status=ready,pending", vec![3, 2, 1]),
        (&format!("customer={ana_id}&status=ready"), vec![1]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|at| id(&orders[at])).collect();
        assert_eq!(all(&ana, &format!("/orders?{list}"), "orders", 1).await, expected, "{list}");
    }
    ben.get(&format!("/orders?customer={ana_id}")).await.expect_problem(403, "not-permitted");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drink_is_found_in_orders_from_before_it_was_put_back_or_renamed(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, staff) = (bar.guest().await, bar.employee().await);
    let water = |name: &str| {
        json!({
            "name": name, "build": "built", "glass": "highball", "method": "Pour.",
            "ingredients": [{ "name": "water", "amount": 200, "unit": "ml" }],
        })
    };
    let mut orders = Vec::new();
    for _ in 0..2 {
        let recipe = staff.post("/recipes", water("Water")).await.expect(201);
        orders.push(guest.order("Water").await);
        staff.delete(&format!("/recipes/{}", id(&recipe))).await.expect(204);
    }
    orders.reverse();
    let ids: Vec<_> = orders.iter().map(id).collect();
    assert_eq!(all(&staff, "/orders?drink=WATER", "orders", 10).await, ids);
    staff.post("/recipes", water("Still")).await.expect(201);
    let order = guest.order("Still").await;
    staff.put("/recipes/still", water("Sparkling")).await.expect(200);
    assert_eq!(all(&staff, "/orders?drink=sparkling", "orders", 10).await, [id(&order)]);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_stay_in_place_while_orders_come_in(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, staff) = (bar.guest().await, bar.employee().await);
    let mut placed = Vec::new();
    for n in 0..6 {
        let order = guest.order(if n % 2 == 0 { "Negroni" } else { "Mojito" }).await;
        staff.moves(&order, if n < 3 { "start" } else { "cancel" }).await.expect(200);
        placed.push(id(&order).to_owned());
    }
    placed.reverse();
    for (list, expected) in [
        ("/orders?status=in_progress,cancelled", placed.clone()),
        ("/orders?drink=mojito&status=in_progress,cancelled", placed.iter().step_by(2).cloned().collect()),
    ] {
        let (mut path, mut seen) = (format!("{list}&limit=2"), Vec::new());
        loop {
            let page = staff.get(&path).await.expect(200);
            seen.extend(page["orders"].as_array().unwrap().iter().map(|order| id(order).to_owned()));
            let new = guest.order("Mojito").await;
            staff.moves(&new, "cancel").await.expect(200);
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = format!("{list}&limit=2&cursor={cursor}");
        }
        assert_eq!(seen[seen.len() - expected.len()..], expected, "{list}");
        assert!(seen.len() <= expected.len() + 4, "{list}: {seen:?}");
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_the_same_however_its_letters_are_put_together(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, staff) = (bar.guest().await, bar.employee().await);
    let (composed, decomposed) = ("Séparé 4", "Se\u{301}pare\u{301} 4");
    let mut orders = Vec::new();
    for table in [composed, decomposed, composed, "Separe 4"] {
        orders.push(order(&guest, json!({ "recipe": "Negroni", "table": table })).await);
    }
    assert_eq!(orders[1]["table"], composed);
    // As earlier releases stored it.
    let old = format!(
        "UPDATE orders SET table_name = '{decomposed}' WHERE placed_at = (SELECT MIN(placed_at) FROM orders)"
    );
    bar.database.execute(&old).await;
    assert_eq!(staff.sees(&orders[0]).await.expect(200)["table"], decomposed);
    let mine: Vec<_> = orders.iter().take(3).map(|order| id(order).to_owned()).collect();
    let newest: Vec<_> = mine.iter().rev().cloned().collect();
    for table in [composed, decomposed] {
        let table = encoded(table);
        for limit in [1, 2, 100] {
            for list in ["/orders?", "/orders?status=pending,ready&", "/orders?drink=negroni&"] {
                assert_eq!(
                    all(&guest, &format!("{list}table={table}"), "orders", limit).await,
                    newest,
                    "{list}"
                );
                assert_eq!(
                    all(&staff, &format!("{list}table={table}"), "orders", limit).await,
                    newest,
                    "{list}"
                );
            }
            let working_order =
                all(&staff, &format!("/orders?status=pending&table={table}"), "orders", limit).await;
            assert_eq!(working_order, mine);
        }
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_searched_whatever_the_case(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let admin = bar.admin().await;
    let mut ids = Vec::new();
    for (username, email) in [
        ("Zoë Ångström", "zoe@bar.example"),
        ("ΣΟΦΙΑ", "sophia@bar.example"),
        ("Ana_100%", "ana@bar.example"),
        ("Anax100y", "other@bar.example"),
    ] {
        let account = json!({ "username": username, "email": email, "password": "a good password" });
        ids.push(id(&bar.stranger().post("/register", account).await.expect(201)["user"]).to_owned());
    }
    let change = async |at: usize, change: Value| {
        admin.patch(&format!("/users/{}", ids[at]), change).await.expect(200)
    };
    change(1, json!({ "role": "employee" })).await;
    change(2, json!({ "active": false })).await;
    for (search, expected) in [
        ("q=ZOË", vec![0]),
        ("q=ångSTRÖM", vec![0]),
        ("q=zoe", vec![0]),
        ("q=zoe\u{308}", vec![0]),
        ("q=angstrom", vec![0]),
        ("q=σοφια", vec![1]),
        ("q=σοφία", vec![1]),
        ("q=BAR.EXAMPLE", vec![0, 1, 2, 3]),
        ("q= ana ", vec![2, 3]),
        // Nothing is a wildcard.
        ("q=a_1", vec![2]),
        ("q=100%", vec![2]),
        ("q=%", vec![2]),
        ("q=_", vec![2]),
        ("q=\\", vec![]),
        ("q='", vec![]),
        ("q=bar.example&active=true", vec![0, 1, 3]),
        ("q=bar.example&active=false", vec![2]),
        ("q=bar.example&role=employee", vec![1]),
        ("q=bar.example&role=customer&active=true", vec![0, 3]),
    ] {
        let (q, rest) = search.strip_prefix("q=").unwrap().split_once('&').unwrap_or((&search[2..], ""));
        let expected: Vec<_> = expected.into_iter().map(|at| ids[at].as_str()).collect();
        for limit in [1, 3, 100] {
            assert_eq!(
                all(&admin, &format!("/users?q={}&{rest}", encoded(q)), "users", limit).await,
                expected,
                "{search}, {limit} a page"
            );
        }
    }
    let staff = all(&admin, "/users?role=employee", "users", 1).await;
    assert_eq!((staff.len(), staff.last()), (2, Some(&ids[1])));
    assert_eq!(all(&admin, "/users?active=false", "users", 1).await, [ids[2].clone()]);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_menu_is_searched_whatever_the_case(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, staff) = (bar.guest().await, bar.employee().await);
    let names = async |search: &str| {
        let menu = guest.get(&format!("/recipes?{search}")).await.expect(200);
        let names = menu["recipes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|recipe| recipe["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&format!("q={}", encoded("PIÑA COLADA"))).await, ["Piña Colada"]);
    let with_tequila = names("q=TEQUILA").await;
    assert!(
        with_tequila.contains(&"Margarita".into()) && !with_tequila.contains(&"Negroni".into()),
        "{with_tequila:?}"
    );
    assert_eq!(names("q=%25").await, [""; 0]);
    staff.put("/recipes/margarita/availability", json!({ "available": false })).await.expect(200);
    assert_eq!(names("available=false").await, ["Margarita"]);
    assert!(!names("q=tequila&available=true").await.contains(&"Margarita".into()));
    let sours = names("build=sour").await;
    assert!(sours.contains(&"Margarita".into()) && !sours.contains(&"Negroni".into()), "{sours:?}");
    assert_eq!(names("q=margarita&build=sour&available=false").await, ["Margarita"]);
    // Each answer has a tag of its own.
    let tags: BTreeSet<_> =
        futures_util::future::join_all(["", "q=gin", "build=sour", "available=true"].map(async |search| {
            guest.get(&format!("/recipes?{search}")).await.header("etag").unwrap().to_owned()
        }))
        .await
        .into_iter()
        .collect();
    assert_eq!(tags.len(), 4);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preference_that_counted_is_told() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let order = guest.order("Negroni").await;
    let path = format!("/orders/{}", id(&order));
    for (given, applied) in [
        ("wait=5", Some("wait=5")),
        ("respond-async, wait=5", Some("wait=5")),
        ("WAIT=\"7\"; x=y, wait=3", Some("wait=7")),
        ("wait=120", Some("wait=30")),
        ("respond-async", None),
        ("wait=soon", None),
    ] {
        let get = guest.request(Method::GET, &path).header("Prefer", given);
        let post = guest
            .request(Method::POST, "/orders")
            .json(&json!({ "recipe": "Negroni" }))
            .header("Prefer", given);
        for request in [get, post] {
            assert_eq!(send(request).await.header("preference-applied"), applied, "{given}");
        }
    }
    bar.close().await;
}
