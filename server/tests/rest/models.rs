//! Models as the original's were: CPU in percent and memory in bytes, nobody having said so.

use bytes::Bytes;
use loadcast_client::Push;
use loadcast_model::{artifact::encode_model_pr, fit::fit, history::History, spec::Spec};
use serde_json::Value;

use crate::support::{TestServer, now, push};

pub(crate) const CPU: &str = "CPU_Prophet_Model";
pub(crate) const MEMORY: &str = "Memory_Prophet_Model";

/// Three weeks of hours with a day's swing around `level`, and `slope` an hour.
pub(crate) fn swinging(level: f64, slope: f64) -> Vec<u8> {
    let count = 21 * 24;
    let end = now().as_second();
    let ds: Vec<i64> = (0..count).map(|i| end - (count - i) * 3_600).collect();
    let y = (0..count).map(|i| {
        let hour = i as f64;
        let noise = (hour * hour * 0.618_034).sin();
        level * (1.0 + 0.3 * (hour * std::f64::consts::TAU / 24.0).sin() + 0.02 * noise)
            + slope * hour
    });
    let history = History::new(ds, y.collect()).unwrap();
    encode_model_pr(&fit(&Spec::default(), &history).unwrap().model).unwrap()
}

/// The push of such a model, without a unit.
pub(crate) fn unitless(series: &str, model_pr: Vec<u8>) -> Push {
    let mut push = push(series, 1.0);
    push.model_pr = Bytes::from(model_pr);
    push.series.unit = None;
    push
}

/// A server with both of the original's models.
pub(crate) async fn serving(cpu: &[u8], memory: &[u8]) -> TestServer {
    let server = TestServer::start().await;
    for (name, model_pr) in [(CPU, cpu), (MEMORY, memory)] {
        let push = unitless(name, model_pr.to_vec());
        server.client().push(push).await.unwrap();
    }
    server
}

/// Status and body of a GET.
pub(crate) async fn get(base: &str, path: &str) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("{base}{path}")).send().await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.bytes().await.unwrap();
    let body = serde_json::from_slice(&body);
    (status, body.unwrap_or(Value::Null))
}

pub(crate) fn address(server: &TestServer) -> String {
    format!("http://{}", server.http)
}
