//! Pictures of values over time as SVG: axes, curves, bands, marks.

pub mod data;
pub mod origin;

use std::fmt::Write as _;

use loadcast_model::spec::format_wall_time;

use crate::time::{DAY, HOUR};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 34.0;

/// Of observations, forecast, naive, champion, lines that guide, and what was found.
pub(crate) const OBSERVED: &str = "#30363d";
pub(crate) const FORECAST: &str = "#0b62c4";
pub(crate) const NAIVE: &str = "#c77d00";
pub(crate) const CHAMPION: &str = "#8250df";
pub(crate) const GUIDE: &str = "#d0d7de";
pub(crate) const FOUND: &str = "#cf222e";
pub(crate) const ASIDE: &str = "#9a6700";

/// Spacings of the time axis; the first that gives at most [`MOST_TICKS`] is taken.
const TICKS: [i64; 9] = [
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    28 * DAY,
];
const MOST_TICKS: i64 = 14;

/// The most lines of the axis of values, of which there are about five.
const MOST_LINES: u32 = 20;

/// Beyond this, sums and ticks of values are no longer finite numbers; what is larger is not drawn to scale.
const LARGEST: f64 = 1e300;

/// How a line is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stroke {
    color: &'static str,
    width: f64,
    opacity: f64,
    dashed: bool,
}

/// A picture being drawn: what is drawn later lies above.
#[derive(Debug)]
pub(crate) struct Plot {
    svg: String,
    height: f64,
    from: i64,
    until: i64,
    low: f64,
    high: f64,
    legend: f64,
}

impl Stroke {
    pub(crate) const fn new(color: &'static str, width: f64) -> Self {
        Self {
            color,
            width,
            opacity: 1.0,
            dashed: false,
        }
    }

    pub(crate) const fn opacity(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }

    pub(crate) const fn dashed(self) -> Self {
        Self {
            dashed: true,
            ..self
        }
    }
}

impl Plot {
    /// An empty picture `height` high with axes for the times in `times` and those of `values` below [`LARGEST`].
    pub(crate) fn new(
        title: &str,
        height: f64,
        times: (i64, i64),
        values: impl Iterator<Item = f64>,
    ) -> Self {
        let all = (f64::INFINITY, f64::NEG_INFINITY);
        let (low, high) = values
            .filter(|value| value.abs() < LARGEST)
            .fold(all, |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = match low <= high {
            true => ticked(low, high),
            false => (0.0, 1.0),
        };
        let mut plot = Self {
            svg: format!(
                r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="11" fill="{OBSERVED}">
<rect width="{WIDTH}" height="{height}" fill="#fff"/>
"##
            ),
            height,
            from: times.0,
            until: times.1.max(times.0 + 1),
            low,
            high,
            legend: LEFT,
        };
        let title = escaped(title);
        plot.push(format_args!(
            r#"<text x="{LEFT}" y="18" font-size="14" font-weight="600">{title}</text>"#
        ));
        plot.axes();
        plot
    }

    /// The picture.
    pub(crate) fn finish(mut self) -> String {
        self.svg.push_str("</svg>\n");
        self.svg
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.svg, "{element}");
    }

    fn x(&self, time: i64) -> f64 {
        let share = (time - self.from) as f64 / (self.until - self.from) as f64;
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value.clamp(self.low, self.high) - self.low) / (self.high - self.low);
        self.bottom() - share * (self.bottom() - TOP)
    }

    fn bottom(&self) -> f64 {
        self.height - BOTTOM
    }

    /// A line through `points`, in the order of time, broken where two are more than `gap` seconds apart.
    pub(crate) fn curve(
        &mut self,
        points: impl IntoIterator<Item = (i64, f64)>,
        gap: i64,
        stroke: Stroke,
    ) {
        let points = points.into_iter().filter(|(_, value)| value.is_finite());
        let points: Vec<(i64, f64)> = points.collect();
        let mut path = String::new();
        for part in points.chunk_by(|a, b| b.0 - a.0 <= gap) {
            for (i, (time, value)) in thinned(part, |time| self.x(time)).into_iter().enumerate() {
                let letter = if i == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{letter}{:.1} {:.1}", self.x(time), self.y(value));
            }
            if part.len() == 1 {
                // A point alone is seen as a dot.
                path.push_str("h.1");
            }
        }
        let style = style(stroke);
        self.push(format_args!(
            r#"<path d="{path}" fill="none" stroke-linejoin="round" stroke-linecap="round" {style}/>"#
        ));
    }

    /// What lies between `lower` and `upper`, given at the same times.
    pub(crate) fn band(&mut self, lower: &[(i64, f64)], upper: &[(i64, f64)], color: &str) {
        let edge = upper.iter().chain(lower.iter().rev());
        let mut points = String::new();
        for (time, value) in edge {
            let _ = write!(points, "{:.1},{:.1} ", self.x(*time), self.y(*value));
        }
        self.push(format_args!(
            r#"<polygon points="{}" fill="{color}" fill-opacity="0.16"/>"#,
            points.trim_end()
        ));
    }

    /// A part of time behind everything, at least a pixel wide.
    pub(crate) fn shade(&mut self, from: i64, to: i64, color: &str, opacity: f64) {
        let (x, end) = (self.x(from), self.x(to));
        self.push(format_args!(
            r#"<rect x="{x:.1}" y="{TOP}" width="{:.1}" height="{:.1}" fill="{color}" fill-opacity="{opacity}"/>"#,
            (end - x).max(1.0),
            self.bottom() - TOP
        ));
    }

    /// A vertical line with words beside it.
    pub(crate) fn mark(&mut self, time: i64, words: &str, color: &str) {
        let x = self.x(time);
        let (at, anchor) = match x > WIDTH / 2.0 {
            true => (x - 5.0, "end"),
            false => (x + 5.0, "start"),
        };
        let words = escaped(words);
        self.push(format_args!(
            r#"<line x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{}" stroke="{color}" stroke-dasharray="2 3"/><text x="{at:.1}" y="{}" text-anchor="{anchor}" fill="{color}">{words}</text>"#,
            self.bottom(),
            TOP + 11.0
        ));
    }

    /// A ring around a value.
    pub(crate) fn ring(&mut self, time: i64, value: f64, color: &str) {
        self.push(format_args!(
            r#"<circle cx="{:.1}" cy="{:.1}" r="4" fill="none" stroke="{color}" stroke-width="1.4"/>"#,
            self.x(time),
            self.y(value)
        ));
    }

    /// Another entry of the legend, after those before it.
    pub(crate) fn legend(&mut self, name: &str, stroke: Stroke) {
        let (x, style) = (self.legend, style(stroke));
        self.push(format_args!(
            r#"<line x1="{x:.0}" x2="{:.0}" y1="32" y2="32" {style}/><text x="{:.0}" y="36">{}</text>"#,
            x + 22.0,
            x + 28.0,
            escaped(name)
        ));
        self.legend += 52.0 + 6.2 * name.chars().count() as f64;
    }

    fn axes(&mut self) {
        let step = tick(self.low, self.high);
        let count = ((self.high - self.low) / step).round() as u32;
        for i in 0..=count.min(MOST_LINES) {
            let value = self.low + f64::from(i) * step;
            let y = self.y(value);
            self.push(format_args!(
                r#"<line x1="{LEFT}" x2="{}" y1="{y:.1}" y2="{y:.1}" stroke="{GUIDE}"/><text x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                shown(value, step)
            ));
        }
        let length = self.until - self.from;
        let few = TICKS.into_iter().find(|tick| length / tick <= MOST_TICKS);
        let spacing = few.unwrap_or_else(|| (length / MOST_TICKS / DAY + 1) * DAY);
        let mut time = (self.from + spacing - 1).div_euclid(spacing) * spacing;
        while time <= self.until {
            let (x, bottom) = (self.x(time), self.bottom());
            let text = format_wall_time(time);
            let (date, clock) = (
                text.get(5..10).unwrap_or_default(),
                text.get(11..16).unwrap_or_default(),
            );
            let label = if time % DAY == 0 { date } else { clock };
            self.push(format_args!(
                r#"<line x1="{x:.1}" x2="{x:.1}" y1="{bottom}" y2="{}" stroke="{OBSERVED}"/><text x="{x:.1}" y="{}" text-anchor="middle">{label}</text>"#,
                bottom + 4.0,
                bottom + 18.0
            ));
            time += spacing;
        }
    }
}

fn style(stroke: Stroke) -> String {
    let Stroke {
        color,
        width,
        opacity,
        dashed,
    } = stroke;
    let dashes = if dashed {
        r#" stroke-dasharray="3 3""#
    } else {
        ""
    };
    format!(r#"stroke="{color}" stroke-width="{width}" stroke-opacity="{opacity}"{dashes}"#)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Where many points share a pixel, the lowest and the highest of them: the same picture in fewer bytes.
fn thinned(points: &[(i64, f64)], x: impl Fn(i64) -> f64) -> Vec<(i64, f64)> {
    let mut kept: Vec<(i64, f64)> = Vec::new();
    for pixel in points.chunk_by(|a, b| x(a.0).floor() == x(b.0).floor()) {
        let low = pixel.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        let high = pixel.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        if let (Some(low), Some(high)) = (low, high) {
            let (first, second) = if low.0 <= high.0 {
                (low, high)
            } else {
                (high, low)
            };
            kept.push(*first);
            if first.0 != second.0 {
                kept.push(*second);
            }
        }
    }
    kept
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
    let largest = high.abs().max(low.abs());
    let (low, high) = if high - low > f64::EPSILON * largest {
        (low, high)
    } else {
        let around = (0.1 * largest).max(1e-3);
        (low - around, high + around)
    };
    let step = tick(low, high);
    ((low / step).floor() * step, (high / step).ceil() * step)
}

/// A value with as many digits as the ticks differ by; large ones with a prefix of the SI.
fn shown(value: f64, step: f64) -> String {
    const PREFIXES: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")];
    let prefix = PREFIXES.into_iter().find(|(size, _)| step * 10.0 >= *size);
    let (unit, letter) = match prefix {
        Some((_, "k")) => (1e3, "k"),
        Some((size, letter)) => (size, letter),
        None => (1.0, ""),
    };
    let digits = (-(step / unit).log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{:.digits$}{letter}", value / unit + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_points_of_one_pixel_are_drawn_as_their_lowest_and_highest() {
        let points: Vec<(i64, f64)> = (0..100_000).map(|i| (i, (i % 7) as f64)).collect();
        let kept = thinned(&points, |time| time as f64 / 100.0);
        assert_eq!(kept.len(), 2000);
        assert!(kept.iter().all(|(_, value)| *value == 0.0 || *value == 6.0));
        assert!(kept.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn ticks_are_round_and_large_values_short() {
        assert_eq!(ticked(0.3, 9.6), (0.0, 10.0));
        let (low, high) = ticked(5.0, 5.0);
        assert!((low - 4.4).abs() < 1e-9 && (high - 5.6).abs() < 1e-9);
        assert_eq!(shown(2.5, 0.5), "2.5");
        assert_eq!(shown(2.5e9, 5e8), "2.5G");
        assert_eq!(shown(20_000.0, 5_000.0), "20k");
    }

    #[test]
    fn a_picture_is_well_formed_whatever_it_is_given() {
        let values = [f64::NAN, f64::INFINITY, f64::MAX, f64::MIN, 3.0];
        let mut plot = Plot::new("a < b & c", 200.0, (0, 0), values.into_iter());
        plot.curve([(0, f64::NAN), (5, 3.0)], 10, Stroke::new(OBSERVED, 1.0));
        plot.mark(5, "<here>", FOUND);
        let svg = plot.finish();
        assert!(
            svg.contains("a &lt; b &amp; c") && svg.contains("&lt;here>"),
            "{svg}"
        );
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
