//! What is served now, as a candidate must see it: its own forecasts of the days it was not trained on.
//!
//! Of a champion the server tells the version, the cutoff and any forecast; not the recipe. And the recipe is not what is
//! served: an artifact that was fitted weeks ago is. So the comparison is of the artifact, over the candidate's own
//! backtest origins that begin after the champion's cutoff: there neither has seen what came. Where none does, because the
//! champion is younger than a day, one origin at its cutoff is compared over what has come since. Origins before its cutoff
//! are no comparison, because the champion was trained on what came.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use loadcast_client::{Client, Code, Error as ClientError, ForecastQuery, Range};

use crate::stage::prepare_features::Features;
use crate::stage::validate_model::MAX_ORIGINS;
use crate::time::DAY;

/// The most points that are asked for: a finer step is asked coarser.
const MAX_POINTS: i64 = 20_000;

/// What a candidate is to be compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Champion {
    /// Nothing is served.
    Nothing,
    /// Something may be served, but what it forecasts is not known, because of this.
    Unknown(String),
    /// This is.
    Served(Served),
}

/// A version that is served, and what it forecasts.
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    /// The registry's number.
    pub version: u64,
    /// The last observation it was trained on, in seconds of the series' wall clock.
    pub cutoff: i64,
    /// Its point forecast by times of the wall clock: of the latest days, and of the day after the history.
    pub forecast: BTreeMap<i64, f64>,
}

impl Champion {
    /// Asks the server what it serves of the series of `features`; never an error, because not to know is an answer.
    pub async fn ask(client: &Client, features: &Features) -> Self {
        let series = &features.about().series;
        let served = match client.model(series.name.as_ref()).await {
            Ok(model) => match model.served {
                Some(served) => served,
                None => return Self::Nothing,
            },
            Err(ClientError::Refused {
                code: Code::NotFound,
                ..
            }) => return Self::Nothing,
            Err(error) => return Self::unknown(&error),
        };
        let grid = features.grid();
        let (step, end) = (i64::from(grid.step_seconds), grid.time(grid.values.len()));
        let from = end - i64::from(MAX_ORIGINS) * DAY;
        let steps = (end + DAY - from) / step;
        let step = step * (1 + steps / MAX_POINTS);
        let instant = |wall| Timestamp::from_second(series.zone.to_instant(wall));
        let (Ok(start), Ok(end)) = (instant(from), instant(end + DAY)) else {
            return Self::Unknown("its times are outside the calendar".to_owned());
        };
        let query = ForecastQuery {
            step: Some(Duration::from_secs(step.unsigned_abs())),
            version: Some(served.version),
            ..ForecastQuery::new(series.name.as_ref(), Range::Between { start, end })
        };
        let forecast = match client.forecast(&query).await {
            Ok(forecast) => forecast,
            Err(error) => return Self::unknown(&error),
        };
        let wall = |instant: i64| series.zone.to_wall(instant);
        let points = forecast.yhat.iter().zip(0_i64..);
        let points = points.map(|(value, i)| (wall(start.as_second() + i * step), *value));
        Self::Served(Served {
            version: served.version,
            cutoff: wall(served.cutoff.as_second()),
            forecast: points.collect(),
        })
    }

    fn unknown(error: &ClientError) -> Self {
        let text = error.to_string();
        Self::Unknown(text.lines().next().unwrap_or_default().to_owned())
    }

    /// The version that is served, 0 for none; `None` where that is not known.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        match self {
            Self::Nothing => Some(0),
            Self::Served(served) => Some(served.version),
            _ => None,
        }
    }

    /// What is served, where it is known.
    #[must_use]
    pub fn served(&self) -> Option<&Served> {
        match self {
            Self::Served(served) => Some(served),
            Self::Nothing | Self::Unknown(_) => None,
        }
    }
}
