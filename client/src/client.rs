//! The client: one lazy connection, one method for each thing to ask.

mod recommend;
mod scaler;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use loadcast_proto::v1 as pb;
use loadcast_proto::v1::forecast_service_client::ForecastServiceClient;
use loadcast_proto::v1::model_service_client::ModelServiceClient;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::endpoint::endpoint;
use crate::error::Error;
use crate::push::{messages, parcels};
use crate::status::into_error;
use crate::trace::InjectTrace;
use crate::types::batch::BatchItem;
use crate::types::event::{ForecastUpdate, ModelUpdate};
use crate::types::forecast::Forecast;
use crate::types::frame::Frame;
use crate::types::live::{Observations, Observed};
use crate::types::model::{Model, Refreshed, RolledBack};
use crate::types::push::{Push, Pushed, RejectionReport};
use crate::types::query::{BatchQuery, ForecastQuery, WatchQuery};
use crate::types::series::Selector;
use crate::types::text::non_zero;
use crate::watch::{Frames, Resume, SILENCE_LIMIT, Watch};

/// A call that has no answer by then has failed.
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// A push may take this long: it ends when the version is durable and served.
pub const PUSH_DEADLINE: Duration = Duration::from_secs(60);

/// A larger answer is refused. The largest honest one, 50,000 points with 32 quantiles and their components, is about
/// 20 MB.
pub const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// [`Client::models`] gives up beyond this many series.
pub const MAX_MODELS: usize = 1_000_000;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A dead peer is found within the sum of these two.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

type Traced = InterceptedService<Channel, InjectTrace>;

/// A client of one server. Cheap to clone; clones share the connection.
#[derive(Debug, Clone)]
pub struct Client {
    addr: Arc<str>,
    channel: Channel,
    trace: InjectTrace,
    call_deadline: Duration,
    push_deadline: Duration,
}

impl Client {
    /// A client of the server at `addr`, `http://HOST:PORT`. Connects with the first call, and again when it must.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`]; whether anybody listens there is found out by the first call.
    pub fn new(addr: &str) -> Result<Self, Error> {
        let channel = endpoint(addr)?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .connect_lazy();
        Ok(Self {
            addr: addr.into(),
            channel,
            trace: InjectTrace::default(),
            call_deadline: CALL_DEADLINE,
            push_deadline: PUSH_DEADLINE,
        })
    }

    /// The same client with another deadline for every call but a push.
    #[must_use]
    pub fn with_call_deadline(mut self, deadline: Duration) -> Self {
        self.call_deadline = deadline;
        self
    }

    /// The same client with another deadline for a push.
    #[must_use]
    pub fn with_push_deadline(mut self, deadline: Duration) -> Self {
        self.push_deadline = deadline;
        self
    }

    /// The address it was made with.
    #[must_use]
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// One forecast of one series.
    ///
    /// # Errors
    /// [`Error::Refused`] with NOT_FOUND for a series that is not served and INVALID_ARGUMENT for a question that
    /// makes no sense; [`Error::Unreachable`], [`Error::Timeout`], [`Error::Protocol`].
    pub async fn forecast(&self, query: &ForecastQuery) -> Result<Forecast, Error> {
        let span = tracing::info_span!("forecast", series = query.series);
        let request = self.request(query.clone().into(), self.call_deadline);
        let mut service = self.forecasts();
        let answer = self
            .call(self.call_deadline, service.get_forecast(request))
            .instrument(span)
            .await?;
        answer
            .forecast
            .ok_or_else(|| Error::protocol("forecast", "missing"))?
            .into_message()
            .map_err(|error| Error::protocol("forecast", error.to_string()))?
            .try_into()
            .map_err(|error: Error| error.within("forecast"))
    }

    /// Forecasts of many series, one item each, in the order of names. They come as they are computed; the deadline of a
    /// call is for the next of them, not for all. The stream ends after the last item, or with an error.
    ///
    /// Arrow carries more than this, faster: ask the server by Arrow Flight for whole fleets.
    ///
    /// # Errors
    /// As [`Client::forecast`]; a series without an answer is an item of its own and breaks nothing.
    pub async fn batch_get_forecasts(
        &self,
        query: BatchQuery,
    ) -> Result<impl Stream<Item = Result<BatchItem, Error>> + Send + use<>, Error> {
        let span = tracing::info_span!("batch_get_forecasts");
        let request = pb::BatchGetForecastsRequest::from(query);
        let mut service = self.forecasts();
        let call = service.batch_get_forecasts(request);
        let items = self.call(self.call_deadline, call).instrument(span).await?;
        let (addr, deadline) = (Arc::clone(&self.addr), self.call_deadline);
        Ok(stream::try_unfold(items, move |mut items| {
            let addr = Arc::clone(&addr);
            async move {
                match tokio::time::timeout(deadline, items.message()).await {
                    Ok(Ok(Some(item))) => Ok(Some((BatchItem::try_from(item)?, items))),
                    Ok(Ok(None)) => Ok(None),
                    Ok(Err(status)) => Err(into_error(&addr, deadline, &status)),
                    Err(_) => Err(Error::Timeout { after: deadline }),
                }
            }
        }))
    }

    /// Every model that matches, in the order of names; asks for page after page.
    ///
    /// # Errors
    /// As [`Client::forecast`]; [`Error::Protocol`] when the pages do not end.
    pub async fn models(&self, selector: &Selector) -> Result<Vec<Model>, Error> {
        let mut models = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = pb::ListModelsRequest {
                selector: Some(selector.clone().into()),
                page_size: 0,
                page_token: page_token.clone(),
            };
            let request = self.request(request, self.call_deadline);
            let mut service = self.model_service();
            let page = self
                .call(self.call_deadline, service.list_models(request))
                .instrument(tracing::info_span!("models"))
                .await?;
            for model in page.models {
                let field = format!("models[{}]", models.len());
                models.push(Model::try_from(model).map_err(|error| error.within(&field))?);
            }
            if page.next_page_token.is_empty() {
                return Ok(models);
            }
            if page.next_page_token == page_token || models.len() > MAX_MODELS {
                return Err(Error::protocol("next_page_token", "the pages do not end"));
            }
            page_token = page.next_page_token;
        }
    }

    /// One series: what is served, what should be, and why.
    ///
    /// # Errors
    /// As [`Client::forecast`]; NOT_FOUND when the series is neither served nor known by a rejection or tombstone.
    pub async fn model(&self, series: &str) -> Result<Model, Error> {
        let span = tracing::info_span!("model", series);
        let request = pb::GetModelRequest {
            series: series.to_owned(),
        };
        let request = self.request(request, self.call_deadline);
        let mut service = self.model_service();
        let answer = self
            .call(self.call_deadline, service.get_model(request))
            .instrument(span)
            .await?;
        answer
            .model
            .ok_or_else(|| Error::protocol("model", "missing"))?
            .try_into()
            .map_err(|error: Error| error.within("model"))
    }

    /// Every change of the selected models: a snapshot, then the tail of the log, without end.
    #[must_use]
    pub fn watch_models(&self, selector: Selector) -> Watch<ModelUpdate> {
        self.watch_models_after(selector, None)
    }

    /// The same, beginning after the message that `token` came with ([`Watch::token`], or
    /// [`Pushed::token`]); `None`: with a snapshot.
    #[must_use]
    pub fn watch_models_after(
        &self,
        selector: Selector,
        token: Option<String>,
    ) -> Watch<ModelUpdate> {
        let client = self.clone();
        let open = move |Resume { token, .. }: Resume| {
            let client = client.clone();
            let request = pb::WatchModelsRequest {
                selector: Some(selector.clone().into()),
                token: token.unwrap_or_default(),
                snapshot_on_gap: true,
                known_versions: Vec::new(),
            };
            let opened = async move {
                let answer = client.model_service().watch_models(request).await;
                client.frames::<_, ModelUpdate>(answer)
            };
            Box::pin(opened.instrument(tracing::info_span!("watch_models"))) as _
        };
        Watch::new(&self.addr, token, Box::new(open))
    }

    /// The forecasts of the selected series, each again whenever it changes, without end. A slow reader gets the
    /// latest.
    #[must_use]
    pub fn watch_forecasts(&self, query: WatchQuery) -> Watch<ForecastUpdate> {
        let client = self.clone();
        let token = query.token.clone();
        let open = move |Resume { token, untouched }: Resume| {
            let client = client.clone();
            let mut query = WatchQuery {
                token,
                ..query.clone()
            };
            // What the caller knew at the beginning may be out of date by now: a snapshot must not leave it out.
            if !untouched {
                query.known_versions.clear();
            }
            let request = pb::WatchForecastsRequest::from(query);
            let opened = async move {
                let answer = client.forecasts().watch_forecasts(request).await;
                client.frames::<_, ForecastUpdate>(answer)
            };
            Box::pin(opened.instrument(tracing::info_span!("watch_forecasts"))) as _
        };
        Watch::new(&self.addr, token, Box::new(open))
    }

    /// Registers a model and, if an alias is moved, serves it. `Ok` means the version is durable; where
    /// [`Pushed::revision`] is set, any later request on this server is answered at that revision or later.
    ///
    /// Pushing the same bytes under the same key again is safe: after a failure that
    /// [is transient](Error::is_transient), try again with an equal `Push`.
    ///
    /// # Errors
    /// [`Error::Refused`]: ABORTED when the alias does not point at `expected_version`, ALREADY_EXISTS when the key
    /// was used for other bytes, INVALID_ARGUMENT for a header or artifact that makes no sense, FAILED_PRECONDITION by
    /// a read-only server, UNAVAILABLE when the registry is down; and as [`Client::forecast`].
    pub async fn push(&self, push: Push) -> Result<Pushed, Error> {
        let span = tracing::info_span!("push", series = push.series.name);
        self.send(push).instrument(span).await
    }

    async fn send(&self, push: Push) -> Result<Pushed, Error> {
        let parcels = parcels(push).await;
        let request = self.request(messages(parcels), self.push_deadline);
        let mut service = self.model_service();
        // Boxed: its state holds the stream and would make every future around it as large.
        let call = Box::pin(service.push_model(request));
        self.call(self.push_deadline, call).await?.try_into()
    }

    /// Tells the server that a candidate was refused; answers with the revision of the event.
    ///
    /// # Errors
    /// As [`Client::forecast`].
    pub async fn report_rejection(&self, report: RejectionReport) -> Result<u64, Error> {
        let span = tracing::info_span!("report_rejection", series = report.series);
        let request = self.request(report.into(), self.call_deadline);
        let mut service = self.model_service();
        let answer = self
            .call(self.call_deadline, service.report_rejection(request))
            .instrument(span)
            .await?;
        Ok(answer.revision)
    }

    /// Tells the server what was observed, run after run in the order of time; what it knows already changes nothing, so
    /// telling all again after a failure is safe.
    ///
    /// # Errors
    /// [`Error::Refused`] with INVALID_ARGUMENT for a run that makes no sense; those before it are taken, none after it.
    /// What makes sense and is not used is no error: [`Observed::reasons`]. And as [`Client::forecast`]; the deadline is
    /// that of a push.
    pub async fn observe_actuals(&self, runs: Vec<Observations>) -> Result<Observed, Error> {
        let messages = futures::stream::iter(runs.into_iter().map(pb::ObserveActualsRequest::from));
        let request = self.request(messages, self.push_deadline);
        let mut service = self.model_service();
        let call = Box::pin(service.observe_actuals(request));
        let span = tracing::info_span!("observe_actuals");
        self.call(self.push_deadline, call)
            .instrument(span)
            .await?
            .try_into()
    }

    /// Points `alias` of `series` at `version`; with the alias that the server follows, that version is served from then
    /// on, and a retired series is revived. `expected_version`: where the alias must be now; `None`: wherever.
    ///
    /// Answers with the revision of what is served; `None` when the server does not follow the alias.
    ///
    /// # Errors
    /// [`Error::Refused`]: NOT_FOUND when there is no such version, ABORTED when the alias is elsewhere than expected,
    /// UNAVAILABLE when the registry is down; and as [`Client::forecast`].
    pub async fn set_alias(
        &self,
        series: &str,
        alias: &str,
        version: u64,
        expected_version: Option<u64>,
    ) -> Result<Option<u64>, Error> {
        let span = tracing::info_span!("set_alias", series, alias, version);
        let request = pb::SetAliasRequest {
            series: series.to_owned(),
            alias: alias.to_owned(),
            version,
            expected_version,
        };
        let request = self.request(request, self.call_deadline);
        let mut service = self.model_service();
        let answer = self
            .call(self.call_deadline, service.set_alias(request))
            .instrument(span)
            .await?;
        Ok(non_zero(answer.revision))
    }

    /// Back to the version served before, or to a named one; in an instant when the server keeps it in memory.
    ///
    /// # Errors
    /// [`Error::Refused`]: FAILED_PRECONDITION when nothing was served before, NOT_FOUND when the series is not served
    /// or there is no such version, UNAVAILABLE when the registry is down; and as [`Client::forecast`].
    pub async fn rollback(&self, series: &str, version: Option<u64>) -> Result<RolledBack, Error> {
        let span = tracing::info_span!("rollback", series);
        let request = pb::RollbackRequest {
            series: series.to_owned(),
            version: version.unwrap_or_default(),
        };
        let request = self.request(request, self.call_deadline);
        let mut service = self.model_service();
        self.call(self.call_deadline, service.rollback(request))
            .instrument(span)
            .await?
            .try_into()
    }

    /// Lays a tombstone on `series`: it is NOT_FOUND with that reason from then on, keeps its versions in the registry,
    /// and takes no pushes until [`Client::set_alias`] revives it. Answers with the revision.
    ///
    /// # Errors
    /// [`Error::Refused`]: NOT_FOUND when the registry does not know it, INVALID_ARGUMENT without a reason, UNAVAILABLE
    /// when the registry is down; and as [`Client::forecast`].
    pub async fn retire(&self, series: &str, reason: &str) -> Result<u64, Error> {
        let span = tracing::info_span!("retire", series);
        let request = pb::RetireSeriesRequest {
            series: series.to_owned(),
            reason: reason.to_owned(),
        };
        let request = self.request(request, self.call_deadline);
        let mut service = self.model_service();
        let answer = self
            .call(self.call_deadline, service.retire_series(request))
            .instrument(span)
            .await?;
        Ok(answer.revision)
    }

    /// Makes the server look at its registry now, and waits until every load that this began has ended.
    ///
    /// # Errors
    /// [`Error::Refused`]: UNAVAILABLE when the registry does not answer; and as [`Client::forecast`].
    pub async fn refresh_models(&self) -> Result<Refreshed, Error> {
        let span = tracing::info_span!("refresh_models");
        let request = self.request(pb::RefreshModelsRequest {}, self.call_deadline);
        let mut service = self.model_service();
        let answer = self
            .call(self.call_deadline, service.refresh_models(request))
            .instrument(span)
            .await?;
        Ok(answer.into())
    }

    fn forecasts(&self) -> ForecastServiceClient<Traced> {
        ForecastServiceClient::with_interceptor(self.channel.clone(), self.trace.clone())
            .max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    fn model_service(&self) -> ModelServiceClient<Traced> {
        ModelServiceClient::with_interceptor(self.channel.clone(), self.trace.clone())
            .max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// A request that carries its deadline.
    fn request<T>(&self, message: T, deadline: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(deadline);
        request
    }

    /// Runs a call to its end or its deadline, whether or not the server keeps to it.
    async fn call<T>(
        &self,
        deadline: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(deadline, call).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(into_error(&self.addr, deadline, &status)),
            Err(_) => Err(Error::Timeout { after: deadline }),
        }
    }

    /// The typed messages of a stream that was just opened.
    fn frames<W, M>(
        self,
        answer: Result<Response<tonic::Streaming<W>>, Status>,
    ) -> Result<Frames<M>, Error>
    where
        W: Send + 'static,
        M: 'static,
        Frame<M>: TryFrom<W, Error = Error>,
    {
        let addr = Arc::clone(&self.addr);
        let failed = move |status: Status| into_error(&addr, SILENCE_LIMIT, &status);
        let stream = answer.map_err(&failed)?.into_inner();
        Ok(stream
            .map(move |message| message.map_err(&failed).and_then(Frame::try_from))
            .boxed())
    }
}
