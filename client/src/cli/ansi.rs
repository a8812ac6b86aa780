//! From a drawn buffer to lines of text, with or without colours.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

const RESET: &str = "\x1b[0m";

/// One string for each row, without trailing blanks.
pub(crate) fn lines(buffer: &Buffer, colour: bool) -> Vec<String> {
    let area = buffer.area;
    (area.top()..area.bottom())
        .map(|y| {
            let mut line = String::new();
            let mut current = None;
            let mut blanks = String::new();
            for x in area.left()..area.right() {
                let Some(cell) = buffer.cell((x, y)) else {
                    continue;
                };
                // The empty braille pattern is a blank that only looks like text to a program.
                let symbol = cell.symbol();
                if matches!(symbol, " " | "" | "\u{2800}") {
                    blanks.push(' ');
                    continue;
                }
                line.push_str(&std::mem::take(&mut blanks));
                let wanted = code(cell).filter(|_| colour);
                if wanted != current {
                    if current.is_some() {
                        line.push_str(RESET);
                    }
                    line.push_str(wanted.unwrap_or_default());
                    current = wanted;
                }
                line.push_str(symbol);
            }
            if current.is_some() {
                line.push_str(RESET);
            }
            line
        })
        .collect()
}

/// The styles that are used; every other one is the terminal's own.
fn code(cell: &Cell) -> Option<&'static str> {
    match cell.fg {
        Color::Cyan => Some("\x1b[36m"),
        Color::Blue => Some("\x1b[34m"),
        Color::DarkGray => Some("\x1b[90m"),
        Color::Red => Some("\x1b[31m"),
        Color::Yellow => Some("\x1b[33m"),
        Color::Green => Some("\x1b[32m"),
        _ if cell.modifier.contains(Modifier::BOLD) => Some("\x1b[1m"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    fn drawn() -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 2));
        buffer.set_string(0, 0, "ab", Style::new().fg(Color::Cyan));
        buffer.set_string(3, 0, "c", Style::new());
        buffer
    }

    #[test]
    fn plain_lines_have_neither_codes_nor_trailing_blanks() {
        assert_eq!(lines(&drawn(), false), ["ab c", ""]);
    }

    #[test]
    fn colours_are_switched_only_where_they_change() {
        assert_eq!(lines(&drawn(), true), ["\x1b[36mab \x1b[0mc", ""]);
    }
}
