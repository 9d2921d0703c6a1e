//! Reading the audit trail: for admins, page by page, with filters.

use super::{entries, water};
use crate::support::{Bar, DatabaseKind, Person, PostgreSql, Sqlite, person::id};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Makes one change of every kind. Returns the admin, the bartender, and the order.
async fn a_night(bar: &Bar) -> (Person, Person, Value) {
    let (admin, staff) = (bar.admin().await, bar.employee().await);
    let order = bar.customer().await.order("Negroni").await;
    for round in 0..4 {
        staff.moves(&order, "start").await.expect(200);
        staff
            .put("/recipes/Margarita/availability", json!({ "available": round % 2 == 1 }))
            .await
            .expect(200);
        staff.moves(&order, "undo").await.expect(200);
        let guest = bar.guest().await.get("/me").await.expect(200);
        admin.patch(&format!("/users/{}", id(&guest)), json!({ "role": "employee" })).await.expect(200);
    }
    staff.post("/recipes", water()).await.expect(201);
    (admin, staff, order)
}

/// Reads the whole list in pages of this size.
async fn by_pages(admin: &Person, filter: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut path) = (Vec::new(), format!("/audit?limit={limit}&{filter}"));
    loop {
        let answer = admin.get(&path).await;
        let link = answer.header("link").map(str::to_owned);
        let page = answer.expect(200);
        let entries = page["entries"].as_array().unwrap();
        assert!(entries.len() <= limit);
        all.extend(entries.iter().cloned());
        let Some(cursor) = page["next_cursor"].as_str() else {
            assert_eq!(link, None);
            return all;
        };
        assert_eq!(entries.len(), limit);
        path = format!("/audit?limit={limit}&{filter}&cursor={cursor}");
        let link = link.expect("a link");
        let leads_to = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
        assert_eq!(admin.get(leads_to).await.expect(200), admin.get(&path).await.expect(200));
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_hold_each_entry_once_newest_first(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (admin, staff, order) = a_night(&bar).await;
    let whole = by_pages(&admin, "", 100).await;
    assert!(whole.len() > 80, "{}", whole.len());
    let times: Vec<_> = whole.iter().map(|entry| entry["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");
    let ids: BTreeSet<_> = whole.iter().map(id).collect();
    assert_eq!(ids.len(), whole.len());
    for limit in [1, 7] {
        assert_eq!(by_pages(&admin, "", limit).await, whole);
    }
    // What comes in meanwhile moves nothing of what is shown.
    let first = admin.get("/audit?limit=5").await.expect(200);
    staff.moves(&order, "start").await.expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = admin.get(&format!("/audit?limit=5&cursor={cursor}")).await.expect(200);
    assert_eq!(second["entries"].as_array().unwrap(), &whole[5..10]);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_narrow_it_alone_and_together(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (admin, staff, order) = a_night(&bar).await;
    let whole = by_pages(&admin, "", 100).await;
    let bartender = staff.get("/me").await.expect(200);
    let boss = admin.get("/me").await.expect(200);
    let (middle, early) = (whole[10]["at"].as_str().unwrap(), whole[20]["at"].as_str().unwrap());
    let actors = [String::new(), id(&bartender).into(), id(&boss).into(), "system".into()];
    let actions = ["", "order_moved", "account_role_changed", "recipe_added", "recipe_availability_changed"];
    let subjects = [String::new(), id(&order).into(), whole[10]["subject"]["id"].as_str().unwrap().into()];
    let mut found = BTreeSet::new();
    for actor in &actors {
        for action in actions {
            for kind in ["", "order", "recipe"] {
                for subject in &subjects {
                    for (from, until) in [("", ""), (early, middle)] {
                        let filter = format!(
                            "actor={actor}&action={action}&subject_kind={kind}&subject_id={subject}&from={from}&until={until}"
                        );
                        let is = |entry: &Value| {
                            let by = entry["actor_id"].as_str().unwrap_or("system");
                            let at = entry["at"].as_str().unwrap();
                            (actor.is_empty() || by == actor)
                                && (action.is_empty() || entry["action"] == action)
                                && (kind.is_empty() || entry["subject"]["kind"] == kind)
                                && (subject.is_empty() || entry["subject"]["id"] == **subject)
                                && (from.is_empty() || at >= from)
                                && (until.is_empty() || at < until)
                        };
                        let expected: Vec<_> = whole.iter().filter(|entry| is(entry)).cloned().collect();
                        assert_eq!(entries(&admin, &filter).await, expected, "{filter}");
                        found.insert(expected.len());
                    }
                }
            }
        }
    }
    assert!(found.len() > 6, "the filters hardly differ: {found:?}");
    let at = |entry: &Value| entry["at"].as_str().unwrap().to_owned();
    let since: Vec<_> = whole.iter().filter(|entry| *at(entry) >= *early).cloned().collect();
    assert_eq!(entries(&admin, &format!("from={early}")).await, since, "that moment is within");
    let before: Vec<_> = whole.iter().filter(|entry| *at(entry) < *early).cloned().collect();
    assert_eq!(entries(&admin, &format!("until={early}")).await, before, "that moment is not");
    let filter = format!("actor={}&subject_kind=order", id(&bartender));
    assert_eq!(by_pages(&admin, &filter, 3).await, entries(&admin, &filter).await);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_for_admins() {
    let bar = Bar::open(Sqlite).await;
    bar.stranger().get("/audit").await.expect_problem(401, "not-signed-in");
    for person in [bar.customer().await, bar.employee().await] {
        person.get("/audit").await.expect_problem(403, "not-permitted");
    }
    let admin = bar.admin().await;
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let answer = crate::support::person::send(admin.request(method, "/audit")).await;
        answer.expect_problem(405, "method-not-allowed");
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_makes_no_sense_is_refused() {
    let bar = Bar::open(Sqlite).await;
    let admin = bar.admin().await;
    for (query, field) in [
        ("colour=red", "colour"),
        ("actor_id=system", "actor_id"),
        ("actor=7", "actor"),
        ("actor=System", "actor"),
        ("action=order_lost", "action"),
        ("subject_kind=orders", "subject_kind"),
        ("subject_id=Negroni", "subject_id"),
        ("from=yesterday", "from"),
        ("from=2026-11-22", "from"),
        ("from=1969-12-31T23:59:59Z", "from"),
        ("until=9999-12-31T23:59:59-01:00", "until"),
        ("from=2026-11-22T15:00:00Z&until=2026-11-22T15:00:00Z", "until"),
        ("from=2026-11-22T15:00:00Z&from=2026-11-22T15:00:00Z", "from"),
        ("limit=101", "limit"),
        ("cursor=x", "cursor"),
    ] {
        let problem = admin.get(&format!("/audit?{query}")).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{query}");
    }
    admin.get("/audit?from=2026-11-22T16:00:00.123456789%2B01:00&until=&actor=&action=").await.expect(200);
    bar.close().await;
}
