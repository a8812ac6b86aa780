//! The trait, its guarantees and the values that pass through it.
//!
//! To follow a registry: [`poll`](Registry::poll) at intervals, which lists what every series should serve and which are
//! retired; plan; then [`fetch`](Registry::fetch) what is to be loaded. [`Aspired::rule`] says by which [`Rule`] a version
//! was chosen: a series that was served by [`Rule::Alias`] and is now aspired by a stage has lost its alias, and keeps
//! what it serves.
//!
//! What an [`Error`] asks of whoever follows:
//!
//! | error | of | then |
//! |---|---|---|
//! | [`Unreachable`](Error::Unreachable) | any call | back off, and not before `retry_after` where it is set; calls made before that are answered at once with what is left of it, and send nothing |
//! | [`Denied`](Error::Denied) | any call | as unreachable: nothing is changed or unloaded, and a human is told |
//! | [`NotReady`](Error::NotReady) | fetch | the version is being made: ask again at the next poll |
//! | [`NotFound`](Error::NotFound) | fetch | the alias dangles: refuse the version until the alias moves |
//! | [`Corrupt`](Error::Corrupt) | fetch | the same |
//! | [`Unsupported`](Error::Unsupported) | fetch | the same |
//!
//! [`Manifest::activate_at`] of what was fetched says before which instant it is not to be served. A version that did not
//! arrive whole is `Unreachable`, one that arrived whole and wrong is `Corrupt`. Every call ends by itself, within bounds
//! that each registry states; none goes on trying for longer, for backing off is the caller's.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use loadcast_model::{
    artifact::{Metadata, sha256_hex},
    series::SeriesName,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    manifest::Manifest,
};

/// The alias of the version that is tried beside the one that is served.
pub const CANDIDATE: &str = "candidate";

/// The most versions that one [`Registry::prune`] deletes.
pub const MAX_PRUNED: usize = 32;

/// Where versions are durable and aliases say which one is meant.
///
/// One server writes to a registry at a time. Versions of a series are numbered upwards from 1; numbers may have gaps,
/// a number never comes back with other bytes.
#[async_trait]
pub trait Registry: Send + Sync + std::fmt::Debug {
    /// Scheme and place, for people; carries no credentials.
    fn url(&self) -> &str;

    /// What the registry says of every series at one moment, as seen through `alias`.
    ///
    /// Complete or an error: a part of the listing is never passed off as the whole. Even so, a series that is missing from
    /// one listing is not to be unloaded for it. What it costs is said where each registry is.
    async fn poll(&self, alias: &str) -> Result<Poll>;

    /// Where `alias` of `series` points; `None` when it does not exist.
    async fn alias(&self, series: &SeriesName, alias: &str) -> Result<Option<u64>>;

    /// The registered versions of `series`, ascending; empty for a series that is not known.
    async fn versions(&self, series: &SeriesName) -> Result<Vec<u64>>;

    /// One version, whole: its size and sha256 checked against what was written down when it was registered. Of a version
    /// that somebody else logged nothing was written down; it is checked for completeness, and its manifest says what
    /// could be learnt from it.
    async fn fetch(&self, series: &SeriesName, version: u64) -> Result<StoredVersion>;

    /// Makes a new version. When this returns the version is durable; when it fails or never returns, nothing is visible.
    ///
    /// Idempotent by key: the same key and bytes give the same version again, the same key with other bytes is
    /// [`Error::KeyReused`].
    async fn register(&self, version: NewVersion) -> Result<Registered>;

    /// The version that `key` made; `None` when it made none.
    async fn made_by(&self, series: &SeriesName, key: &str) -> Result<Option<Made>>;

    /// Notes that the push which made `version` did all that it was to do, its alias moved: whoever pushes the same again
    /// must then not move an alias that has gone elsewhere since. Durable when this returns.
    async fn complete(&self, series: &SeriesName, version: u64) -> Result<()>;

    /// Points `alias` of `series` at `version`, which must exist; durable when this returns.
    ///
    /// `expected`: where the alias must be now (0: nowhere), else
    /// [`Error::AliasMoved`]; `None`: wherever it is. Object stores compare and write in one step; MLflow cannot, and what
    /// it promises instead is said [there](crate::mlflow).
    async fn set_alias(
        &self,
        series: &SeriesName,
        alias: &str,
        version: u64,
        expected: Option<u64>,
    ) -> Result<()>;

    /// Lays a tombstone on `series`, which must have a version: it is no longer [aspired](Poll::aspired), and keeps
    /// its versions and aliases. Durable when this returns; a second tombstone replaces the first.
    async fn retire(&self, series: &SeriesName, tombstone: Tombstone) -> Result<()>;

    /// Takes the tombstone of `series` away; nothing to do where there is none. Durable when this returns.
    async fn revive(&self, series: &SeriesName) -> Result<()>;

    /// The tombstone of `series`; `None` when it is not retired.
    async fn tombstone(&self, series: &SeriesName) -> Result<Option<Tombstone>>;

    /// Deletes the versions of `series` that are older than the newest `keep` (at least 1), but none that any alias names,
    /// that is pinned, that stands in a stage, that somebody else logged, or that is `spared` because it is served; the
    /// oldest [`MAX_PRUNED`] at a time. Returns what is gone, ascending. One that cannot be deleted is told in the log and
    /// holds up no other. When it fails, or is given up half-way, some of it may be gone, and the next call goes on.
    ///
    /// The key of a version that is gone is forgotten: pushed again it makes a new version, with a new number.
    async fn prune(&self, series: &SeriesName, keep: usize, spared: &[u64]) -> Result<Vec<u64>>;

    /// Keeps `version` from being [pruned](Registry::prune), or no longer. Durable when this returns.
    async fn pin(&self, series: &SeriesName, version: u64, pinned: bool) -> Result<()>;
}

/// Why a series is retired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// In the words of whoever retired it.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// What one look at a registry shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Poll {
    /// Every series that is to be served and is not retired, with its version, sorted by series. Where the alias names none,
    /// a registry with stages goes on to what stands in Production, then in Staging ([`Rule`]).
    pub aspired: Vec<Aspired>,
    /// Every series that has a [`Tombstone`], sorted.
    pub retired: Vec<SeriesName>,
    /// Every series that is not retired and has a version named [`CANDIDATE`], with that version. Empty where that is the
    /// followed alias itself, and in what a copy says.
    pub candidates: Vec<(SeriesName, u64)>,
    /// Why this is what a [copy](crate::mirror) of the registry says: the registry is unreachable, in its words. What a
    /// copy says may be old: load only what is not served at all, and tell that the registry does not answer.
    pub copy: Option<String>,
}

/// What should be served of one series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aspired {
    /// The series.
    pub series: SeriesName,
    /// The version.
    pub version: u64,
    /// Why this one. A series that has been followed by its alias must not fall back to a stage when the alias disappears.
    pub rule: Rule,
}

/// What made a version the one to be served; the first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The followed alias points at it.
    Alias,
    /// No such alias, and it stands in MLflow's stage Production.
    Production,
    /// As before, and none stands in Production, and it stands in Staging.
    Staging,
}

impl Rule {
    /// How that is written where otherwise the alias stands; none is an alias' name, for it holds a colon.
    pub const STAGES: [&str; 2] = ["stage:Production", "stage:Staging"];

    /// The followed `alias`, or one of [`Rule::STAGES`].
    pub fn name(self, alias: &str) -> &str {
        match self {
            Self::Alias => alias,
            Self::Production => Self::STAGES[0],
            Self::Staging => Self::STAGES[1],
        }
    }
}

/// A version to be registered.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// The content of loadcast.json; names the series, and size and sha256 of `model_pr`.
    pub metadata: Metadata,
    /// The idempotency key.
    pub key: String,
    /// The bytes of model.pr.
    pub model_pr: Bytes,
    /// Reports and plots.
    pub attachments: Vec<Attachment>,
    /// The instant to write down as the registration's.
    pub registered_at: Timestamp,
    /// The instant at which all replicas are to begin serving it; `None`: when each learns of it.
    pub activate_at: Option<Timestamp>,
}

/// A report or plot beside a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// A file name without directories.
    pub name: String,
    /// For example `text/html`.
    pub media_type: String,
    /// The file.
    pub bytes: Bytes,
}

/// What [`Registry::register`] made or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The version's number.
    pub version: u64,
    /// The key had made this version before.
    pub already_registered: bool,
}

/// What a key made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The version's number.
    pub version: u64,
    /// Lower-case hex of the SHA-256 of its model.pr.
    pub sha256: String,
    /// [`Registry::complete`] was called.
    pub completed: bool,
}

/// A version as the registry keeps it.
#[derive(Debug, Clone)]
pub struct StoredVersion {
    /// What was written down when it was registered.
    pub manifest: Manifest,
    /// The bytes of model.pr, digest checked.
    pub model_pr: Bytes,
}

impl StoredVersion {
    /// Pairs a manifest with the bytes it describes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when size or sha256 differ.
    pub fn check(manifest: Manifest, model_pr: Bytes) -> Result<Self> {
        let Metadata {
            size_bytes, sha256, ..
        } = &manifest.metadata;
        let corrupt = |reason: String| Error::Corrupt {
            what: format!(
                "model.pr of {} version {}",
                manifest.series, manifest.version
            ),
            reason,
        };
        let size = model_pr.len() as u64;
        if size != *size_bytes {
            return Err(corrupt(format!(
                "{size} bytes, registered were {size_bytes}"
            )));
        }
        let digest = sha256_hex(&model_pr);
        if digest != *sha256 {
            return Err(corrupt(format!("sha256 {digest}, registered was {sha256}")));
        }
        Ok(Self { manifest, model_pr })
    }
}
