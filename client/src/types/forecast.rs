//! An answer: where it comes from, and its points as columns.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use loadcast_proto::v1 as pb;

use crate::error::Error;
use crate::types::series::{Clamps, Freshness};
use crate::types::text::{column, finite, level, non_empty, required, sha256, version};
use crate::types::time::{optional_timestamp, signed_duration, step, timestamp};

/// Where an answer comes from. One answer is computed from exactly one (version, digest).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Provenance {
    /// The series' name.
    pub series: String,
    /// The registry's number.
    pub version: u64,
    /// Lower-case hex of the SHA-256 of the bytes of model.pr.
    pub artifact_sha256: String,
    /// The alias by which this version is served; `None` when it was asked for by number.
    pub alias: Option<String>,
    /// The last observation the model was trained on.
    pub cutoff: Timestamp,
    /// When it was trained.
    pub trained_at: Timestamp,
    /// The random id of the revision history that `revision` counts in.
    pub epoch: String,
    /// The revision at which this version began to be served.
    pub revision: u64,
    /// How old model and data are, against their limits.
    pub freshness: Freshness,
    /// An upper-case code when the answer is gated.
    pub reason: Option<String>,
}

/// The time of point `i` is `start + i * step`. Every column has one finite value for each point.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// Where it comes from.
    pub provenance: Provenance,
    /// `cores`, `bytes`, `1/s`, `percent`, `1`; `None` when nobody said.
    pub unit: Option<String>,
    /// IANA; the zone in which the model tells the time of day. `UTC` when nobody said.
    pub time_zone: String,
    /// The instant that counted as now, floored to the step.
    pub as_of: Timestamp,
    /// The first point.
    pub start: Timestamp,
    /// Spacing of the points, longer than nothing.
    pub step: Duration,
    /// From now to the last point.
    pub lead: SignedDuration,
    /// From the cutoff to now.
    pub age: SignedDuration,
    /// The point forecast, in the series' unit.
    pub yhat: Vec<f64>,
    /// In the series' unit; empty unless components were asked for.
    pub trend: Vec<f64>,
    /// One for each level asked for.
    pub quantiles: Vec<Quantile>,
    /// Empty unless they were asked for.
    pub components: Vec<Component>,
    /// Bounds that were put on the values.
    pub clamps: Option<Clamps>,
    /// Calibrated quantiles of the range's maximum; not the maximum of a quantile.
    pub peaks: Vec<LevelValue>,
    /// What recent observations added to the model's answer.
    pub correction: Option<Correction>,
    /// The band was scaled from backtest residuals.
    pub band_calibrated: bool,
}

/// The pointwise quantile at one level.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantile {
    /// In (0, 1).
    pub level: f64,
    /// In the series' unit.
    pub values: Vec<f64>,
}

/// One component as Prophet names it: additive_terms, weekly, daily, holidays, a regressor.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// Prophet's name.
    pub name: String,
    /// False: in the series' unit. True: a factor on the trend.
    pub multiplicative: bool,
    /// One for each point.
    pub values: Vec<f64>,
}

/// A value at one quantile level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LevelValue {
    /// In (0, 1).
    pub level: f64,
    /// In the series' unit.
    pub value: f64,
}

/// A fading shift of the next leads by the last residuals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correction {
    /// Added to the first point after the last observation, in the series' unit, before clamps.
    pub shift: f64,
    /// The share of it that is added to the point after that, 0 to 1; 1 where there is none.
    pub decay_per_step: f64,
    /// The beginning of the last observed step.
    pub observed_at: Option<Timestamp>,
    /// The band was widened because the level jumped.
    pub level_shift: bool,
}

impl Forecast {
    /// How many points there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.yhat.len()
    }

    /// Whether there is no point at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.yhat.is_empty()
    }

    /// The instants of the points, in order; as many as there are values.
    pub fn times(&self) -> impl ExactSizeIterator<Item = Timestamp> + '_ {
        (0..self.yhat.len()).map(|index| self.time(index))
    }

    /// The instant of point `index`; what lies beyond the calendar's end is its last instant.
    #[must_use]
    pub fn time(&self, index: usize) -> Timestamp {
        offset(self.start, self.step, index).unwrap_or(Timestamp::MAX)
    }
}

/// `start + index * step`, where that is an instant.
fn offset(start: Timestamp, step: Duration, index: usize) -> Option<Timestamp> {
    let index = i32::try_from(index).ok()?;
    let step = SignedDuration::try_from(step).ok()?;
    start.checked_add(step.checked_mul(index)?).ok()
}

impl TryFrom<pb::Provenance> for Provenance {
    type Error = Error;

    fn try_from(wire: pb::Provenance) -> Result<Self, Error> {
        Ok(Self {
            series: required("series", wire.series)?,
            version: version("version", wire.version)?,
            artifact_sha256: sha256("artifact_sha256", wire.artifact_sha256)?,
            alias: non_empty(wire.alias),
            cutoff: timestamp("cutoff", wire.cutoff)?,
            trained_at: timestamp("trained_at", wire.trained_at)?,
            epoch: required("epoch", wire.epoch)?,
            revision: wire.revision,
            freshness: Freshness::from_wire(wire.freshness)
                .ok_or_else(|| Error::protocol("freshness", "missing"))?,
            reason: non_empty(wire.reason),
        })
    }
}

impl TryFrom<pb::Forecast> for Forecast {
    type Error = Error;

    fn try_from(wire: pb::Forecast) -> Result<Self, Error> {
        let points = wire.yhat.len();
        let start = timestamp("start", wire.start)?;
        let step = step("step", wire.step)?;
        if points > 0 && offset(start, step, points - 1).is_none() {
            return Err(Error::protocol(
                "yhat",
                format!("{points} points of {step:?} from {start} leave the calendar"),
            ));
        }
        let trend = match wire.trend.len() {
            0 => Vec::new(),
            _ => column("trend", wire.trend, points)?,
        };
        Ok(Self {
            provenance: wire
                .provenance
                .ok_or_else(|| Error::protocol("provenance", "missing"))?
                .try_into()
                .map_err(|error: Error| error.within("provenance"))?,
            unit: non_empty(wire.unit),
            time_zone: non_empty(wire.time_zone).unwrap_or_else(|| "UTC".to_owned()),
            as_of: timestamp("as_of", wire.as_of)?,
            start,
            step,
            lead: signed_duration("lead", wire.lead)?,
            age: signed_duration("age", wire.age)?,
            yhat: column("yhat", wire.yhat, points)?,
            trend,
            quantiles: wire
                .quantiles
                .into_iter()
                .enumerate()
                .map(|(i, quantile)| {
                    Ok(Quantile {
                        level: level(&format!("quantiles[{i}].level"), quantile.level)?,
                        values: column(&format!("quantiles[{i}].values"), quantile.values, points)?,
                    })
                })
                .collect::<Result<_, Error>>()?,
            components: wire
                .components
                .into_iter()
                .enumerate()
                .map(|(i, component)| {
                    Ok(Component {
                        name: required(&format!("components[{i}].name"), component.name)?,
                        multiplicative: component.multiplicative,
                        values: column(
                            &format!("components[{i}].values"),
                            component.values,
                            points,
                        )?,
                    })
                })
                .collect::<Result<_, Error>>()?,
            clamps: wire
                .clamps
                .map(Clamps::try_from)
                .transpose()
                .map_err(|error| error.within("clamps"))?,
            peaks: wire
                .peaks
                .into_iter()
                .enumerate()
                .map(|(i, peak)| {
                    Ok(LevelValue {
                        level: level(&format!("peaks[{i}].level"), peak.level)?,
                        value: finite(&format!("peaks[{i}].value"), peak.value)?,
                    })
                })
                .collect::<Result<_, Error>>()?,
            correction: wire
                .correction
                .map(Correction::try_from)
                .transpose()
                .map_err(|error| error.within("correction"))?,
            band_calibrated: wire.band_calibrated,
        })
    }
}

impl TryFrom<pb::Correction> for Correction {
    type Error = Error;

    fn try_from(wire: pb::Correction) -> Result<Self, Error> {
        Ok(Self {
            shift: finite("shift", wire.shift)?,
            decay_per_step: finite("decay_per_step", wire.decay_per_step)?,
            observed_at: optional_timestamp("observed_at", wire.observed_at)?,
            level_shift: wire.level_shift,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Breaks one field.
    type Spoil = fn(&mut pb::Forecast);

    fn wire() -> pb::Forecast {
        let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let duration = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        pb::Forecast {
            provenance: Some(pb::Provenance {
                series: "web".into(),
                version: 3,
                artifact_sha256: "ab".repeat(32),
                alias: "champion".into(),
                cutoff: time(1_000),
                trained_at: time(2_000),
                epoch: "e".into(),
                revision: 12,
                freshness: pb::Freshness::Fresh.into(),
                reason: String::new(),
            }),
            unit: "cores".into(),
            as_of: time(3_000),
            start: time(3_000),
            step: duration(300),
            lead: duration(600),
            age: duration(-5),
            yhat: vec![1.0, 2.0, 3.0],
            quantiles: vec![pb::QuantileColumn {
                level: 0.9,
                values: vec![2.0, 3.0, 4.0],
            }],
            ..pb::Forecast::default()
        }
    }

    fn refused_field(wire: pb::Forecast) -> String {
        match Forecast::try_from(wire) {
            Err(Error::Protocol { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn times_step_from_the_start() {
        let forecast = Forecast::try_from(wire()).unwrap();
        let times: Vec<i64> = forecast.times().map(Timestamp::as_second).collect();
        assert_eq!(times, [3_000, 3_300, 3_600]);
        assert_eq!(forecast.times().len(), forecast.len());
        assert_eq!(forecast.time_zone, "UTC");
        assert_eq!(forecast.age, SignedDuration::from_secs(-5));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let cases: [(&str, Spoil); 11] = [
            ("provenance", |f| f.provenance = None),
            ("provenance.version", |f| {
                f.provenance.as_mut().unwrap().version = 0;
            }),
            ("provenance.artifact_sha256", |f| {
                f.provenance.as_mut().unwrap().artifact_sha256 = "XY".into();
            }),
            ("provenance.freshness", |f| {
                f.provenance.as_mut().unwrap().freshness = 0;
            }),
            ("as_of", |f| f.as_of = None),
            ("step", |f| f.step = Some(prost_types::Duration::default())),
            ("yhat[1]", |f| f.yhat[1] = f64::NAN),
            ("trend", |f| f.trend = vec![1.0]),
            ("quantiles[0].values", |f| {
                f.quantiles[0].values.truncate(1);
            }),
            ("quantiles[0].level", |f| f.quantiles[0].level = 1.0),
            ("yhat", |f| {
                f.step = Some(prost_types::Duration {
                    seconds: i64::MAX,
                    nanos: 0,
                });
            }),
        ];
        for (field, spoil) in cases {
            let mut forecast = wire();
            spoil(&mut forecast);
            assert_eq!(refused_field(forecast), field);
        }
    }
}
