//! The gRPC port: services, health and reflection. Only this module names the wire; handlers parse, call, convert.

mod answers;
mod convert;
mod external_scaler;
mod flight;
mod forecast;
pub(crate) mod health;
mod model;
mod observe;
mod push;
mod scaler;
mod status;
mod watch;

use std::sync::Arc;

use arrow_flight::flight_service_server::FlightServiceServer;
use loadcast_proto::{
    FILE_DESCRIPTOR_SET, FLIGHT_DESCRIPTOR_SET,
    externalscaler::external_scaler_server::ExternalScalerServer,
    health::health_server::HealthServer,
    v1::{
        forecast_service_server::ForecastServiceServer, model_service_server::ModelServiceServer,
        scaler_service_server::ScalerServiceServer,
    },
};
use loadcast_registry::registry::Registry;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{
    aspired::Aspirations, cache::Cache, edge::metrics::EdgeMetrics, error::Error,
    grpc::health::Health, metrics::Metrics, poller::Hints, publish::Publisher, scaler::Scaler,
};

/// The longest message that is read: a chunk of a push and its frame. Everything else is far smaller.
const MAX_REQUEST_BYTES: usize = loadcast_proto::MAX_CHUNK_BYTES + 64 * 1024;

/// What handlers need.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    pub(crate) cache: Arc<Cache>,
    pub(crate) publisher: Publisher,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) aspirations: Arc<Aspirations>,
    pub(crate) hints: Hints,
    pub(crate) scaler: Arc<Scaler>,
    pub(crate) health: Health,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) edge: EdgeMetrics,
    pub(crate) followed_alias: String,
    /// Cancelled when the server begins to leave.
    pub(crate) stop: CancellationToken,
}

impl Services {
    /// `error`, counted where a call is turned away by it.
    pub(crate) fn counted(&self, error: Error) -> Error {
        if let Error::Exhausted { subject, .. } = &error {
            self.edge.shed(subject);
        }
        error
    }
}

/// Every route of the gRPC port; plain HTTP that `http` knows is answered too.
pub(crate) fn routes(services: Services, http: axum::Router) -> anyhow::Result<Routes> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(FLIGHT_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let health = HealthServer::new(services.health.clone());
    let forecasts = forecast::ForecastHandler::new(services.clone());
    let flight = FlightServiceServer::new(flight::FlightHandler::new(forecasts.clone()))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let scaler = Arc::clone(&services.scaler);
    let external =
        external_scaler::ExternalScalerHandler::new(Arc::clone(&scaler), services.stop.clone());
    let external = ExternalScalerServer::new(external)
        .max_decoding_message_size(external_scaler::MAX_REQUEST_BYTES);
    let scaler = ScalerServiceServer::new(scaler::ScalerHandler::new(scaler))
        .max_decoding_message_size(external_scaler::MAX_REQUEST_BYTES);
    let forecast =
        ForecastServiceServer::new(forecasts).max_decoding_message_size(MAX_REQUEST_BYTES);
    let model = ModelServiceServer::new(model::ModelHandler::new(services))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    Ok(Routes::from(http)
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(forecast)
        .add_service(flight)
        .add_service(model)
        .add_service(external)
        .add_service(scaler))
}
