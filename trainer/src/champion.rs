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

/// How long to wait before asking again, each time: over the restart of a server that is replaced.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// What a candidate is to be compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Champion {
    /// Nothing is served.
    Nothing,
    /// Something may be served, but what it forecasts is not known, because of this.
    Unknown(String),
    /// The server that would know was asked again and again and did not say, because of this.
    NoAnswer(String),
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
    /// The mean absolute error that its backtest found, in the series' unit; `None` when nobody said.
    pub mae: Option<f64>,
}

impl Champion {
    /// Asks the server what it serves of the series of `features`, again where that may help; never an error, because not
    /// to know is an answer.
    pub async fn ask(client: &Client, features: &Features) -> Self {
        let asked = patiently(&PAUSES, || Self::ask_once(client, features));
        asked.await.unwrap_or_else(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default().to_owned();
            match error.is_transient() {
                true => Self::NoAnswer(first),
                false => Self::Unknown(first),
            }
        })
    }

    async fn ask_once(client: &Client, features: &Features) -> Result<Self, ClientError> {
        let series = &features.about().series;
        let served = match client.model(series.name.as_ref()).await {
            Ok(model) => match model.served {
                Some(served) => served,
                None => return Ok(Self::Nothing),
            },
            Err(ClientError::Refused {
                code: Code::NotFound,
                ..
            }) => return Ok(Self::Nothing),
            Err(error) => return Err(error),
        };
        let grid = features.grid();
        let (step, end) = (i64::from(grid.step_seconds), grid.time(grid.values.len()));
        let from = end - i64::from(MAX_ORIGINS) * DAY;
        let steps = (end + DAY - from) / step;
        let step = step * (1 + steps / MAX_POINTS);
        let instant = |wall| Timestamp::from_second(series.zone.to_instant(wall));
        let (Ok(start), Ok(end)) = (instant(from), instant(end + DAY)) else {
            return Ok(Self::Unknown(
                "its times are outside the calendar".to_owned(),
            ));
        };
        let query = ForecastQuery {
            step: Some(Duration::from_secs(step.unsigned_abs())),
            version: Some(served.version),
            ..ForecastQuery::new(series.name.as_ref(), Range::Between { start, end })
        };
        let forecast = client.forecast(&query).await?;
        let wall = |instant: i64| series.zone.to_wall(instant);
        let points = forecast.yhat.iter().zip(0_i64..);
        let points = points.map(|(value, i)| (wall(start.as_second() + i * step), *value));
        Ok(Self::Served(Served {
            version: served.version,
            cutoff: wall(served.cutoff.as_second()),
            forecast: points.collect(),
            mae: served.scores.and_then(|scores| scores.mae),
        }))
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
            Self::Nothing | Self::Unknown(_) | Self::NoAnswer(_) => None,
        }
    }
}

/// Asks once, and after each of `pauses` again while the error is one that passes.
async fn patiently<T, Answer>(
    pauses: &[Duration],
    ask: impl Fn() -> Answer,
) -> Result<T, ClientError>
where
    Answer: Future<Output = Result<T, ClientError>>,
{
    for pause in pauses {
        match ask().await {
            Err(error) if error.is_transient() => tokio::time::sleep(*pause).await,
            answer => return answer,
        }
    }
    ask().await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn refused(code: Code) -> ClientError {
        ClientError::Refused {
            code,
            reason: String::new(),
            message: "no".to_owned(),
            violations: Vec::new(),
            retry_after: None,
        }
    }

    /// How often a server was asked that refuses with `code` the first `failures` times, and what came of it.
    async fn asked(code: Code, failures: usize) -> (usize, bool) {
        let calls = AtomicUsize::new(0);
        let answer = patiently(&[Duration::ZERO; 4], || {
            let fails = calls.fetch_add(1, Ordering::Relaxed) < failures;
            std::future::ready(match fails {
                true => Err(refused(code)),
                false => Ok(()),
            })
        });
        let answered = answer.await.is_ok();
        (calls.into_inner(), answered)
    }

    #[tokio::test]
    async fn a_server_that_is_away_for_a_moment_is_asked_again_and_a_refusal_is_not() {
        assert_eq!(asked(Code::Unavailable, 0).await, (1, true));
        assert_eq!(asked(Code::Unavailable, 3).await, (4, true));
        assert_eq!(asked(Code::DeadlineExceeded, 9).await, (5, false));
        assert_eq!(asked(Code::PermissionDenied, 9).await, (1, false));
    }
}
