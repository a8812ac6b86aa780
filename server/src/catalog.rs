//! The catalog as the server asks it: which entry declares a series.

use std::{collections::HashMap, path::Path, sync::Arc};

use anyhow::Context as _;
use loadcast_model::{
    catalog::{Catalog, Entry},
    series::{Series, SeriesName},
};

/// A catalog, and its entries by the names of their series.
#[derive(Debug)]
pub struct Declared {
    catalog: Arc<Catalog>,
    /// Entries of one series, by its name.
    fixed: HashMap<SeriesName, usize>,
    /// Entries of many, in the order of the file.
    templates: Vec<usize>,
}

impl Declared {
    /// The entries of `catalog`.
    pub fn new(catalog: Catalog) -> Self {
        let (mut fixed, mut templates) = (HashMap::new(), Vec::new());
        for (i, entry) in catalog.entries.iter().enumerate() {
            if entry.name.is_fixed() {
                fixed.insert(SeriesName::cleaned(entry.name.as_str()), i);
            } else {
                templates.push(i);
            }
        }
        Self {
            catalog: Arc::new(catalog),
            fixed,
            templates,
        }
    }

    /// Reads the catalog at `path`.
    ///
    /// # Errors
    /// When the file cannot be read or is no catalog; the message names the flag, the entry and the key.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("--catalog {shown}: cannot be read"))?;
        let catalog: Catalog = text.parse().with_context(|| format!("--catalog {shown}"))?;
        Ok(Self::new(catalog))
    }

    /// The whole catalog.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// The entry that declares `series`: the one of its name, else the first template that its labels fill to its name.
    pub fn entry(&self, series: &Series) -> Option<&Entry> {
        self.catalog.entries.get(self.index(series)?)
    }

    /// The place of [`entry`](Self::entry) in the catalog.
    pub fn index(&self, series: &Series) -> Option<usize> {
        let fills = |i: &&usize| {
            let entry = self.catalog.entries.get(**i);
            let filled = entry.and_then(|entry| entry.name.fill(&series.labels).ok());
            filled.is_some_and(|filled| SeriesName::cleaned(&filled) == series.name)
        };
        let fixed = self.fixed.get(&series.name);
        fixed.or_else(|| self.templates.iter().find(fills)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Declared {
        let text = r#"
            [[series]]
            name = "shop.web.cpu"
            promql = "a"

            [[series]]
            name = "{namespace}.{workload}.cpu"
            promql = "b"

            [[series]]
            name = "{namespace}.memory"
            promql = "c"
        "#;
        Declared::new(text.parse().unwrap())
    }

    fn series(name: &str, labels: &[(&str, &str)]) -> Series {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let mut series = Series::new(SeriesName::cleaned(name));
        series.labels = Arc::new(labels.iter().map(owned).collect());
        series
    }

    #[test]
    fn a_series_finds_its_entry_by_name_or_by_the_template_that_its_labels_fill() {
        let declared = declared();
        let found = |name: &str, labels: &[(&str, &str)]| {
            let entry = declared.entry(&series(name, labels));
            entry.map(|entry| entry.name.to_string())
        };
        let shop = [("namespace", "shop"), ("workload", "web")];
        assert_eq!(found("shop.web.cpu", &[]), Some("shop.web.cpu".to_owned()));
        assert_eq!(
            found(
                "shop.api.cpu",
                &[("namespace", "shop"), ("workload", "api")]
            ),
            Some("{namespace}.{workload}.cpu".to_owned())
        );
        assert_eq!(
            found(
                "shop.a/b.cpu",
                &[("namespace", "shop"), ("workload", "a/b")]
            ),
            Some("{namespace}.{workload}.cpu".to_owned())
        );
        assert_eq!(
            found("shop.memory", &shop),
            Some("{namespace}.memory".to_owned())
        );
        assert_eq!(found("shop.api.cpu", &shop), None);
        assert_eq!(found("shop.api.cpu", &[]), None);
    }

    #[test]
    fn a_catalog_that_is_none_is_refused_naming_file_entry_and_key() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "[[series]]\nname = \"a\"\npromql = \"x\"\nstep = \"soon\"\n",
        )
        .unwrap();
        let error = format!("{:#}", Declared::read(file.path()).unwrap_err());
        assert!(error.starts_with("--catalog /"), "{error}");
        assert!(error.contains("entry 1 (a), key step"), "{error}");
        let error = format!(
            "{:#}",
            Declared::read(Path::new("/nowhere.toml")).unwrap_err()
        );
        assert!(
            error.starts_with("--catalog /nowhere.toml: cannot be read"),
            "{error}"
        );
    }
}
