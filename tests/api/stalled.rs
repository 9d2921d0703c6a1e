//! Clients that send requests and do not read the answers.

use crate::support::{
    Bar, Person, Sqlite,
    database::Database,
    eventually,
    executable::{Role, serve_settings},
    raw::Raw,
};
use reqwest::Client;
use serde_json::json;
#[cfg(target_os = "linux")]
use std::net::SocketAddr;
use std::time::Duration;
use tokio::{net::TcpSocket, time::timeout};

/// Smallest value of `HTTP_ANSWER_BYTES`.
const ANSWER_BYTES: u32 = 4 << 20;
/// Receive buffer of a client, small so that little of an answer leaves the server.
const RECEIVE_BUFFER_BYTES: u32 = 4096;

/// A `serve` process, whose memory is measured.
struct StalledServe {
    role: Role,
    url: String,
    http: Client,
    /// Reads from the admin server, which always answers.
    admin: Person,
    guest: Person,
    _database: Database,
}

impl StalledServe {
    async fn start() -> Self {
        let database = Database::file();
        let bytes = ANSWER_BYTES.to_string();
        let environment = serve_settings(
            &database.url,
            &[("ADMIN_ADDR", "127.0.0.1:0"), ("HTTP_THREADS", "1"), ("HTTP_ANSWER_BYTES", &bytes)],
        );
        let mut role = Role::start(&["serve", "--demo"], &environment);
        let (admin, url, http) = (role.admin_url().await, role.url().await, Client::new());
        let admin = Person::new(&http, &admin, None);
        let guest = Person::new(&http, &url, None).sign_in("user@example.com").await;
        Self { role, url, http, admin, guest, _database: database }
    }

    fn stranger(&self) -> Person {
        Person::new(&self.http, &self.url, None)
    }

    /// Places orders until the guest's list has about half a megabyte.
    async fn fill(&self) {
        let item = json!({ "recipe": "Negroni", "note": "ö".repeat(200) });
        for _ in 0..50 {
            self.guest.post("/orders", json!({ "items": vec![&item; 20] })).await.expect(201);
        }
    }

    /// Builds a request for the guest's list.
    fn list(&self) -> String {
        format!(
            "GET /orders?limit=100 HTTP/1.1\r\nHost: bar\r\nAuthorization: Bearer {}\r\n\r\n",
            self.guest.token()
        )
    }

    /// Sends a request on this many connections and reads nothing.
    async fn stall(&self, request: &str, connections: usize) -> Vec<Raw> {
        let mut stalled = Vec::new();
        for _ in 0..connections {
            let mut raw = open_small(&self.url).await;
            raw.send(request.as_bytes()).await;
            stalled.push(raw);
        }
        stalled
    }

    /// Sums the series whose lines begin with `series`.
    async fn metric(&self, line: &str) -> Option<f64> {
        let text = self.admin.get("/metrics").await;
        let lines = text.text.lines().filter(|of| of.starts_with(line));
        let values: Vec<f64> = lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
        (text.status == 200).then(|| values.iter().sum())
    }

    async fn until(&self, what: &str, metric: &str, holds: impl Fn(f64) -> bool) {
        eventually(what, async || self.metric(metric).await.filter(|value| holds(*value))).await;
    }
}

async fn open_small(url: &str) -> Raw {
    let (_, address) = url.split_once("://").expect("a URL");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES).expect("a small buffer");
    Raw(socket.connect(address.parse().expect("an address")).await.expect("the bar listens"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_take_no_more_memory_than_they_may() {
    let bar = StalledServe::start().await;
    bar.fill().await;
    let mut stalled = bar.stall(&bar.list(), 30).await;
    bar.until("refusals", "shakerqueue_http_answers_refused_total", |refused| refused > 10.0).await;
    let held = bar.metric("shakerqueue_http_answer_bytes").await.expect("metrics");
    assert!((1e6..=f64::from(ANSWER_BYTES)).contains(&held), "{held}");
    // Who wants as much has to wait. All others are served.
    let mut refused = bar.guest.get("/orders?limit=100").await;
    for _ in 0..20 {
        if refused.status == 503 {
            break;
        }
        // What the sockets' buffers took meanwhile made room for one more.
        stalled.extend(bar.stall(&bar.list(), 2).await);
        refused = bar.guest.get("/orders?limit=100").await;
    }
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    refused.expect_problem(503, "unavailable");
    for path in ["/healthz", "/readyz", "/recipes", "/docs"] {
        bar.stranger().get(path).await.expect(200);
    }
    for _ in 0..10 {
        bar.guest.order("Negroni").await;
    }
    drop(stalled);
    bar.until("all is given back", "shakerqueue_http_answer_bytes", |held| held < 2e5).await;
    bar.guest.get("/orders?limit=100").await.expect(200);
    bar.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_answered_503_for_want_of_memory_is_not_recorded() {
    let bar = StalledServe::start().await;
    // What is shared takes but the connections' buffers: so many of them take all.
    let request = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: bar\r\nAccept-Encoding: gzip\r\n\r\n";
    let mut stalled = bar.stall(request, 200).await;
    let order = async || bar.guest.post("/orders", json!({ "recipe": "Negroni", "table": "13" })).await;
    let (mut taken, mut refused) = (0, 0);
    while refused < 5 {
        let answer = order().await;
        if answer.status == 201 {
            // The sockets' buffers took what others held: more clients are needed.
            taken += 1;
            assert!(taken < 100, "nothing is refused");
            stalled.extend(bar.stall(request, 10).await);
        } else {
            refused += 1;
            answer.expect_problem(503, "unavailable");
        }
    }
    for path in ["/healthz", "/readyz"] {
        bar.stranger().get(path).await.expect(200);
    }
    drop(stalled);
    bar.until("all is given back", "shakerqueue_http_answer_bytes", |held| held < 2e5).await;
    let recorded = async || {
        let orders = bar.guest.get("/orders?table=13").await.expect(200);
        orders["orders"].as_array().expect("orders").len()
    };
    assert_eq!(recorded().await, taken);
    order().await.expect(201);
    assert_eq!(recorded().await, taken + 1);
    bar.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_behind_an_answer_that_nobody_reads_are_not_answered() {
    let bar = StalledServe::start().await;
    bar.fill().await;
    let lists = r#"http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="/orders"}"#;
    assert_eq!(bar.metric(lists).await, Some(0.0));
    let mut stalled = bar.stall(&bar.list(), 1).await;
    bar.until("the answer", lists, |answered| answered > 0.0).await;
    let rest = bar.list().repeat(50);
    let all = stalled[0].send(rest.as_bytes());
    // Not all of it is read.
    let _ = timeout(Duration::from_millis(500), all).await;
    // The only thread has had the time to look at them.
    for _ in 0..20 {
        bar.stranger().get("/recipes").await.expect(200);
    }
    assert_eq!(bar.metric(lists).await, Some(1.0));
    bar.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_a_pipeline_are_all_answered() {
    let bar = Bar::open(Sqlite).await;
    let mut raw = Raw::open(&bar.url).await;
    let requests: String = (0..400)
        .map(|number| match number % 3 {
            0 => "GET /healthz HTTP/1.1\r\nHost: bar\r\n\r\n".to_owned(),
            // No bodies: a connection on which only a part of the next request's is there ends with the answer.
            1 => format!("GET /recipes/Negroni HTTP/1.1\r\nHost: bar\r\nX-Long: {}\r\n\r\n", "x".repeat(700)),
            _ => "POST /orders HTTP/1.1\r\nHost: bar\r\nContent-Length: 0\r\n\r\n".to_owned(),
        })
        .collect();
    let (mut reader, mut writer) = raw.0.split();
    let send = async { tokio::io::AsyncWriteExt::write_all(&mut writer, requests.as_bytes()).await };
    let receive = async {
        let (mut answers, mut bytes) = (0, Vec::new());
        while answers < 400 {
            let read = tokio::io::AsyncReadExt::read_buf(&mut reader, &mut bytes).await.expect("more");
            let last = bytes.len().saturating_sub(600);
            assert!(read > 0, "hung up after {answers}: {}", String::from_utf8_lossy(&bytes[last..]));
            answers = String::from_utf8_lossy(&bytes).matches("HTTP/1.1 ").count();
        }
    };
    let (outcome, ()) = timeout(crate::support::WAIT_TIMEOUT, async { tokio::join!(send, receive) })
        .await
        .expect("all answers");
    outcome.expect("all was read");
    bar.close().await;
}

/// Returns true if the server has not closed this connection.
async fn is_kept(raw: &mut Raw) -> bool {
    raw.send(b"GET /healthz HTTP/1.1\r\nHost: bar\r\n\r\n").await;
    raw.answer().await.is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_has_a_quarter_of_the_connections() {
    let flags = ["--rate-limits", "on", "--http-connections", "12"];
    let bar = Bar::open_on(Database::new(Sqlite).await, &flags).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        let mut raw = Raw::open(&bar.url).await;
        assert!(is_kept(&mut raw).await);
        kept.push(raw);
    }
    for _ in 0..20 {
        assert!(!is_kept(&mut Raw::open(&bar.url).await).await, "one too many");
    }
    #[cfg(target_os = "linux")]
    assert!(is_kept(&mut from_another_address(&bar.url).await).await);
    kept.pop();
    eventually("its place is free", async || is_kept(&mut Raw::open(&bar.url).await).await.then_some(()))
        .await;
    drop(kept);
    bar.close().await;
}

/// Connects from another address of this machine: all of 127.0.0.0/8 is.
#[cfg(target_os = "linux")]
async fn from_another_address(url: &str) -> Raw {
    let (_, address) = url.split_once("://").expect("a URL");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from(([127, 0, 0, 2], 0))).expect("an address");
    Raw(socket.connect(address.parse().expect("an address")).await.expect("the bar listens"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_and_load_tests_have_all_connections() {
    for flags in [
        ["--rate-limits", "on", "--trusted-proxies", "127.0.0.1"],
        ["--rate-limits", "off", "--trusted-proxies", ""],
    ] {
        let flags = [&flags[..], &["--http-connections", "12"]].concat();
        let bar = Bar::open_on(Database::new(Sqlite).await, &flags).await;
        let mut kept = Vec::new();
        for _ in 0..10 {
            let mut raw = Raw::open(&bar.url).await;
            assert!(is_kept(&mut raw).await, "{flags:?}");
            kept.push(raw);
        }
        drop(kept);
        bar.close().await;
    }
}
