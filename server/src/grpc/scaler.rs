//! ScalerService: what KEDA's triggers are told, for people.

use std::sync::Arc;

use loadcast_proto::v1::{self as pb, scaler_service_server::ScalerService};
use tonic::{Request, Response, Status};

use crate::{
    grpc::convert::{question, scaler as convert},
    scaler::{
        Scaler, explain,
        record::{Mode, Whose},
    },
};

/// The most decisions on one page; the default too.
const PAGE_SIZE: u32 = 1_000;

/// Tells what was decided, and explains.
#[derive(Debug)]
pub(crate) struct ScalerHandler(Arc<Scaler>);

impl ScalerHandler {
    /// Of the decisions of `scaler`.
    pub(crate) fn new(scaler: Arc<Scaler>) -> Self {
        Self(scaler)
    }
}

#[tonic::async_trait]
impl ScalerService for ScalerHandler {
    async fn list_scaler_decisions(
        &self,
        request: Request<pb::ListScalerDecisionsRequest>,
    ) -> std::result::Result<Response<pb::ListScalerDecisionsResponse>, Status> {
        let request = request.into_inner();
        let mode = convert::mode_in(request.mode())?;
        let selector = question::selector(request.selector)?;
        let after = convert::page_token_in(&request.page_token)?;
        let size = match request.page_size {
            0 => PAGE_SIZE,
            size => size.min(PAGE_SIZE),
        };
        let state = self.0.cache().state();
        let meant = |whose: &Whose| {
            let entry = state.entries.get(&whose.series);
            let labels = entry.map(|entry| Arc::clone(&entry.series.labels));
            (request.namespace.is_empty() || whose.namespace == request.namespace)
                && mode.is_none_or(|mode: Mode| mode == whose.mode)
                && selector.matches(&whose.series, &labels.unwrap_or_default())
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let (page, more) = self.0.records.page(after.as_ref(), size, meant);
        let last = page.last().filter(|_| more);
        let next_page_token =
            last.map_or_else(String::new, |(whose, _)| convert::page_token(whose));
        let decisions = page.iter();
        Ok(Response::new(pb::ListScalerDecisionsResponse {
            decisions: decisions
                .map(|(whose, record)| convert::decision(whose, record))
                .collect(),
            next_page_token,
        }))
    }

    async fn explain_trigger(
        &self,
        request: Request<pb::ExplainTriggerRequest>,
    ) -> std::result::Result<Response<pb::ExplainTriggerResponse>, Status> {
        let metadata = request.into_inner().metadata;
        let now = self.0.cache().clock().now();
        let explanation = explain::explain(&self.0, &metadata, now).await;
        Ok(Response::new(convert::explanation(explanation)))
    }
}
