//! What a forecast comes down to: its extremes, its mean, and when.

use jiff::Timestamp;
use loadcast_client::Forecast;

/// The point forecast in four numbers, in the series' unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) mean: f64,
    pub(crate) min: f64,
    pub(crate) min_at: Timestamp,
    pub(crate) max: f64,
    pub(crate) max_at: Timestamp,
}

impl Summary {
    /// `None` when there are no points. The first of equal extremes counts.
    pub(crate) fn of(forecast: &Forecast) -> Option<Self> {
        let mut points = forecast.times().zip(&forecast.yhat);
        let (time, &value) = points.next()?;
        let mut summary = Self {
            mean: value,
            min: value,
            min_at: time,
            max: value,
            max_at: time,
        };
        let mut count = 1.0;
        for (time, &value) in points {
            count += 1.0;
            // A running mean in shares: neither sum nor difference can overflow.
            summary.mean += value / count - summary.mean / count;
            if value < summary.min {
                (summary.min, summary.min_at) = (value, time);
            }
            if value > summary.max {
                (summary.max, summary.max_at) = (value, time);
            }
        }
        Some(summary)
    }
}

/// The first eight characters of a digest.
pub(crate) fn short(sha256: &str) -> &str {
    sha256.get(..8).unwrap_or(sha256)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use jiff::SignedDuration;
    use loadcast_client::{Freshness, Provenance};

    use super::*;

    /// A forecast of these values from 2026-10-08, every five minutes.
    pub(crate) fn forecast(yhat: Vec<f64>) -> Forecast {
        let start: Timestamp = "2026-10-08T00:00:00Z".parse().unwrap();
        Forecast {
            provenance: Provenance {
                series: "demo.web.cpu".into(),
                version: 3,
                artifact_sha256: "1a2b3c4d".repeat(8),
                alias: Some("champion".into()),
                cutoff: start,
                trained_at: start,
                epoch: "e1".into(),
                revision: 12,
                freshness: Freshness::Fresh,
                reason: None,
            },
            unit: Some("cores".into()),
            time_zone: "UTC".into(),
            as_of: start,
            start,
            step: Duration::from_secs(300),
            lead: SignedDuration::from_secs(300),
            age: SignedDuration::from_secs(720),
            yhat,
            trend: Vec::new(),
            quantiles: Vec::new(),
            components: Vec::new(),
            clamps: None,
            peaks: Vec::new(),
            correction: None,
            band_calibrated: false,
        }
    }

    #[test]
    fn extremes_say_when() {
        let forecast = forecast(vec![2.0, 1.0, 4.0, 1.0, 4.0]);
        let summary = Summary::of(&forecast).unwrap();
        assert!((summary.mean - 2.4).abs() < 1e-12);
        assert_eq!((summary.min, summary.max), (1.0, 4.0));
        assert_eq!(summary.min_at, forecast.time(1));
        assert_eq!(summary.max_at, forecast.time(2));
    }

    #[test]
    fn no_points_come_down_to_nothing() {
        assert_eq!(Summary::of(&forecast(Vec::new())), None);
    }
}
