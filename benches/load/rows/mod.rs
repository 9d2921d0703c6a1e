//! One measurement each: a row of the report.

mod drain;
mod embedded;
mod intake;
mod whole_way;

use crate::{
    figures::{Curve, Figure},
    harness::Result,
    stage::Stage,
};
use futures_util::future::LocalBoxFuture;
use serde::Serialize;

/// What is aimed at.
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
pub struct Measured {
    /// What was measured.
    pub name: String,
    pub value: Figure,
    /// What it is held against.
    pub limit: Option<Figure>,
    /// What the goal is about: the value by the limit, or the value itself.
    pub judged: Figure,
    pub goal: Goal,
    /// What it was made up of.
    pub parts: Vec<(String, Figure)>,
    pub curves: Vec<Curve>,
}

impl Measured {
    /// A value that is held against a limit.
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

    /// A value that is the goal's itself.
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

/// How a row measures.
pub struct Bench<'a> {
    pub stage: &'a mut Stage,
    pub rounds: usize,
}

pub type Measuring<'a> = LocalBoxFuture<'a, Result<Vec<Measured>>>;

/// What can be measured.
pub struct Row {
    pub name: &'static str,
    pub what: &'static str,
    pub run: for<'a> fn(Bench<'a>) -> Measuring<'a>,
}

pub const ALL: &[Row] = &[
    Row {
        name: "intake",
        what: "orders answered 202 after the confirm, workers stopped",
        run: |b| Box::pin(intake::run(b)),
    },
    Row {
        name: "whole-way",
        what: "orders stored while they come in, the queue not growing",
        run: |b| Box::pin(whole_way::run(b)),
    },
    Row {
        name: "drain",
        what: "a backlog of 200,000 orders, by one and by two workers",
        run: |b| Box::pin(drain::run(b)),
    },
    Row { name: "embedded", what: "orders recorded in SQLite", run: |b| Box::pin(embedded::run(b)) },
];
