//! ModelService: what is served and why, the log of its changes, and pushes.

use std::{collections::BTreeMap, pin::Pin, sync::Arc};

use futures::{Stream, StreamExt as _};
use loadcast_proto::v1::{self as pb, model_service_server::ModelService};
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;

use crate::{
    edge::paced::Leaving,
    error::{Error, Result},
    feed::{
        self,
        models::{self, Subscription},
    },
    grpc::{
        Services,
        convert::{header, model as convert, question, timestamp_out},
        forecast::ended_by_going_away,
        observe, push, watch,
    },
    layers::traceparent,
    served::{Change, Entry, not_served},
    token::Token,
};

/// The most models on one page; the default too.
const PAGE_SIZE: u32 = 1_000;

/// The longest reason of a retirement.
const MAX_REASON_BYTES: usize = 1_024;

/// Answers about models, and takes them.
#[derive(Debug)]
pub(crate) struct ModelHandler {
    services: Services,
    events: Arc<watch::models::Events>,
}

impl ModelHandler {
    pub(crate) fn new(services: Services) -> Self {
        let events = Arc::new(watch::models::Events::new(
            watch::models::MAX_EVENT_BYTES,
            0,
        ));
        Self { services, events }
    }

    fn registry_status(&self) -> pb::RegistryStatus {
        let state = self.services.cache.state();
        let outage = state.registry_unreachable.as_ref();
        pb::RegistryStatus {
            url: self.services.registry.url().to_owned(),
            reachable: outage.is_none(),
            last_success: self
                .services
                .cache
                .registry_last_success()
                .map(timestamp_out),
            message: outage.map_or_else(String::new, |outage| outage.message.clone()),
            unreachable_since: outage.map(|outage| timestamp_out(outage.since)),
        }
    }

    fn token(&self, revision: u64) -> String {
        Token {
            epoch: self.services.cache.state().epoch,
            revision,
            second: 0,
            filter: crate::selector::Selector::default().fingerprint(),
            complete: true,
        }
        .encode()
    }
}

type Boxed<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl ModelService for ModelHandler {
    async fn list_models(
        &self,
        request: Request<pb::ListModelsRequest>,
    ) -> std::result::Result<Response<pb::ListModelsResponse>, Status> {
        let request = request.into_inner();
        let selector = question::selector(request.selector)?;
        let after = match request.page_token.as_str() {
            "" => None,
            token => Some(question::series_name("page_token", token)?),
        };
        let size = match request.page_size {
            0 => PAGE_SIZE,
            size => size.min(PAGE_SIZE),
        };
        let state = self.services.cache.state();
        let now = self.services.cache.clock().now();
        let aspirations = self.services.aspirations.all();
        let first_loads: Vec<Arc<Entry>> = aspirations
            .keys()
            .filter(|name| !state.entries.contains_key(name))
            .map(|name| Arc::new(Entry::unknown(name)))
            .collect();
        let mut entries: Vec<&Arc<Entry>> = state
            .entries
            .values()
            .chain(&first_loads)
            .filter(|entry| {
                let name = &entry.series.name;
                after.as_ref().is_none_or(|after| name > after)
                    && selector.matches(name, &entry.series.labels)
            })
            .collect();
        entries.sort_unstable_by(|a, b| a.series.name.cmp(&b.series.name));
        let more = entries.len() > size as usize;
        entries.truncate(size as usize);
        let next_page_token = entries
            .last()
            .filter(|_| more)
            .map_or_else(String::new, |last| last.series.name.to_string());
        Ok(Response::new(pb::ListModelsResponse {
            models: entries
                .iter()
                .map(|entry| {
                    let aspiration = aspirations.get(&entry.series.name);
                    let seen = self.services.cache.live().seen(&entry.series);
                    convert::model(entry, aspiration, &state, now, BTreeMap::new(), &seen)
                })
                .collect(),
            next_page_token,
            epoch: state.epoch.to_string(),
            revision: state.revision,
            registry: Some(self.registry_status()),
        }))
    }

    async fn get_model(
        &self,
        request: Request<pb::GetModelRequest>,
    ) -> std::result::Result<Response<pb::GetModelResponse>, Status> {
        let name = question::series_name("series", &request.into_inner().series)?;
        let state = self.services.cache.state();
        let aspiration = self.services.aspirations.get(&name);
        let entry = match state.entries.get(&name) {
            Some(entry) => Arc::clone(entry),
            None if aspiration.is_some() => Arc::new(Entry::unknown(&name)),
            None => return Err(not_served(&name, None).into()),
        };
        let now = self.services.cache.clock().now();
        let aliases = entry
            .served
            .iter()
            .map(|served| (served.alias.clone(), served.version))
            .collect();
        Ok(Response::new(pb::GetModelResponse {
            model: Some(convert::model(
                &entry,
                aspiration.as_ref(),
                &state,
                now,
                aliases,
                &self.services.cache.live().seen(&entry.series),
            )),
            epoch: state.epoch.to_string(),
            revision: state.revision,
            registry: Some(self.registry_status()),
        }))
    }

    type WatchModelsStream = Boxed<pb::WatchModelsResponse>;

    async fn watch_models(
        &self,
        request: Request<pb::WatchModelsRequest>,
    ) -> std::result::Result<Response<Self::WatchModelsStream>, Status> {
        let leaving = Leaving::of(request.extensions(), &self.services.stop);
        let request = request.into_inner();
        let selector = question::selector(request.selector)?;
        let cache = Arc::clone(&self.services.cache);
        let filter = selector.fingerprint();
        let subscription = Subscription {
            start: feed::start(&cache, filter, &request.token, request.snapshot_on_gap)?,
            known: question::known_versions(request.known_versions)?,
            selector,
        };
        let updates = models::updates(Arc::clone(&cache), subscription, leaving);
        let renderer = watch::models::Renderer::new(cache, Arc::clone(&self.events), filter);
        let messages = updates.then(move |positioned| {
            let renderer = renderer.clone();
            async move { Ok(renderer.render(positioned).await) }
        });
        Ok(Response::new(Box::pin(ended_by_going_away(messages))))
    }

    async fn push_model(
        &self,
        request: Request<Streaming<pb::PushModelRequest>>,
    ) -> std::result::Result<Response<pb::PushModelResponse>, Status> {
        let push = push::receive(request.into_inner(), traceparent(), &self.services).await?;
        let sha256 = push.metadata.sha256.clone();
        let publisher = self.services.publisher.clone();
        let published =
            whatever_the_caller_does(async move { publisher.publish(push).await }).await?;
        Ok(Response::new(pb::PushModelResponse {
            version: published.version,
            revision: published.revision,
            epoch: published.epoch.to_string(),
            artifact_sha256: sha256,
            already_registered: published.already_registered,
            token: self.token(published.revision),
        }))
    }

    async fn report_rejection(
        &self,
        request: Request<pb::ReportRejectionRequest>,
    ) -> std::result::Result<Response<pb::ReportRejectionResponse>, Status> {
        let report = header::report(request.into_inner())?;
        let change = Change::Reject {
            series: report.series,
            version: 0,
            sha256: report.sha256,
            reasons: report.reasons,
            scores: report.scores,
            beside: false,
        };
        let committed = self.services.cache.commit(change, traceparent()).await?;
        Ok(Response::new(pb::ReportRejectionResponse {
            revision: committed.revision,
            epoch: committed.epoch.to_string(),
        }))
    }

    async fn set_alias(
        &self,
        request: Request<pb::SetAliasRequest>,
    ) -> std::result::Result<Response<pb::SetAliasResponse>, Status> {
        let request = request.into_inner();
        let series = question::series_name("series", &request.series)?;
        let alias = question::series_name("alias", &request.alias)?.to_string();
        let version = version("version", request.version)?;
        let (publisher, traceparent) = (self.services.publisher.clone(), traceparent());
        let moved = whatever_the_caller_does(async move {
            let expected = request.expected_version;
            publisher
                .set_alias(&series, &alias, version, expected, traceparent)
                .await
        })
        .await?;
        Ok(Response::new(pb::SetAliasResponse {
            revision: moved.revision,
            epoch: moved.epoch.to_string(),
        }))
    }

    async fn rollback(
        &self,
        request: Request<pb::RollbackRequest>,
    ) -> std::result::Result<Response<pb::RollbackResponse>, Status> {
        let request = request.into_inner();
        let series = question::series_name("series", &request.series)?;
        let (publisher, traceparent) = (self.services.publisher.clone(), traceparent());
        let moved = whatever_the_caller_does(async move {
            publisher
                .rollback(&series, request.version, traceparent)
                .await
        })
        .await?;
        Ok(Response::new(pb::RollbackResponse {
            version: moved.version,
            revision: moved.revision,
            epoch: moved.epoch.to_string(),
        }))
    }

    async fn retire_series(
        &self,
        request: Request<pb::RetireSeriesRequest>,
    ) -> std::result::Result<Response<pb::RetireSeriesResponse>, Status> {
        let request = request.into_inner();
        let series = question::series_name("series", &request.series)?;
        if request.reason.trim().is_empty() || request.reason.len() > MAX_REASON_BYTES {
            return Err(Error::invalid(
                "reason",
                format!(
                    "say why in 1 to {MAX_REASON_BYTES} bytes; whoever asks for the series is told"
                ),
            )
            .into());
        }
        let (publisher, traceparent) = (self.services.publisher.clone(), traceparent());
        let moved = whatever_the_caller_does(async move {
            publisher.retire(&series, request.reason, traceparent).await
        })
        .await?;
        Ok(Response::new(pb::RetireSeriesResponse {
            revision: moved.revision,
            epoch: moved.epoch.to_string(),
        }))
    }

    async fn refresh_models(
        &self,
        _: Request<pb::RefreshModelsRequest>,
    ) -> std::result::Result<Response<pb::RefreshModelsResponse>, Status> {
        let refreshed = self.services.hints.refresh();
        let refreshed = self.services.stop.run_until_cancelled(refreshed).await;
        let report = match refreshed {
            Some(Ok(report)) => report,
            Some(Err(error)) => return Err(Status::from(&*error)),
            None => return Err(Error::GoingAway.into()),
        };
        let state = self.services.cache.state();
        Ok(Response::new(pb::RefreshModelsResponse {
            epoch: state.epoch.to_string(),
            revision: state.revision,
            aspired: report.aspired,
            loaded: report.loaded,
            failed: report.failed,
            backing_off: report.backing_off,
        }))
    }

    async fn observe_actuals(
        &self,
        request: Request<Streaming<pb::ObserveActualsRequest>>,
    ) -> std::result::Result<Response<pb::ObserveActualsResponse>, Status> {
        let cache = Arc::clone(&self.services.cache);
        observe::receive(request.into_inner(), cache)
            .await
            .map(Response::new)
    }
}

/// Runs `order` to its end even when the caller hangs up or its deadline passes: half a move would leave the registry and
/// this server apart until the next poll.
async fn whatever_the_caller_does<T: Send + 'static>(
    order: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(order.in_current_span())
        .await
        .map_err(|error| Error::Internal(format!("an order died: {error}")))?
}

fn version(field: &str, version: u64) -> Result<u64> {
    if version == 0 {
        return Err(Error::invalid(
            field,
            "0 is no version; GetModel and the registry tell which there are",
        ));
    }
    Ok(version)
}
