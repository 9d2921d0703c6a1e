//! Plots throughput against its limits, and answer times by percentile.

use crate::{
    figures::{Curve, Figure},
    harness::Result,
    rows::Measurement,
};
use plotters::{coord::Shift, prelude::*};
use std::path::Path;

const WIDTH: u32 = 1000;
const PANEL_HEIGHT: u32 = 460;
const FONT: &str = "sans-serif";

type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub fn draw(rows: &[&Measurement], path: &Path) -> Result<()> {
    let rates: Vec<&Measurement> =
        rows.iter().copied().filter(|row| row.value.unit == "orders/s" && row.limit.is_some()).collect();
    let curves: Vec<&Curve> = rows.iter().flat_map(|row| &row.curves).collect();
    let panels = u32::from(!rates.is_empty()) + u32::from(!curves.is_empty());
    if panels == 0 {
        return Ok(());
    }
    let area = SVGBackend::new(path, (WIDTH, PANEL_HEIGHT * panels)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut areas = area.split_evenly((panels as usize, 1)).into_iter();
    if !rates.is_empty()
        && let Some(area) = areas.next()
    {
        throughput(&area, &rates)?;
    }
    if !curves.is_empty()
        && let Some(area) = areas.next()
    {
        percentiles(&area, &curves)?;
    }
    area.present()?;
    Ok(())
}

/// Draws two bars a row: the measured value and the limit.
fn throughput(area: &Panel<'_>, rates: &[&Measurement]) -> Result<()> {
    let most = rates
        .iter()
        .flat_map(|row| [Some(row.value.most()), row.limit.as_ref().map(Figure::most)])
        .flatten()
        .fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption("Orders a second: reached (filled) and the limit of the parts", (FONT, 20))
        .margin(14)
        .x_label_area_size(36)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..index(rates.len()), 0.0..most * 1.1)?;
    let name = |at: &f64| {
        let row = rates.iter().zip(0_u32..).find(|(_, row)| (at - f64::from(*row) - 0.5).abs() < 0.01);
        row.map(|(row, _)| format!("{} ({:.2})", row.name, row.judged.median())).unwrap_or_default()
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(rates.len() * 2 + 1)
        .x_label_formatter(&name)
        .y_label_formatter(&|value| format!("{value:.0}"))
        .draw()?;
    for (number, row) in (0_u32..).zip(rates) {
        let left = f64::from(number);
        let value = [(left + 0.2, 0.0), (left + 0.48, row.value.median())];
        let limit = row.limit.as_ref().map_or(0.0, Figure::median);
        let limit = [(left + 0.52, 0.0), (left + 0.8, limit)];
        chart.draw_series([
            Rectangle::new(value, BLUE.mix(0.7).filled()),
            Rectangle::new(limit, BLACK.stroke_width(1)),
        ])?;
    }
    Ok(())
}

/// Draws milliseconds by percentile on two logarithmic axes: the further right, the rarer.
fn percentiles(area: &Panel<'_>, curves: &[&Curve]) -> Result<()> {
    let times = || curves.iter().flat_map(|curve| &curve.points).map(|(_, time)| *time);
    let most = times().fold(1.0, f64::max);
    let least = times().fold(most, f64::min).max(0.01);
    let mut chart = ChartBuilder::on(area)
        .caption("Answer times in milliseconds by percentile", (FONT, 20))
        .margin(14)
        .x_label_area_size(36)
        .y_label_area_size(70)
        .build_cartesian_2d((1.0..10_000.0_f64).log_scale(), (least..most * 1.2).log_scale())?;
    let percent = |rarity: &f64| format!("{} %", 100.0 - 100.0 / rarity);
    chart
        .configure_mesh()
        .x_label_formatter(&percent)
        .y_label_formatter(&|time| format!("{time:.1}"))
        .draw()?;
    for (number, curve) in curves.iter().enumerate() {
        let colour = Palette99::pick(number).to_rgba();
        let points: Vec<(f64, f64)> = curve
            .points
            .iter()
            .map(|(percent, time)| (100.0 / (100.0 - percent).max(0.01), time.max(least)))
            .collect();
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(curve.name.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .label_font((FONT, 12))
        .draw()?;
    Ok(())
}

fn index(length: usize) -> f64 {
    f64::from(u32::try_from(length).unwrap_or(u32::MAX))
}
