//! Asking for requests and limits.

use tracing::Instrument;

use crate::client::Client;
use crate::error::Error;
use crate::types::recommendation::{Recommendation, RecommendationQuery};

impl Client {
    /// Requests and limits for a window.
    ///
    /// # Errors
    /// As [`forecast`](Self::forecast); [`Error::Refused`] with FAILED_PRECONDITION and a reason code such as STALE_DATA
    /// for a forecast that nobody should act on.
    pub async fn recommend(&self, query: &RecommendationQuery) -> Result<Recommendation, Error> {
        let span = tracing::info_span!(
            "recommend",
            cpu_series = query.cpu_series,
            memory_series = query.memory_series
        );
        let request = self.request(query.clone().into(), self.call_deadline);
        let mut service = self.forecasts();
        self.call(self.call_deadline, service.get_recommendation(request))
            .instrument(span)
            .await?
            .try_into()
    }
}
