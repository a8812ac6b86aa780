//! What a run has done so far, on disk: its models wait there for the brake, and a run that was killed goes on from it.
//!
//! ```text
//! run.json                 what the run is of, and what the brake said; a run of something else begins anew
//! series/NAME/series.json  what became of the series: written last, when it is judged, and again when it is pushed
//! series/NAME/...          its model as validate-model hands it over, and its part of the page
//! ```
//!
//! A run goes on with what an interrupted one left only where everything that decides what is made is the same: settings,
//! data, server, trainer; and only for some hours, for its models are of then. The folder is locked by one run at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use loadcast_model::artifact::sha256_hex;
use loadcast_model::series::SeriesName;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::handover::{self, Handover, Settings};
use crate::lock::Lock;
use crate::output;
use crate::pipeline::Plan;
use crate::push::TRAINER_VERSION;
use crate::push::validated::{SECTION, Validated};
use crate::report::SeriesReport;
use crate::source::location::Location;
use crate::verdict::Verdict;

/// A run that was begun longer ago is not gone on with: its data are of then. Less than the interval of most schedules, so
/// that the next run is not taken for the rest of the last.
const MAX_AGE_SECONDS: i64 = 3 * 3600;

/// The folder of one run.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    run: Mutex<Run>,
    goes_on: bool,
    _lock: Lock,
    /// Gone with the process, where no journal was asked for.
    _temporary: Option<TempDir>,
}

/// The content of run.json.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    /// Of everything that decides what the run makes and where it goes, but the data and when.
    plan_sha256: String,
    /// Of the data; `None` until they are opened, and where nobody can tell.
    data: Option<String>,
    trainer_version: String,
    /// When it was begun: what is gone on with is as if it were then.
    now: Timestamp,
    /// What the brake said of all models together, once it has: nothing, or why none is promoted.
    brake: Option<Brake>,
    /// When it ended; `None` while it is under way.
    ended: Option<Timestamp>,
}

/// What the brake said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Brake {
    held: Option<String>,
}

impl Spool {
    /// The spool of `plan`, whose models go to `server`: one that an interrupted run of the same left in the plan's
    /// journal, or an empty one. Nothing is written yet; [`Spool::begin`] does.
    ///
    /// # Errors
    /// [`Error::Output`] when another run holds the journal, it is a folder of something else, or cannot be written.
    pub fn open(plan: &Plan, server: Option<&str>) -> Result<Self> {
        let (folder, temporary) = match &plan.journal {
            Some(folder) => (of_shard(folder, plan), None),
            None => {
                let folder = tempfile::tempdir().map_err(|error| {
                    Error::output(
                        format!("no temporary folder can be made: {error}"),
                        "make room, or set TMPDIR to a folder that is writable",
                    )
                })?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        let lock = Lock::take(&folder)?;
        let earlier: Option<Run> = read(&folder.join("run.json"))?;
        if earlier.is_none() && folder.join("series").exists() {
            return Err(Error::output(
                format!(
                    "--journal {}: it has files of something else",
                    folder.display()
                ),
                "give a folder of its own; what is in it is not touched",
            ));
        }
        let fresh = Run {
            plan_sha256: digest(plan, server),
            data: None,
            trainer_version: TRAINER_VERSION.to_owned(),
            now: plan.now,
            brake: None,
            ended: None,
        };
        let adopted = earlier.filter(|earlier| earlier.goes_on_as(&fresh));
        Ok(Self {
            folder,
            goes_on: adopted.is_some(),
            run: Mutex::new(adopted.unwrap_or(fresh)),
            _lock: lock,
            _temporary: temporary,
        })
    }

    /// Begins, or goes on, with the data of that digest. Whether it goes on. An interrupted run of other data is dropped,
    /// and its models with it.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be written.
    pub fn begin(&mut self, data: Option<String>, now: Timestamp) -> Result<bool> {
        let mut run = self.run();
        if self.goes_on && run.data == data {
            return Ok(true);
        }
        self.goes_on = false;
        (run.data, run.now, run.brake) = (data, now, None);
        // First the word, then what it is about: killed in between, nothing old is taken for new.
        remove(&self.folder.join("run.json"))?;
        remove(&self.folder.join("series"))?;
        self.note(run)?;
        Ok(false)
    }

    /// What the brake said of all models together, which is asked `say` once in a run: pushed models would change it.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be written.
    pub fn held(&self, say: impl FnOnce() -> Option<String>) -> Result<Option<String>> {
        let mut run = self.run();
        if let Some(said) = run.brake {
            return Ok(said.held);
        }
        let held = say();
        run.brake = Some(Brake { held: held.clone() });
        self.note(run)?;
        Ok(held)
    }

    /// When the run was begun.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.run().now
    }

    /// What became of a series that is done with: judged, whatever the judgement. One that failed is tried again.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be read back.
    pub fn finished(&self, series: &SeriesName) -> Result<Option<SeriesReport>> {
        let report: Option<SeriesReport> = read(&self.of(series, "series.json"))?;
        Ok(report.filter(SeriesReport::is_judged))
    }

    /// Keeps the part of the page about a series.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be written.
    pub fn keep_section(&self, series: &SeriesName, section: &str) -> Result<()> {
        output::write(&self.of(series, SECTION), section.as_bytes())
    }

    /// Where that is.
    #[must_use]
    pub fn section(&self, series: &str) -> PathBuf {
        self.folder.join("series").join(series).join(SECTION)
    }

    /// Keeps a model until it is pushed.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be written.
    pub async fn keep(&self, validated: &Validated, verdicts: &[Verdict; 4]) -> Result<()> {
        let name = &validated.series().name;
        let (place, files) = (self.place()?, validated.files());
        handover::whole(&place, name, Settings::default(), verdicts, files).await
    }

    /// The model that was kept.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be read back.
    pub async fn model(&self, series: &str) -> Result<Validated> {
        let handover = Handover::take(&self.place()?, series).await?;
        Validated::open(&handover).await
    }

    /// Notes what became of a series.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be written.
    pub fn tell(&self, series: &SeriesName, report: &SeriesReport) -> Result<()> {
        output::write(&self.of(series, "series.json"), &json(report))
    }

    /// Notes that the run ended, at `now`: the next one begins anew.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be written.
    pub fn end(&self, now: Timestamp) -> Result<()> {
        self.note(Run {
            ended: Some(now),
            ..self.run()
        })
    }

    /// When the last run in the plan's journal ended; `None` when none did.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be read.
    pub fn last_end(plan: &Plan) -> Result<Option<Timestamp>> {
        let Some(folder) = &plan.journal else {
            return Ok(None);
        };
        let run: Option<Run> = read(&of_shard(folder, plan).join("run.json"))?;
        Ok(run.and_then(|run| run.ended))
    }

    fn run(&self) -> Run {
        self.run
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, run: Run) -> Result<()> {
        output::write(&self.folder.join("run.json"), &json(&run))?;
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = run;
        Ok(())
    }

    fn of(&self, series: &SeriesName, file: &str) -> PathBuf {
        self.folder.join("series").join(series.as_ref()).join(file)
    }

    fn place(&self) -> Result<Location> {
        Location::of(&self.folder.join("series").to_string_lossy())
    }
}

impl Run {
    fn goes_on_as(&self, fresh: &Self) -> bool {
        let age = fresh.now.as_second() - self.now.as_second();
        self.ended.is_none()
            && self.plan_sha256 == fresh.plan_sha256
            && self.trainer_version == fresh.trainer_version
            && (0..MAX_AGE_SECONDS).contains(&age)
    }
}

/// Where a run of `plan` notes what it does: each shard for itself.
fn of_shard(folder: &Path, plan: &Plan) -> PathBuf {
    match plan.shard.folder() {
        Some(shard) => folder.join(shard),
        None => folder.to_owned(),
    }
}

/// Of everything in `plan` that decides what is made and where it goes. Not of how many series at once.
fn digest(plan: &Plan, server: Option<&str>) -> String {
    let Plan {
        data,
        catalog,
        prometheus: _,
        history_seconds,
        series,
        shard,
        only,
        fleet: _,
        jobs: _,
        time_column,
        labels,
        rules,
        preparation,
        method,
        gates,
        brake,
        alias,
        mask_column,
        report_html: _,
        output_dir,
        journal: _,
        now: _,
    } = plan;
    let mut rules = rules.clone();
    (rules.now, rules.shift_to) = (None, rules.shift_to.map(|_| 0));
    let parts = format!(
        "{data:?} {catalog:?} {history_seconds:?} {series:?} {shard:?} {only:?} {time_column:?} {labels:?} {rules:?} {preparation:?} {method:?} {gates:?} {brake:?} {alias:?} {mask_column:?} {output_dir:?} {server:?}"
    );
    sha256_hex(parts.as_bytes())
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value)
        .expect("plain structs with string keys serialise without error")
}

/// What `path` holds; `None` where there is nothing, or what was written by another version.
fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)
            .inspect_err(|error| {
                tracing::warn!(path = %path.display(), %error, "not what this version writes; done again");
            })
            .ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn remove(path: &Path) -> Result<()> {
    let removed = match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unreadable(path, &error)),
        _ => Ok(()),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::output(
        format!("{}: {error}", path.display()),
        "give --journal a folder that is readable and writable",
    )
}

#[cfg(test)]
mod tests;
