//! Reported figures: medians of rounds, and percentiles of times.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// One quantity, measured once a round.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figure {
    pub unit: &'static str,
    pub rounds: Vec<f64>,
}

impl Figure {
    pub fn new(unit: &'static str) -> Self {
        Self { unit, rounds: Vec::new() }
    }

    pub fn single(unit: &'static str, value: f64) -> Self {
        Self { unit, rounds: vec![value] }
    }

    pub fn median(&self) -> f64 {
        let mut sorted = self.rounds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    pub fn least(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub fn most(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// Divides round by round, so that the machine's drift between rounds cancels out.
    pub fn per(&self, other: &Self) -> Self {
        let rounds = self.rounds.iter().zip(&other.rounds).map(|(own, other)| own / other).collect();
        Self { unit: "", rounds }
    }
}

/// Computes a rate from the cost of each part in seconds, 1 / (a + b + …), round by round.
pub fn additive_limit(costs: &[&Figure]) -> Figure {
    let rounds = costs.iter().map(|cost| cost.rounds.len()).min().unwrap_or_default();
    let limit = |round| 1.0 / costs.iter().map(|cost| cost.rounds[round]).sum::<f64>();
    Figure { unit: "orders/s", rounds: (0..rounds).map(limit).collect() }
}

/// Records times in microseconds, from 1 to a minute, with three digits.
pub type Times = Histogram<u64>;

pub fn times() -> Times {
    // The library accepts these constants as bounds.
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds of a histogram")
}

pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Returns a percentile in milliseconds.
#[allow(clippy::cast_precision_loss)]
pub fn percentile_ms(times: &Times, percent: f64) -> f64 {
    times.value_at_percentile(percent) as f64 / 1000.0
}

/// Percentiles of one distribution, for a plot.
#[derive(Debug, Clone, Serialize)]
pub struct Curve {
    pub name: String,
    /// Points as percent and milliseconds.
    pub points: Vec<(f64, f64)>,
}

impl Curve {
    pub fn of(name: impl Into<String>, times: &Times) -> Self {
        let percents = [0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 100.0];
        let points = percents.map(|percent| (percent, percentile_ms(times, percent))).to_vec();
        Self { name: name.into(), points }
    }
}
