//! The way to the server. Only an [`Approved`] model goes, one that was [`handed`] over by a process that approved it, or an
//! [`imported`] one that equals Python's: nothing else can be named here.
//!
//! A model that was trained but not validated does not compile:
//!
//! ```compile_fail,E0308
//! use loadcast_client::Client;
//! use loadcast_trainer::push::{Destination, push};
//! use loadcast_trainer::stage::train::Trained;
//!
//! async fn skip_validation(trained: Trained, client: &Client, to: &Destination) {
//!     let _ = push(trained, client, to).await;
//! }
//! ```
//!
//! And none can be made of an approved one and something else, because its fields are private:
//!
//! ```compile_fail,E0451
//! use loadcast_trainer::stage::train::Trained;
//! use loadcast_trainer::stage::validate_model::Approved;
//!
//! fn forge(trained: Trained, approved: Approved) -> Approved {
//!     Approved { trained, ..approved }
//! }
//! ```

pub mod handed;
pub mod imported;

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use loadcast_client::{
    Client, Code, Error as ClientError, Push, RejectionReport, Scores, SeriesInfo, Verdict,
};
use loadcast_model::artifact::sha256_hex;
use loadcast_model::backtest::{Backtest, Method};
use loadcast_model::series::{Series, ZeroMeans};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::stage::validate_model::Approved;

/// Who trained it, as the registry keeps it.
pub const TRAINER_VERSION: &str = concat!("loadcast-trainer/", env!("CARGO_PKG_VERSION"));

/// Where an approved model goes.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The alias to move; `None` registers without serving.
    pub alias: Option<String>,
    /// When it was trained.
    pub trained_at: Timestamp,
}

/// A model that is registered.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Receipt {
    /// The registry's number.
    pub version: u64,
    /// The revision at which it is served; `None` when no followed alias was moved.
    pub revision: Option<u64>,
    /// Of the bytes of model.pr, as the server computed it.
    #[serde(skip)]
    pub sha256: String,
    /// The same data, spec and trainer had been pushed before; nothing was done again.
    pub already_registered: bool,
}

/// Pushes a model: registered and, if an alias is moved, served when this returns.
///
/// The alias moves only if it still points where it pointed when this began. The same data, spec,
/// trainer and alias have the same idempotency key, so pushing again after a lost answer is safe.
///
/// # Errors
/// [`Error::Server`] when the server cannot be reached or refuses.
pub async fn push(approved: Approved, client: &Client, to: &Destination) -> Result<Receipt> {
    let series = approved.series().name.to_string();
    let expected = expected_version(client, &series, to).await?;
    send(client, message(&approved, to, expected)?).await
}

async fn send(client: &Client, message: Push) -> Result<Receipt> {
    let pushed = client
        .push(message)
        .await
        .map_err(|error| refused(client, &error))?;
    Ok(Receipt {
        version: pushed.version,
        revision: pushed.revision,
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
pub async fn report_rejection(
    client: &Client,
    series: &str,
    code: &str,
    message: &str,
) -> Result<()> {
    let report = RejectionReport {
        series: series.to_owned(),
        reasons: vec![loadcast_client::Reason {
            code: code.to_owned(),
            message: message.to_owned(),
        }],
        scores: None,
        artifact_sha256: None,
        trainer_version: TRAINER_VERSION.to_owned(),
    };
    let reported = client.report_rejection(report).await;
    reported
        .map(|_| ())
        .map_err(|error| refused(client, &error))
}

/// The version that the alias to move must still be at when the push arrives.
async fn expected_version(client: &Client, series: &str, to: &Destination) -> Result<Option<u64>> {
    match &to.alias {
        Some(alias) => Ok(Some(current_version(client, series, alias).await?)),
        None => Ok(None),
    }
}

/// What `alias` points at now; 0 when it does not exist yet.
async fn current_version(client: &Client, series: &str, alias: &str) -> Result<u64> {
    match client.model(series).await {
        Ok(model) => Ok(model.aliases.get(alias).copied().unwrap_or(0)),
        Err(ClientError::Refused {
            code: Code::NotFound,
            ..
        }) => Ok(0),
        Err(error) => Err(refused(client, &error)),
    }
}

/// The key under which the same work is done once: whatever decides the bytes and where they go.
pub(crate) fn idempotency_key(approved: &Approved, alias: Option<&str>) -> String {
    key(
        approved.series(),
        approved.data_sha256(),
        &method(approved.method()),
        alias,
    )
}

fn key(series: &Series, data_sha256: &str, made: &str, alias: Option<&str>) -> String {
    let series = json(series);
    let parts = [
        &series,
        data_sha256,
        made,
        TRAINER_VERSION,
        alias.unwrap_or(""),
    ];
    // A line each: no part holds a line end, so no two lists of parts join to the same text.
    sha256_hex(parts.join("\n").as_bytes())
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

fn message(approved: &Approved, to: &Destination, expected_version: Option<u64>) -> Result<Push> {
    let cutoff = Timestamp::from_second(approved.cutoff())
        .map_err(|_| Error::outside_calendar(approved.cutoff()))?;
    Ok(Push {
        series: info(approved.series()),
        idempotency_key: idempotency_key(approved, to.alias.as_deref()),
        alias: to.alias.clone(),
        expected_version,
        verdict: Verdict::Promote,
        scores: approved.skill().map(scores),
        cutoff,
        trained_at: to.trained_at,
        rows: approved.rows() as u64,
        trainer_version: TRAINER_VERSION.to_owned(),
        data_sha256: approved.data_sha256().to_owned(),
        spec_json: json(approved.spec()),
        clamps: approved.clamps().map(|clamps| loadcast_client::Clamps {
            min: clamps.min,
            max: clamps.max,
        }),
        activate_at: None,
        tags: std::collections::BTreeMap::new(),
        band_calibration_json: approved.calibration().map(json),
        correction_json: approved.correction().map(json),
        peak_json: approved.peak().map(json),
        attachments: Vec::new(),
        model_pr: Bytes::copy_from_slice(approved.model_pr()),
    })
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

fn scores(skill: &Backtest) -> Scores {
    measured(&skill.scores(), skill.horizon_seconds)
}

fn measured(scores: &loadcast_model::score::Scores, horizon_seconds: u32) -> Scores {
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
        horizon: Some(Duration::from_secs(horizon_seconds.into())),
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
        if self.already_registered {
            write!(f, " (pushed before; nothing was done again)")?;
        }
        write!(f, "\n    {:<8}sha256 {}", "ok", self.sha256)
    }
}
