//! KEDA in this process: its calls over the wire, and workloads to ask about.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use loadcast_client::Push;
use loadcast_model::{artifact::encode_model_pr, fit::fit, history::History, spec::Spec};
use loadcast_proto::externalscaler::{
    GetMetricsRequest, IsActiveResponse, MetricSpec, MetricValue, ScaledObjectRef,
    external_scaler_client::ExternalScalerClient,
};
use tonic::{Code, Status, Streaming, transport::Channel};
use tonic_types::StatusExt as _;

use crate::support::{TestServer, now, push};

/// The series that most tests ask about.
pub(crate) const SERIES: &str = "shop.web.cpu";

/// One ScaledObject's trigger, as KEDA sees it.
#[derive(Clone)]
pub(crate) struct Keda {
    client: ExternalScalerClient<Channel>,
    pub(crate) reference: ScaledObjectRef,
}

/// Metadata for [`SERIES`] by its point forecast, and `more`.
pub(crate) fn metadata(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = [("series", SERIES), ("target", "0.7"), ("quantile", "point")];
    let pairs = own.iter().chain(more);
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

impl Keda {
    /// The ScaledObject shop/web with [`metadata`].
    pub(crate) fn new(channel: Channel, more: &[(&str, &str)]) -> Self {
        Self {
            client: ExternalScalerClient::new(channel),
            reference: ScaledObjectRef {
                name: "web".to_owned(),
                namespace: "shop".to_owned(),
                scaler_metadata: metadata(more),
            },
        }
    }

    pub(crate) async fn at(server: &TestServer, more: &[(&str, &str)]) -> Self {
        Self::new(server.channel().await, more)
    }

    pub(crate) async fn spec(&self) -> Result<Vec<MetricSpec>, Status> {
        let mut client = self.client.clone();
        let answer = client.get_metric_spec(self.reference.clone());
        Ok(answer.await?.into_inner().metric_specs)
    }

    pub(crate) async fn metrics(&self) -> Result<Vec<MetricValue>, Status> {
        let request = GetMetricsRequest {
            metric_name: self.spec().await?[0].metric_name.clone(),
            scaled_object_ref: Some(self.reference.clone()),
        };
        let answer = self.client.clone().get_metrics(request).await?;
        Ok(answer.into_inner().metric_values)
    }

    pub(crate) async fn value(&self) -> Result<f64, Status> {
        Ok(self.metrics().await?[0].metric_value_float)
    }

    pub(crate) async fn is_active(&self) -> Result<bool, Status> {
        let mut client = self.client.clone();
        let answer = client.is_active(self.reference.clone());
        Ok(answer.await?.into_inner().result)
    }

    pub(crate) async fn stream(&self) -> Streaming<IsActiveResponse> {
        let mut client = self.client.clone();
        let answer = client.stream_is_active(self.reference.clone());
        answer.await.unwrap().into_inner()
    }

    pub(crate) async fn spec_stream(
        &self,
    ) -> Streaming<loadcast_proto::externalscaler::GetMetricSpecResponse> {
        let mut client = self.client.clone();
        let answer = client.stream_metric_spec(self.reference.clone());
        answer.await.unwrap().into_inner()
    }

    /// The code and the reason of the refusal that value and activity agree on.
    pub(crate) async fn refusal(&self) -> (Code, String) {
        let of_value = reason(&self.value().await.unwrap_err());
        assert_eq!(reason(&self.is_active().await.unwrap_err()), of_value);
        of_value
    }
}

/// The code and the reason code of a refusal.
pub(crate) fn reason(status: &Status) -> (Code, String) {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone());
    (status.code(), reason.unwrap_or_default())
}

/// The next state of a stream, which must come soon.
pub(crate) async fn next(stream: &mut Streaming<IsActiveResponse>) -> Option<bool> {
    let message = tokio::time::timeout(Duration::from_secs(20), stream.message());
    let message = message.await.expect("a message or an end in time");
    message.unwrap().map(|message| message.result)
}

/// `minutes` after the instant of the tests.
pub(crate) fn after(minutes: i64) -> Timestamp {
    now() + SignedDuration::from_mins(minutes)
}

/// The bytes of a model that was fitted by `spec` to two days of `value`, which is asked for seconds before now.
pub(crate) fn fitted(spec: &str, value: impl Fn(i64) -> f64) -> Bytes {
    let end = now().as_second();
    let ds: Vec<i64> = (0..600).map(|i| end - (600 - i) * 300).collect();
    let y = ds.iter().map(|ds| value(ds - end)).collect();
    let spec: Spec = serde_json::from_str(spec).unwrap();
    let history = History::new(ds, y).unwrap();
    let model = fit(&spec, &history).unwrap().model;
    encode_model_pr(&model).unwrap().into()
}

/// Prophet's trend alone.
pub(crate) const TREND: &str =
    r#"{"daily_seasonality":false,"weekly_seasonality":false,"yearly_seasonality":false}"#;

/// A push of a workload that grows by 1 every five minutes, and is at 0 at `at`.
pub(crate) fn ramp(series: &str, at: Timestamp) -> Push {
    let at = at.as_second() - now().as_second();
    Push {
        model_pr: fitted(TREND, |second| (second - at) as f64 / 300.0),
        idempotency_key: format!("{series}-ramp-{at}"),
        ..push(series, 0.0)
    }
}

/// Pushes and waits until it is served.
pub(crate) async fn serve(server: &TestServer, push: Push) -> u64 {
    server.client().push(push).await.unwrap().version
}
