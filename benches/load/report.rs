//! What was measured, as a table, as JSON and as a plot.

use crate::{
    harness::Result,
    rows::{Goal, Measured},
};
use serde::Serialize;
use std::{fs, path::Path, time::Duration};

#[derive(Serialize)]
pub struct Report {
    rounds: u8,
    rows: Vec<Measured>,
    took_seconds: Vec<(String, f64)>,
}

impl Report {
    pub fn new(rounds: u8) -> Self {
        Self { rounds, rows: Vec::new(), took_seconds: Vec::new() }
    }

    pub fn add(&mut self, measured: Measured) {
        self.rows.push(measured);
    }

    pub fn took(&mut self, row: &str, took: Duration) {
        self.took_seconds.push((row.to_owned(), took.as_secs_f64()));
    }

    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("results.json"), serde_json::to_vec_pretty(self)?)?;
        Ok(())
    }
}

pub fn head() -> String {
    format!("{:<44} {:>14} {:>14} {:>8} {:>9}", "what", "value", "limit", "ratio", "goal")
}

pub fn line(measured: &Measured) -> String {
    let Measured { name, value, limit, judged, goal, parts, .. } = measured;
    let number = |figure: &crate::figures::Figure| number(figure.median(), figure.unit);
    let ratio = if limit.is_some() { format!("{:.2}", judged.median()) } else { String::new() };
    let goal = match goal {
        Goal::AtLeast(least) => format!("≥ {least}"),
        Goal::AtMost(most) => format!("≤ {most}"),
    };
    let met = if measured.is_met() { "met" } else { "MISSED" };
    let limit = limit.as_ref().map(number).unwrap_or_default();
    let mut line = format!("{name:<44} {:>14} {limit:>14} {ratio:>8} {goal:>9} {met}", number(value));
    for (name, figure) in parts {
        let cost =
            if figure.unit == "s" { format!("{:.1} µs", figure.median() * 1e6) } else { number(figure) };
        line.push_str(&format!("\n    {name:<40} {cost:>14}"));
    }
    line
}

fn number(value: f64, unit: &str) -> String {
    match unit {
        "orders/s" => format!("{value:.0}/s"),
        "" => format!("{value:.2}"),
        unit => format!("{value:.2} {unit}"),
    }
}
