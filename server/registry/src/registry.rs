//! The trait, its guarantees and the values that pass through it.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use loadcast_model::{artifact::Metadata, series::SeriesName};
use serde::{Deserialize, Serialize};

use crate::{error::Result, manifest::Manifest};

/// Where versions are durable and aliases say which one is meant.
///
/// One server writes to a registry at a time. Versions of a series are numbered upwards from 1; numbers may have gaps,
/// a number never comes back with other bytes.
#[async_trait]
pub trait Registry: Send + Sync + std::fmt::Debug {
    /// Scheme and place, for people; carries no credentials.
    fn url(&self) -> &str;

    /// Every series that `alias` names and that is not retired, with the version it points at, sorted by series.
    ///
    /// Complete or an error: a part of the listing is never passed off as the whole.
    async fn aspired(&self, alias: &str) -> Result<Vec<Aspired>>;

    /// Where `alias` of `series` points; `None` when it does not exist.
    async fn alias(&self, series: &SeriesName, alias: &str) -> Result<Option<u64>>;

    /// The registered versions of `series`, ascending; empty for a series that is not known.
    async fn versions(&self, series: &SeriesName) -> Result<Vec<u64>>;

    /// One version, its size and sha256 checked against its manifest.
    async fn fetch(&self, series: &SeriesName, version: u64) -> Result<StoredVersion>;

    /// Makes a new version. When this returns the version is durable; when it fails or never returns, nothing is visible.
    ///
    /// Idempotent by key: the same key and bytes give the same version again, the same key with other bytes is
    /// [`Error::KeyReused`](crate::error::Error::KeyReused).
    async fn register(&self, version: NewVersion) -> Result<Registered>;

    /// The version that `key` made; `None` when it made none.
    async fn made_by(&self, series: &SeriesName, key: &str) -> Result<Option<Made>>;

    /// Notes that the push which made `version` did all that it was to do, its alias moved: whoever pushes the same again
    /// must then not move an alias that has gone elsewhere since. Durable when this returns.
    async fn complete(&self, series: &SeriesName, version: u64) -> Result<()>;

    /// Points `alias` of `series` at `version`, which must exist; durable when this returns.
    ///
    /// `expected`: where the alias must be now (0: nowhere), else
    /// [`Error::AliasMoved`](crate::error::Error::AliasMoved); `None`: wherever it is.
    async fn set_alias(
        &self,
        series: &SeriesName,
        alias: &str,
        version: u64,
        expected: Option<u64>,
    ) -> Result<()>;

    /// Lays a tombstone on `series`, which must have a version: it is no longer [aspired](Registry::aspired), and keeps
    /// its versions and aliases. Durable when this returns; a second tombstone replaces the first.
    async fn retire(&self, series: &SeriesName, tombstone: Tombstone) -> Result<()>;

    /// Takes the tombstone of `series` away; nothing to do where there is none. Durable when this returns.
    async fn revive(&self, series: &SeriesName) -> Result<()>;

    /// The tombstone of `series`; `None` when it is not retired.
    async fn tombstone(&self, series: &SeriesName) -> Result<Option<Tombstone>>;

    /// Every retired series, sorted. Complete or an error, as [`Registry::aspired`].
    async fn retired(&self) -> Result<Vec<SeriesName>>;
}

/// Why a series is retired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// In the words of whoever retired it.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// One line of a listing: what an alias says should be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aspired {
    /// The series.
    pub series: SeriesName,
    /// The version that the alias points at.
    pub version: u64,
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
