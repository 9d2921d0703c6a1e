//! The API around the feed: cursors of lists, limits on streams, and their ends.

use crate::openapi::{document, misfit};
use crate::support::{
    Bar, DatabaseKind, Person, PostgreSql, Sqlite,
    bar::SECRET,
    database::Database,
    events::Events,
    eventually,
    executable::{Role, serve_settings},
    person::{id, send},
    raw::Raw,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, decode_header, encode};
use reqwest::{Client, Method};
use rstest::rstest;
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::TcpSocket;

/// Longest time between a lost permission and the end of the streams that had it.
const END_TIMEOUT: Duration = Duration::from_secs(5);
const BOARD: &str = "/stream?board=01a203c7-a828-7562-865f-b3ef9919e243";

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_says_from_where_on_its_changes_come(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let order = guest.order("Negroni").await;
    for path in ["/orders", "/orders?status=pending", "/recipes", "/recipes?q=gin"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("/orders/{}", id(&order))])
    {
        let answer = guest.get(&path).await;
        let cursor =
            answer.header("changes-cursor").unwrap_or_else(|| panic!("{path}: no cursor")).to_owned();
        let later = guest.order("Margarita").await;
        let mut events = Events::open(&guest, "/stream", Some(&cursor)).await;
        // What the list has may come again.
        while id(&events.next_named("order").await) != id(&later) {}
        bartender.moves(&later, "start").await.expect(200);
        assert_eq!(events.next_named("order").await["version"], 2, "{path}");
        bartender.moves(&later, "ready").await.expect(200);
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_menus_cursor_is_of_the_request_and_not_of_the_page(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let guest = bar.guest().await;
    let first = guest.get("/recipes").await;
    let tag = first.header("etag").expect("a tag").to_owned();
    guest.order("Negroni").await;
    eventually("a cursor behind the order, with the same page", async || {
        let known = guest.request(Method::GET, "/recipes").header("If-None-Match", &tag);
        let again = send(known).await;
        assert_eq!((again.status, again.header("etag")), (304, Some(tag.as_str())));
        let cursor = again.header("changes-cursor").expect("a cursor");
        (position(cursor) != position(first.header("changes-cursor").expect("a cursor"))).then_some(())
    })
    .await;
    assert_eq!(guest.get("/recipes/negroni").await.header("changes-cursor"), None);
    bar.close().await;
}

/// The part of a cursor that does not only tell the time.
fn position(cursor: &str) -> &str {
    cursor.rsplit('.').next().expect("a position")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_take_no_connections_from_others_and_have_a_limit_of_their_own() {
    let flags = ["--http-connections", "4", "--streams", "8"];
    let bar = Bar::open_on(Database::new(Sqlite).await, &flags).await;
    let guest = bar.guest().await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(Events::open(&guest, "/stream", None).await);
    }
    let refused = guest.get("/stream").await;
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    refused.expect_problem(503, "unavailable");
    // The other connection is the one that was kept after the refusal.
    let mut connections = Vec::new();
    for _ in 0..3 {
        let mut raw = Raw::open(&bar.url).await;
        raw.send(b"GET /healthz HTTP/1.1\r\nHost: bar\r\n\r\n").await;
        assert_eq!(raw.answer().await.expect("an answer").status, 200);
        connections.push(raw);
    }
    let order = guest.order("Negroni").await;
    for events in &mut streams {
        assert_eq!(id(&events.next_named("order").await), id(&order));
    }
    drop((streams.pop(), connections));
    // Not only once a heartbeat has failed.
    let left = Instant::now();
    eventually("room for another", async || {
        let asked = guest.request(Method::GET, "/stream").send().await.expect("an answer");
        (asked.status() == 200).then_some(())
    })
    .await;
    assert!(left.elapsed() < Duration::from_secs(3), "{:?}", left.elapsed());
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_has_a_quarter_of_the_streams() {
    let flags = ["--rate-limits", "on", "--http-connections", "40", "--streams", "8"];
    let bar = Bar::open_on(Database::new(Sqlite).await, &flags).await;
    let guest = bar.guest().await;
    let (first, second) =
        (Events::open(&guest, "/stream", None).await, Events::open(&guest, "/stream", None).await);
    assert!(first.header("ratelimit").is_some_and(|limit| limit.contains("reading")), "it counts once");
    guest.get("/stream").await.expect_problem(503, "unavailable");
    guest.get("/orders").await.expect(200);
    drop((first, second));
    eventually("room for another", async || {
        let asked = guest.request(Method::GET, "/stream").send().await.expect("an answer");
        (asked.status() == 200).then_some(())
    })
    .await;
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_say_bye_when_the_bar_closes_and_do_not_delay_it(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(Events::open(&guest, "/stream", None).await);
        streams.push(Events::open(&bartender, BOARD, None).await);
    }
    let closing = tokio::spawn(async move {
        let begun = Instant::now();
        bar.close().await;
        begun.elapsed()
    });
    let mut retries = Vec::new();
    for events in &mut streams {
        retries.push(events.next_named("bye").await["retry_ms"].as_u64().expect("milliseconds"));
        assert!(events.next().await.is_none(), "nothing behind it");
    }
    retries.sort_unstable();
    retries.dedup();
    assert!(retries.len() > 10, "clients come back one by one: {retries:?}");
    let took = closing.await.expect("no panic");
    assert!(took < Duration::from_secs(4), "{took:?}");
}

/// Signs a copy of a token that expires soon.
fn expiring(token: &str, seconds: u64) -> String {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("claims")).expect("base64");
    let mut claims: Value = serde_json::from_slice(&claims).expect("JSON");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
    claims["exp"] = json!(now + seconds);
    let header = decode_header(token).expect("a header");
    encode(&header, &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("a token")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_its_token_expires() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let begun = Instant::now();
    let soon = bar.holder_of(&expiring(guest.token(), 3));
    let mut events = Events::open(&soon, "/stream", None).await;
    events.next_named("bye").await;
    let took = begun.elapsed();
    assert!((2..=4).contains(&took.as_secs()), "{took:?}");
    assert!(events.next().await.is_none());
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_what_its_caller_may_do(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let another = if database == PostgreSql { Some(bar.another().await) } else { None };
    // Streams at one `serve`, changes at another if there is one.
    let url = another.as_ref().map_or(&bar.url, |another| &another.url);
    let (admin, guest, leaving) = (bar.admin().await, bar.guest().await, bar.guest().await);
    let account =
        admin.get(&format!("/users?q={}", name(&guest).await)).await.expect(200)["users"][0].clone();
    let path = format!("/users/{}", id(&account));
    for change in [json!({ "role": "employee" }), json!({ "role": "customer" }), json!({ "active": false })] {
        let mut events = Events::open(&guest.at(url), "/stream", None).await;
        let begun = Instant::now();
        admin.patch_if(&path, "*", change.clone()).await.expect(200);
        events.next_named("bye").await;
        assert!(begun.elapsed() < END_TIMEOUT, "{change}: {:?}", begun.elapsed());
        assert!(events.next().await.is_none());
    }
    let mut events = Events::open(&leaving.at(url), "/stream", None).await;
    let begun = Instant::now();
    leaving.ask("/logout").await.expect(204);
    events.next_named("bye").await;
    assert!(begun.elapsed() < END_TIMEOUT, "logout: {:?}", begun.elapsed());
    if let Some(another) = another {
        drop(events);
        another.close().await;
    }
    bar.close().await;
}

async fn name(person: &Person) -> String {
    person.get("/me").await.expect(200)["username"].as_str().expect("a name").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_head_of_a_stream_comes_alone_and_wrong_requests_are_refused() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let head = guest.request(Method::HEAD, "/stream").header("Accept-Encoding", "gzip");
    let head = send(head.header("Accept", "text/event-stream")).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    let get = guest.request(Method::GET, "/stream").header("Accept-Encoding", "gzip").send().await;
    let get = get.expect("an answer");
    for (name, value) in [
        ("content-type", Some("text/event-stream")),
        ("cache-control", Some("no-store, no-transform")),
        ("x-accel-buffering", Some("no")),
        ("content-encoding", None),
        ("content-length", None),
    ] {
        let header = get.headers().get(name).map(|value| value.to_str().expect("text"));
        assert_eq!((header, head.header(name)), (value, value), "{name}");
    }
    for (path, field) in
        [("/stream?board=7", "board"), ("/stream?station=terrace", "station"), ("/stream?limit=5", "limit")]
    {
        let problem = guest.get(path).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    bar.stranger().get("/stream").await.expect_problem(401, "not-signed-in");
    send(guest.request(Method::POST, "/stream")).await.expect_problem(405, "method-not-allowed");
    // An absent board, as in any query.
    Events::open(&guest, "/stream?board=", None).await;
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_as_the_document_says(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open_on(Database::new(database).await, &["--unseen-seconds", "1"]).await;
    let bartender = bar.employee().await;
    let document = document();
    let listed =
        &document["paths"]["/stream"]["get"]["responses"]["200"]["content"]["text/event-stream"]["schema"];
    let described = listed["description"].as_str().expect("a description");
    let mut seen = Vec::new();
    let mut check = |name: &str, data: &Value| {
        let schema = format!("{}{}Event", name[..1].to_uppercase(), &name[1..]);
        assert!(described.contains(&format!("`{name}`: `{schema}`")), "{described}");
        let schema = &document["components"]["schemas"][schema];
        assert_eq!(misfit(&document, schema, data), None, "{name}: {data}");
        let fields = |value: &Value| value.as_object().map_or(0, serde_json::Map::len);
        assert_eq!(fields(&schema["properties"]), fields(data), "{name}: {data}");
        seen.push(name.to_owned());
    };
    let hello = send_and_read(&bartender, BOARD, "hello").await;
    check("hello", &hello);
    assert_eq!(hello["heartbeat_seconds"], 3);
    let hello = send_and_read(&bartender, "/stream", "hello").await;
    assert_eq!(hello["heartbeat_seconds"], 15);
    check("reset", &Events::open(&bartender, BOARD, Some("rubbish")).await.next_named("reset").await);
    let mut events = Events::open(&bartender, BOARD, None).await;
    let report = json!({ "cursor": events.next_id().await });
    let board = BOARD.strip_prefix("/stream?board=").expect("a board");
    bartender.post(&format!("/boards/{board}/seen"), report).await.expect(204);
    bartender.post("/orders", json!({ "recipe": "Negroni", "table": 4 })).await.expect(201);
    check("order", &events.next_named("order").await);
    check("unseen", &events.next_named("unseen").await);
    bartender.put("/recipes/Negroni/availability", json!({ "available": false })).await.expect(200);
    check("menu", &events.next_named("menu").await);
    let begun = Instant::now();
    let lag = events.next_named("lag").await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    check("lag", &lag);
    let closing = tokio::spawn(bar.close());
    check("bye", &events.next_named("bye").await);
    closing.await.expect("no panic");
    let all = listed["contentSchema"]["anyOf"].as_array().expect("schemas");
    assert_eq!(seen.len(), all.len(), "{seen:?}");
}

/// Opens a stream without the helper, which reads the greeting itself.
async fn send_and_read(person: &Person, path: &str, name: &str) -> Value {
    let mut response = person.request(Method::GET, path).send().await.expect("an answer");
    let first = response.chunk().await.expect("a stream").expect("a greeting");
    let text = String::from_utf8(first.to_vec()).expect("text");
    let data = text.strip_prefix(&format!("event: {name}\ndata: ")).unwrap_or_else(|| panic!("{text}"));
    serde_json::from_str(data.lines().next().expect("a line")).expect("JSON")
}

/// A `serve` process, whose metrics are its own.
struct Serve {
    role: Role,
    url: String,
    bartender: Person,
    _database: Database,
}

impl Serve {
    async fn start() -> Self {
        let database = Database::file();
        let settings = [("HTTP_THREADS", "1"), ("RATE_LIMITS", "off"), ("OPEN_ORDERS", "off")];
        let mut role = Role::start(&["serve", "--demo"], &serve_settings(&database.url, &settings));
        let url = role.url().await;
        let bartender = Person::new(&Client::new(), &url, None).sign_in("employee@example.com").await;
        Self { role, url, bartender, _database: database }
    }

    /// Sums the series whose lines begin with a text and contain another.
    async fn metric(&self, begin: &str, within: &str) -> f64 {
        let text = self.bartender.get("/metrics").await.text;
        let lines = text.lines().filter(|line| line.starts_with(begin) && line.contains(within));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_recorded_when_it_begins_and_not_for_its_life() {
    let bar = Serve::start().await;
    let count = async || bar.metric("http_server_request_duration_seconds_count", "/stream").await;
    let events = Events::open(&bar.bartender, BOARD, None).await;
    assert!((count().await - 1.0).abs() < f64::EPSILON, "it is recorded while it is open");
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(events);
    let sum = bar.metric("http_server_request_duration_seconds_sum", "/stream").await;
    assert!(sum < 1.0, "{sum}");
    assert!((count().await - 1.0).abs() < f64::EPSILON, "and once");
    bar.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_that_does_not_read_is_closed_and_holds_little_memory() {
    let bar = Serve::start().await;
    let (_, address) = bar.url.split_once("://").expect("a URL");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut silent = Raw(socket.connect(address.parse().expect("an address")).await.expect("it listens"));
    let request = format!(
        "GET {BOARD} HTTP/1.1\r\nHost: bar\r\nAuthorization: Bearer {}\r\n\r\n",
        bar.bartender.token()
    );
    silent.send(request.as_bytes()).await;
    let mut reading = Events::open(&bar.bartender, BOARD, None).await;
    let held = async || bar.metric("shakerqueue_http_answer_bytes", "").await;
    eventually("both to hold nothing, while there is nothing to read", async || {
        (held().await <= f64::from(64 * 1024)).then_some(())
    })
    .await;
    // More than the system's buffers take.
    let item = json!({ "recipe": "Negroni", "note": "ö".repeat(200) });
    let cut = async || bar.metric("shakerqueue_http_slow_readers_total", "").await;
    let (mut placed, begun) = (0, Instant::now());
    while cut().await < 1.0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "not closed after {placed} orders");
        let order = bar.bartender.post("/orders", json!({ "items": vec![&item; 20] })).await.expect(201);
        assert_eq!(id(&reading.next_named("order").await), id(&order), "others are served");
        placed += 1;
        // The scrape has a reservation of its own.
        let held = held().await;
        assert!(held <= f64::from(3 * 64 * 1024), "{held}");
    }
    assert!(begun.elapsed() > Duration::from_secs(15), "{:?}", begun.elapsed());
    drop(reading);
    bar.role.stop().await;
}
