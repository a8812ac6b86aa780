//! A series with a daily shape and noise that fades within hours, a model of it that declares a correction, and the same
//! model offline.

use std::{sync::OnceLock, time::Duration};

use jiff::{SignedDuration, Timestamp};
use loadcast_client::{Clamps, Live, Observations, Observed, Push};
use loadcast_model::{
    artifact::{self, Metadata},
    grid::Grid,
    live::LiveModel,
    recipe::{SearchOptions, Searched, search},
    zone::Zone,
};

use crate::support::{TestServer, metadata, now, push};

pub(crate) const SERIES: &str = "shop.web.cpu";
pub(crate) const STEP: i64 = 300;
const DAY: usize = 288;
const DAYS: usize = 9;

/// The value of step `i` after the history, whose last step is -1.
pub(crate) fn value(i: i64) -> f64 {
    static VALUES: OnceLock<Vec<f64>> = OnceLock::new();
    let values = VALUES.get_or_init(|| {
        let mut random = 42_u32;
        let mut drift = 0.0;
        let value = |i: usize| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            drift = 0.95 * drift + f64::from(random) / f64::from(u32::MAX) * 2.0 - 1.0;
            50.0 + 20.0 * (std::f64::consts::TAU * i as f64 / DAY as f64).sin() + drift
        };
        (0..(DAYS + 5) * DAY).map(value).collect()
    });
    values[usize::try_from(i + (DAYS * DAY) as i64).unwrap()]
}

fn searched() -> &'static Searched {
    static SEARCHED: OnceLock<Searched> = OnceLock::new();
    SEARCHED.get_or_init(|| {
        let history = (DAYS * DAY) as i64;
        let grid = Grid {
            start: now().as_second() - history * STEP,
            step_seconds: 300,
            values: (-history..0).map(|i| Some(value(i))).collect(),
        };
        let searched = search(&grid, &SearchOptions::default()).unwrap();
        assert!(searched.correction.is_some() && searched.peak.is_some());
        searched
    })
}

/// The instant of step `i` after the history.
pub(crate) fn instant(i: i64) -> Timestamp {
    now() + SignedDuration::from_secs(i * STEP)
}

/// A push of the model as champion of `series`.
pub(crate) fn corrected(series: &str) -> Push {
    let searched = searched();
    Push {
        model_pr: artifact::encode_model_pr(&searched.model).unwrap().into(),
        cutoff: instant(-1),
        clamps: Some(Clamps {
            min: searched.clamps.min,
            max: searched.clamps.max,
        }),
        band_calibration_json: Some(serde_json::to_string(&searched.calibration).unwrap()),
        correction_json: Some(serde_json::to_string(&searched.correction).unwrap()),
        peak_json: Some(serde_json::to_string(&searched.peak).unwrap()),
        ..push(series, 1.0)
    }
}

/// The model that [`corrected`] pushes, offline.
pub(crate) fn offline(push: &Push) -> LiveModel {
    let searched = searched();
    let metadata = Metadata {
        clamps: Some(searched.clamps),
        band_calibration: searched.calibration.clone(),
        correction: searched.correction.clone(),
        peak: searched.peak.clone(),
        ..metadata(&SERIES.parse().unwrap(), &push.model_pr)
    };
    let model = artifact::decode_model_pr(&push.model_pr).unwrap();
    LiveModel::of_artifact(&metadata, model).unwrap()
}

/// A wall clock that is UTC.
pub(crate) fn utc() -> Zone {
    Zone::utc()
}

impl TestServer {
    /// Sets the clock to the end of the last of the steps from `first` on, and tells of `values`.
    pub(crate) async fn observe(&self, series: &str, first: i64, values: Vec<f64>) -> Observed {
        let end = instant(first + i64::try_from(values.len()).unwrap());
        self.clock.set(end);
        self.tell(series, first, values).await
    }

    /// Tells of `values` of the steps from `first` on.
    pub(crate) async fn tell(&self, series: &str, first: i64, values: Vec<f64>) -> Observed {
        let run = Observations {
            series: series.to_owned(),
            start: instant(first),
            step: Some(Duration::from_secs(300)),
            values,
        };
        self.client().observe_actuals(vec![run]).await.unwrap()
    }

    /// What the server says of a series that is observed.
    pub(crate) async fn live(&self, series: &str) -> Live {
        let model = self.client().model(series).await.unwrap();
        model.live.unwrap()
    }
}
