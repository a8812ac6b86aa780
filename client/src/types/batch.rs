//! One answer of many.

use loadcast_proto::v1 as pb;

use crate::error::Error;
use crate::types::event::refused;
use crate::types::forecast::Forecast;
use crate::types::text::required;

/// One series of many, and its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchItem {
    /// The series' name.
    pub series: String,
    /// Its forecast, or why it has none: then always [`Error::Refused`].
    pub forecast: Result<Forecast, Error>,
}

impl TryFrom<pb::BatchGetForecastsResponse> for BatchItem {
    type Error = Error;

    fn try_from(wire: pb::BatchGetForecastsResponse) -> Result<Self, Error> {
        use pb::batch_get_forecasts_response::Result as Wire;
        let series = required("series", wire.series)?;
        let forecast = match wire.result {
            Some(Wire::Forecast(forecast)) => {
                let forecast =
                    Forecast::try_from(forecast).map_err(|error| error.within("forecast"))?;
                if forecast.provenance.series != series {
                    return Err(Error::protocol(
                        "forecast.provenance.series",
                        format!("{:?} under {series:?}", forecast.provenance.series),
                    ));
                }
                Ok(forecast)
            }
            Some(Wire::Error(error)) => Err(refused(error)),
            None => return Err(Error::protocol("result", "missing")),
        };
        Ok(Self { series, forecast })
    }
}
