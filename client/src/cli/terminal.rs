//! What is known of the place that results are written to. The only part that reads the environment.

use std::io::IsTerminal;

/// Where nothing is known.
const DEFAULT_COLUMNS: u16 = 80;
/// A chart is unreadable when narrower and gains nothing when wider.
const COLUMNS: std::ops::RangeInclusive<u16> = 40..=240;

/// Width, colours, and whether somebody sits there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terminal {
    pub(crate) columns: u16,
    pub(crate) colour: bool,
    /// What is drawn can be drawn over.
    pub(crate) interactive: bool,
}

impl Terminal {
    /// COLUMNS goes before the terminal's own width; colours only on a terminal that is not dumb, and without NO_COLOR.
    pub(crate) fn from_env() -> Self {
        Self::new(
            std::env::var("COLUMNS").ok().as_deref(),
            terminal_size::terminal_size().map(|(width, _)| width.0),
            std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
            std::io::stdout().is_terminal()
                && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb"),
        )
    }

    fn new(
        variable: Option<&str>,
        actual: Option<u16>,
        no_colour: bool,
        is_terminal: bool,
    ) -> Self {
        let columns = variable
            .and_then(|columns| columns.trim().parse().ok())
            .or(actual)
            .unwrap_or(DEFAULT_COLUMNS);
        Self {
            columns: columns.clamp(*COLUMNS.start(), *COLUMNS.end()),
            colour: is_terminal && !no_colour,
            interactive: is_terminal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_from_the_variable_then_the_terminal_then_80() {
        assert_eq!(
            Terminal::new(Some("100"), Some(120), false, true).columns,
            100
        );
        assert_eq!(
            Terminal::new(Some("x"), Some(120), false, true).columns,
            120
        );
        assert_eq!(Terminal::new(None, None, false, false).columns, 80);
        assert_eq!(Terminal::new(Some("1"), None, false, false).columns, 40);
        assert_eq!(Terminal::new(Some("9999"), None, false, false).columns, 240);
    }

    #[test]
    fn no_color_and_pipes_are_colourless() {
        assert!(Terminal::new(None, None, false, true).colour);
        assert!(!Terminal::new(None, None, true, true).colour);
        assert!(!Terminal::new(None, None, false, false).colour);
    }
}
