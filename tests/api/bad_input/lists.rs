//! Cursors, filters and limits of lists that are invalid.

use super::are_refused;
use crate::support::{Bar, DatabaseKind, PostgreSql, Sqlite};
use reqwest::Method;
use rstest::rstest;

/// Builds invalid cursors: rubbish, and damaged copies of a good one.
fn rubbish(good: &str) -> Vec<String> {
    let (list, moment, id) = (&good[..1], &good[1..17], &good[17..]);
    [
        "x".into(),
        "null".into(),
        "%00".into(),
        "%C3%B1".repeat(9),
        "' OR 1=1 --".into(),
        list.into(),
        good[..40].into(),
        format!("{good}0"),
        good.to_uppercase(),
        format!("{list}{moment}{}", "g".repeat(id.len())),
        // Moments that no database has: a sign is no digit.
        format!("{list}-{}{id}", "f".repeat(15)),
        format!("{list}%2B{}{id}", "1".repeat(15)),
        format!("{list}7{}{id}", "f".repeat(15)),
        format!("{list}{}{id}", "f".repeat(16)),
    ]
    .into()
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_must_be_one_that_the_list_gave(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, bartender, admin) = (bar.guest().await, bar.employee().await, bar.admin().await);
    for _ in 0..2 {
        guest.order("Negroni").await;
    }
    let lists = [
        (&guest, "/orders?"),
        (&bartender, "/orders?status=pending&"),
        (&admin, "/users?"),
        // Another list than without the conditions.
        (&bartender, "/orders?drink=negroni&"),
        (&bartender, "/orders?drink=negroni&status=pending&"),
        (&admin, "/users?q=example&active=true&"),
    ];
    let mut cursors = Vec::new();
    for (who, path) in lists {
        let page = who.get(&format!("{path}limit=1")).await.expect(200);
        cursors.push(page["next_cursor"].as_str().expect("a cursor").to_owned());
    }
    let mut cases = Vec::new();
    for (at, (who, path)) in lists.into_iter().enumerate() {
        let others = cursors.iter().filter(|cursor| **cursor != cursors[at]).cloned();
        for cursor in rubbish(&cursors[at]).into_iter().chain(others) {
            let request = who.request(Method::GET, &format!("{path}cursor={cursor}"));
            cases.push((request, 422, "invalid", "cursor"));
        }
    }
    are_refused(&bar, cases).await;
    bar.close().await;
}

/// Paths with a wrong parameter, and its name.
const WRONG_PARAMETERS: [(&str, &str); 38] = [
    ("/orders?colour=red", "colour"),
    ("/orders?limit=5&colour=red", "colour"),
    ("/orders?Limit=5", "Limit"),
    ("/orders?customer_id=7", "customer_id"),
    ("/orders?customer=7", "customer"),
    ("/orders?customer=negroni", "customer"),
    ("/orders?drink=%20", "drink"),
    ("/orders?placed_from=yesterday", "placed_from"),
    ("/orders?placed_from=2026-11-22", "placed_from"),
    ("/orders?placed_from=2026-11-22T15:00:00", "placed_from"),
    ("/orders?placed_until=1969-12-31T23:59:59Z", "placed_until"),
    ("/orders?placed_until=2026-02-30T00:00:00Z", "placed_until"),
    ("/orders?placed_from=2026-11-22T15:00:00Z&placed_until=2026-11-22T15:00:00Z", "placed_until"),
    ("/orders?status=pending,thirsty", "status"),
    ("/orders?status=pending,", "status"),
    ("/orders?status=,pending", "status"),
    ("/users?role=owner", "role"),
    ("/users?active=yes", "active"),
    ("/users?q=%20", "q"),
    ("/users?q=%00", "q"),
    ("/recipes?available=1", "available"),
    ("/recipes?build=soup", "build"),
    ("/users?status=pending", "status"),
    ("/recipes?limit=5", "limit"),
    ("/orders?limit=5&limit=5", "limit"),
    ("/orders?table=7&table=8", "table"),
    ("/orders?cursor=a&cursor=b", "cursor"),
    ("/orders?limit=0", "limit"),
    ("/orders?limit=101", "limit"),
    ("/orders?limit=-1", "limit"),
    ("/orders?limit=x", "limit"),
    ("/orders?limit=1.5", "limit"),
    ("/orders?limit=99999999999999999999", "limit"),
    ("/users?limit=0", "limit"),
    ("/users?limit=101", "limit"),
    ("/orders?status=thirsty", "status"),
    ("/orders?status=Pending", "status"),
    ("/orders?table=%20", "table"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_are_known_given_once_and_within_bounds() {
    let bar = Bar::open(Sqlite).await;
    let admin = bar.admin().await;
    let long = format!("/orders?table={}", "t".repeat(41));
    let long_drink = format!("/orders?drink={}", "d".repeat(81));
    let long_search = format!("/users?q={}", "q".repeat(81));
    let cases =
        [(&*long, "table"), (&long_drink, "drink"), (&long_search, "q")].into_iter().chain(WRONG_PARAMETERS);
    are_refused(&bar, cases.map(|(path, field)| (admin.request(Method::GET, path), 422, "invalid", field)))
        .await;
    for path in [
        "/orders?limit=1",
        "/orders?limit=100",
        "/orders?status=&table=&limit=&cursor=",
        "/users?q=&role=",
        "/recipes?q=",
    ] {
        admin.get(path).await.expect(200);
    }
    bar.close().await;
}
