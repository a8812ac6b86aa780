//! ForecastService: parse, pin, compute, convert.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt as _, Stream, StreamExt as _};
use jiff::Timestamp;
use loadcast_model::series::SeriesName;
use loadcast_proto::{
    encoded::Encoded,
    v1::{self as pb, forecast_service_server::ForecastService},
};
use loadcast_registry::registry::CANDIDATE;
use prost::Message as _;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    answer::{self, answer_off_thread, answer_unless_busy},
    edge::paced::Leaving,
    error::{Error, Result},
    feed::{
        self,
        forecasts::{self, Watch},
    },
    grpc::{
        Services,
        answers::{self, Answers, Key},
        convert::{
            answer as convert,
            columns::Format,
            question::{self, Pick},
            recommendation,
        },
        watch::forecasts as watch,
    },
    live::Seen,
    selector::Selector,
    served::{Served, not_served},
};

/// Answers forecasts.
#[derive(Debug, Clone)]
pub(crate) struct ForecastHandler {
    services: Services,
    updates: Arc<watch::Updates>,
    answers: Arc<Answers>,
}

impl ForecastHandler {
    pub(crate) fn new(services: Services) -> Self {
        let updates = Arc::new(watch::Updates::new(watch::MAX_UPDATE_BYTES, 0));
        let answers = Arc::new(Answers::default());
        services.metrics.enter(|registry| answers.enter(registry));
        Self {
            services,
            updates,
            answers,
        }
    }

    /// The instant that counts as now.
    pub(super) fn now(&self) -> Timestamp {
        self.services.cache.clock().now()
    }

    /// What observations say of the series of `served`.
    pub(super) fn seen(&self, served: &Served) -> Seen {
        self.services.cache.seen(served)
    }

    /// As [`Services::counted`].
    pub(super) fn counted(&self, error: Error) -> Error {
        self.services.counted(error)
    }

    /// The id of the history that revisions count in.
    pub(super) fn epoch(&self) -> Uuid {
        self.services.cache.state().epoch
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

    /// The series that a selection of many asks for, in the order of names. One that is named and not served is among
    /// them: it is an error of its own.
    pub(super) fn asked(&self, alias: Option<&str>, selector: &Selector) -> Vec<SeriesName> {
        let state = self.services.cache.state();
        let mut names: Vec<SeriesName> = if selector.names().next().is_some() {
            let named = selector.names().filter(|name| {
                // A name that nobody knows has no labels to miss by.
                let entry = state.entries.get(*name);
                entry.is_none_or(|entry| selector.matches(name, &entry.series.labels))
            });
            named.cloned().collect()
        } else {
            self.answering(alias, selector)
        };
        names.sort_unstable();
        names
    }

    /// The version that is to answer, pinned.
    pub(super) fn pick(&self, name: &SeriesName, pick: &Pick) -> Result<Arc<Served>> {
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
        let request = request.into_inner();
        let format = Format::parse(request.format)?;
        let asked = Bytes::from(request.encode_to_vec());
        let (name, pick, question) = question::question(request)?;
        let served = self.pick(&name, &pick)?;
        let now = self.services.cache.clock().now();
        let series = &served.loaded.metadata().series;
        let grid = question.grid(series, now)?;
        let seen = self.seen(&served);
        let key = if answers::is_kept(grid.count, &question) {
            let freshness = answer::freshness(&served, &question, grid, &seen)?;
            Key::of(asked, &served, grid.as_of, freshness, seen.generation())
        } else {
            None
        };
        let make = || async {
            let answer = answer_unless_busy(served, question, now, seen).await?;
            let epoch = self.services.cache.state().epoch;
            let by_alias = matches!(pick, Pick::Alias(_));
            let forecast = convert::forecast(answer, epoch, by_alias);
            let forecast = format.apply(forecast).await?;
            Ok(Bytes::from(forecast.encode_to_vec()))
        };
        let forecast = self.answers.get(key, make).await;
        let forecast = forecast.map_err(|error| self.counted(error))?;
        Ok(Response::new(pb::GetForecastResponse {
            forecast: Some(Encoded::Bytes(forecast)),
        }))
    }

    type BatchGetForecastsStream = Boxed<pb::BatchGetForecastsResponse>;

    async fn batch_get_forecasts(
        &self,
        request: Request<pb::BatchGetForecastsRequest>,
    ) -> std::result::Result<Response<Self::BatchGetForecastsStream>, Status> {
        let request = request.into_inner();
        let format = Format::parse(request.format)?;
        let (selector, alias, question) = question::batch(request)?;
        let handler = self.clone();
        let epoch = handler.services.cache.state().epoch;
        let names = handler.asked(alias.as_deref(), &selector);
        let now = handler.services.cache.clock().now();
        let pick = Pick::Alias(alias);
        let items = futures::stream::iter(names).then(move |name| {
            let served = handler.pick(&name, &pick);
            let question = question.clone();
            let cache = Arc::clone(&handler.services.cache);
            async move {
                let forecast = async {
                    let served = served?;
                    let seen = cache.seen(&served);
                    let answer = answer_off_thread(served, question, now, seen).await?;
                    format.apply(convert::forecast(answer, epoch, true)).await
                };
                Ok(convert::batch_item(&name, forecast.await))
            }
        });
        Ok(Response::new(Box::pin(items)))
    }

    type WatchForecastsStream = Boxed<pb::WatchForecastsResponse>;

    async fn watch_forecasts(
        &self,
        request: Request<pb::WatchForecastsRequest>,
    ) -> std::result::Result<Response<Self::WatchForecastsStream>, Status> {
        let leaving = Leaving::of(request.extensions(), &self.services.stop);
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
        let updates = forecasts::updates(cache, watch, leaving);
        let messages = updates.then(move |positioned| {
            let renderer = Arc::clone(&renderer);
            // Boxed, so that a stream that waits has no place for it.
            async move { Ok(renderer.render(positioned).await) }.boxed()
        });
        Ok(Response::new(Box::pin(ended_by_going_away(messages))))
    }

    async fn get_recommendation(
        &self,
        request: Request<pb::GetRecommendationRequest>,
    ) -> std::result::Result<Response<pb::GetRecommendationResponse>, Status> {
        let asked = recommendation::asked(request.into_inner())?;
        let epoch = self.services.cache.state().epoch;
        let now = self.services.cache.clock().now();
        let mut advised = Vec::with_capacity(asked.resources.len());
        for (resource, name, clamps) in asked.resources {
            let served = self.pick(&name, &Pick::Alias(None))?;
            let series = &served.loaded.metadata().series;
            resource.factor(series)?;
            let question = asked.ask.question(series, now);
            let seen = self.seen(&served);
            let observed = seen.peak();
            let answer = answer_unless_busy(served, question, now, seen).await;
            let answer = answer.map_err(|error| self.counted(error))?;
            let advice = asked.ask.advise(resource, &answer, clamps, observed)?;
            advised.push((resource, advice, answer));
        }
        let response = recommendation::response(&asked.ask, advised, epoch);
        Ok(Response::new(response))
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
