//! Two columns of words, wrapped to the terminal, in colour where it has some.

use std::io::{self, Write};

use crate::cli::terminal::Terminal;

/// Where the second column begins.
const INDENT: usize = 18;

/// Writes lines that fit the terminal.
pub(super) struct Page<'a, W> {
    out: &'a mut W,
    columns: usize,
    colour: bool,
}

/// How a word is meant.
#[derive(Clone, Copy)]
pub(super) enum Tone {
    Plain,
    Heading,
    Good,
    Bad,
    Faint,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Heading => "\x1b[1m",
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[31m",
            Self::Faint => "\x1b[2m",
        }
    }
}

impl<'a, W: Write> Page<'a, W> {
    /// A page as wide and as colourful as `terminal`.
    pub(super) fn new(terminal: &Terminal, out: &'a mut W) -> Self {
        Self {
            out,
            columns: terminal.columns.into(),
            colour: terminal.colour,
        }
    }

    /// An empty line.
    pub(super) fn gap(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }

    /// `label` in the first column, `words` in the second, wrapped.
    pub(super) fn line(&mut self, label: &str, tone: Tone, words: &str) -> io::Result<()> {
        let width = self.columns.saturating_sub(INDENT).max(20);
        let mut lines = wrapped(words, width).into_iter();
        let label = format!("{label:<width$}", width = INDENT - 1);
        let label = self.toned(tone, &label);
        let first = lines.next().unwrap_or_default();
        writeln!(self.out, "{}", format!("{label} {first}").trim_end())?;
        for line in lines {
            writeln!(self.out, "{:INDENT$}{line}", "")?;
        }
        Ok(())
    }

    pub(super) fn heading(&mut self, words: &str) -> io::Result<()> {
        for line in wrapped(words, self.columns) {
            let line = self.toned(Tone::Heading, &line);
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    fn toned(&self, tone: Tone, text: &str) -> String {
        match tone.code() {
            code if self.colour && !code.is_empty() => {
                // Blanks that fill a column stay plain.
                let words = text.trim_end();
                format!("{code}{words}\x1b[0m{}", &text[words.len()..])
            }
            _ => text.to_owned(),
        }
    }
}

/// `text`, without what would control a terminal, in lines of at most `width` characters, broken between words; a longer word has a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word: String = word.chars().filter(|c| !c.is_control()).collect();
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}
