//! `docs/metrics.md` describes exactly the exported metrics.

use super::Scrape;
use crate::support::{
    database::Database,
    executable::{Role, serve_settings},
    installation::Installation,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// A metric, as the page describes it.
#[derive(Debug)]
struct DescribedMetric {
    name: String,
    kind: String,
    /// Values by label; none if they are not known beforehand.
    labels: BTreeMap<String, BTreeSet<String>>,
    on: BTreeSet<String>,
    /// True if it is exported only with a broker.
    of_the_broker: bool,
}

/// Returns the texts between backticks.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// Parses an item: `name` (kind; roles): about it. Label `label`: `value`, `value`. The values may follow as a list
/// instead, each before its meaning; labels without known values follow "Labels:".
fn described_in(item: &str, of_the_broker: bool) -> DescribedMetric {
    let (text, values) = item.split_once("\n  - ").unwrap_or((item, ""));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (head, about) = text.split_once("): ").expect(item);
    let (name, head) = head.split_once(" (").expect(item);
    let (kind, on) = head.split_once("; ").expect(item);
    assert!(about.len() > 10, "{item}");
    let labels = if let Some((_, labels)) = about.split_once("Label `") {
        let (label, inline) = labels.split_once("`:").expect(item);
        let meanings = values.split("\n  - ").filter_map(|meaning| meaning.split_once(':'));
        let listed = meanings.flat_map(|(value, _)| quoted(value));
        [(label.to_owned(), quoted(inline).chain(listed).collect())].into()
    } else {
        let labels = about.split_once("Labels: ").map_or("", |(_, labels)| labels);
        quoted(labels).map(|label| (label, BTreeSet::new())).collect()
    };
    DescribedMetric {
        name: quoted(name).next().expect(item),
        kind: kind.to_owned(),
        labels,
        on: on.split(", ").map(str::to_owned).collect(),
        of_the_broker,
    }
}

fn page() -> Vec<DescribedMetric> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = fs::read_to_string(page).expect("the page");
    let mut described = Vec::new();
    for section in page.split("\n## ").skip(1) {
        let of_the_broker = section.starts_with("The broker");
        for item in section.split("\n- ").skip(1) {
            described.push(described_in(item, of_the_broker));
        }
    }
    described
}

/// Returns a metric's name without the suffix of a histogram.
fn base<'a>(scrape: &Scrape, name: &'a str) -> &'a str {
    let without = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
    without.filter(|base| scrape.kinds.get(*base).is_some_and(|kind| kind == "histogram")).unwrap_or(name)
}

/// Parses the labels of a series and their values.
fn labels(series: &str) -> Vec<(String, String)> {
    let Some((_, labels)) = series.split_once('{') else { return Vec::new() };
    let pairs = labels.trim_end_matches('}').split("\",");
    let split = pairs.map(|pair| pair.split_once("=\"").expect("a label"));
    split.map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned())).collect()
}

/// Compares the metrics of a process with the page.
fn compare(scrape: &Scrape, role: &str, has_broker: bool) {
    let expected: Vec<_> = page()
        .into_iter()
        .filter(|metric| metric.on.contains(role) && (has_broker || !metric.of_the_broker))
        .filter(|metric| cfg!(target_os = "linux") || !metric.name.starts_with("process_"))
        .collect();
    assert!(expected.len() > 20, "the page is read: {}", expected.len());
    let told: BTreeSet<&str> = expected.iter().map(|metric| metric.name.as_str()).collect();
    let exported: BTreeSet<&str> = scrape.kinds.keys().map(String::as_str).collect();
    assert_eq!(told, exported, "{role}: left: docs/metrics.md; right: what is exported");
    for metric in &expected {
        assert_eq!(metric.kind, scrape.kinds[&metric.name], "{}", metric.name);
        assert!(scrape.help[&metric.name].len() > 10, "{} needs help", metric.name);
        assert_eq!(metric.kind == "counter", metric.name.ends_with("_total"), "{}", metric.name);
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let series = scrape
            .series
            .keys()
            .filter(|series| base(scrape, series.split('{').next().unwrap_or_default()) == metric.name);
        for (label, value) in series.flat_map(|series| labels(series)) {
            if label != "le" {
                found.entry(label).or_default().insert(value);
            }
        }
        let mut told = metric.labels.clone();
        if metric.name == "shakerqueue_part_up" && !has_broker {
            told.insert("part".to_owned(), ["database".to_owned()].into());
        }
        for (label, values) in &told {
            let found = found.get(label).unwrap_or_else(|| panic!("{} has no label {label}", metric.name));
            assert!(
                values.is_empty() || values == found,
                "{}: {label} is {found:?}, not {values:?}",
                metric.name
            );
        }
        assert_eq!(told.len(), found.len(), "{}: {found:?}", metric.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_describes_what_each_role_exports_and_nothing_else() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve().await;
    let mut work = bar.work_with(&[]).await;
    work.stop().await;
    work = Role::start(&["work"], &[&bar.environment()[..], &[("ADMIN_ADDR", "127.0.0.1:0")]].concat());
    let admin = work.admin_url().await;
    // So that there are requests to tell of.
    Scrape::of(&url).await;
    Scrape::of(&admin).await;
    compare(&Scrape::of(&url).await, "serve", true);
    compare(&Scrape::of(&admin).await, "work", true);
    work.stop().await;
    serve.stop().await;
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_nothing_is_told_of_one() {
    let database = Database::file();
    let environment = serve_settings(&database.url, &[]);
    let mut serve = Role::start(&["serve"], &environment);
    let url = serve.url().await;
    Scrape::of(&url).await;
    compare(&Scrape::of(&url).await, "serve", false);
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_is_an_admin_address_metrics_are_there_and_nothing_else_is() {
    let database = Database::file();
    let environment = serve_settings(&database.url, &[("ADMIN_ADDR", "127.0.0.1:0")]);
    let mut serve = Role::start(&["serve"], &environment);
    let admin = serve.admin_url().await;
    let url = serve.url().await;
    let http = reqwest::Client::new();
    let status = async |url: String| http.get(url).send().await.expect("an answer").status().as_u16();
    for (path, public, private) in [
        ("/metrics", 404, 200),
        ("/healthz", 200, 200),
        ("/readyz", 200, 200),
        ("/recipes", 200, 404),
        ("/login", 405, 404),
    ] {
        assert_eq!(status(format!("{url}{path}")).await, public, "{path}");
        assert_eq!(status(format!("{admin}{path}")).await, private, "{path} of the admin address");
    }
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_can_not_make_more_series() {
    let database = Database::file();
    let environment = serve_settings(&database.url, &[]);
    let mut serve = Role::start(&["serve"], &environment);
    let url = serve.url().await;
    let http = reqwest::Client::new();
    let ask = async |number: usize| {
        let methods = ["GET".to_owned(), format!("METHOD{number}")];
        for path in [
            format!("/nothing-{number}"),
            format!("/orders/{number}"),
            format!("/recipes/x{number}?q={number}"),
        ] {
            for method in &methods {
                let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
                let request = http.request(method, format!("{url}{path}")).json(&json!({ "number": number }));
                request.send().await.expect("an answer");
            }
        }
    };
    ask(0).await;
    Scrape::of(&url).await;
    let before = Scrape::of(&url).await;
    for number in 1..20 {
        ask(number).await;
    }
    let after = Scrape::of(&url).await;
    assert_eq!(before.series.keys().collect::<Vec<_>>(), after.series.keys().collect::<Vec<_>>());
    let strange = r#"http_server_request_duration_seconds_count{http_request_method="_OTHER",http_response_status_code="404",http_route=""}"#;
    assert!((after.get(strange) - 20.0).abs() < f64::EPSILON, "{:?}", after.series);
    serve.stop().await;
}
