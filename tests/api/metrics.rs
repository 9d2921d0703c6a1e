//! Metrics, as Prometheus reads them.

mod counts;
mod feed;
mod page;
mod sampled;

use crate::support::eventually;
use reqwest::Client;
use std::collections::BTreeMap;

/// Values by series, such as `name{a="b"}`.
type Series = BTreeMap<String, f64>;

#[derive(Debug, Default)]
pub struct Scrape {
    kinds: BTreeMap<String, String>,
    help: BTreeMap<String, String>,
    series: Series,
}

impl Scrape {
    pub async fn of(url: &str) -> Self {
        let response = Client::new().get(format!("{url}/metrics")).send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        Self::read(&response.text().await.expect("text"))
    }

    /// Parses Prometheus' text format, as far as it is used here.
    fn read(text: &str) -> Self {
        let mut scrape = Self::default();
        for line in text.lines() {
            if let Some(described) = line.strip_prefix("# HELP ") {
                let (name, help) = described.split_once(' ').expect("a description");
                scrape.help.insert(name.to_owned(), help.to_owned());
            } else if let Some(typed) = line.strip_prefix("# TYPE ") {
                let (name, kind) = typed.split_once(' ').expect("a type");
                scrape.kinds.insert(name.to_owned(), kind.to_owned());
            } else {
                let (series, value) = line.rsplit_once(' ').expect("a value");
                let before = scrape.series.insert(series.to_owned(), value.parse().expect("a number"));
                assert!(before.is_none(), "twice: {series}");
            }
        }
        assert!(!scrape.series.is_empty(), "it says nothing");
        scrape
    }

    #[track_caller]
    pub fn get(&self, series: &str) -> f64 {
        *self.series.get(series).unwrap_or_else(|| panic!("no {series} in {:#?}", self.series))
    }
}

/// Waits until a series has this value.
pub async fn becomes(url: &str, series: &str, value: f64) {
    eventually(&format!("{series} to be {value}"), async || {
        let now = Scrape::of(url).await.get(series);
        let same = if value.is_nan() { now.is_nan() } else { (now - value).abs() < f64::EPSILON };
        same.then_some(())
    })
    .await;
}
