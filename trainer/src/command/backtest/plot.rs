//! A picture of each origin of a backtest: forecast, band and what came, after the days before it.

use std::fmt::Write as _;
use std::path::Path;

use loadcast_model::backtest::{self, Method, Origin, Plan};
use loadcast_model::grid::Grid;
use loadcast_model::spec::format_wall_time;

use crate::error::{Error, Result};
use crate::output;
use crate::time::DAY;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 34.0;

/// Days of history before the origin.
const DAYS_BEFORE: i64 = 3;

/// Of observations, forecast, naive, and lines that guide.
const OBSERVED: &str = "#30363d";
const FORECAST: &str = "#0b62c4";
const NAIVE: &str = "#c77d00";
const GUIDE: &str = "#d0d7de";

/// Writes `COLUMN-K.svg` for each origin `K` into `folder`.
///
/// # Errors
/// As [`backtest::origin`]; [`Error::Output`] when the folder cannot be written.
pub(super) fn write(
    folder: &Path,
    column: &str,
    method: &Method,
    grid: &Grid,
    plan: &Plan,
) -> Result<()> {
    let horizon = (plan.horizon_seconds / grid.step_seconds) as usize;
    for k in 1..=plan.origins {
        let at = grid.values.len() - (plan.origins + 1 - k) as usize * horizon;
        let origin = backtest::origin(method, grid, at, plan).map_err(Error::of_model)?;
        let title = match method {
            Method::Search => format!("{column}, origin {k}: search"),
            Method::Spec(_) => format!("{column}, origin {k}: the spec's model"),
        };
        let file: String = column
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        let path = folder.join(format!("{file}-{k}.svg"));
        output::write(&path, picture(&title, grid, at, &origin).as_bytes())?;
    }
    Ok(())
}

/// Where times and values lie on the picture.
struct Scale {
    from: i64,
    until: i64,
    low: f64,
    high: f64,
}

impl Scale {
    fn x(&self, time: i64) -> f64 {
        let share = (time - self.from) as f64 / (self.until - self.from).max(1) as f64;
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }

    fn point(&self, time: i64, value: f64) -> String {
        format!("{:.1},{:.1}", self.x(time), self.y(value))
    }
}

fn picture(title: &str, grid: &Grid, at: usize, origin: &Origin) -> String {
    let step = i64::from(grid.step_seconds);
    let before = usize::try_from(DAYS_BEFORE * DAY / step).unwrap_or(0);
    let shown = at.saturating_sub(before)..at + origin.ds.len();
    let observed: Vec<(i64, f64)> = shown
        .clone()
        .filter_map(|i| Some((grid.time(i), grid.values[i]?)))
        .collect();
    let quantiles = &origin.model.quantiles;
    let all = observed.iter().map(|(_, value)| *value);
    let all = all.chain(origin.model.point.iter().copied()).chain(
        quantiles
            .iter()
            .flat_map(|(_, values)| values.iter().copied()),
    );
    let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let (low, high) = ticked(low, high);
    let scale = Scale {
        from: grid.time(shown.start),
        until: grid.time(shown.end),
        low,
        high,
    };

    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif" font-size="11" fill="{OBSERVED}">
<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>
"##
    );
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    push(
        &mut svg,
        &format!(r#"<text x="{LEFT}" y="18" font-size="14" font-weight="600">{title}</text>"#),
    );
    axes(&mut svg, &scale);
    legend(&mut svg, quantiles);
    if let [(_, lower), .., (_, upper)] = quantiles.as_slice() {
        let there = origin.ds.iter().zip(upper);
        let back = origin.ds.iter().zip(lower).rev();
        let edge: Vec<String> = there
            .chain(back)
            .map(|(time, value)| scale.point(*time, *value))
            .collect();
        push(
            &mut svg,
            &format!(
                r#"<polygon points="{}" fill="{FORECAST}" fill-opacity="0.16"/>"#,
                edge.join(" ")
            ),
        );
    }
    let naive = origin
        .ds
        .iter()
        .copied()
        .zip(origin.seasonal_naive.point.iter().copied());
    let forecast = origin
        .ds
        .iter()
        .copied()
        .zip(origin.model.point.iter().copied());
    curve(
        &mut svg,
        &scale,
        naive,
        NAIVE,
        r#"stroke-width="1" stroke-dasharray="3 2" stroke-opacity="0.8""#,
    );
    curve(
        &mut svg,
        &scale,
        observed.into_iter(),
        OBSERVED,
        r#"stroke-width="1" stroke-opacity="0.6""#,
    );
    // Above the observations, which hide the band where they are dense.
    if let [lower, .., upper] = quantiles.as_slice() {
        for (_, edge) in [lower, upper] {
            let edge = origin.ds.iter().copied().zip(edge.iter().copied());
            curve(
                &mut svg,
                &scale,
                edge,
                FORECAST,
                r#"stroke-width="0.8" stroke-opacity="0.9""#,
            );
        }
    }
    curve(
        &mut svg,
        &scale,
        forecast,
        FORECAST,
        r#"stroke-width="1.8""#,
    );
    let x = scale.x(grid.time(at));
    push(
        &mut svg,
        &format!(
            r#"<line x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{}" stroke="{OBSERVED}" stroke-dasharray="2 3"/>"#,
            HEIGHT - BOTTOM
        ),
    );
    svg.push_str("</svg>\n");
    svg
}

fn push(svg: &mut String, element: &str) {
    svg.push_str(element);
    svg.push('\n');
}

fn curve(
    svg: &mut String,
    scale: &Scale,
    points: impl Iterator<Item = (i64, f64)>,
    color: &str,
    style: &str,
) {
    let points: Vec<String> = points
        .map(|(time, value)| scale.point(time, value.clamp(scale.low, scale.high)))
        .collect();
    push(
        svg,
        &format!(
            r#"<polyline points="{}" fill="none" stroke="{color}" stroke-linejoin="round" {style}/>"#,
            points.join(" ")
        ),
    );
}

fn axes(svg: &mut String, scale: &Scale) {
    let step = tick(scale.low, scale.high);
    let mut value = scale.low;
    while value <= scale.high + step / 2.0 {
        let y = scale.y(value);
        push(
            svg,
            &format!(
                r#"<line x1="{LEFT}" x2="{}" y1="{y:.1}" y2="{y:.1}" stroke="{GUIDE}"/><text x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                shown(value, step)
            ),
        );
        value += step;
    }
    let mut time = scale.from.div_euclid(DAY / 2) * (DAY / 2);
    while time <= scale.until {
        if time >= scale.from {
            let x = scale.x(time);
            let text = format_wall_time(time);
            let (date, clock) = (
                text.get(5..10).unwrap_or(""),
                text.get(11..16).unwrap_or(""),
            );
            let label = if time % DAY == 0 { date } else { clock };
            push(
                svg,
                &format!(
                    r#"<line x1="{x:.1}" x2="{x:.1}" y1="{}" y2="{}" stroke="{OBSERVED}"/><text x="{x:.1}" y="{}" text-anchor="middle">{label}</text>"#,
                    HEIGHT - BOTTOM,
                    HEIGHT - BOTTOM + 4.0,
                    HEIGHT - BOTTOM + 18.0
                ),
            );
        }
        time += DAY / 2;
    }
}

fn legend(svg: &mut String, quantiles: &[(f64, Vec<f64>)]) {
    let mut entries = vec![
        ("observed".to_owned(), OBSERVED, 1.0),
        ("forecast".to_owned(), FORECAST, 1.8),
        ("same as yesterday".to_owned(), NAIVE, 1.0),
    ];
    if let [(low, _), .., (high, _)] = quantiles {
        entries.insert(
            2,
            (format!("{:.0} % band", 100.0 * (high - low)), FORECAST, 8.0),
        );
    }
    let mut x = LEFT;
    for (name, color, width) in entries {
        let opacity = if width > 2.0 { 0.16 } else { 1.0 };
        let mut entry = String::new();
        // Writing into a String cannot fail.
        let _ = write!(
            entry,
            r#"<line x1="{x}" x2="{}" y1="32" y2="32" stroke="{color}" stroke-width="{width}" stroke-opacity="{opacity}"/><text x="{}" y="36">{name}</text>"#,
            x + 22.0,
            x + 28.0
        );
        push(svg, &entry);
        x += 52.0 + 6.5 * name.len() as f64;
    }
}

/// The distance of round ticks: 1, 2 or 5 times a power of ten, about five of them.
fn tick(low: f64, high: f64) -> f64 {
    let rough = ((high - low) / 5.0).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(rough.log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0];
    let round = times
        .into_iter()
        .find(|times| times * power >= rough * 0.999);
    round.unwrap_or(10.0) * power
}

/// The range, widened to whole ticks.
fn ticked(low: f64, high: f64) -> (f64, f64) {
    let (low, high) = if high - low > f64::EPSILON * high.abs().max(low.abs()) {
        (low, high)
    } else {
        (low - 1.0, high + 1.0)
    };
    let step = tick(low, high);
    ((low / step).floor() * step, (high / step).ceil() * step)
}

fn shown(value: f64, step: f64) -> String {
    let digits = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{:.digits$}", value + 0.0)
}
