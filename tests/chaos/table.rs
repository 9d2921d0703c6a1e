use crate::{
    scenario::{Outcome, Report},
    viewers::StreamCounts,
};
use std::{fmt::Write, time::Duration};

const MAX_SHOWN_VIOLATIONS: usize = 10;
const COLUMNS: [(&str, usize); 12] = [
    ("fault", 28),
    ("attempts", 8),
    ("accepted", 8),
    ("refused", 7),
    ("unknown", 7),
    ("lost", 4),
    ("doubled", 7),
    ("other", 5),
    ("dead", 5),
    ("resumed", 9),
    ("caught up", 9),
    ("slowest", 9),
];

pub fn head() -> String {
    line(&COLUMNS.map(|(name, _)| name.to_owned()))
}

/// Formats the number of answers of each kind, the slowest answer, and what came on streams.
pub fn answers(outcome: &Outcome) -> Option<String> {
    let Outcome::Ran(report) = outcome else { return None };
    let kinds: Vec<_> = report.answers.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
    let StreamCounts { opened, events, resets } = report.streams;
    Some(format!(
        "    answers: {}\n    slowest: {}\n    streams: {opened} opened, {events} events about orders, {resets} resets",
        kinds.join(", "),
        report.slowest_attempt
    ))
}

pub fn row(name: &str, outcome: &Outcome) -> String {
    match outcome {
        Outcome::NotRun(why) => format!("{name:<28}  NOT RUN: {why}"),
        Outcome::Ran(report) => {
            let mut text = line(&cells(name, report));
            let lines = &report.verdict.lines;
            for violation in lines.iter().take(MAX_SHOWN_VIOLATIONS) {
                text.push_str("\n    ");
                text.push_str(violation);
            }
            if lines.len() > MAX_SHOWN_VIOLATIONS {
                let _ = write!(text, "\n    and {} more", lines.len() - MAX_SHOWN_VIOLATIONS);
            }
            text
        }
    }
}

fn cells(name: &str, report: &Report) -> [String; 12] {
    let verdict = &report.verdict;
    let seconds = |time: Option<Duration>| match time {
        Some(time) => format!("{:.2} s", time.as_secs_f64()),
        None => "never".into(),
    };
    [
        name.to_owned(),
        report.attempts.to_string(),
        report.accepted.to_string(),
        report.refused.to_string(),
        report.unknown.to_string(),
        verdict.lost.to_string(),
        verdict.doubled.to_string(),
        verdict.other.to_string(),
        verdict.dead.to_string(),
        seconds(report.resumed),
        seconds(report.caught_up),
        format!("{} ms", report.slowest.as_millis()),
    ]
}

fn line(cells: &[String; 12]) -> String {
    let cells: Vec<_> = cells
        .iter()
        .zip(COLUMNS)
        .enumerate()
        .map(
            |(at, (cell, (_, width)))| {
                if at == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            },
        )
        .collect();
    cells.join("  ").trim_end().to_owned()
}
