//! The report: flat name and number pairs in sections, as `target/bench/report.json` and as tables.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

/// Pairs of one section, in the order in which they were measured, and what a reader must know to compare them.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Section {
    pairs: Vec<(String, f64)>,
    notes: Vec<String>,
}

impl Section {
    /// Adds a figure.
    pub fn put(&mut self, name: impl Into<String>, value: f64) {
        self.pairs.push((name.into(), value));
    }

    /// Adds a line below the table.
    pub fn say(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Adds `theirs / ours` beside the two: `NAME_THEIRS_UNIT`, `NAME_UNIT`, `NAME_ratio`.
    pub fn put_ratio(&mut self, name: &str, unit: &str, theirs: (&str, f64), ours: f64) {
        self.put(format!("{name}_{}_{unit}", theirs.0), theirs.1);
        self.put(format!("{name}_{unit}"), ours);
        self.put(format!("{name}_ratio"), theirs.1 / ours);
    }

    fn to_pairs(&self) -> Map<String, Value> {
        let pairs = self.pairs.iter();
        pairs
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect()
    }

    fn to_table(&self) -> String {
        let names = self.pairs.iter().map(|(name, _)| name.len());
        let width = names.max().unwrap_or(0);
        let lines = self.pairs.iter();
        let lines = lines.map(|(name, value)| format!("  {name:width$}  {value:>14.3}\n"));
        let notes = self.notes.iter().map(|note| format!("  {note}\n"));
        lines.chain(notes).collect()
    }
}

/// Prints `sections` as tables and writes them to `path`. Figures that stand there and were not measured are kept.
///
/// # Errors
/// When the file cannot be written.
pub fn publish(path: &Path, sections: &[(&str, Section)]) -> Result<()> {
    let kept = fs::read(path).ok();
    let kept = kept.and_then(|bytes| serde_json::from_slice::<Map<String, Value>>(&bytes).ok());
    let mut report = kept.unwrap_or_default();
    for name in ["engine", "server", "trainer"] {
        report.entry(name).or_insert_with(|| json!({}));
    }
    for (name, section) in sections {
        println!("{name}\n{}", section.to_table());
        if let Some(Value::Object(pairs)) = report.get_mut(*name) {
            pairs.extend(section.to_pairs());
        }
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let text = serde_json::to_string_pretty(&report)?;
    fs::write(path, text + "\n").with_context(|| path.display().to_string())
}
