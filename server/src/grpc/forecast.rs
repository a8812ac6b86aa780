//! ForecastService: parse, pin, compute, convert.

use std::{pin::Pin, sync::Arc};

use futures::{FutureExt as _, Stream, StreamExt as _};
use loadcast_model::series::SeriesName;
use loadcast_proto::v1::{self as pb, forecast_service_server::ForecastService};
use loadcast_registry::registry::CANDIDATE;
use tonic::{Request, Response, Status};

use crate::{
    answer::answer_off_thread,
    error::{Error, Result},
    feed::{
        self,
        forecasts::{self, Watch},
    },
    grpc::{
        Services,
        convert::{
            answer as convert,
            question::{self, Pick},
        },
        watch::forecasts as watch,
    },
    selector::Selector,
    served::{Served, not_served},
};

/// Answers forecasts.
#[derive(Debug, Clone)]
pub(crate) struct ForecastHandler {
    services: Services,
    updates: Arc<watch::Updates>,
}

impl ForecastHandler {
    pub(crate) fn new(services: Services) -> Self {
        let updates = Arc::new(watch::Updates::new(watch::MAX_UPDATE_BYTES));
        Self { services, updates }
    }

    /// Whether `alias` names candidates, beside what is served.
    fn is_beside(&self, alias: Option<&str>) -> bool {
        alias == Some(CANDIDATE) && self.services.followed_alias != CANDIDATE
    }

    /// Every series that matches and has what answers under `alias`.
    fn answering(&self, alias: Option<&str>, selector: &Selector) -> Vec<SeriesName> {
        let cache = &self.services.cache;
        if self.is_beside(alias) {
            let candidates = cache.candidates().answering().into_iter();
            return candidates
                .filter(|(name, labels)| selector.matches(name, labels))
                .map(|(name, _)| name)
                .collect();
        }
        let state = cache.state();
        let served = state.entries.iter().filter(|(name, entry)| {
            entry.served.is_some() && selector.matches(name, &entry.series.labels)
        });
        served.map(|(name, _)| name.clone()).collect()
    }

    /// The version that is to answer, pinned.
    fn pick(&self, name: &SeriesName, pick: &Pick) -> Result<Arc<Served>> {
        if let Pick::Alias(alias) = pick
            && self.is_beside(alias.as_deref())
        {
            return self.services.cache.candidates().get(name);
        }
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
                    "{alias:?} is not followed by this server; it serves {:?}, and {CANDIDATE:?} beside it",
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
        let seen = self
            .services
            .cache
            .live()
            .seen(&served.loaded.metadata().series);
        let answer = answer_off_thread(served, question, now, seen).await?;
        let by_alias = matches!(pick, Pick::Alias(_));
        Ok(Response::new(pb::GetForecastResponse {
            forecast: Some(convert::forecast(answer, epoch, by_alias)),
        }))
    }

    type BatchGetForecastsStream = Boxed<pb::BatchGetForecastsResponse>;

    async fn batch_get_forecasts(
        &self,
        request: Request<pb::BatchGetForecastsRequest>,
    ) -> std::result::Result<Response<Self::BatchGetForecastsStream>, Status> {
        let (selector, alias, question) = question::batch(request.into_inner())?;
        let handler = self.clone();
        let state = handler.services.cache.state();
        let epoch = state.epoch;
        let mut names: Vec<SeriesName> = if selector.names().next().is_some() {
            let named = selector.names().filter(|name| {
                // A name that nobody knows has no labels to miss by: it is an error of its own.
                let entry = state.entries.get(*name);
                entry.is_none_or(|entry| selector.matches(name, &entry.series.labels))
            });
            named.cloned().collect()
        } else {
            handler.answering(alias.as_deref(), &selector)
        };
        drop(state);
        names.sort_unstable();
        let now = handler.services.cache.clock().now();
        let pick = Pick::Alias(alias);
        let items = futures::stream::iter(names).then(move |name| {
            let served = handler.pick(&name, &pick);
            let question = question.clone();
            let cache = Arc::clone(&handler.services.cache);
            async move {
                let answer = match served {
                    Ok(served) => {
                        let seen = cache.live().seen(&served.loaded.metadata().series);
                        answer_off_thread(served, question, now, seen).await
                    }
                    Err(error) => Err(error),
                };
                Ok(convert::batch_item(&name, answer, epoch))
            }
        });
        Ok(Response::new(Box::pin(items)))
    }

    type WatchForecastsStream = Boxed<pb::WatchForecastsResponse>;

    async fn watch_forecasts(
        &self,
        request: Request<pb::WatchForecastsRequest>,
    ) -> std::result::Result<Response<Self::WatchForecastsStream>, Status> {
        let request = request.into_inner();
        let question = question::watch_question(&request)?;
        let movement = request.condition.as_ref().map(question::movement);
        let movement = movement.transpose()?;
        let asked = watch::asked(&request);
        let selector = question::selector(request.selector)?;
        let filter = selector.fingerprint() ^ crc32fast::hash(&asked);
        let cache = Arc::clone(&self.services.cache);
        let start = match feed::start(&cache, filter, &request.token, request.snapshot_on_gap)? {
            // What was told last, a condition needs and a token does not carry.
            feed::Start::After(_) if movement.is_some() => feed::Start::Snapshot(None),
            start => start,
        };
        let watch = Watch {
            selector,
            step_seconds: question.step_seconds,
            start,
            known: question::known_versions(request.known_versions)?,
            condition: movement
                .map(|movement| watch::condition(movement, &question, cache.state().epoch)),
        };
        let renderer = Arc::new(watch::Renderer {
            updates: Arc::clone(&self.updates),
            epoch: cache.state().epoch,
            asked,
            question,
            filter,
        });
        let updates = forecasts::updates(cache, watch, self.services.stop.clone());
        let messages = updates.then(move |positioned| {
            let renderer = Arc::clone(&renderer);
            // Boxed, so that a stream that waits has no place for it.
            async move { Ok(renderer.render(positioned).await) }.boxed()
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
fn not_yet(method: &str, instead: &str) -> Error {
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
