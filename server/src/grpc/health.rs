//! grpc.health.v1, to the letter: a service that is not known is NOT_FOUND for Check, and SERVICE_UNKNOWN on a Watch
//! that stays open.

use std::{collections::BTreeMap, pin::Pin, sync::Arc};

use futures::Stream;
use loadcast_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
    health_check_response::ServingStatus, health_server,
};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

/// The services that are known: the whole server, and each by name. All live and drain together.
const SERVICES: [&str; 3] = [
    "",
    "loadcast.v1.ForecastService",
    "loadcast.v1.ModelService",
];

/// Whether the server serves. Cheap to clone; clones agree. Nothing but a drain makes it stop: a swap, a bad model or
/// an absent registry does not.
#[derive(Debug, Clone)]
pub(crate) struct Health(Arc<watch::Sender<bool>>);

impl Health {
    /// Serving.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(true)))
    }

    /// Not serving, from now on.
    pub(crate) fn drain(&self) {
        self.0.send_replace(false);
    }

    /// Whether requests are welcome.
    pub(crate) fn is_serving(&self) -> bool {
        *self.0.borrow()
    }

    fn status(serving: bool) -> HealthCheckResponse {
        response(if serving {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        })
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

fn is_known(service: &str) -> bool {
    SERVICES.contains(&service)
}

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        if !is_known(&service) {
            return Err(Status::not_found(format!(
                "service {service:?} is not known; List tells which are"
            )));
        }
        Ok(Response::new(Self::status(self.is_serving())))
    }

    async fn list(
        &self,
        _: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        let statuses: BTreeMap<_, _> = SERVICES
            .map(|service| (service.to_owned(), Self::status(self.is_serving())))
            .into();
        Ok(Response::new(HealthListResponse { statuses }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let known = is_known(&request.into_inner().service);
        let mut changes = self.0.subscribe();
        let statuses = async_stream::stream! {
            if !known {
                yield Ok(response(ServingStatus::ServiceUnknown));
                // Stays open until the client leaves or the server drains.
                let _ = changes.wait_for(|serving| !serving).await;
                return;
            }
            loop {
                let serving = *changes.borrow_and_update();
                yield Ok(Self::status(serving));
                if !serving || changes.changed().await.is_err() {
                    return;
                }
            }
        };
        Ok(Response::new(Box::pin(statuses)))
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use health_server::Health as _;

    use super::*;

    fn ask(service: &str) -> Request<HealthCheckRequest> {
        Request::new(HealthCheckRequest {
            service: service.to_owned(),
        })
    }

    #[tokio::test]
    async fn check_knows_its_services_and_no_others() {
        let health = Health::new();
        let answer = health.check(ask("")).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
        let error = health.check(ask("nobody")).await.unwrap_err();
        assert_eq!(error.code(), tonic::Code::NotFound);
    }

    #[tokio::test]
    async fn watch_tells_the_drain_and_ends() {
        let health = Health::new();
        let mut watch = health
            .watch(ask("loadcast.v1.ForecastService"))
            .await
            .unwrap()
            .into_inner();
        let first = watch.next().await.unwrap().unwrap();
        assert_eq!(first.status(), ServingStatus::Serving);
        health.drain();
        let second = watch.next().await.unwrap().unwrap();
        assert_eq!(second.status(), ServingStatus::NotServing);
        assert!(watch.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn watch_of_an_unknown_service_says_so_and_stays_open() {
        let health = Health::new();
        let mut watch = health.watch(ask("nobody")).await.unwrap().into_inner();
        let first = watch.next().await.unwrap().unwrap();
        assert_eq!(first.status(), ServingStatus::ServiceUnknown);
        let hour = std::time::Duration::from_secs(3_600);
        assert!(tokio::time::timeout(hour, watch.next()).await.is_err());
    }
}
