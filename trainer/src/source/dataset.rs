//! A dataset: history that was collected, series by series, in a bucket or a folder.
//!
//! ```text
//! dataset.json                        what this is
//! entries/<entry>.json                per entry of the catalog: which time is complete, and which series there are
//! series/<series>/<YYYY-MM>.parquet   times and values of one month
//! ```
//!
//! Objects are put whole, an entry's manifest after the months that it tells of. Whoever dies in between leaves rows that
//! no manifest tells of; they are asked for again and merged by their time, so that no time is there twice. In a bucket
//! every object is replaced only if nobody else did meanwhile; a folder is locked by its one writer.
//!
//! One series is read at a time, in one object a month: memory does not grow with the fleet.

mod manifest;
mod month;

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use loadcast_model::artifact::sha256_hex;
use loadcast_model::catalog::{Entry, Source};
use loadcast_model::series::{Series, SeriesName};
use serde::{Deserialize, Serialize};

use self::manifest::Manifest;
use super::location::{Location, Seen};
use loadcast_prometheus::client::Sample;
use loadcast_prometheus::named::{Named, step_seconds, two_of_a_name};
use loadcast_prometheus::window::Window;

use super::named::two_origins;
use super::table::Table;
use crate::error::{Error, Result};
use crate::lock::Lock;

/// The schema of what this build writes.
const SCHEMA: u32 = 1;

/// Months that are read and put at once.
const PARALLEL: usize = 16;

/// 1970: months before it are not in the order of their names.
const FIRST_INSTANT: i64 = 0;

/// The most entries of one dataset; a catalog has no more.
const MAX_ENTRIES: usize = 10_000;

#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    schema: u32,
}

const FORMAT: &str = "loadcast dataset";

/// How long samples may still change after their instant, in seconds: scrapes, rules and remote writes arrive late, and
/// what is called complete is never asked for again. Ten minutes are twice Prometheus' own lookback of 5 minutes.
const SETTLE_SECONDS: i64 = 600;

/// The same in steps: a step's last samples come at its end.
const SETTLE_STEPS: i64 = 2;

/// A dataset that is read.
#[derive(Debug)]
pub struct Dataset {
    place: Location,
    manifests: Vec<Manifest>,
}

/// One series in a dataset.
#[derive(Debug, Clone)]
pub struct Collected {
    /// What it is.
    pub series: Series,
    /// The name of the entry that it came from, as it is written in the catalog.
    pub entry: String,
    months: Vec<String>,
}

/// A dataset that one entry's history is appended to.
#[derive(Debug)]
pub struct Appender<'a> {
    place: Location,
    entry: Entry,
    owners: &'a mut BTreeMap<SeriesName, String>,
    manifest: Manifest,
    seen: Option<Seen>,
}

/// The right to append, for as long as it lives: of a folder, nobody else has it.
#[derive(Debug)]
pub struct Writer {
    place: Location,
    /// Of every series the name of the entry that it came from.
    owners: BTreeMap<SeriesName, String>,
    _lock: Option<Lock>,
}

impl Dataset {
    /// The dataset at `place`; `None` where none is.
    ///
    /// # Errors
    /// [`Error::Source`] when it cannot be read, or is of a newer build.
    pub async fn find(place: &Location) -> Result<Option<Self>> {
        if !is_dataset(place).await? {
            return Ok(None);
        }
        let entries = place.join("entries");
        let names = entries.files().await?;
        if names.len() > MAX_ENTRIES {
            return Err(Error::source(
                format!(
                    "{} has {} entries, more than the {MAX_ENTRIES} that are read",
                    place.shown(),
                    names.len()
                ),
                "collect fewer entries into one dataset",
            ));
        }
        let names = names.into_iter().filter(|name| name.ends_with(".json"));
        let read = stream::iter(names).map(|name| {
            let place = entries.join(&name);
            async move { Manifest::decode(&place, &place.read().await?) }
        });
        let manifests = read.buffered(PARALLEL).try_collect().await?;
        Ok(Some(Self {
            place: place.clone(),
            manifests,
        }))
    }

    /// Lower-case hex, of what its manifests say: which months of which series it has, and up to when.
    #[must_use]
    pub fn sha256(&self) -> String {
        sha256_hex(format!("{:?}", self.manifests).as_bytes())
    }

    /// Every series, in the order of entries and names.
    pub fn series(&self) -> impl Iterator<Item = Collected> {
        self.manifests.iter().flat_map(|manifest| {
            manifest.series.values().map(|kept| Collected {
                series: kept.series.clone(),
                entry: manifest.name.clone(),
                months: kept.months.iter().cloned().collect(),
            })
        })
    }

    /// The rows of one series in the last `history` seconds before its newest; older months are not read.
    ///
    /// # Errors
    /// [`Error::Source`] when a month is gone or damaged.
    pub async fn table(&self, collected: &Collected, history: i64) -> Result<Table> {
        let folder = folder(&self.place, &collected.series);
        let mut newest_first: Vec<Vec<Sample>> = Vec::new();
        let mut from = None;
        for month in collected.months.iter().rev() {
            if from.is_some_and(|from| *month < month::of(from)) {
                break;
            }
            let file = folder.join(&month::file(month));
            let samples = month::decode(file.shown(), &file.read().await?)?;
            from = from.or_else(|| {
                let newest = samples.last()?.instant;
                Some(newest.saturating_sub(history).max(FIRST_INSTANT))
            });
            newest_first.push(samples);
        }
        let oldest_first = newest_first.into_iter().rev().flatten();
        let samples: Vec<Sample> = oldest_first
            .filter(|sample| from.is_none_or(|from| sample.instant >= from))
            .collect();
        super::named::table(folder.shown(), &samples)
    }
}

impl Writer {
    /// Makes a dataset at `place`, or takes the one that is there.
    ///
    /// # Errors
    /// [`Error::Output`] when another process appends to this folder, or it cannot be written; those of
    /// [`Dataset::find`].
    pub async fn open(place: &Location) -> Result<Self> {
        let lock = place
            .local_path()
            .map(|folder| Lock::take(&folder))
            .transpose()?;
        let owners = match Dataset::find(place).await? {
            Some(dataset) => dataset
                .series()
                .map(|collected| (collected.series.name, collected.entry))
                .collect(),
            None => {
                let head = Head {
                    format: FORMAT.to_owned(),
                    schema: SCHEMA,
                };
                place
                    .join("dataset.json")
                    .write(manifest::json(&head))
                    .await?;
                BTreeMap::new()
            }
        };
        Ok(Self {
            place: place.clone(),
            owners,
            _lock: lock,
        })
    }

    /// Begins to append the history of `entry`.
    ///
    /// # Errors
    /// [`Error::Settings`] when the dataset has that entry of another expression or step: two things are not mixed under
    /// one name. Those of [`Dataset::find`].
    pub async fn entry(&mut self, entry: &Entry) -> Result<Appender<'_>> {
        let Source::Promql(expression) = &entry.source else {
            return Err(Error::settings(
                format!(
                    "{}: a column is not collected, it is in a table already",
                    entry.name
                ),
                "give --data with that table to `run`, or write promql in place of column",
            ));
        };
        let fresh = Manifest::new(entry.name.as_str(), expression, step_seconds(entry));
        let place = self.place.join(&fresh.path());
        let (manifest, seen) = match place.find().await? {
            None => (fresh, None),
            Some((bytes, seen)) => {
                let manifest = Manifest::decode(&place, &bytes)?;
                manifest.continues(&fresh, self.place.shown())?;
                (manifest, Some(seen))
            }
        };
        Ok(Appender {
            place: self.place.clone(),
            entry: entry.clone(),
            owners: &mut self.owners,
            manifest,
            seen,
        })
    }
}

impl Appender<'_> {
    /// The parts of `window` that are not complete yet.
    #[must_use]
    pub fn missing(&self, window: Window) -> Vec<Window> {
        self.manifest.missing(window)
    }

    /// How many series there are.
    #[must_use]
    pub fn series(&self) -> usize {
        self.manifest.series.len()
    }

    /// Appends all that was `named` in `window` as it was at `now`: what had settled by then is complete, the rest is asked
    /// for again. The samples that are new.
    ///
    /// # Errors
    /// [`Error::Data`] for a name whose labels were others before; [`Error::Settings`] for one that another entry of the
    /// dataset has; [`Error::Output`] when something cannot be written, or
    /// somebody else wrote meanwhile. The window is not complete then, and may be appended again.
    pub async fn append(&mut self, window: Window, named: Vec<Named>, now: i64) -> Result<usize> {
        for one in &named {
            if let Some(owner) = self.owners.get(&one.series.name)
                && *owner != self.manifest.name
            {
                return Err(two_origins(
                    one.series.name.as_ref(),
                    &format!("entry {owner}"),
                    &format!("entry {}", self.manifest.name),
                ));
            }
            if let Some(kept) = self.manifest.series.get(&one.series.name)
                && kept.result != one.result
            {
                return Err(two_of_a_name(
                    &self.entry,
                    &one.series.name,
                    &kept.result,
                    &one.result,
                )
                .into());
            }
        }
        let mut pieces: Vec<(Location, Vec<Sample>)> = Vec::new();
        let mut manifest = self.manifest.clone();
        for one in named.into_iter().filter(|one| !one.samples.is_empty()) {
            let folder = folder(&self.place, &one.series);
            let months = month::split(&one.samples);
            self.owners
                .insert(one.series.name.clone(), manifest.name.clone());
            manifest.keep(one.series, one.result, months.keys().cloned());
            let places = months.into_iter();
            pieces
                .extend(places.map(|(name, samples)| (folder.join(&month::file(&name)), samples)));
        }
        let puts = stream::iter(pieces).map(|(place, samples)| merge(place, samples));
        let new = puts.buffer_unordered(PARALLEL);
        let new = new
            .try_fold(0, |sum, new| async move { Ok(sum + new) })
            .await?;
        let settled = settled(window, now);
        if !settled.is_empty() {
            manifest.complete(settled);
        }
        let place = self.place.join(&manifest.path());
        place.replace(manifest.encode(), self.seen.take()).await?;
        // What it is now is asked, not remembered: the answer to a put does not say it for every store.
        self.seen = place.find().await?.map(|(_, seen)| seen);
        self.manifest = manifest;
        Ok(new)
    }
}

/// The part of `window` whose samples no longer change at `now`.
fn settled(window: Window, now: i64) -> Window {
    let margin = SETTLE_SECONDS.max(SETTLE_STEPS.saturating_mul(window.step));
    let until = now.saturating_sub(margin).div_euclid(window.step) * window.step;
    Window {
        until: until.clamp(window.from, window.until),
        ..window
    }
}

/// Puts samples into a month; those that are there already are replaced. How many were not.
async fn merge(place: Location, samples: Vec<Sample>) -> Result<usize> {
    let (mut all, seen): (BTreeMap<i64, f64>, _) = match place.find().await? {
        None => (BTreeMap::new(), None),
        Some((bytes, seen)) => {
            let there = month::decode(place.shown(), &bytes)?.into_iter();
            let there = there.map(|sample| (sample.instant, sample.value));
            (there.collect(), Some(seen))
        }
    };
    let before = all.len();
    all.extend(samples.iter().map(|sample| (sample.instant, sample.value)));
    let merged: Vec<Sample> = all
        .into_iter()
        .map(|(instant, value)| Sample { instant, value })
        .collect();
    place.replace(month::encode(&merged)?, seen).await?;
    Ok(merged.len() - before)
}

fn folder(place: &Location, series: &Series) -> Location {
    place.join(&format!("series/{}", series.name))
}

async fn is_dataset(place: &Location) -> Result<bool> {
    if place.local_path().is_some_and(|path| path.is_file()) {
        return Ok(false);
    }
    let file = place.join("dataset.json");
    let Some((bytes, _)) = file.find().await? else {
        return Ok(false);
    };
    let head: Head = manifest::decode(&file, &bytes)?;
    if head.format == FORMAT && head.schema <= SCHEMA {
        return Ok(true);
    }
    Err(Error::source(
        format!(
            "{}: {} of schema {}, which this build does not read",
            file.shown(),
            head.format,
            head.schema
        ),
        "use a newer build, or another place",
    ))
}

#[cfg(test)]
mod tests;
