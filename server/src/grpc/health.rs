//! grpc.health.v1, to the letter: a service that is not known is NOT_FOUND for Check, and SERVICE_UNKNOWN on a Watch
//! that stays open.

use std::{collections::BTreeMap, pin::Pin, sync::Arc};

use futures::Stream;
use loadcast_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
    health_check_response::ServingStatus, health_server,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{edge::paced::Leaving, error::Error, served::Outage};

/// Whether the registry answers: not serving means that models are served, and followed by nobody.
const REGISTRY: &str = "loadcast.registry";

/// Whether the state directory is written: not serving means that a restart forgets what changed since.
const STATE: &str = "loadcast.state";

/// The services that are known: the whole server and each by name, which live and drain together; the registry, and the
/// state directory.
const SERVICES: [&str; 7] = [
    "",
    "externalscaler.ExternalScaler",
    "loadcast.v1.ForecastService",
    "loadcast.v1.ModelService",
    "loadcast.v1.ScalerService",
    REGISTRY,
    STATE,
];

/// Whether the server serves. Cheap to clone; clones agree. Nothing but a drain makes it stop: a swap, a bad model or
/// an absent registry does not. The registry and the state directory have services of their own, [`REGISTRY`] and
/// [`STATE`].
#[derive(Debug, Clone)]
pub(crate) struct Health {
    serving: Arc<watch::Sender<bool>>,
    registry: watch::Receiver<bool>,
    forgetful: watch::Receiver<Option<Outage>>,
}

impl Health {
    /// Serving; `registry` tells whether the registry answers, `forgetful` whether the state directory cannot be written.
    pub(crate) fn new(
        registry: watch::Receiver<bool>,
        forgetful: watch::Receiver<Option<Outage>>,
    ) -> Self {
        Self {
            serving: Arc::new(watch::Sender::new(true)),
            registry,
            forgetful,
        }
    }

    /// Not serving, from now on.
    pub(crate) fn drain(&self) {
        self.serving.send_replace(false);
    }

    /// Whether requests are welcome.
    pub(crate) fn is_serving(&self) -> bool {
        *self.serving.borrow()
    }

    fn of(&self, service: &str) -> HealthCheckResponse {
        let well = match service {
            REGISTRY => *self.registry.borrow(),
            STATE => self.forgetful.borrow().is_none(),
            _ => true,
        };
        Self::status(self.is_serving() && well)
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
        Ok(Response::new(self.of(&service)))
    }

    async fn list(
        &self,
        _: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        let statuses: BTreeMap<_, _> = SERVICES
            .map(|service| (service.to_owned(), self.of(service)))
            .into();
        Ok(Response::new(HealthListResponse { statuses }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let leaving = Leaving::of(request.extensions(), &CancellationToken::new());
        let service = request.into_inner().service;
        let known = is_known(&service);
        let mut changes = self.serving.subscribe();
        let mut registry = self.registry.clone();
        let mut forgetful = self.forgetful.clone();
        let health = self.clone();
        let statuses = async_stream::stream! {
            if !known {
                yield Ok(response(ServingStatus::ServiceUnknown));
                // Stays open until the client leaves or the server drains, and as long as its connection does.
                let draining = async { drop(changes.wait_for(|serving| !serving).await) };
                let is_draining = tokio::select! {
                    biased;
                    () = draining => true,
                    () = leaving.cancelled() => false,
                };
                if !is_draining {
                    yield Err(Error::GoingAway.into());
                }
                return;
            }
            let mut last = None;
            loop {
                let serving = *changes.borrow_and_update();
                registry.mark_unchanged();
                forgetful.mark_unchanged();
                let status = health.of(&service);
                if last != Some(status) {
                    last = Some(status);
                    yield Ok(status);
                }
                if !serving {
                    return;
                }
                tokio::select! {
                    biased;
                    changed = changes.changed() => if changed.is_err() { return },
                    // Their senders live as long as the cache; a service that is not theirs has nothing to hear.
                    Ok(()) = registry.changed(), if service == REGISTRY => {}
                    Ok(()) = forgetful.changed(), if service == STATE => {}
                    () = leaving.cancelled() => {
                        yield Err(Error::GoingAway.into());
                        return;
                    }
                };
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

    /// Well in every part that no test looks at.
    fn health(registry: watch::Receiver<bool>) -> Health {
        let (_well, forgetful) = watch::channel(None);
        Health::new(registry, forgetful)
    }

    fn ask(service: &str) -> Request<HealthCheckRequest> {
        Request::new(HealthCheckRequest {
            service: service.to_owned(),
        })
    }

    #[tokio::test]
    async fn check_knows_its_services_and_no_others() {
        let (_registry, answers) = watch::channel(true);
        let health = health(answers);
        let answer = health.check(ask("")).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
        let error = health.check(ask("nobody")).await.unwrap_err();
        assert_eq!(error.code(), tonic::Code::NotFound);
    }

    #[tokio::test]
    async fn watch_tells_the_drain_and_ends() {
        let (_registry, answers) = watch::channel(true);
        let health = health(answers);
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

    #[tokio::test]
    async fn an_absent_registry_and_an_unwritten_state_are_told_by_their_own_services_alone() {
        let (registry, answers) = watch::channel(true);
        let (state, forgetful) = watch::channel(None);
        let health = Health::new(answers, forgetful);
        let outage = || Outage {
            since: jiff::Timestamp::UNIX_EPOCH,
            message: "No space left".to_owned(),
        };
        for (service, other) in [(REGISTRY, STATE), (STATE, REGISTRY)] {
            let watch = health.watch(ask(service)).await.unwrap();
            let mut watch = watch.into_inner();
            for (well, expected) in [
                (true, ServingStatus::Serving),
                (false, ServingStatus::NotServing),
                (true, ServingStatus::Serving),
            ] {
                if service == REGISTRY {
                    registry.send_replace(well);
                } else {
                    state.send_replace((!well).then(outage));
                }
                let told = watch.next().await.unwrap().unwrap();
                assert_eq!(told.status(), expected, "{service}");
                let check = health.check(ask(service)).await.unwrap().into_inner();
                assert_eq!(check.status(), expected, "{service}");
                for untouched in ["", other] {
                    let check = health.check(ask(untouched)).await.unwrap().into_inner();
                    assert_eq!(check.status(), ServingStatus::Serving, "{untouched:?}");
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn watch_of_an_unknown_service_says_so_and_stays_open() {
        let (_registry, answers) = watch::channel(true);
        let health = health(answers);
        let mut watch = health.watch(ask("nobody")).await.unwrap().into_inner();
        let first = watch.next().await.unwrap().unwrap();
        assert_eq!(first.status(), ServingStatus::ServiceUnknown);
        let hour = std::time::Duration::from_secs(3_600);
        assert!(tokio::time::timeout(hour, watch.next()).await.is_err());
    }
}
