//! One measurement each: a row of the report.

mod answer_cpu;
mod answer_time;
mod board;
mod drain;
mod embedded;
mod intake;
mod keyed_intake;
mod logins;
mod memory;
mod size;
mod stalled;
mod streams;
mod ten_million;
mod visible_stream;
mod whole_way;

use crate::{
    figures::{Curve, Figure},
    harness::Result,
    stage::Stage,
};
use futures_util::future::LocalBoxFuture;
use serde::Serialize;
use std::time::Duration;

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

/// One row of the report.
#[derive(Debug, Clone, Serialize)]
pub struct Measurement {
    /// Name and value of the measurement.
    pub name: String,
    pub value: Figure,
    /// Limit that the value is held against.
    pub limit: Option<Figure>,
    /// Quantity of the goal: the value divided by the limit, or the value itself.
    pub judged: Figure,
    pub goal: Goal,
    /// Quantities that the limit was computed from.
    pub parts: Vec<(String, Figure)>,
    pub curves: Vec<Curve>,
}

impl Measurement {
    /// Builds a row whose value is held against a limit.
    pub fn ratio(name: impl Into<String>, value: Figure, limit: Figure, goal: Goal) -> Self {
        let judged = value.per(&limit);
        Self {
            name: name.into(),
            value,
            limit: Some(limit),
            judged,
            goal,
            parts: Vec::new(),
            curves: Vec::new(),
        }
    }

    /// Builds a row whose goal is about the value itself.
    pub fn value(name: impl Into<String>, value: Figure, goal: Goal) -> Self {
        let judged = value.clone();
        Self { name: name.into(), value, limit: None, judged, goal, parts: Vec::new(), curves: Vec::new() }
    }

    pub fn with_parts(mut self, parts: &[(&str, &Figure)]) -> Self {
        self.parts.extend(parts.iter().map(|(name, figure)| ((*name).to_owned(), (*figure).clone())));
        self
    }

    pub fn with_curves(mut self, curves: impl IntoIterator<Item = Curve>) -> Self {
        self.curves.extend(curves);
        self
    }

    pub fn is_met(&self) -> bool {
        self.goal.is_met(self.judged.median())
    }
}

/// Peak rate of a whole system with one worker: other rows run at half of it.
pub async fn peak(stage: &mut Stage) -> Result<f64> {
    let system = stage.scaled_out(1).await?;
    let steady = whole_way::steady(stage, &system, Duration::from_secs(5)).await?;
    system.stop(stage).await?;
    Ok(steady.rate)
}

pub struct Bench<'a> {
    pub stage: &'a mut Stage,
    pub rounds: usize,
}

pub type MeasurementFuture<'a> = LocalBoxFuture<'a, Result<Vec<Measurement>>>;

/// A row that can be measured.
pub struct Row {
    pub name: &'static str,
    pub what: &'static str,
    /// Takes long, so it is measured only by name.
    pub long: bool,
    pub run: for<'a> fn(Bench<'a>) -> MeasurementFuture<'a>,
}

macro_rules! row {
    ($name:literal, $module:ident, $what:literal) => {
        Row { name: $name, what: $what, long: false, run: |bench| Box::pin($module::run(bench)) }
    };
}

pub const ALL: &[Row] = &[
    row!("intake", intake, "orders answered 202 after the confirm, workers stopped"),
    row!("keyed-intake", keyed_intake, "the same under an Idempotency-Key each, against the same without"),
    row!("whole-way", whole_way, "orders stored while as many come in"),
    row!("drain", drain, "a backlog of 200,000 orders, by one worker and by two"),
    row!("embedded", embedded, "orders recorded in SQLite"),
    row!("answer-time", answer_time, "POST /orders at half of peak, by the clock"),
    row!("answer-cpu", answer_cpu, "thread time of every GET and HEAD, with and without gzip"),
    row!("board", board, "from the answer until the board shows the order, at half of peak"),
    row!("visible-stream", visible_stream, "the same until the guest's own stream has it, with 100 streams"),
    row!("streams", streams, "5,000 guests' streams on one serve: memory, idle queries, changes, the menu"),
    row!("logins", logins, "POST /orders while others sign in"),
    Row {
        long: true,
        ..row!("ten-million", ten_million, "lists and moves, 10,000,000 orders against 10,000 (only by name)")
    },
    row!("memory", memory, "memory of serve: idle, at peak, and afterwards"),
    Row {
        long: true,
        ..row!(
            "stalled",
            stalled,
            "memory of serve with 4,096 clients that read nothing, by route (only by name)"
        )
    },
    row!("size", size, "the release binary"),
];
