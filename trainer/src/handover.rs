//! What a stage hands to the next one in another process: a folder per series, in a bucket or on a disk.
//!
//! ```text
//! SERIES/valid.parquet               validate-data
//! SERIES/grid.parquet                prepare
//! SERIES/model.pr, trained.json      train
//! SERIES/loadcast.json, MLmodel, ... validate-model
//! SERIES/manifest.json               of all: written last
//! ```
//!
//! Inside one process types with private fields see to it that no stage is left out. Across processes a chain of digests
//! does: the manifest lists every stage that the series went through, each with the SHA-256 of the files it wrote and of the
//! manifest that it was given. Whoever takes a folder over checks all of it; `push` takes only what ended in a model that
//! was validated, byte for byte. It guards against mistakes (a stage left out, files of another run, a file that was
//! edited), not against someone who forges a manifest.

mod chain;

use std::collections::BTreeMap;

use bytes::Bytes;
use loadcast_model::artifact::sha256_hex;
use loadcast_model::series::SeriesName;

use self::chain::{Link, Manifest};
pub use self::chain::{Refusal, Settings, Stage};
use crate::error::{Error, Result};
use crate::source::location::Location;
use crate::verdict::Verdict;

/// The file that tells what the others are.
const MANIFEST: &str = "manifest.json";

/// A series as the stage before handed it over; its chain was checked.
#[derive(Debug, Clone)]
pub struct Handover {
    place: Location,
    manifest: Manifest,
    sha256: String,
}

/// What a stage made of a series.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// Which it was.
    pub stage: Stage,
    /// What it found.
    pub verdict: &'a Verdict,
    /// Why the series goes no further; the manifest tells it.
    pub refused: Option<Refusal>,
    /// Files by their names.
    pub files: BTreeMap<&'static str, Bytes>,
}

/// The series in the folder `place`, in the order of their names.
///
/// # Errors
/// [`Error::Source`] when there is none, or it cannot be read.
pub async fn series(place: &Location) -> Result<Vec<String>> {
    let folders = place.folders().await?;
    if folders.is_empty() {
        return Err(Error::source(
            format!("{} has no series", place.shown()),
            "give the place that was the --output of the stage before",
        ));
    }
    Ok(folders)
}

/// Begins the chain of a series: what the first stage made of it.
///
/// # Errors
/// [`Error::Output`] when it cannot be written.
pub async fn begin(
    output: &Location,
    series: &SeriesName,
    settings: Settings,
    outcome: Outcome<'_>,
) -> Result<()> {
    let manifest = Manifest::new(series.clone(), settings);
    hand_on(&output.join(series.as_ref()), manifest, None, outcome).await
}

/// Hands over what went through every stage in this process, each with its verdict; `files` are of the last.
///
/// # Errors
/// [`Error::Output`] when it cannot be written.
pub async fn whole(
    output: &Location,
    series: &SeriesName,
    settings: Settings,
    verdicts: &[Verdict; 4],
    files: BTreeMap<&'static str, Bytes>,
) -> Result<()> {
    let mut manifest = Manifest::new(series.clone(), settings);
    let mut input = None;
    let [earlier @ .., verdict] = verdicts;
    for (stage, verdict) in Stage::ALL.into_iter().zip(earlier) {
        let link = Link::new(stage, input, BTreeMap::new(), None, verdict);
        manifest.links.push(link);
        input = Some(sha256_hex(&manifest.encode()));
    }
    let outcome = Outcome {
        stage: Stage::ValidateModel,
        verdict,
        refused: None,
        files,
    };
    hand_on(&output.join(series.as_ref()), manifest, input, outcome).await
}

/// Writes the files, then the manifest.
async fn hand_on(
    place: &Location,
    mut manifest: Manifest,
    input: Option<String>,
    outcome: Outcome<'_>,
) -> Result<()> {
    let digest = |(name, bytes): (&&'static str, &Bytes)| ((*name).to_owned(), sha256_hex(bytes));
    manifest.links.push(Link::new(
        outcome.stage,
        input,
        outcome.files.iter().map(digest).collect(),
        outcome.refused,
        outcome.verdict,
    ));
    for (name, bytes) in outcome.files {
        place.join(name).write(bytes).await?;
    }
    place.join(MANIFEST).write(manifest.encode()).await
}

impl Handover {
    /// Takes over the folder of `series` in `input`.
    ///
    /// # Errors
    /// [`Error::Source`] when there is none; [`Error::Data`] when its chain is broken.
    pub async fn take(input: &Location, series: &str) -> Result<Self> {
        let place = input.join(series);
        let file = place.join(MANIFEST);
        let bytes = file.read().await?;
        let manifest = Manifest::decode(file.shown(), &bytes)?;
        manifest.check(file.shown())?;
        if manifest.series.as_ref() != series {
            return Err(Error::data(
                format!("{} is of the series {}", file.shown(), manifest.series),
                "leave the folders as the stage before wrote them",
            ));
        }
        Ok(Self {
            place,
            sha256: sha256_hex(&bytes),
            manifest,
        })
    }

    /// What is forecast.
    #[must_use]
    pub fn series(&self) -> &SeriesName {
        &self.manifest.series
    }

    /// What the catalog said of it.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.manifest.settings
    }

    /// The stage that refused it, and why; `None` of one that goes on.
    #[must_use]
    pub fn refused(&self) -> Option<(Stage, &Refusal)> {
        let last = self.manifest.links.last()?;
        last.refused.as_ref().map(|refusal| (last.stage, refusal))
    }

    /// That it went through all stages, the last of which found its model good.
    ///
    /// # Errors
    /// [`Error::Settings`] naming the stage that is missing.
    pub fn complete(&self) -> Result<()> {
        match (self.manifest.next(), self.refused()) {
            (None, None) => Ok(()),
            (next, _) => {
                let next = next.map_or("validate-model", Stage::command);
                Err(Error::settings(
                    format!(
                        "{} holds no model that was validated: {next} has not been run on it, or refused it",
                        self.place.shown()
                    ),
                    format!("run `loadcast-trainer {next}`, and give its --output"),
                ))
            }
        }
    }

    /// That `stage` is the one that comes next.
    ///
    /// # Errors
    /// [`Error::Settings`] naming the stage that is missing, or that was there already.
    pub fn expect(&self, stage: Stage) -> Result<()> {
        if self.manifest.next() == Some(stage) {
            return Ok(());
        }
        let was = self
            .manifest
            .links
            .last()
            .map_or("nobody", |link| link.stage.command());
        let before = stage.before().map_or("the data", Stage::command);
        Err(Error::settings(
            format!(
                "{} was handed over by {was}, and {} takes over from {before}",
                self.place.shown(),
                stage.command()
            ),
            format!(
                "give the place that was the --output of `loadcast-trainer {before}`; a stage that wrote into its input cannot be repeated there"
            ),
        ))
    }

    /// Whether a stage wrote the file.
    #[must_use]
    pub fn wrote(&self, name: &str) -> bool {
        self.manifest.digest(name).is_some()
    }

    /// A file that a stage wrote.
    ///
    /// # Errors
    /// [`Error::Data`] when no stage wrote it, or it is not what was written.
    pub async fn read(&self, name: &str) -> Result<Bytes> {
        let file = self.place.join(name);
        let written = self.manifest.digest(name).ok_or_else(|| {
            Error::data(
                format!("{}: no stage wrote it", file.shown()),
                "run the stages again, each on the --output of the one before",
            )
        })?;
        let bytes = file.read().await?;
        if sha256_hex(&bytes) == written {
            return Ok(bytes);
        }
        Err(Error::data(
            format!(
                "{} is not the file that was handed over: its SHA-256 is not {written}",
                file.shown()
            ),
            "run the stage that writes it again; nothing is trained on or pushed of a file that was changed",
        ))
    }

    /// Where a file is, for people.
    #[must_use]
    pub fn shown(&self, name: &str) -> String {
        format!("{}/{name}", self.place.shown())
    }

    /// Hands the series on to the next stage, in the folder `output`.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be written.
    pub async fn hand_on(self, output: &Location, outcome: Outcome<'_>) -> Result<()> {
        let place = output.join(self.manifest.series.as_ref());
        hand_on(&place, self.manifest, Some(self.sha256), outcome).await
    }
}

#[cfg(test)]
mod tests;
