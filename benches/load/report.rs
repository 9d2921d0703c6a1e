//! Reports the results as a table and as JSON.

use crate::{
    figures::Figure,
    harness::Result,
    plot,
    rows::{Goal, Measurement},
};
use serde::Serialize;
use std::{fmt::Write, fs, path::Path, thread, time::Duration};

#[derive(Serialize)]
pub struct Report {
    /// Processors of this machine, as `nproc` counts them.
    cores: usize,
    rounds: u8,
    rows: Vec<Entry>,
    took_seconds: Vec<(String, f64)>,
}

#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    measured: Measurement,
    /// Median of the value that the goal is about.
    judged_median: f64,
    met: bool,
}

impl Report {
    pub fn new(rounds: u8) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self { cores, rounds, rows: Vec::new(), took_seconds: Vec::new() }
    }

    pub fn add(&mut self, measured: Measurement) {
        let (judged_median, met) = (measured.judged.median(), measured.is_met());
        self.rows.push(Entry { measured, judged_median, met });
    }

    pub fn took(&mut self, row: &str, took: Duration) {
        self.took_seconds.push((row.to_owned(), took.as_secs_f64()));
    }

    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("results.json"), serde_json::to_vec_pretty(self)?)?;
        let rows: Vec<&Measurement> = self.rows.iter().map(|entry| &entry.measured).collect();
        plot::draw(&rows, &folder.join("results.svg"))
    }

    /// Says in a sentence how many goals were met.
    pub fn summary(&self) -> String {
        let missed: Vec<&str> =
            self.rows.iter().filter(|row| !row.met).map(|row| row.measured.name.as_str()).collect();
        let took: f64 = self.took_seconds.iter().map(|(_, seconds)| seconds).sum();
        let met = self.rows.len() - missed.len();
        let missed =
            if missed.is_empty() { String::new() } else { format!("; missed: {}", missed.join(", ")) };
        format!("{met} of {} goals met in {took:.0} s{missed}", self.rows.len())
    }
}

pub fn head() -> String {
    format!(
        "{:<44} {:>12} {:>12} {:>6} {:>13} {:>7}",
        "median of the rounds", "value", "limit", "ratio", "(least–most)", "goal"
    )
}

pub fn line(measured: &Measurement) -> String {
    let Measurement { name, value, limit, judged, goal, parts, .. } = measured;
    let ratio = if limit.is_some() { format!("{:.2}", judged.median()) } else { String::new() };
    let spread = if judged.rounds.len() > 1 {
        format!("({:.2}–{:.2})", judged.least(), judged.most())
    } else {
        String::new()
    };
    let goal = match goal {
        Goal::AtLeast(least) => format!("≥ {least}"),
        Goal::AtMost(most) => format!("≤ {most}"),
    };
    let met = if measured.is_met() { "met" } else { "MISSED" };
    let limit = limit.as_ref().map(number).unwrap_or_default();
    let mut line =
        format!("{name:<44} {:>12} {limit:>12} {ratio:>6} {spread:>13} {goal:>7} {met}", number(value));
    for (name, figure) in parts {
        // Writing to a string can't fail.
        let _ = write!(line, "\n    {name:<40} {:>12}", number(figure));
    }
    line
}

fn number(figure: &Figure) -> String {
    let median = figure.median();
    match figure.unit {
        "orders/s" => format!("{median:.0}/s"),
        "/s" => format!("{median:.1}/s"),
        "s" => format!("{:.1} µs", median * 1e6),
        "" => format!("{median:.2}"),
        unit => format!("{median:.2} {unit}"),
    }
}
