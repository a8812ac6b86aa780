//! ForecastService: parse, pin, compute, convert.

use std::{pin::Pin, sync::Arc};

use futures::{Stream, StreamExt as _};
use loadcast_model::series::SeriesName;
use loadcast_proto::v1::{self as pb, forecast_service_server::ForecastService};
use tonic::{Request, Response, Status};

use crate::{
    answer::answer_off_thread,
    error::{Error, Result},
    feed::{self, forecasts, forecasts::not_served},
    grpc::{
        Services,
        convert::{
            answer as convert,
            question::{self, Pick},
        },
    },
    served::Served,
    token::Token,
};

/// Answers forecasts.
#[derive(Debug)]
pub(crate) struct ForecastHandler {
    services: Services,
}

impl ForecastHandler {
    pub(crate) fn new(services: Services) -> Self {
        Self { services }
    }

    /// The version that is to answer, pinned.
    fn pick(&self, name: &SeriesName, pick: &Pick) -> Result<Arc<Served>> {
        let served = self
            .services
            .cache
            .get(name)
            .ok_or_else(|| not_served(name, self.services.cache.entry(name).as_deref()))?;
        match pick {
            Pick::Alias(None) => Ok(served),
            Pick::Alias(Some(alias)) if *alias == served.alias => Ok(served),
            Pick::Alias(Some(alias)) => Err(Error::invalid(
                "alias",
                format!(
                    "{alias:?} is not followed by this server; it serves {:?}",
                    self.services.followed_alias
                ),
            )),
            Pick::Version(version) => {
                self.services
                    .cache
                    .version(name, *version)
                    .ok_or_else(|| Error::UnknownVersion {
                        series: name.clone(),
                        version: *version,
                        served: served.version,
                    })
            }
        }
    }
}

type Boxed<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl ForecastService for ForecastHandler {
    async fn get_forecast(
        &self,
        request: Request<pb::GetForecastRequest>,
    ) -> std::result::Result<Response<pb::GetForecastResponse>, Status> {
        let (name, pick, question) = question::question(request.into_inner())?;
        let served = self.pick(&name, &pick)?;
        let epoch = self.services.cache.state().epoch;
        let now = self.services.cache.clock().now();
        let answer = answer_off_thread(served, question, now).await?;
        let by_alias = matches!(pick, Pick::Alias(_));
        Ok(Response::new(pb::GetForecastResponse {
            forecast: Some(convert::forecast(answer, epoch, by_alias)),
        }))
    }

    type BatchGetForecastsStream = Boxed<pb::BatchGetForecastsResponse>;

    async fn batch_get_forecasts(
        &self,
        _: Request<pb::BatchGetForecastsRequest>,
    ) -> std::result::Result<Response<Self::BatchGetForecastsStream>, Status> {
        Err(not_yet("BatchGetForecasts", "ask GetForecast for each series").into())
    }

    type WatchForecastsStream = Boxed<pb::WatchForecastsResponse>;

    async fn watch_forecasts(
        &self,
        request: Request<pb::WatchForecastsRequest>,
    ) -> std::result::Result<Response<Self::WatchForecastsStream>, Status> {
        let request = request.into_inner();
        let question = question::watch_question(&request)?;
        let cache = Arc::clone(&self.services.cache);
        let selector = question::selector(request.selector)?;
        let start = feed::start(&cache, &selector, &request.token, request.snapshot_on_gap)?;
        let epoch = cache.state().epoch;
        let filter = selector.fingerprint();
        let updates =
            forecasts::updates(cache, selector, question, start, self.services.stop.clone());
        let messages = updates.map(move |positioned| {
            let token = Token {
                epoch,
                revision: positioned.revision,
                filter,
                complete: positioned.complete,
            };
            Ok(convert::watch_forecasts(
                positioned.update,
                token.encode(),
                epoch,
            ))
        });
        Ok(Response::new(Box::pin(ended_by_going_away(messages))))
    }

    async fn get_recommendation(
        &self,
        _: Request<pb::GetRecommendationRequest>,
    ) -> std::result::Result<Response<pb::GetRecommendationResponse>, Status> {
        Err(not_yet("GetRecommendation", "take the forecast and decide yourself").into())
    }
}

/// What a method that this build does not have answers.
pub(crate) fn not_yet(method: &str, instead: &str) -> Error {
    Error::Unsupported {
        feature: method.to_owned(),
        description: format!("this build does not have it yet; {instead}"),
    }
}

/// A feed ends only because the server leaves: its stream then ends with UNAVAILABLE, so that clients come back.
pub(crate) fn ended_by_going_away<T: Send + 'static>(
    messages: impl Stream<Item = std::result::Result<T, Status>> + Send + 'static,
) -> impl Stream<Item = std::result::Result<T, Status>> + Send {
    messages.chain(futures::stream::once(async {
        Err(Error::GoingAway.into())
    }))
}
