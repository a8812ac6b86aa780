//! externalscaler.ExternalScaler: KEDA's contract. Parse, decide, convert; every answer comes from memory.

use std::{pin::Pin, sync::Arc};

use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use loadcast_model::trigger::Demand;
use loadcast_proto::externalscaler::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec,
    MetricValue, ScaledObjectRef, external_scaler_server::ExternalScaler,
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    error::{Error, Result},
    scaler::{
        Scaler, activity,
        asked::Asked,
        record::Whose,
        spec::{metric_name, whole},
    },
};

/// The longest request: far more metadata than any ScaledObject holds.
pub(crate) const MAX_REQUEST_BYTES: usize = 256 * 1024;

/// Answers KEDA.
#[derive(Debug)]
pub(crate) struct ExternalScalerHandler {
    scaler: Arc<Scaler>,
    stop: CancellationToken,
}

impl ExternalScalerHandler {
    /// Streams end when `stop` is cancelled.
    pub(crate) fn new(scaler: Arc<Scaler>, stop: CancellationToken) -> Self {
        Self { scaler, stop }
    }

    /// What a trigger is told by `method`.
    async fn demand(
        &self,
        method: &'static str,
        (whose, asked): (Whose, Arc<Asked>),
    ) -> std::result::Result<Demand, Status> {
        let now = self.scaler.cache().clock().now();
        let decision = self.scaler.tell(method, &whose, &asked, now).boxed().await;
        decision.told.map_err(|error| Status::from(&*error))
    }
}

/// Whose trigger it is, and what it asks.
fn read(reference: ScaledObjectRef) -> Result<(Whose, Arc<Asked>)> {
    let asked = Asked::read(&reference.scaler_metadata)?;
    let whose = Whose::scaled_object(&reference.namespace, &reference.name, &asked);
    Ok((whose, Arc::new(asked)))
}

/// A pure function of the metadata.
fn spec(asked: &Asked) -> GetMetricSpecResponse {
    let target = asked.trigger.target;
    GetMetricSpecResponse {
        metric_specs: vec![MetricSpec {
            metric_name: metric_name(&asked.trigger.series),
            target_size: whole(target).max(1),
            target_size_float: target,
        }],
    }
}

type Boxed<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl ExternalScaler for ExternalScalerHandler {
    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> std::result::Result<Response<GetMetricSpecResponse>, Status> {
        let (_, asked) = read(request.into_inner())?;
        Ok(Response::new(spec(&asked)))
    }

    async fn get_metrics(
        &self,
        request: Request<GetMetricsRequest>,
    ) -> std::result::Result<Response<GetMetricsResponse>, Status> {
        let GetMetricsRequest {
            scaled_object_ref,
            metric_name: named,
        } = request.into_inner();
        let reference = scaled_object_ref
            .ok_or_else(|| Error::invalid("scaledObjectRef", "not set; send the ScaledObject's"))?;
        let trigger = read(reference)?;
        let metric_name = metric_name(&trigger.0.series);
        if !named.is_empty() && named != metric_name {
            let told =
                format!("{named:?} is not of this trigger; GetMetricSpec says {metric_name:?}");
            return Err(Error::invalid("metricName", told).into());
        }
        let value = self.demand("get_metrics", trigger).await?.value;
        Ok(Response::new(GetMetricsResponse {
            metric_values: vec![MetricValue {
                metric_name,
                metric_value: whole(value),
                metric_value_float: value,
            }],
        }))
    }

    async fn is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> std::result::Result<Response<IsActiveResponse>, Status> {
        let trigger = read(request.into_inner())?;
        let demand = self.demand("is_active", trigger).await?;
        let result = demand.active;
        Ok(Response::new(IsActiveResponse { result }))
    }

    type StreamIsActiveStream = Boxed<IsActiveResponse>;

    async fn stream_is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> std::result::Result<Response<Self::StreamIsActiveStream>, Status> {
        let (whose, asked) = read(request.into_inner())?;
        let states = activity::states(Arc::clone(&self.scaler), whose, asked, self.stop.clone());
        let states = states.map(|result| Ok(IsActiveResponse { result }));
        Ok(Response::new(Box::pin(states)))
    }

    type StreamMetricSpecStream = Boxed<GetMetricSpecResponse>;

    /// The metadata of a stream never changes, and so its spec never does.
    async fn stream_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> std::result::Result<Response<Self::StreamMetricSpecStream>, Status> {
        let (_, asked) = read(request.into_inner())?;
        let (open, stop) = (self.scaler.tally.open(), self.stop.clone());
        let until_stopped = async move {
            stop.cancelled().await;
            drop(open);
            None
        };
        let until_stopped = stream::once(until_stopped).filter_map(std::future::ready);
        let specs = stream::once(std::future::ready(Ok(spec(&asked)))).chain(until_stopped);
        Ok(Response::new(Box::pin(specs)))
    }
}
