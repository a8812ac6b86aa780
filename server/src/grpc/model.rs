//! ModelService: what is served and why, the log of its changes, and pushes.

use std::{collections::BTreeMap, pin::Pin, sync::Arc};

use futures::{Stream, StreamExt as _};
use loadcast_model::series::SeriesName;
use loadcast_proto::v1::{self as pb, model_service_server::ModelService};
use tonic::{Request, Response, Status, Streaming};

use crate::{
    error::{Error, Result},
    feed::{
        self, Known,
        forecasts::not_served,
        models::{self, Subscription},
    },
    grpc::{
        Services,
        convert::{header, model as convert, question, timestamp_out},
        forecast::{ended_by_going_away, not_yet},
        push,
    },
    layers::traceparent,
    served::{Change, Entry},
    token::Token,
};

/// The most models on one page; the default too.
const PAGE_SIZE: u32 = 1_000;

/// The most known versions that one watch may bring.
const MAX_KNOWN: usize = 100_000;

/// Answers about models, and takes them.
#[derive(Debug)]
pub(crate) struct ModelHandler {
    services: Services,
}

impl ModelHandler {
    pub(crate) fn new(services: Services) -> Self {
        Self { services }
    }

    fn registry_status(&self) -> pb::RegistryStatus {
        let state = self.services.cache.state();
        pb::RegistryStatus {
            url: self.services.registry.url().to_owned(),
            reachable: state.registry_unreachable.is_none(),
            last_success: self
                .services
                .cache
                .registry_last_success()
                .map(timestamp_out),
            message: state.registry_unreachable.clone().unwrap_or_default(),
        }
    }

    fn token(&self, revision: u64) -> String {
        Token {
            epoch: self.services.cache.state().epoch,
            revision,
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
        let mut entries: Vec<&Arc<Entry>> = state
            .entries
            .iter()
            .filter(|(name, entry)| {
                after.as_ref().is_none_or(|after| *name > after)
                    && selector.matches(name, &entry.series.labels)
            })
            .map(|(_, entry)| entry)
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
                .map(|entry| convert::model(entry, &state, now, BTreeMap::new()))
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
        let Some(entry) = state.entries.get(&name) else {
            return Err(not_served(&name, None).into());
        };
        let now = self.services.cache.clock().now();
        let aliases = entry
            .served
            .iter()
            .map(|served| (served.alias.clone(), served.version))
            .collect();
        Ok(Response::new(pb::GetModelResponse {
            model: Some(convert::model(entry, &state, now, aliases)),
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
        let request = request.into_inner();
        let selector = question::selector(request.selector)?;
        let cache = Arc::clone(&self.services.cache);
        let start = feed::start(&cache, &selector, &request.token, request.snapshot_on_gap)?;
        let known = known(request.known_versions)?;
        let epoch = cache.state().epoch;
        let filter = selector.fingerprint();
        let subscription = Subscription {
            selector,
            start,
            known,
        };
        let updates = models::updates(Arc::clone(&cache), subscription, self.services.stop.clone());
        let messages = updates.map(move |positioned| {
            let token = Token {
                epoch,
                revision: positioned.revision,
                filter,
                complete: positioned.complete,
            };
            Ok(convert::watch_models(
                &positioned.update,
                token.encode(),
                &cache.state(),
                cache.clock().now(),
            ))
        });
        Ok(Response::new(Box::pin(ended_by_going_away(messages))))
    }

    async fn push_model(
        &self,
        request: Request<Streaming<pb::PushModelRequest>>,
    ) -> std::result::Result<Response<pb::PushModelResponse>, Status> {
        let push = push::receive(request.into_inner(), traceparent()).await?;
        let sha256 = push.metadata.sha256.clone();
        let published = self.services.publisher.publish(push).await?;
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
        };
        let committed = self.services.cache.commit(change, traceparent()).await?;
        Ok(Response::new(pb::ReportRejectionResponse {
            revision: committed.revision,
            epoch: committed.epoch.to_string(),
        }))
    }

    async fn set_alias(
        &self,
        _: Request<pb::SetAliasRequest>,
    ) -> std::result::Result<Response<pb::SetAliasResponse>, Status> {
        Err(not_yet("SetAlias", "push the model with the alias you want").into())
    }

    async fn rollback(
        &self,
        _: Request<pb::RollbackRequest>,
    ) -> std::result::Result<Response<pb::RollbackResponse>, Status> {
        Err(not_yet("Rollback", "push the earlier model again").into())
    }

    async fn retire_series(
        &self,
        _: Request<pb::RetireSeriesRequest>,
    ) -> std::result::Result<Response<pb::RetireSeriesResponse>, Status> {
        Err(not_yet("RetireSeries", "stop asking for the series").into())
    }

    async fn observe_actuals(
        &self,
        _: Request<Streaming<pb::ObserveActualsRequest>>,
    ) -> std::result::Result<Response<pb::ObserveActualsResponse>, Status> {
        Err(not_yet("ObserveActuals", "train again with the new observations").into())
    }
}

fn known(wire: Vec<pb::KnownVersion>) -> Result<BTreeMap<SeriesName, Known>> {
    if wire.len() > MAX_KNOWN {
        return Err(Error::invalid(
            "known_versions",
            format!("{} versions; at most {MAX_KNOWN}", wire.len()),
        ));
    }
    wire.into_iter()
        .map(|known| {
            let series = question::series_name("known_versions.series", &known.series)?;
            let held = Known {
                version: known.version,
                sha256: known.artifact_sha256,
            };
            Ok((series, held))
        })
        .collect()
}
