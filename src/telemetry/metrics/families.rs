//! Declares metrics with every value that a label can have, so that all series exist from the start and their number is bounded.

use super::REGISTRY;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts,
    core::{Collector, MetricVec, MetricVecBuilder},
};

/// A value that metrics are labelled with, such as an error or an outcome. Its metric declares the same text.
pub trait MetricLabel {
    fn label(&self) -> &'static str;
}

/// One metric for each value of a label.
pub struct ByLabel<M> {
    metrics: Vec<(&'static str, M)>,
    /// Stands in for a value that was not declared, and is not exported.
    undeclared: M,
}

impl<M> ByLabel<M> {
    fn new<B: MetricVecBuilder<M = M>>(values: &[&'static str], family: &MetricVec<B>) -> Self {
        let metrics = values.iter().map(|value| (*value, family.with_label_values(&[value]))).collect();
        let undeclared = family.with_label_values(&[""]);
        // It was just made.
        let _ = family.remove_label_values(&[""]);
        Self { metrics, undeclared }
    }

    pub fn of(&self, label: &'static str) -> &M {
        let declared = self.metrics.iter().find(|(value, _)| *value == label);
        debug_assert!(declared.is_some(), "{label} is not declared");
        declared.map_or(&self.undeclared, |(_, metric)| metric)
    }
}

/// Counts something in a gauge for as long as it is open.
pub struct Open(IntGauge);

impl Open {
    pub fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Registers a metric. Names are constants: a test declares all metrics, and so finds a wrong one.
#[expect(clippy::expect_used, reason = "a defect in a constant, found by tests")]
fn registered<M: Collector + Clone + 'static>(metric: prometheus::Result<M>) -> M {
    let metric = metric.expect("a metric is declared soundly");
    register(metric.clone());
    metric
}

#[expect(clippy::expect_used, reason = "a defect in a constant, found by tests")]
pub(super) fn register(collector: impl Collector + 'static) {
    REGISTRY.register(Box::new(collector)).expect("a metric is declared once");
}

pub(super) fn counter(name: &str, help: &str) -> IntCounter {
    registered(IntCounter::new(name, help))
}

pub(super) fn counters(name: &str, help: &str, label: &str, values: &[&'static str]) -> ByLabel<IntCounter> {
    ByLabel::new(values, &registered(IntCounterVec::new(Opts::new(name, help), &[label])))
}

pub(super) fn int_gauge(name: &str, help: &str) -> IntGauge {
    registered(IntGauge::new(name, help))
}

pub(super) fn int_gauges(name: &str, help: &str, label: &str, values: &[&'static str]) -> ByLabel<IntGauge> {
    ByLabel::new(values, &registered(IntGaugeVec::new(Opts::new(name, help), &[label])))
}

/// A gauge that is `NaN` while its value is unknown.
pub(super) fn gauge(name: &str, help: &str) -> Gauge {
    registered(Gauge::new(name, help))
}

pub(super) fn gauges(name: &str, help: &str, label: &str, values: &[&'static str]) -> ByLabel<Gauge> {
    ByLabel::new(values, &gauge_vec(name, help, &[label]))
}

/// Gauges by labels whose values are not known beforehand.
pub(super) fn gauge_vec(name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    registered(GaugeVec::new(Opts::new(name, help), labels))
}

pub(super) fn histogram(name: &str, help: &str, upper_bounds: &[f64]) -> Histogram {
    registered(Histogram::with_opts(HistogramOpts::new(name, help).buckets(upper_bounds.to_vec())))
}

/// Histograms by labels whose values are not known beforehand.
pub(super) fn histogram_vec(name: &str, help: &str, upper_bounds: &[f64], labels: &[&str]) -> HistogramVec {
    registered(HistogramVec::new(HistogramOpts::new(name, help).buckets(upper_bounds.to_vec()), labels))
}
