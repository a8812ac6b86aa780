//! A forecast's columns as Arrow, on their way out: the answer format ANSWER_FORMAT_ARROW_IPC.
//!
//! One Arrow IPC stream of one record batch, one row a point, uncompressed:
//!
//! | column | type | |
//! |---|---|---|
//! | `time` | `timestamp[us, UTC]` | `start + i * step` |
//! | `trend` | `double` | when components were asked for |
//! | `yhat` | `double` | |
//! | each component, by Prophet's name | `double` | when asked for; the field says `loadcast.multiplicative` |
//! | `q0.9`, one a level | `double` | the field says `loadcast.level` |
//!
//! No column has a null, and every value has the bits that it has in a column of the message. The schema's metadata is the
//! provenance, each key after `loadcast.`: see [`provenance`].

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{ArrayRef, Float64Array, RecordBatch, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Schema, TimeUnit},
    error::ArrowError,
    ipc::writer::StreamWriter,
};
use jiff::Timestamp;
use loadcast_proto::v1 as pb;

use crate::{
    answer::off_thread,
    error::{Error, Result},
};

/// Above so many values the copy takes longer than a serving thread should be held (about half a millisecond).
const VALUES_ON_A_SERVING_THREAD: usize = 100_000;

const MICROS: i64 = 1_000_000;

/// How the columns of an answer travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// As columns of the message.
    Columns,
    /// As one Arrow IPC stream instead.
    ArrowIpc,
}

impl Format {
    /// A format on its way in.
    pub(crate) fn parse(wire: i32) -> Result<Self> {
        match pb::AnswerFormat::try_from(wire) {
            Ok(pb::AnswerFormat::Unspecified | pb::AnswerFormat::Columns) => Ok(Self::Columns),
            Ok(pb::AnswerFormat::ArrowIpc) => Ok(Self::ArrowIpc),
            Err(_) => Err(Error::invalid(
                "format",
                "not a format; give ANSWER_FORMAT_COLUMNS or ANSWER_FORMAT_ARROW_IPC, or leave it out",
            )),
        }
    }

    /// The answer in this format; what is long is copied off the serving threads.
    pub(crate) async fn apply(self, forecast: pb::Forecast) -> Result<pb::Forecast> {
        match self {
            Self::Columns => Ok(forecast),
            Self::ArrowIpc if values(&forecast) <= VALUES_ON_A_SERVING_THREAD => {
                into_arrow_ipc(forecast)
            }
            Self::ArrowIpc => off_thread(move || into_arrow_ipc(forecast)).await,
        }
    }
}

fn values(forecast: &pb::Forecast) -> usize {
    let columns = 3 + forecast.quantiles.len() + forecast.components.len();
    forecast.yhat.len().saturating_mul(columns)
}

/// Moves every column into `arrow_ipc`.
fn into_arrow_ipc(mut forecast: pb::Forecast) -> Result<pb::Forecast> {
    let metadata = provenance(&forecast)
        .into_iter()
        .map(|(key, value)| (format!("loadcast.{key}"), value))
        .collect();
    let times = times(&forecast)?;
    let time = TimestampMicrosecondArray::from(times).with_timezone("UTC");
    let mut columns = Columns::default();
    columns.push(time_field(false), Arc::new(time));
    if !forecast.trend.is_empty() {
        let trend = std::mem::take(&mut forecast.trend);
        columns.push_values("trend".to_owned(), [], trend);
    }
    columns.push_values("yhat".to_owned(), [], std::mem::take(&mut forecast.yhat));
    for component in forecast.components.drain(..) {
        let multiplicative = component.multiplicative.to_string();
        let said = [("loadcast.multiplicative".to_owned(), multiplicative)];
        columns.push_values(component.name, said, component.values);
    }
    for quantile in forecast.quantiles.drain(..) {
        let (name, said) = quantile_name(quantile.level);
        columns.push_values(name, [said], quantile.values);
    }
    forecast.arrow_ipc = columns.encode(metadata).map_err(internal)?.into();
    Ok(forecast)
}

/// What an answer comes from, as pairs of text: series, unit, step_seconds, time_zone, version, artifact_sha256, alias, cutoff,
/// trained_at, epoch, revision, freshness and reason (empty unless it is gated). Instants are RFC 3339.
pub(crate) fn provenance(forecast: &pb::Forecast) -> Vec<(&'static str, String)> {
    let instant = |wire: &Option<prost_types::Timestamp>| {
        let instant = wire.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok());
        instant.map_or_else(String::new, |instant| instant.to_string())
    };
    let step = forecast.step.map_or(0, |step| step.seconds);
    let mut pairs = vec![
        ("unit", forecast.unit.clone()),
        ("step_seconds", step.to_string()),
        ("time_zone", forecast.time_zone.clone()),
        ("as_of", instant(&forecast.as_of)),
        ("band_calibrated", forecast.band_calibrated.to_string()),
    ];
    if let Some(from) = &forecast.provenance {
        pairs.extend([
            ("series", from.series.clone()),
            ("version", from.version.to_string()),
            ("artifact_sha256", from.artifact_sha256.clone()),
            ("alias", from.alias.clone()),
            ("cutoff", instant(&from.cutoff)),
            ("trained_at", instant(&from.trained_at)),
            ("epoch", from.epoch.clone()),
            ("revision", from.revision.to_string()),
            ("freshness", freshness(from).to_owned()),
            ("reason", from.reason.clone()),
        ]);
    }
    pairs
}

/// `FRESH`, `STALE_MODEL` or `STALE_DATA`.
pub(crate) fn freshness(provenance: &pb::Provenance) -> &'static str {
    let name = provenance.freshness().as_str_name();
    name.strip_prefix("FRESHNESS_").unwrap_or(name)
}

/// The instants of the points, in microseconds since the epoch.
pub(crate) fn times(forecast: &pb::Forecast) -> Result<Vec<i64>> {
    let (Some(start), Some(step)) = (forecast.start, forecast.step) else {
        return Err(Error::Internal("an answer without its grid".to_owned()));
    };
    let points = (0_i64..).take(forecast.yhat.len());
    Ok(points
        .map(|i| (start.seconds + i * step.seconds) * MICROS)
        .collect())
}

/// The column of instants.
pub(crate) fn time_field(nullable: bool) -> Field {
    let kind = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Field::new("time", kind, nullable)
}

/// How the column of a level is called, and what its field says.
pub(crate) fn quantile_name(level: f64) -> (String, (String, String)) {
    let said = ("loadcast.level".to_owned(), level.to_string());
    (format!("q{level}"), said)
}

/// What cannot happen: our own columns do not fit together.
pub(crate) fn internal(error: ArrowError) -> Error {
    Error::Internal(format!("an answer as Arrow: {error}"))
}

/// Columns of one length with their fields.
#[derive(Default)]
struct Columns {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl Columns {
    fn push(&mut self, field: Field, array: ArrayRef) {
        self.fields.push(field);
        self.arrays.push(array);
    }

    /// A column of numbers. A regressor may be called as a column of ours is; its name then comes after `component_`.
    fn push_values<const N: usize>(
        &mut self,
        name: String,
        said: [(String, String); N],
        values: Vec<f64>,
    ) {
        let taken = self.fields.iter().any(|field| *field.name() == name);
        let name = if taken {
            format!("component_{name}")
        } else {
            name
        };
        let field = Field::new(name, DataType::Float64, false).with_metadata(HashMap::from(said));
        self.push(field, Arc::new(Float64Array::from(values)));
    }

    fn encode(self, metadata: HashMap<String, String>) -> std::result::Result<Vec<u8>, ArrowError> {
        let schema = Arc::new(Schema::new(self.fields).with_metadata(metadata));
        let batch = RecordBatch::try_new(Arc::clone(&schema), self.arrays)?;
        let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
        writer.write(&batch)?;
        writer.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use arrow::{array::AsArray as _, datatypes::Float64Type, ipc::reader::StreamReader};

    use super::*;

    fn forecast() -> pb::Forecast {
        let column = |name: &str, multiplicative| pb::ComponentColumn {
            name: name.to_owned(),
            multiplicative,
            values: vec![0.5, 0.25],
        };
        pb::Forecast {
            provenance: Some(pb::Provenance {
                series: "web.cpu".to_owned(),
                version: 3,
                freshness: pb::Freshness::StaleModel.into(),
                reason: "LIVE_SKILL".to_owned(),
                cutoff: Some(prost_types::Timestamp {
                    seconds: 1_790_000_000,
                    nanos: 0,
                }),
                ..pb::Provenance::default()
            }),
            unit: "cores".to_owned(),
            start: Some(prost_types::Timestamp {
                seconds: 1_790_000_100,
                nanos: 0,
            }),
            step: Some(prost_types::Duration {
                seconds: 300,
                nanos: 0,
            }),
            yhat: vec![-0.0, f64::MIN_POSITIVE],
            trend: vec![1.0, 0.1 + 0.2],
            quantiles: vec![pb::QuantileColumn {
                level: 0.1,
                values: vec![1e300, -7.0],
            }],
            // The second is a regressor that somebody called as a column of ours.
            components: vec![column("weekly", false), column("time", true)],
            ..pb::Forecast::default()
        }
    }

    #[tokio::test]
    async fn every_column_keeps_its_bits_and_the_schema_says_where_they_come_from() {
        let wanted = forecast();
        let answer = Format::ArrowIpc.apply(forecast()).await.unwrap();
        assert!(answer.yhat.is_empty() && answer.trend.is_empty());
        assert!(answer.quantiles.is_empty() && answer.components.is_empty());
        assert_eq!(answer.provenance, wanted.provenance);
        let mut reader = StreamReader::try_new(answer.arrow_ipc.as_ref(), None).unwrap();
        let batch = reader.next().unwrap().unwrap();
        assert!(reader.next().is_none());
        let schema = batch.schema();
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let all = ["time", "trend", "yhat", "weekly", "component_time", "q0.1"];
        assert_eq!(names, all);
        assert!(schema.fields().iter().all(|field| !field.is_nullable()));
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        for (name, values) in [
            ("trend", &wanted.trend),
            ("yhat", &wanted.yhat),
            ("weekly", &wanted.components[0].values),
            ("component_time", &wanted.components[1].values),
            ("q0.1", &wanted.quantiles[0].values),
        ] {
            let column = batch.column_by_name(name).unwrap();
            let column = column.as_primitive::<Float64Type>();
            assert_eq!(bits(column.values()), bits(values), "{name}");
        }
        let said = schema.metadata();
        for (key, value) in [
            ("loadcast.series", "web.cpu"),
            ("loadcast.version", "3"),
            ("loadcast.unit", "cores"),
            ("loadcast.step_seconds", "300"),
            ("loadcast.cutoff", "2026-09-21T14:13:20Z"),
            ("loadcast.freshness", "STALE_MODEL"),
            ("loadcast.reason", "LIVE_SKILL"),
        ] {
            assert_eq!(said.get(key).map(String::as_str), Some(value), "{key}");
        }
        let factor = &schema.field(4).metadata()["loadcast.multiplicative"];
        assert_eq!(factor, "true");
    }

    #[test]
    fn a_format_of_a_later_release_is_refused_by_name() {
        assert_eq!(Format::parse(0).unwrap(), Format::Columns);
        let error = Format::parse(9).unwrap_err().to_string();
        assert!(error.starts_with("format: "), "{error}");
    }
}
