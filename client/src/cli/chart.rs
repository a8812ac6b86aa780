//! A forecast drawn in a terminal: title, curve with band, and what it comes down to.

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use loadcast_client::Forecast;
use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Widget};

use crate::cli::ansi;
use crate::cli::axis::{Numbers, time_marks};
use crate::cli::local::{clock, data_age, date_and_clock, range, zone};
use crate::cli::show::Summary;
use crate::cli::terminal::Terminal;
use crate::cli::units::Scale;

/// Rows of the drawing, axes included: with title, footer and the next prompt it fits a terminal of 24.
const ROWS: u16 = 18;
/// Without colours a band is dots, one in so many columns, or nobody could tell it from the curve.
const DOT_COLUMNS: usize = 2;
/// A mark of time needs so many columns.
const MARK_COLUMNS: i64 = 8;

/// The whole picture, line by line, none wider than the terminal.
pub(crate) fn lines(forecast: &Forecast, terminal: &Terminal) -> Vec<String> {
    let zone = zone(&forecast.time_zone);
    let columns = usize::from(terminal.columns);
    let mut lines = wrapped(&title(forecast, &zone), columns);
    let Some(summary) = Summary::of(forecast) else {
        lines.push("no points".to_owned());
        return lines;
    };
    let scale = Scale::for_values(forecast.unit.as_deref(), every_value(forecast));
    lines.extend(ansi::lines(
        &drawing(forecast, scale, &zone, terminal),
        terminal.colour,
    ));
    lines.extend(wrapped(&footer(forecast, &summary, scale, &zone), columns));
    lines
}

/// What is shown, in pieces.
fn title(forecast: &Forecast, zone: &TimeZone) -> Vec<String> {
    let provenance = &forecast.provenance;
    let mut pieces = vec![provenance.series.clone()];
    pieces.extend(forecast.unit.clone().filter(|unit| unit != "1"));
    let end = forecast.time(forecast.len());
    pieces.push(range(forecast.start, end, zone));
    pieces.push(format!("version {}", provenance.version));
    pieces.push(data_age(forecast.age));
    pieces.push(provenance.freshness.name().to_lowercase().replace('_', " "));
    pieces.extend(provenance.reason.clone());
    pieces
}

/// What it comes down to, in pieces.
fn footer(forecast: &Forecast, summary: &Summary, scale: Scale, zone: &TimeZone) -> Vec<String> {
    let whole = forecast.time(forecast.len()).duration_since(forecast.start);
    let when = |time| {
        if whole > SignedDuration::from_hours(24) {
            date_and_clock(time, zone)
        } else {
            clock(time, zone)
        }
    };
    let mut pieces = vec![
        format!(
            "min {} at {}",
            scale.with_unit(summary.min),
            when(summary.min_at)
        ),
        format!("mean {}", scale.with_unit(summary.mean)),
        format!(
            "max {} at {}",
            scale.with_unit(summary.max),
            when(summary.max_at)
        ),
    ];
    if let Some((low, high)) = band(forecast) {
        pieces.push(format!("band q{low} to q{high}"));
    }
    pieces
}

/// Pieces joined by dots, broken between pieces where the line would be too long.
fn wrapped(pieces: &[String], columns: usize) -> Vec<String> {
    const BETWEEN: &str = " · ";
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces {
        let width = piece.chars().count() + BETWEEN.chars().count();
        match lines.last_mut() {
            Some(line) if line.chars().count() + width <= columns => {
                line.push_str(BETWEEN);
                line.push_str(piece);
            }
            _ => lines.push(piece.chars().take(columns).collect()),
        }
    }
    lines
}

/// The outermost levels, when there are any.
fn band(forecast: &Forecast) -> Option<(f64, f64)> {
    let levels = || forecast.quantiles.iter().map(|quantile| quantile.level);
    Some((levels().reduce(f64::min)?, levels().reduce(f64::max)?))
}

fn every_value(forecast: &Forecast) -> impl Iterator<Item = &f64> {
    forecast
        .quantiles
        .iter()
        .flat_map(|quantile| &quantile.values)
        .chain(&forecast.yhat)
}

fn drawing(forecast: &Forecast, scale: Scale, zone: &TimeZone, terminal: &Terminal) -> Buffer {
    let columns = terminal.columns;
    let curve = |values: &[f64]| -> Vec<(f64, f64)> {
        (0_u32..)
            .map(f64::from)
            .zip(values.iter().map(|&value| scale.scaled(value)))
            .collect()
    };
    let bands: Vec<_> = forecast
        .quantiles
        .iter()
        .map(|quantile| {
            let curve = curve(&quantile.values);
            if terminal.colour {
                return curve;
            }
            let every = (curve.len() * DOT_COLUMNS)
                .div_ceil(usize::from(columns))
                .max(1);
            curve.into_iter().step_by(every).collect()
        })
        .collect();
    let yhat = curve(&forecast.yhat);
    let draw = if terminal.colour { line } else { dots };
    let mut datasets: Vec<Dataset<'_>> = bands.iter().map(|band| draw(band, Color::Blue)).collect();
    // Drawn last, so that it lies on top.
    datasets.push(line(&yhat, Color::Cyan));

    let style = Style::new().fg(Color::DarkGray);
    let numbers = Numbers::around(every_value(forecast).map(|&value| scale.scaled(value)));
    let points = u32::try_from(forecast.len()).map_or(f64::MAX, f64::from);
    let labels = numbers.marks().map(|mark| scale.scaled_with_unit(mark));
    let chart = Chart::new(datasets)
        .x_axis(Axis::default().bounds([0.0, points]))
        .y_axis(
            Axis::default()
                .bounds([numbers.low, numbers.high])
                .labels(labels)
                .labels_alignment(Alignment::Right)
                .style(style),
        )
        .legend_position(None);
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns, ROWS));
    chart.render(Rect::new(0, 0, columns, ROWS - 2), &mut buffer);
    draw_time_axis(&mut buffer, forecast, zone, style);
    buffer
}

fn line(points: &[(f64, f64)], colour: Color) -> Dataset<'_> {
    Dataset::default()
        .data(points)
        .marker(Marker::Braille)
        .graph_type(GraphType::Line)
        .style(Style::new().fg(colour))
}

fn dots(points: &[(f64, f64)], colour: Color) -> Dataset<'_> {
    line(points, colour).graph_type(GraphType::Scatter)
}

/// Marks the lower edge of the drawing, from the vertical axis on: the chart's own labels do not stand where their
/// times are.
fn draw_time_axis(buffer: &mut Buffer, forecast: &Forecast, zone: &TimeZone, style: Style) {
    let Rect { width, height, .. } = buffer.area;
    let (line, labels) = (height - 2, height - 1);
    let axis = (0..width)
        .find(|&x| buffer.cell((x, 0)).is_some_and(|cell| cell.symbol() == "│"))
        .unwrap_or(0);
    buffer.set_string(axis, line, "└", style);
    for x in axis + 1..width {
        buffer.set_string(x, line, "─", style);
    }
    let end = forecast.time(forecast.len());
    let whole = end.duration_since(forecast.start).as_secs_f64();
    let mut free_from = 0;
    for mark in time_marks(forecast.start, end, zone, i64::from(width) / MARK_COLUMNS) {
        let share = mark.at.duration_since(forecast.start).as_secs_f64() / whole;
        let x = axis + 1 + column(share, width - axis - 2);
        buffer.set_string(x, line, "┬", style);
        let size = u16::try_from(mark.label.chars().count()).unwrap_or(width);
        let left = x.saturating_sub(size / 2).min(width.saturating_sub(size));
        if left >= free_from {
            buffer.set_string(left, labels, &mark.label, style);
            free_from = left + size + 1;
        }
    }
}

/// The column at this share of the way to `last`.
fn column(share: f64, last: u16) -> u16 {
    let wanted = (share * f64::from(last)).round();
    (0..=last).find(|&x| f64::from(x) >= wanted).unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use loadcast_client::Quantile;

    use super::*;
    use crate::cli::show::tests::forecast;

    const PLAIN: Terminal = Terminal {
        columns: 80,
        colour: false,
        interactive: false,
    };

    fn wave(points: u32) -> Vec<f64> {
        (0..points)
            .map(|i| 1.5 + (f64::from(i) / 46.0).sin())
            .collect()
    }

    fn check(lines: &[String], columns: usize) {
        for line in lines {
            assert!(line.chars().count() <= columns, "{line:?}");
            assert!(!line.contains("NaN") && !line.contains("inf"), "{line:?}");
            assert_eq!(line.trim_end(), line);
        }
    }

    #[test]
    fn a_day_fits_in_80_columns_and_says_everything() {
        let mut forecast = forecast(wave(288));
        forecast.quantiles = [(0.1, -0.3), (0.9, 0.3)]
            .map(|(level, shift)| Quantile {
                level,
                values: forecast.yhat.iter().map(|value| value + shift).collect(),
            })
            .to_vec();
        let lines = lines(&forecast, &PLAIN);
        check(&lines, 80);
        let text = lines.join("\n");
        for expected in [
            "demo.web.cpu · cores · Thu 2026-10-08 00:00 to 24:00 UTC · version 3",
            "data 12 min old · fresh",
            "00:00",
            "06:00",
            "12:00",
            "18:00",
            "max 2.50 cores at 06:00 UTC",
            "mean 1.5",
            "band q0.1 to q0.9",
        ] {
            assert!(text.contains(expected), "{expected:?} is not in\n{text}");
        }
        assert!(
            text.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)),
            "no curve in\n{text}"
        );
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_day_at_80_columns_reads_as_it_should() {
        let mut forecast = forecast(wave(288));
        forecast.quantiles = [(0.1, -0.5), (0.9, 0.5)]
            .map(|(level, shift)| Quantile {
                level,
                values: forecast.yhat.iter().map(|value| value + shift).collect(),
            })
            .to_vec();
        let expected = include_str!("chart.golden.txt");
        assert_eq!(lines(&forecast, &PLAIN).join("\n") + "\n", expected);
    }

    #[test]
    fn every_width_is_kept_to() {
        for columns in [40, 59, 60, 80, 133, 240] {
            let terminal = Terminal {
                columns,
                colour: false,
                interactive: false,
            };
            check(&lines(&forecast(wave(288)), &terminal), columns.into());
        }
    }

    #[test]
    fn colours_are_there_only_when_asked_for() {
        let colourful = Terminal {
            columns: 80,
            colour: true,
            interactive: false,
        };
        assert!(
            lines(&forecast(wave(12)), &colourful)
                .join("\n")
                .contains("\x1b[36m")
        );
    }

    #[test]
    fn flat_tiny_huge_and_single_points_are_drawn() {
        for values in [
            vec![0.0; 288],
            vec![1.75; 288],
            vec![-3.0; 10],
            vec![1e-12, 2e-12],
            vec![1e15, 2e15],
            vec![5.0],
            vec![-1.0, 1.0],
            vec![f64::MIN, f64::MAX],
            vec![f64::MIN_POSITIVE, 0.0],
        ] {
            let mut forecast = forecast(values);
            for unit in [Some("cores"), Some("bytes"), None] {
                forecast.unit = unit.map(str::to_owned);
                let lines = lines(&forecast, &PLAIN);
                check(&lines, 80);
                assert!(lines.len() > usize::from(ROWS));
            }
        }
    }

    #[test]
    fn no_points_are_said_to_be_none() {
        let lines = lines(&forecast(Vec::new()), &PLAIN);
        assert_eq!(lines.last().map(String::as_str), Some("no points"));
    }

    #[test]
    fn a_label_stands_where_its_time_is() {
        let mut forecast = forecast(vec![0.0; 288]);
        // One spike at noon.
        forecast.yhat[144] = 1.0;
        let lines = lines(&forecast, &PLAIN);
        let place =
            |line: &String, wanted: &str| line.find(wanted).map(|at| line[..at].chars().count());
        let noon = lines.iter().find_map(|line| place(line, "12:00")).unwrap() + 2;
        let top = &lines[2];
        let spike = top.chars().count() - 1;
        assert!(top.contains("1.00 cores"), "{top}");
        assert!(spike.abs_diff(noon) <= 1, "{}", lines.join("\n"));
    }
}
