//! Prometheus remote write 1.0: the messages, by hand as there are four, and their compression.
//! Specification: <https://prometheus.io/docs/specs/remote_write_spec/>

use std::collections::HashSet;

use prost::Message;

use crate::exposition::{FAMILIES, Told};

/// Series of one request: some hundred kilobytes, and below what receivers take by default.
pub(super) const SERIES_PER_REQUEST: usize = 2_000;

/// What is posted.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TimeSeries {
    /// In the order of names, each once, none empty.
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(super) samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub(super) struct Label {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    /// Milliseconds since the epoch.
    #[prost(int64, tag = "2")]
    pub(super) timestamp: i64,
}

/// A request as it is posted.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    /// Compressed.
    pub(super) body: bytes::Bytes,
    pub(super) samples: u64,
}

/// The value that ends a series: a NaN of these bits, which no arithmetic makes.
pub(super) const STALE: u64 = 0x7ff0_0000_0000_0002;

/// The series of the last round, by their labels: what is not told again is ended, so that a forecast that nobody should act
/// on is not found for the minutes that Prometheus looks back.
#[derive(Debug, Default)]
pub(super) struct Round(HashSet<Vec<Label>>);

impl Round {
    /// What is told, and the ends of what is told no more, as of `at` (milliseconds since the epoch), in as many requests as
    /// it takes.
    pub(super) fn batches(&mut self, told: &[Told], at: i64) -> Result<Vec<Batch>, snap::Error> {
        let families = FAMILIES.iter().flat_map(|family| {
            told.iter().flat_map(move |series| {
                let samples = family.samples(series).into_iter();
                samples.map(move |(more, value)| one(family.name, series, more, value, at))
            })
        });
        let mut all: Vec<TimeSeries> = families.collect();
        let mut ended = std::mem::take(&mut self.0);
        for series in &all {
            ended.remove(&series.labels);
            self.0.insert(series.labels.clone());
        }
        all.extend(ended.into_iter().map(|labels| TimeSeries {
            labels,
            samples: vec![Sample {
                value: f64::from_bits(STALE),
                timestamp: at,
            }],
        }));
        let requests = all.chunks(SERIES_PER_REQUEST).map(|series| {
            let request = WriteRequest {
                timeseries: series.to_vec(),
            };
            let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec())?;
            Ok(Batch {
                body: body.into(),
                samples: series.len() as u64,
            })
        });
        requests.collect()
    }
}

fn one(
    name: &str,
    told: &Told,
    more: Vec<(&'static str, String)>,
    value: f64,
    at: i64,
) -> TimeSeries {
    let own = told.labels.iter().cloned();
    let more = more
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    let mut labels: Vec<(String, String)> = own.chain(more).collect();
    labels.push(("__name__".to_owned(), name.to_owned()));
    labels.sort_unstable();
    TimeSeries {
        labels: labels
            .into_iter()
            .map(|(name, value)| Label { name, value })
            .collect(),
        samples: vec![Sample {
            value,
            timestamp: at,
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str) -> Told {
        Told {
            labels: vec![
                ("namespace".to_owned(), "shop".to_owned()),
                ("series".to_owned(), name.to_owned()),
            ],
            version: 1,
            data_age: 1.0,
            model_age: 2.0,
            actual: None,
            points: Err("STALE_DATA"),
        }
    }

    #[test]
    fn labels_are_in_order_and_a_gated_series_is_told_without_a_forecast() {
        let batches = Round::default().batches(&[told("web.cpu")], 1_234).unwrap();
        assert_eq!(batches.len(), 1);
        let raw = snap::raw::Decoder::new()
            .decompress_vec(&batches[0].body)
            .unwrap();
        let request = WriteRequest::decode(&raw[..]).unwrap();
        assert_eq!(request.timeseries.len() as u64, batches[0].samples);
        for series in &request.timeseries {
            let names: Vec<&str> = series.labels.iter().map(|l| l.name.as_str()).collect();
            assert!(names.is_sorted(), "{names:?}");
            assert_eq!(series.samples[0].timestamp, 1_234);
            assert_ne!(series.labels[0].value, "loadcast_forecast");
        }
        let available = &request.timeseries[0];
        assert_eq!(available.labels[0].value, "loadcast_forecast_available");
        assert_eq!(available.labels[2].value, "STALE_DATA");
        assert_eq!(available.samples[0].value, 0.0);
    }

    #[test]
    fn what_is_told_no_more_is_ended_once() {
        let decoded = |batches: Vec<Batch>| {
            let raw = snap::raw::Decoder::new().decompress_vec(&batches[0].body);
            WriteRequest::decode(&raw.unwrap()[..]).unwrap().timeseries
        };
        let mut round = Round::default();
        let mut told = told("web.cpu");
        told.points = Ok(Vec::new());
        assert_eq!(decoded(round.batches(&[told.clone()], 1).unwrap()).len(), 4);
        // Available without a reason is another series than unavailable with one.
        told.points = Err("STALE_DATA");
        let ended: Vec<TimeSeries> = decoded(round.batches(&[told.clone()], 2).unwrap())
            .into_iter()
            .filter(|series| series.samples[0].value.to_bits() == STALE)
            .collect();
        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0].labels[0].value, "loadcast_forecast_available");
        assert_eq!(ended[0].labels.len(), 3);
        assert_eq!(decoded(round.batches(&[told], 3).unwrap()).len(), 4);
    }

    #[test]
    fn many_series_are_parted() {
        let all: Vec<Told> = (0..1_500).map(|i| told(&i.to_string())).collect();
        let batches = Round::default().batches(&all, 0).unwrap();
        assert_eq!(batches.len(), 3);
        assert_eq!(
            batches.iter().map(|batch| batch.samples).sum::<u64>(),
            6_000
        );
    }
}
