//! The metrics that a series is told by.

use super::Told;

/// Labels beside a series' own, and a value.
pub(crate) type Sample = (Vec<(&'static str, String)>, f64);

/// One metric: all are gauges.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    samples: fn(&Told) -> Vec<Sample>,
}

impl Family {
    /// What it says of one series.
    pub(crate) fn samples(&self, told: &Told) -> Vec<Sample> {
        (self.samples)(told)
    }
}

/// In the order in which they are told.
pub(crate) const FAMILIES: [Family; 6] = [
    Family {
        name: "loadcast_forecast",
        help: "What a series is expected to be so far ahead, in its unit.",
        samples: forecasts,
    },
    Family {
        name: "loadcast_forecast_actual",
        help: "The last observation that the server was told of, in the unit of its series.",
        samples: |told| {
            let actual = told.actual.map(|actual| (Vec::new(), actual));
            actual.into_iter().collect()
        },
    },
    Family {
        name: "loadcast_forecast_available",
        help: "1 while the forecasts of a series are told; 0 while nobody should act on them, for that reason.",
        samples: available,
    },
    Family {
        name: "loadcast_forecast_data_age_seconds",
        help: "Seconds since the last observation that model or server knows.",
        samples: |told| vec![(Vec::new(), told.data_age)],
    },
    Family {
        name: "loadcast_forecast_model_age_seconds",
        help: "Seconds since the model was trained.",
        samples: |told| vec![(Vec::new(), told.model_age)],
    },
    Family {
        name: "loadcast_forecast_model_version",
        help: "The version that answers, by the registry's number.",
        // Beyond 2^53 the last digits are lost.
        samples: |told| vec![(Vec::new(), told.version as f64)],
    },
];

fn forecasts(told: &Told) -> Vec<Sample> {
    let points = told.points.iter().flatten();
    let sample = |point: &super::Point| {
        let mut labels = vec![
            ("lead", point.lead.to_string()),
            ("ml_forecast", point.kind.to_owned()),
        ];
        labels.extend(point.level.map(|level| ("level", level.to_string())));
        (labels, point.value)
    };
    points.map(sample).collect()
}

fn available(told: &Told) -> Vec<Sample> {
    vec![match told.points {
        Ok(_) => (Vec::new(), 1.0),
        Err(reason) => (vec![("reason", reason.to_owned())], 0.0),
    }]
}
