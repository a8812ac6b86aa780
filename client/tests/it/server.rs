//! A server that says what it is told to and remembers what it was asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use futures::StreamExt;
use futures::stream::BoxStream;
use loadcast_proto::v1 as pb;
use loadcast_proto::v1::forecast_service_server::{ForecastService, ForecastServiceServer};
use loadcast_proto::v1::model_service_server::{ModelService, ModelServiceServer};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

/// What one stream says: messages, then how it ends. `None` keeps it open.
pub(crate) struct Script<T> {
    pub(crate) says: Vec<T>,
    pub(crate) end: Option<Result<(), Status>>,
}

/// What to answer and what was asked.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) forecast: Option<Result<pb::Forecast, Status>>,
    pub(crate) recommendation: Option<pb::GetRecommendationResponse>,
    pub(crate) pages: VecDeque<pb::ListModelsResponse>,
    pub(crate) model: Option<pb::Model>,
    pub(crate) batch: Vec<pb::BatchGetForecastsResponse>,
    pub(crate) push: Option<Result<pb::PushModelResponse, Status>>,
    pub(crate) model_scripts: VecDeque<Script<pb::WatchModelsResponse>>,
    pub(crate) forecast_scripts: VecDeque<Script<pb::WatchForecastsResponse>>,
    /// Never answers a unary call.
    pub(crate) hangs: bool,

    pub(crate) forecast_requests: Vec<pb::GetForecastRequest>,
    pub(crate) recommendation_requests: Vec<pb::GetRecommendationRequest>,
    pub(crate) batch_requests: Vec<pb::BatchGetForecastsRequest>,
    pub(crate) list_requests: Vec<pb::ListModelsRequest>,
    pub(crate) watch_requests: Vec<pb::WatchModelsRequest>,
    pub(crate) watch_forecast_requests: Vec<pb::WatchForecastsRequest>,
    pub(crate) push_parts: Vec<pb::push_model_request::Part>,
    pub(crate) rejections: Vec<pb::ReportRejectionRequest>,
    pub(crate) alias_requests: Vec<pb::SetAliasRequest>,
    pub(crate) rollback_requests: Vec<pb::RollbackRequest>,
    pub(crate) retire_requests: Vec<pb::RetireSeriesRequest>,
    pub(crate) metadata: Vec<MetadataMap>,
}

/// The server; clones share its state.
#[derive(Clone, Default)]
pub(crate) struct Mock(Arc<Mutex<State>>);

impl Mock {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Serves on a free port of this machine, in this runtime.
    pub(crate) async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(self.clone().run(listener));
        format!("http://{addr}")
    }

    /// Serves in a runtime of its own, whose end closes every socket at once.
    pub(crate) fn serve_apart(&self, addr: SocketAddr) -> (tokio::runtime::Runtime, SocketAddr) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind(addr).unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let mock = self.clone();
        runtime.spawn(async move {
            mock.run(TcpListener::from_std(listener).unwrap()).await;
        });
        (runtime, addr)
    }

    async fn run(self, listener: TcpListener) {
        tonic::transport::Server::builder()
            .add_service(ForecastServiceServer::new(self.clone()))
            .add_service(ModelServiceServer::new(self))
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await
            .unwrap();
    }

    async fn hang(&self) {
        if self.state().hangs {
            std::future::pending::<()>().await;
        }
    }
}

type Answers<T> = BoxStream<'static, Result<T, Status>>;

fn perform<T: Send + 'static>(script: Option<Script<T>>) -> Answers<T> {
    let Some(Script { says, end }) = script else {
        return futures::stream::pending().boxed();
    };
    let says = futures::stream::iter(says.into_iter().map(Ok));
    match end {
        Some(Ok(())) => says.boxed(),
        Some(Err(status)) => says.chain(futures::stream::iter([Err(status)])).boxed(),
        None => says.chain(futures::stream::pending()).boxed(),
    }
}

fn absent<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not in this test"))
}

#[tonic::async_trait]
impl ForecastService for Mock {
    type BatchGetForecastsStream = Answers<pb::BatchGetForecastsResponse>;
    type WatchForecastsStream = Answers<pb::WatchForecastsResponse>;

    async fn get_forecast(
        &self,
        request: Request<pb::GetForecastRequest>,
    ) -> Result<Response<pb::GetForecastResponse>, Status> {
        self.state().metadata.push(request.metadata().clone());
        self.state().forecast_requests.push(request.into_inner());
        self.hang().await;
        let forecast = self.state().forecast.clone();
        let forecast = forecast.unwrap_or_else(|| Err(Status::not_found("no such series")))?;
        Ok(Response::new(pb::GetForecastResponse {
            forecast: Some(forecast.into()),
        }))
    }

    async fn batch_get_forecasts(
        &self,
        request: Request<pb::BatchGetForecastsRequest>,
    ) -> Result<Response<Self::BatchGetForecastsStream>, Status> {
        let mut state = self.state();
        state.batch_requests.push(request.into_inner());
        let items: Vec<_> = state.batch.clone().into_iter().map(Ok).collect();
        Ok(Response::new(futures::stream::iter(items).boxed()))
    }

    async fn watch_forecasts(
        &self,
        request: Request<pb::WatchForecastsRequest>,
    ) -> Result<Response<Self::WatchForecastsStream>, Status> {
        let mut state = self.state();
        state.watch_forecast_requests.push(request.into_inner());
        Ok(Response::new(perform(state.forecast_scripts.pop_front())))
    }

    async fn get_recommendation(
        &self,
        request: Request<pb::GetRecommendationRequest>,
    ) -> Result<Response<pb::GetRecommendationResponse>, Status> {
        let mut state = self.state();
        state.recommendation_requests.push(request.into_inner());
        match state.recommendation.clone() {
            Some(advice) => Ok(Response::new(advice)),
            None => Err(Status::failed_precondition("nobody should act on it")),
        }
    }
}

#[tonic::async_trait]
impl ModelService for Mock {
    type WatchModelsStream = Answers<pb::WatchModelsResponse>;

    async fn list_models(
        &self,
        request: Request<pb::ListModelsRequest>,
    ) -> Result<Response<pb::ListModelsResponse>, Status> {
        let mut state = self.state();
        state.list_requests.push(request.into_inner());
        Ok(Response::new(state.pages.pop_front().unwrap_or_default()))
    }

    async fn get_model(
        &self,
        _: Request<pb::GetModelRequest>,
    ) -> Result<Response<pb::GetModelResponse>, Status> {
        Ok(Response::new(pb::GetModelResponse {
            model: self.state().model.clone(),
            ..pb::GetModelResponse::default()
        }))
    }

    async fn watch_models(
        &self,
        request: Request<pb::WatchModelsRequest>,
    ) -> Result<Response<Self::WatchModelsStream>, Status> {
        let mut state = self.state();
        state.watch_requests.push(request.into_inner());
        Ok(Response::new(perform(state.model_scripts.pop_front())))
    }

    async fn push_model(
        &self,
        request: Request<Streaming<pb::PushModelRequest>>,
    ) -> Result<Response<pb::PushModelResponse>, Status> {
        let mut parts = request.into_inner();
        while let Some(message) = parts.message().await? {
            self.state().push_parts.push(message.part.unwrap());
        }
        let answer = self.state().push.clone();
        answer
            .unwrap_or_else(|| Err(Status::internal("no answer was set")))
            .map(Response::new)
    }

    async fn report_rejection(
        &self,
        request: Request<pb::ReportRejectionRequest>,
    ) -> Result<Response<pb::ReportRejectionResponse>, Status> {
        self.state().rejections.push(request.into_inner());
        Ok(Response::new(pb::ReportRejectionResponse {
            revision: 7,
            epoch: "e1".into(),
        }))
    }

    async fn set_alias(
        &self,
        request: Request<pb::SetAliasRequest>,
    ) -> Result<Response<pb::SetAliasResponse>, Status> {
        let request = request.into_inner();
        let revision = if request.alias == "champion" { 8 } else { 0 };
        self.state().alias_requests.push(request);
        Ok(Response::new(pb::SetAliasResponse {
            revision,
            epoch: "e1".into(),
        }))
    }

    async fn rollback(
        &self,
        request: Request<pb::RollbackRequest>,
    ) -> Result<Response<pb::RollbackResponse>, Status> {
        self.state().rollback_requests.push(request.into_inner());
        Ok(Response::new(pb::RollbackResponse {
            version: 2,
            revision: 9,
            epoch: "e1".into(),
        }))
    }

    async fn retire_series(
        &self,
        request: Request<pb::RetireSeriesRequest>,
    ) -> Result<Response<pb::RetireSeriesResponse>, Status> {
        self.state().retire_requests.push(request.into_inner());
        Ok(Response::new(pb::RetireSeriesResponse {
            revision: 10,
            epoch: "e1".into(),
        }))
    }

    async fn refresh_models(
        &self,
        _: Request<pb::RefreshModelsRequest>,
    ) -> Result<Response<pb::RefreshModelsResponse>, Status> {
        Ok(Response::new(pb::RefreshModelsResponse {
            epoch: "e1".into(),
            revision: 11,
            aspired: 3,
            loaded: 1,
            failed: 1,
            backing_off: 0,
        }))
    }

    async fn observe_actuals(
        &self,
        _: Request<Streaming<pb::ObserveActualsRequest>>,
    ) -> Result<Response<pb::ObserveActualsResponse>, Status> {
        absent()
    }
}
