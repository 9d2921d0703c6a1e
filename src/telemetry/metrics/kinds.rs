//! How metrics are declared: with every value that a label can have, so that their number is known and each is there from the start.

use super::REGISTRY;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, core::Collector,
};
use std::marker::PhantomData;

/// The values of a label.
pub trait Label: Copy + 'static {
    /// What the label is called.
    const NAME: &'static str;
    /// All values that it can have.
    const ALL: &'static [Self];

    /// The value as text.
    fn value(self) -> &'static str;
    /// Its place in [`ALL`](Self::ALL).
    fn index(self) -> usize;
}

/// Declares a label and its values.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $label:literal { $($(#[$value_doc:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$value_doc])* $value,)+
        }

        impl $crate::telemetry::metrics::Label for $name {
            const NAME: &'static str = $label;
            const ALL: &'static [Self] = &[$(Self::$value),+];

            fn value(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)+
                }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}
pub(super) use label;

/// One metric for each value of a label.
pub struct By<L, M> {
    each: Vec<M>,
    label: PhantomData<L>,
}

impl<L: Label, M> By<L, M> {
    fn new(of: impl Fn(&[&str; 1]) -> M) -> Self {
        let each = L::ALL.iter().map(|value| of(&[value.value()])).collect();
        Self { each, label: PhantomData }
    }

    /// That of this value.
    pub fn of(&self, value: L) -> &M {
        #[expect(clippy::indexing_slicing, reason = "made with one for each value")]
        &self.each[value.index()]
    }
}

/// Something that is open as long as this is kept, and counted.
pub struct Open(IntGauge);

impl Open {
    /// One more.
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

/// Makes a metric known. Names are constants: what could be wrong with them a test finds, which makes them all.
#[expect(clippy::expect_used, reason = "a defect in a constant, found by tests")]
fn registered<M: Collector + Clone + 'static>(made: prometheus::Result<M>) -> M {
    let metric = made.expect("a metric is declared soundly");
    REGISTRY.register(Box::new(metric.clone())).expect("a metric is declared once");
    metric
}

/// A counter.
pub(super) fn counter(name: &str, help: &str) -> IntCounter {
    registered(IntCounter::new(name, help))
}

/// Counters by label.
pub(super) fn counters<L: Label>(name: &str, help: &str) -> By<L, IntCounter> {
    let all = registered(IntCounterVec::new(Opts::new(name, help), &[L::NAME]));
    By::new(|value| all.with_label_values(value))
}

/// A gauge of something that can be counted.
pub(super) fn number(name: &str, help: &str) -> IntGauge {
    registered(IntGauge::new(name, help))
}

/// The same by label.
pub(super) fn numbers<L: Label>(name: &str, help: &str) -> By<L, IntGauge> {
    let all = registered(IntGaugeVec::new(Opts::new(name, help), &[L::NAME]));
    By::new(|value| all.with_label_values(value))
}

/// A gauge that may be unknown, which is `NaN`.
pub(super) fn gauge(name: &str, help: &str) -> Gauge {
    registered(Gauge::new(name, help))
}

/// Gauges by labels whose values are not known beforehand.
pub(super) fn gauges_of(name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    registered(GaugeVec::new(Opts::new(name, help), labels))
}

/// Gauges by label, where there is one of each.
pub(super) fn gauges<L: Label>(name: &str, help: &str) -> By<L, Gauge> {
    let all = gauges_of(name, help, &[L::NAME]);
    By::new(|value| all.with_label_values(value))
}

/// A histogram with these upper bounds.
pub(super) fn histogram(name: &str, help: &str, bounds: &[f64]) -> Histogram {
    registered(Histogram::with_opts(HistogramOpts::new(name, help).buckets(bounds.to_vec())))
}

/// Histograms by labels whose values are not known beforehand.
pub(super) fn histograms_of(name: &str, help: &str, bounds: &[f64], labels: &[&str]) -> HistogramVec {
    registered(HistogramVec::new(HistogramOpts::new(name, help).buckets(bounds.to_vec()), labels))
}

/// Makes a collector known that was made elsewhere.
#[expect(clippy::expect_used, reason = "a defect in a constant, found by tests")]
pub(super) fn register(collector: impl Collector + 'static) {
    REGISTRY.register(Box::new(collector)).expect("a metric is declared once");
}
