//! The way to the server. Only a [`Validated`] model goes, or an [`imported`] one that equals Python's: nothing else can be
//! named here.
//!
//! A model that was trained but not judged does not compile:
//!
//! ```compile_fail,E0308
//! use jiff::Timestamp;
//! use loadcast_trainer::push::validated::Validated;
//! use loadcast_trainer::stage::train::Trained;
//!
//! fn skip_validation(trained: Trained, now: Timestamp) {
//!     let _ = Validated::of(trained, now);
//! }
//! ```
//!
//! And no judgement can be passed on to other bytes, because its fields are private:
//!
//! ```compile_fail,E0451
//! use loadcast_trainer::stage::validate_model::Approved;
//!
//! fn forge(model_pr: Vec<u8>, approved: Approved) -> Approved {
//!     Approved { model_pr, ..approved }
//! }
//! ```

pub mod imported;
pub mod validated;

use std::time::Duration;

use bytes::Bytes;
use loadcast_client::{
    Client, Code, Error as ClientError, Model, Push, RejectionReport, Scores, SeriesInfo, Verdict,
};
use loadcast_model::artifact::Metadata;
use loadcast_model::backtest::Method;
use loadcast_model::series::{Series, ZeroMeans};
use serde::Serialize;

use self::validated::Validated;
use crate::error::{Error, Result};
use crate::handover::Refusal;

/// Who trained it, as the registry keeps it.
pub const TRAINER_VERSION: &str = concat!("loadcast-trainer/", env!("CARGO_PKG_VERSION"));

/// The alias of a model that is registered and not promoted.
pub const CANDIDATE: &str = "candidate";

/// The name of the report that goes to the registry beside a model.
pub const REPORT: &str = "report.html";

/// A model that is registered.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Receipt {
    /// The registry's number.
    pub version: u64,
    /// The revision at which it is served; `None` when no followed alias was moved.
    pub revision: Option<u64>,
    /// The alias that points at it; `None` when none was moved.
    pub alias: Option<String>,
    /// Of the bytes of model.pr, as the server computed it.
    #[serde(skip)]
    pub sha256: String,
    /// The same data, spec and trainer had been pushed before; nothing was done again.
    pub already_registered: bool,
}

/// Pushes a model: registered and, if it is promoted and an alias is moved, served when this returns.
///
/// A promotion moves `promoted`, if that is given; a model that is no more than a candidate gets the alias [`CANDIDATE`] in
/// its place. The alias moves only if it still points where it pointed when this began. The same data, spec, trainer and
/// alias have the same idempotency key, so pushing again after a lost answer is safe.
///
/// # Errors
/// [`Error::Server`] when the server cannot be reached or refuses.
pub async fn push(
    validated: Validated,
    client: &Client,
    promoted: Option<&str>,
) -> Result<Receipt> {
    let alias = validated.alias(promoted);
    let expected = match alias {
        // Nobody acts on it: the latest candidate is the one.
        Some(CANDIDATE) | None => None,
        Some(alias) => Some(still_beside(client, &validated, alias).await?),
    };
    send(client, validated.message(alias, expected)).await
}

/// What `alias` points at, 0 for nothing, if what is served is still what the model was judged beside, or the model itself.
async fn still_beside(client: &Client, validated: &Validated, alias: &str) -> Result<u64> {
    let series = validated.series().name.as_ref();
    let Some(model) = model(client, series).await? else {
        return Ok(0);
    };
    let served = model.served.as_ref();
    let version = served.map_or(0, |served| served.version);
    let is_ours =
        served.is_some_and(|served| served.artifact_sha256 == validated.metadata().sha256);
    match validated.beside() {
        Some(beside) if beside != version && !is_ours => Err(Error::server(
            format!(
                "{series} was judged beside version {beside}, and version {version} is served by now"
            ),
            "somebody else moved the alias meanwhile: run again, to be judged beside what is served now",
        )),
        _ => Ok(model.aliases.get(alias).copied().unwrap_or(0)),
    }
}

async fn send(client: &Client, message: Push) -> Result<Receipt> {
    let alias = message.alias.clone();
    let pushed = client
        .push(message)
        .await
        .map_err(|error| refused(client, &error))?;
    Ok(Receipt {
        version: pushed.version,
        revision: pushed.revision,
        alias,
        sha256: pushed.artifact_sha256,
        already_registered: pushed.already_registered,
    })
}

/// A client of the server at `addr`; whether anybody listens there is found out by the first call.
///
/// # Errors
/// [`Error::Server`] for an address that is none.
pub fn connect(addr: &str) -> Result<Client> {
    Client::new(addr).map_err(|error| match error.to_string().split_once('\n') {
        Some((what, remedy)) => Error::server(format!("--server: {what}"), remedy),
        None => Error::server(format!("--server: {error}"), "write it as http://HOST:PORT"),
    })
}

/// Tells the server that a candidate was refused, so that it shows why the champion stays.
///
/// # Errors
/// [`Error::Server`] when the server cannot be reached or refuses.
pub async fn report_rejection(client: &Client, series: &str, refusal: &Refusal) -> Result<()> {
    let reasons = refusal.reasons.iter();
    let report = RejectionReport {
        series: series.to_owned(),
        reasons: reasons
            .map(|reason| loadcast_client::Reason {
                code: reason.code.to_string(),
                message: reason.message.clone(),
            })
            .collect(),
        scores: refusal.scores.as_ref().map(measured),
        artifact_sha256: refusal.sha256.clone(),
        trainer_version: TRAINER_VERSION.to_owned(),
    };
    let reported = client.report_rejection(report).await;
    reported
        .map(|_| ())
        .map_err(|error| refused(client, &error))
}

/// What `alias` points at now, 0 when it does not exist yet: it must still do so when the push arrives.
async fn expected_version(
    client: &Client,
    series: &str,
    alias: Option<&str>,
) -> Result<Option<u64>> {
    let Some(alias) = alias else {
        return Ok(None);
    };
    let model = model(client, series).await?;
    let version = model.and_then(|model| model.aliases.get(alias).copied());
    Ok(Some(version.unwrap_or(0)))
}

async fn model(client: &Client, series: &str) -> Result<Option<Model>> {
    match client.model(series).await {
        Ok(model) => Ok(Some(model)),
        Err(ClientError::Refused {
            code: Code::NotFound,
            ..
        }) => Ok(None),
        Err(error) => Err(refused(client, &error)),
    }
}

/// The search has no settings.
pub(crate) fn method(method: &Method) -> String {
    match method {
        Method::Spec(spec) => json(spec),
        Method::Search => "search".to_owned(),
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value)
        .expect("series and specs have string keys and serialise without error")
}

/// What a push says of any model.
fn message(
    metadata: Metadata,
    idempotency_key: String,
    verdict: Verdict,
    alias: Option<&str>,
    expected_version: Option<u64>,
    model_pr: Bytes,
) -> Push {
    Push {
        series: info(&metadata.series),
        idempotency_key,
        alias: alias.map(str::to_owned),
        expected_version,
        verdict,
        scores: metadata.scores.as_ref().map(measured),
        cutoff: metadata.cutoff,
        trained_at: metadata.trained_at,
        rows: metadata.rows,
        trainer_version: metadata.trainer_version,
        data_sha256: metadata.data_sha256,
        spec_json: metadata.spec.as_ref().map(json).unwrap_or_default(),
        clamps: metadata.clamps.map(|clamps| loadcast_client::Clamps {
            min: clamps.min,
            max: clamps.max,
        }),
        activate_at: None,
        tags: std::collections::BTreeMap::new(),
        band_calibration_json: metadata.band_calibration.as_ref().map(json),
        correction_json: metadata.correction.as_ref().map(json),
        peak_json: metadata.peak.as_ref().map(json),
        attachments: Vec::new(),
        model_pr,
    }
}

fn info(series: &Series) -> SeriesInfo {
    SeriesInfo {
        name: series.name.to_string(),
        labels: (*series.labels).clone(),
        unit: series.unit.as_ref().map(ToString::to_string),
        step: Duration::from_secs(series.step_seconds.into()),
        time_zone: series.zone.to_string(),
        zero_means: Some(match series.zero_means {
            ZeroMeans::Value => loadcast_client::ZeroMeans::Value,
            ZeroMeans::Missing => loadcast_client::ZeroMeans::Missing,
        }),
        predecessor: series.predecessor.as_ref().map(ToString::to_string),
    }
}

fn measured(scores: &loadcast_model::score::Scores) -> Scores {
    let horizon = scores.horizon_seconds.map(i64::unsigned_abs);
    Scores {
        mae: scores.mae,
        rmse: scores.rmse,
        smape: scores.smape,
        mase: scores.mase,
        coverage: scores.coverage,
        winkler: scores.winkler,
        seasonal_naive_mase: scores.seasonal_naive_mase,
        skill: scores.skill,
        origins: scores.origins,
        horizon: horizon.map(Duration::from_secs),
        ..Scores::default()
    }
}

/// A client's error as this crate's: what happened, and what to do here.
fn refused(client: &Client, error: &ClientError) -> Error {
    let text = error.to_string();
    let (what, remedy) = text.split_once('\n').unwrap_or((&text, ""));
    match error {
        ClientError::Unreachable { .. } => Error::server(
            what,
            "start loadcast-server, or say where it is with --server http://HOST:PORT; --dry-run needs none",
        ),
        ClientError::Refused {
            code: Code::Aborted,
            ..
        } => Error::server(
            format!("{} refused the push: {what}", client.addr()),
            "somebody else moved the alias meanwhile: run again to train against the model that is served now",
        ),
        ClientError::Refused { .. } if remedy.is_empty() => Error::server(
            format!("{} refused: {what}", client.addr()),
            "change what it names; `loadcast models show` tells what it serves",
        ),
        ClientError::Refused { .. } => Error::server(
            format!("{} refused: {what}", client.addr()),
            remedy.replace('\n', "; "),
        ),
        _ => Error::server(
            what,
            if remedy.is_empty() {
                "run again"
            } else {
                remedy
            },
        ),
    }
}

impl std::fmt::Display for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "  {:<18}version {}", "push", self.version)?;
        match self.revision {
            Some(revision) => write!(f, ", served at revision {revision}")?,
            None => write!(f, ", registered, not served")?,
        }
        if let Some(alias) = &self.alias {
            write!(f, ", alias {alias}")?;
        }
        if self.already_registered {
            write!(f, " (pushed before; nothing was done again)")?;
        }
        write!(f, "\n    {:<8}sha256 {}", "ok", self.sha256)
    }
}
