//! Traces, as a collector receives them.

mod collector;

use crate::support::{
    Person,
    database::{Database, FAULT_TRIGGER},
    eventually,
    executable::{Role, serve_settings},
    installation::Installation,
    person::send,
};
use collector::{Collector, ReceivedSpan, attribute};
use futures_util::future::join_all;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeSet;

const CLIENT_TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CLIENT_TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const CLIENT_SPAN_ID: &str = "b7ad6b7169203331";

/// An installation whose `serve` and `work` send their spans here.
struct TracedInstallation {
    bar: Installation,
    collector: Collector,
    serve: Role,
    work: Role,
    url: String,
}

impl TracedInstallation {
    async fn new(settings: &[(&str, &str)]) -> Self {
        let (bar, collector) = (Installation::new().await, Collector::start());
        let all = [&collector.settings()[..], settings].concat();
        let (serve, url) = bar.serve_with(&all).await;
        let work = bar.work_with(&all).await;
        Self { bar, collector, serve, work, url }
    }

    async fn guest(&self) -> Person {
        self.bar.sign_in(&self.url, "user@example.com").await
    }

    /// Stops both and returns all spans.
    async fn end(self) -> Vec<ReceivedSpan> {
        self.serve.stop().await;
        self.work.stop().await;
        self.bar.prefix.clear().await;
        self.collector.spans()
    }
}

fn named<'a>(spans: &'a [ReceivedSpan], name: &str) -> Vec<&'a ReceivedSpan> {
    spans.iter().filter(|seen| seen.span.name == name).collect()
}

/// Returns the only child of a span with this name.
#[track_caller]
fn child<'a>(spans: &'a [ReceivedSpan], parent: &ReceivedSpan, name: &str) -> &'a ReceivedSpan {
    let mut below = named(spans, name);
    below.retain(|seen| seen.span.parent_span_id == parent.span.span_id);
    let [only] = below[..] else { panic!("{} × {name} below {}", below.len(), parent.span.name) };
    assert_eq!(only.span.trace_id, parent.span.trace_id, "{name} is in another trace");
    only
}

fn stored(bar: &Installation, orders: i64) -> impl Future<Output = ()> {
    eventually("the orders to be stored", async move || {
        (bar.database.count("orders").await == orders).then_some(())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_from_the_request_through_the_broker_to_the_commit() {
    let traced = TracedInstallation::new(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let guest = traced.guest().await;
    let order = guest.request(Method::POST, "/orders").header("traceparent", CLIENT_TRACEPARENT);
    let order = order.header("tracestate", "bar=1").header("X-Request-Id", "round-7");
    let order = send(order.json(&json!({ "recipe": "Negroni" }))).await.expect(202);
    stored(&traced.bar, 1).await;
    let spans = traced.end().await;

    let requests = named(&spans, "POST /orders");
    let [request] = requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!(request.trace_id(), CLIENT_TRACE_ID);
    assert_eq!(request.parent_id(), CLIENT_SPAN_ID);
    assert_eq!((request.span.kind(), request.role.as_str()), (SpanKind::Server, "serve"));
    assert_eq!(attribute(&request.span, "http.route").as_deref(), Some("/orders"));
    assert_eq!(attribute(&request.span, "http.response.status_code").as_deref(), Some("202"));
    assert_eq!(attribute(&request.span, "shakerqueue.request_id").as_deref(), Some("round-7"));

    let sent = child(&spans, request, "send order");
    assert_eq!((sent.span.kind(), sent.role.as_str()), (SpanKind::Producer, "serve"));
    assert_eq!(attribute(&sent.span, "messaging.message.id").as_deref(), order["id"].as_str());
    let processed = child(&spans, sent, "process order");
    assert_eq!((processed.span.kind(), processed.role.as_str()), (SpanKind::Consumer, "work"));
    assert_eq!(processed.span.trace_state, "bar=1");
    assert_eq!(attribute(&processed.span, "shakerqueue.outcome").as_deref(), Some("recorded"));
    let batch = child(&spans, processed, "record batch");
    let linked: Vec<_> = batch.span.links.iter().map(|link| &link.span_id).collect();
    assert_eq!(linked, [&processed.span.span_id], "the batch is linked to its order");
    assert_eq!(processed.span.links[0].span_id, batch.span.span_id, "and the order to its batch");
    let transaction = child(&spans, batch, "transaction");
    assert_eq!(attribute(&transaction.span, "db.system.name").as_deref(), Some("postgresql"));
    let commit = child(&spans, transaction, "COMMIT");
    assert!(processed.span.end_time_unix_nano >= commit.span.end_time_unix_nano);
    // As text, for whoever reads the output of this test.
    println!("{}", collector::drawn(&spans, CLIENT_TRACE_ID));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_travel_and_are_stored_together_keep_their_traces() {
    const ORDERS: usize = 150;
    let traced = TracedInstallation::new(&[]).await;
    let guest = traced.guest().await;
    let orders = (0..ORDERS).map(|_| guest.post("/orders", json!({ "recipe": "Negroni" })));
    for answer in join_all(orders).await {
        answer.expect(202);
    }
    stored(&traced.bar, 150).await;
    let spans = traced.end().await;
    let ids = |name| named(&spans, name).into_iter().map(ReceivedSpan::trace_id).collect::<BTreeSet<_>>();
    assert_eq!(ids("POST /orders").len(), ORDERS);
    assert_eq!(ids("process order"), ids("POST /orders"));
    let batches = named(&spans, "record batch");
    assert!(batches.len() < ORDERS, "some were stored together");
    let linked: BTreeSet<_> =
        batches.iter().flat_map(|batch| &batch.span.links).map(|link| link.span_id.clone()).collect();
    let processed: BTreeSet<_> =
        named(&spans, "process order").iter().map(|seen| seen.span.span_id.clone()).collect();
    assert_eq!(linked, processed, "each is linked by the batch that it was stored in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_comes_again_stays_in_its_trace() {
    let traced = TracedInstallation::new(&[("RETRY_SECONDS", "1,1,1,1,1")]).await;
    let guest = traced.guest().await;
    let client = traced.bar.database.client().await;
    client.batch_execute(FAULT_TRIGGER).await.unwrap();
    guest.post("/orders", json!({ "recipe": "Negroni", "note": "poison" })).await.expect(202);
    eventually("it to be tried", async || {
        (traced.collector.spans().iter().any(|seen| seen.span.name == "process order")).then_some(())
    })
    .await;
    client.batch_execute("DROP TRIGGER fault ON orders").await.unwrap();
    stored(&traced.bar, 1).await;
    let spans = traced.end().await;
    let tries = named(&spans, "process order");
    let outcomes: Vec<_> = tries.iter().map(|seen| attribute(&seen.span, "shakerqueue.outcome")).collect();
    assert!(tries.len() > 1, "{outcomes:?}");
    assert_eq!(outcomes.last().unwrap().as_deref(), Some("recorded"));
    assert_eq!(tries.iter().map(|seen| seen.trace_id()).collect::<BTreeSet<_>>().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_trusted_proxy_does_not_decide_what_is_traced() {
    let traced = TracedInstallation::new(&[]).await;
    let guest = traced.guest().await;
    let order = guest.request(Method::POST, "/orders").header("traceparent", CLIENT_TRACEPARENT);
    send(order.json(&json!({ "recipe": "Negroni" }))).await.expect(202);
    let spans = traced.end().await;
    let requests = named(&spans, "POST /orders");
    assert_eq!(requests.len(), 1);
    assert!(requests[0].trace_id() != CLIENT_TRACE_ID && requests[0].span.parent_span_id.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_of_what_is_not_sampled() {
    let traced = TracedInstallation::new(&[("OTEL_TRACES_SAMPLER_ARG", "0")]).await;
    let guest = traced.guest().await;
    guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    stored(&traced.bar, 1).await;
    assert!(traced.end().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_proxy_does_not_sample_is_not_sampled_here() {
    let traced = TracedInstallation::new(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let guest = traced.guest().await;
    let order = guest
        .request(Method::POST, "/orders")
        .header("traceparent", CLIENT_TRACEPARENT.replace("-01", "-00"));
    send(order.json(&json!({ "recipe": "Negroni" }))).await.expect(202);
    stored(&traced.bar, 1).await;
    let spans = traced.end().await;
    assert!(!named(&spans, "POST /login").is_empty(), "others are");
    assert!(named(&spans, "POST /orders").is_empty() && named(&spans, "process order").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_the_trace_leads_to_the_commit_too() {
    let (database, collector) = (Database::file(), Collector::start());
    let traced = [&[("OTEL_SERVICE_NAME", "the bar")], &collector.settings()[..]].concat();
    let environment = serve_settings(&database.url, &traced);
    let mut serve = Role::start(&["serve", "--demo"], &environment);
    let url = serve.url().await;
    let http = reqwest::Client::new();
    let guest = Person::new(&http, &url, None).sign_in("user@example.com").await;
    guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(201);
    serve.stop().await;
    let spans = collector.spans();
    let request = named(&spans, "POST /orders")[0];
    assert_eq!(request.service, "the bar");
    let recorded = child(&spans, request, "record order");
    let batch = child(&spans, recorded, "record batch");
    let transaction = child(&spans, batch, "transaction");
    assert_eq!(attribute(&transaction.span, "db.system.name").as_deref(), Some("sqlite"));
    child(&spans, transaction, "COMMIT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_keeps_nobody_from_stopping() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
    // Connections are let in by the system, and nobody says anything.
    let traced = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("SHUTDOWN_SECONDS", "3")];
    let bar = Installation::new().await;
    for _ in 0..3 {
        let (serve, url) = bar.serve_with(&traced).await;
        let guest = bar.sign_in(&url, "user@example.com").await;
        guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);
        serve.stop().await;
    }
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_costs_no_order_and_no_time() {
    let bar = Installation::new().await;
    let log = tempfile::NamedTempFile::new().expect("a file");
    let settings = [
        // Nobody listens there, and the password is nobody's business.
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://bar:zq-collector-7320@127.0.0.1:9"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let environment = [&bar.environment()[..], &settings].concat();
    let file = std::fs::File::create(log.path()).expect("a file");
    let role = Role::start_logging_to(file.into(), &["serve"], &environment);
    let (serve, url) = bar.serve_role(role).await;
    let guest = bar.sign_in(&url, "user@example.com").await;
    for _ in 0..20 {
        guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    }
    let logged = || std::fs::read_to_string(log.path()).expect("the log");
    eventually("it to be said", async || logged().contains("opentelemetry").then_some(())).await;
    serve.stop().await;
    assert!(!logged().contains("zq-collector"), "{}", logged());
    bar.prefix.clear().await;
}
