//! A look, drawn: a title, a header, a row a series, none wider than the screen.

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use crate::cli::local::{formatted, horizon_in_words, zone};
use crate::cli::top::look::{Look, Next, Row, Skill, Trust};
use crate::cli::units::Scale;

/// Rows above those of series: the title and the header.
pub(crate) const HEAD_ROWS: u16 = 2;

/// Where a curve of the next points begins to have room.
const CURVE_FROM_COLUMNS: u16 = 100;
const CURVE_COLUMNS: usize = 12;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A name is not cut shorter than this.
const SHORTEST_NAME: usize = 12;
/// A state is cut at this.
const LONGEST_STATE: usize = 18;

const DIM: Style = Style::new().fg(Color::DarkGray);

/// Cells of one row, in the order of the columns after the name.
struct Cells {
    name: String,
    texts: Vec<String>,
    state: Style,
}

/// A column after the name.
struct Column {
    head: String,
    right: bool,
}

/// Everything, as high as it needs to be.
pub(crate) fn whole(look: &Look, columns: u16) -> Buffer {
    let rows = u16::try_from(look.rows.len().max(1)).unwrap_or(u16::MAX - HEAD_ROWS);
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns, HEAD_ROWS + rows));
    draw(look, 0, buffer.area, &mut buffer);
    buffer
}

/// The rows from `first` on that fit into `area`.
pub(crate) fn draw(look: &Look, first: usize, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    title(look, area, buffer);
    if look.rows.is_empty() {
        let nothing = "no series; push one, or look at the selection";
        buffer.set_stringn(area.x, area.y + 1, nothing, width, Style::new());
        return;
    }
    let with_curve = area.width >= CURVE_FROM_COLUMNS;
    let columns = columns(look, with_curve);
    // Widths are those of all rows, so that nothing jumps while one scrolls.
    let cells: Vec<Cells> = look.rows.iter().map(|row| cells(row, with_curve)).collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(i, column)| {
            let cells = cells.iter().map(|cells| length(&cells.texts[i]));
            cells.max().unwrap_or_default().max(length(&column.head))
        })
        .collect();
    let others: usize = widths.iter().map(|width| width + 1).sum();
    let longest = cells.iter().map(|cells| length(&cells.name)).max();
    let name = width.saturating_sub(others).max(SHORTEST_NAME);
    let name = name.min(longest.unwrap_or_default().max("SERIES".len()));
    let mut line = |y: u16, first: &str, texts: &[String], styles: (Style, Style)| {
        let (style, last) = styles;
        let mut text = format!("{:<name$}", cut(first, name));
        let state_at = columns.len() - 2;
        let mut state = None;
        for (i, (cell, width)) in texts.iter().zip(&widths).enumerate() {
            text.push(' ');
            if i == state_at {
                state = Some((length(&text), cell));
            }
            if columns[i].right {
                text.push_str(&format!("{cell:>width$}"));
            } else {
                text.push_str(&format!("{cell:<width$}"));
            }
        }
        buffer.set_stringn(area.x, y, &text, width, style);
        if let Some((at, cell)) = state
            && at < width
        {
            let x = area.x + u16::try_from(at).unwrap_or(area.width);
            buffer.set_stringn(x, y, cell, width - at, last);
        }
    };
    let heads: Vec<String> = columns.iter().map(|column| column.head.clone()).collect();
    line(area.y + 1, "SERIES", &heads, (DIM, DIM));
    let shown = usize::from(area.height.saturating_sub(HEAD_ROWS));
    for (y, cells) in (area.y + HEAD_ROWS..).zip(cells.iter().skip(first).take(shown)) {
        line(y, &cells.name, &cells.texts, (Style::new(), cells.state));
    }
}

/// `3 series, 1 not fresh · next hour · 14:40:05 UTC · http://127.0.0.1:50051`: what matters first, in case it is cut.
fn title(look: &Look, area: Rect, buffer: &mut Buffer) {
    let count = look.rows.len();
    let doubtful = look.rows.iter().filter(|row| row.trust != Trust::Full);
    let doubtful = match doubtful.count() {
        0 => String::new(),
        some => format!(", {some} not fresh"),
    };
    let title = format!(
        "{count} series{doubtful} · {} · {} · {}",
        horizon_in_words(look.horizon),
        formatted(look.at, &TimeZone::UTC, "%H:%M:%S UTC"),
        look.addr,
    );
    let style = Style::new().add_modifier(Modifier::BOLD);
    buffer.set_stringn(area.x, area.y, title, usize::from(area.width), style);
}

fn columns(look: &Look, with_curve: bool) -> Vec<Column> {
    let column = |head: &str, right| Column {
        head: head.to_owned(),
        right,
    };
    let mut columns = vec![
        column("NOW", true),
        column("MAX", true),
        column("AT", false),
        column(&format!("Q{}", look.level), true),
    ];
    if with_curve {
        columns.push(column("NEXT", false));
    }
    columns.extend([
        column("VER", true),
        column("STATE", false),
        column("SKILL", true),
    ]);
    columns
}

fn cells(row: &Row, with_curve: bool) -> Cells {
    let mut texts = match &row.next {
        Some(next) => numbers(row, next),
        None => ["-", "-", "-", "-"].map(str::to_owned).to_vec(),
    };
    if with_curve {
        texts.push(
            row.next
                .as_ref()
                .map_or_else(String::new, |next| curve(&next.points)),
        );
    }
    texts.push(
        row.version
            .map_or_else(|| "-".to_owned(), |version| version.to_string()),
    );
    texts.push(cut(&row.trust.in_words(), LONGEST_STATE));
    texts.push(match row.skill {
        Some(Skill::Live(skill)) => format!("{skill:.2}"),
        // In brackets: it was so in the trainer's backtest.
        Some(Skill::Backtest(skill)) => format!("({skill:.2})"),
        None => "-".to_owned(),
    });
    let colour = match row.trust {
        Trust::None(_) => Color::Red,
        Trust::Gated(_) | Trust::Stale(_) => Color::Yellow,
        Trust::Full => Color::Green,
    };
    Cells {
        name: row.series.clone(),
        texts,
        state: Style::new().fg(colour),
    }
}

/// Now with its unit, and the others in the same: of bytes with one prefix, as it stands with the unit; of others each
/// with its own.
fn numbers(row: &Row, next: &Next) -> Vec<String> {
    let unit = row.unit.as_deref();
    let all = [next.now, next.max, next.quantile_max];
    let scale = |value: f64| match unit {
        Some("bytes") => Scale::for_values(unit, &all),
        _ => Scale::of(unit, value),
    };
    vec![
        scale(next.now).with_unit(next.now),
        scale(next.max).bare(next.max),
        formatted(next.max_at, &zone(&row.time_zone), "%H:%M"),
        scale(next.quantile_max).bare(next.quantile_max),
    ]
}

/// The points between their own extremes.
fn curve(points: &[f64]) -> String {
    let columns = CURVE_COLUMNS.min(points.len());
    let low = points.iter().copied().fold(f64::INFINITY, f64::min);
    let high = points.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let bar = |value: f64| {
        let share = (value - low) / (high - low);
        let eighths = (1_u8..8).filter(|i| share * 8.0 >= f64::from(*i)).count();
        BARS[eighths]
    };
    let shown = (0..columns).filter_map(|i| {
        let (from, to) = (i * points.len() / columns, (i + 1) * points.len() / columns);
        points.get(from..to)?.iter().copied().reduce(f64::max)
    });
    shown.map(bar).collect()
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// As much as fits, the end of a name more than its middle: that is where the signal is.
fn cut(text: &str, width: usize) -> String {
    let long = length(text);
    if long <= width {
        return text.to_owned();
    }
    let end = width.saturating_sub(1) / 2;
    let begin = width.saturating_sub(1) - end;
    let head = text.chars().take(begin);
    head.chain(['…'])
        .chain(text.chars().skip(long - end))
        .collect()
}
