//! Permissions: each route of the API, requested by each role.

use crate::support::{Bar, Sqlite, person::send};
use std::{collections::BTreeSet, fs, path::Path};

/// The lowest role that may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LowestRole {
    All,
    SignedIn,
    Staff,
    Admins,
}
use LowestRole::{Admins, All, SignedIn, Staff};

/// Every route, with its lowest role. A new route must be added here.
const ROUTES: &[(&str, &str, LowestRole)] = &[
    ("GET", "/healthz", All),
    ("GET", "/metrics", All),
    ("GET", "/readyz", All),
    ("GET", "/openapi.json", All),
    ("GET", "/docs", All),
    ("GET", "/docs/{name}", All),
    ("GET", "/problems", All),
    ("GET", "/problems/{name}", All),
    ("POST", "/register", All),
    ("POST", "/login", All),
    ("POST", "/token/refresh", All),
    ("GET", "/me", SignedIn),
    ("PUT", "/me/password", SignedIn),
    ("GET", "/users", Admins),
    ("GET", "/users/{id}", Admins),
    ("PATCH", "/users/{id}", Admins),
    ("GET", "/audit", Admins),
    ("GET", "/instances", Admins),
    ("GET", "/dead-letters", Admins),
    ("GET", "/dead-letters/{id}", Admins),
    ("POST", "/dead-letters/{id}/replay", Admins),
    ("DELETE", "/dead-letters/{id}", Admins),
    ("GET", "/recipes", All),
    ("POST", "/recipes", Staff),
    ("GET", "/recipes/{id}", All),
    ("PUT", "/recipes/{id}", Staff),
    ("DELETE", "/recipes/{id}", Staff),
    ("PUT", "/recipes/{id}/availability", Staff),
    ("GET", "/orders", SignedIn),
    ("POST", "/orders", SignedIn),
    ("POST", "/orders/next", Staff),
    ("POST", "/orders/cancel", Staff),
    ("GET", "/orders/{id}", SignedIn),
    ("GET", "/orders/{id}/history", SignedIn),
    ("GET", "/stream", SignedIn),
    ("POST", "/boards/{id}/seen", Staff),
    ("POST", "/orders/{id}/start", Staff),
    ("POST", "/orders/{id}/ready", Staff),
    ("POST", "/orders/{id}/complete", Staff),
    ("POST", "/orders/{id}/fail", Staff),
    ("POST", "/orders/{id}/undo", Staff),
    ("POST", "/orders/{id}/cancel", SignedIn),
    // The last one: who calls it is signed out.
    ("POST", "/logout", SignedIn),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_route_lets_in_those_it_is_for_and_nobody_else() {
    let bar = Bar::open(Sqlite).await;
    let everybody = [
        (All, bar.stranger()),
        (SignedIn, bar.customer().await),
        (Staff, bar.employee().await),
        (Admins, bar.admin().await),
    ];
    for (method, path, least) in ROUTES {
        let path = path.replace("{id}", "00000000-0000-7000-8000-000000000000");
        for (who, person) in &everybody {
            // Who may not is turned away before the body is looked at, so that none is needed.
            // A stream would never end.
            let method = if path == "/stream" && who >= least { "HEAD" } else { *method };
            let answer = send(person.request(method.parse().unwrap(), &path)).await;
            let shown = format!("{who:?} at {method} {path}: {} {}", answer.status, answer.text);
            match (who >= least, who) {
                (true, _) => assert!(![401, 403].contains(&answer.status), "{shown}"),
                (false, All) => {
                    assert_eq!(answer.status, 401, "{shown}");
                    answer.expect_problem(401, "not-signed-in");
                }
                (false, _) => {
                    assert_eq!(answer.status, 403, "{shown}");
                    answer.expect_problem(403, "not-permitted");
                }
            }
        }
    }
    bar.close().await;
}

#[test]
fn no_route_is_forgotten() {
    let mut served = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(path).unwrap();
            // One by one, or a line of the list in `routes.rs`.
            for begin in ["resource(\"", "route(\"", "\n    \""] {
                let paths = text.split(begin).skip(1).filter_map(|rest| rest.split('"').next());
                served.extend(paths.filter(|path| path.starts_with('/')).map(str::to_owned));
            }
        }
    }
    assert!(served.contains("/orders/{id}"), "routes are found in the sources");
    served.remove("/fault/block/{seconds}"); // in debug builds only, where a test asks for it
    served.remove("/orders/{id}/{move}"); // its moves are listed one by one
    let listed: BTreeSet<_> = ROUTES.iter().map(|(_, path, _)| (*path).to_owned()).collect();
    let missing: Vec<_> = served.difference(&listed).collect();
    assert!(missing.is_empty(), "who may call {missing:?}?");
}
