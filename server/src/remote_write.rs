//! Forecasts written to a Prometheus, or what speaks as one, at every interval: what `/metrics/forecasts` tells, for whom
//! nothing scrapes. What cannot be delivered waits, oldest given up first; forecasts go on being answered meanwhile.

mod wire;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use reqwest::{Client, StatusCode, header};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{backoff::Backoff, cache::Cache, exposition::Ask};

use wire::{Batch, Round};

/// Requests that wait: at half a megabyte each, 64 MB at most.
const MAX_WAITING: usize = 128;

/// One that has no answer by then has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// So much of a receiver's error is logged.
const MAX_SAID_CHARS: usize = 200;

/// How long to wait after the first failure, and at most.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Writes to one address.
#[derive(Debug)]
pub(crate) struct RemoteWrite {
    url: Url,
    interval: Duration,
    ask: Ask,
    counts: Counts,
}

/// Samples, by what became of them.
#[derive(Debug, Clone, Default)]
struct Counts {
    sent: Counter,
    refused: Counter,
    given_up: Counter,
    retries: Counter,
}

/// How posting a batch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Sent,
    /// The receiver will never take it.
    Refused(String),
    /// It may later, not before that.
    Later(String, Option<Duration>),
}

impl RemoteWrite {
    /// Writes what `ask` asks for to `url` every `interval`.
    pub(crate) fn new(url: Url, interval: Duration, ask: Ask) -> Self {
        Self {
            url,
            interval,
            ask,
            counts: Counts::default(),
        }
    }

    /// Enters the counts.
    pub(crate) fn enter(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("remote_write");
        for (name, help, counter) in [
            (
                "samples_sent",
                "Samples that the receiver took",
                &self.counts.sent,
            ),
            (
                "samples_refused",
                "Samples that the receiver will never take",
                &self.counts.refused,
            ),
            (
                "samples_given_up",
                "Samples that waited longest when there was no more room",
                &self.counts.given_up,
            ),
            (
                "retries",
                "Requests that were to be sent again",
                &self.counts.retries,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
    }

    /// Writes until `stop`; what waits then is given up.
    pub(crate) async fn run(self, cache: Arc<Cache>, stop: CancellationToken) {
        let shown = shown(&self.url);
        let client = Client::builder()
            .user_agent(concat!("loadcast/", env!("CARGO_PKG_VERSION")))
            .timeout(DEADLINE)
            // A POST that is sent elsewhere is a misconfiguration, and its credentials are not for elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(%error, "forecasts cannot be written: no client");
                return;
            }
        };
        let backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut waiting: VecDeque<Batch> = VecDeque::new();
        let mut round = Round::default();
        let mut failures = 0;
        let mut posting: Option<BoxFuture<'static, Outcome>> = None;
        loop {
            if posting.is_none()
                && let Some(batch) = waiting.front()
            {
                posting = Some(post(client.clone(), self.url.clone(), batch.clone(), None));
            }
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => None,
                outcome = answered(&mut posting) => Some(outcome),
            };
            let Some(outcome) = outcome else {
                match self.batches(&cache, &mut round).await {
                    Ok(batches) => self.wait(&mut waiting, batches, posting.is_some()),
                    Err(error) => tracing::warn!(%error, "no forecasts are written"),
                }
                continue;
            };
            posting = None;
            match outcome {
                Outcome::Sent | Outcome::Refused(_) => {
                    let samples = waiting.pop_front().map_or(0, |batch| batch.samples);
                    if let Outcome::Refused(reason) = outcome {
                        self.counts.refused.inc_by(samples);
                        tracing::warn!(url = %shown, reason, samples, "written forecasts were refused");
                    } else {
                        self.counts.sent.inc_by(samples);
                        if failures > 0 {
                            tracing::info!(url = %shown, "forecasts are written again");
                        }
                    }
                    failures = 0;
                }
                Outcome::Later(reason, asked) => {
                    failures += 1;
                    self.counts.retries.inc();
                    if failures == 1 {
                        tracing::warn!(url = %shown, reason, "forecasts cannot be written; trying again");
                    }
                    let delay = backoff.delay(failures, asked, rand::random());
                    if let Some(batch) = waiting.front() {
                        let (client, url) = (client.clone(), self.url.clone());
                        posting = Some(post(client, url, batch.clone(), Some(delay)));
                    }
                }
            }
        }
    }

    async fn batches(&self, cache: &Arc<Cache>, round: &mut Round) -> anyhow::Result<Vec<Batch>> {
        let at = cache.clock().now().as_millisecond();
        let told = self.ask.clone().tell(Arc::clone(cache)).await?;
        let mut before = std::mem::take(round);
        let made = tokio::task::spawn_blocking(move || {
            let batches = before.batches(&told, at);
            (before, batches)
        });
        let (after, batches) = made.await?;
        *round = after;
        Ok(batches?)
    }

    /// Puts `new` behind what waits; what waits longest makes room, but not what is being posted.
    fn wait(&self, waiting: &mut VecDeque<Batch>, new: Vec<Batch>, is_posting: bool) {
        waiting.extend(new);
        let first = usize::from(is_posting);
        while waiting.len() > MAX_WAITING.max(first) {
            let given_up = waiting.remove(first).map_or(0, |batch| batch.samples);
            self.counts.given_up.inc_by(given_up);
        }
    }
}

/// The answer to what is being posted; never, while nothing is.
async fn answered(posting: &mut Option<BoxFuture<'static, Outcome>>) -> Outcome {
    match posting {
        Some(posting) => posting.await,
        None => std::future::pending().await,
    }
}

/// Posts `batch`, after `delay`.
fn post(
    client: Client,
    url: Url,
    batch: Batch,
    delay: Option<Duration>,
) -> BoxFuture<'static, Outcome> {
    async move {
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        let answer = client
            .post(url)
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::CONTENT_ENCODING, "snappy")
            .header("x-prometheus-remote-write-version", "0.1.0")
            .body(batch.body)
            .send()
            .await;
        match answer {
            Ok(mut answer) => {
                let why = if answer.status().is_success() {
                    String::new()
                } else {
                    said(answer.chunk().await.ok().flatten())
                };
                outcome(answer.status(), answer.headers(), &why)
            }
            // Without the address, in which a password may stand.
            Err(error) => Outcome::Later(error.without_url().to_string(), None),
        }
    }
    .boxed()
}

/// By the specification: 2xx is taken, 5xx and 429 may be later, anything else never.
fn outcome(status: StatusCode, headers: &header::HeaderMap, why: &str) -> Outcome {
    if status.is_success() {
        return Outcome::Sent;
    }
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        let asked = headers.get(header::RETRY_AFTER);
        let asked = asked.and_then(|value| value.to_str().ok()?.parse().ok());
        return Outcome::Later(format!("{status}{why}"), asked.map(Duration::from_secs));
    }
    Outcome::Refused(format!("{status}{why}"))
}

/// The beginning of what the receiver says of an error.
fn said(body: Option<bytes::Bytes>) -> String {
    let body = body.unwrap_or_default();
    let text: String = String::from_utf8_lossy(&body)
        .chars()
        .take(MAX_SAID_CHARS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match text.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

/// The address without its credentials.
fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url
        .port()
        .map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::Selector;

    fn write() -> RemoteWrite {
        let ask = Ask {
            leads: Vec::new(),
            levels: Vec::new(),
            selector: Selector::all(),
        };
        let url = "http://me:secret@prometheus:9090/api/v1/write";
        RemoteWrite::new(url.parse().unwrap(), Duration::from_secs(1), ask)
    }

    #[test]
    fn what_the_receiver_says_decides_between_taken_later_and_never() {
        let mut headers = header::HeaderMap::new();
        headers.insert(header::RETRY_AFTER, "7".parse().unwrap());
        let seven = Some(Duration::from_secs(7));
        for (status, expected) in [
            (200, Some(Outcome::Sent)),
            (204, Some(Outcome::Sent)),
            (429, None),
            (500, None),
            (503, None),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let later = Outcome::Later(status.to_string(), seven);
            assert_eq!(outcome(status, &headers, ""), expected.unwrap_or(later));
        }
        for status in [301, 400, 401, 404, 413] {
            let status = StatusCode::from_u16(status).unwrap();
            let never = Outcome::Refused(status.to_string());
            assert_eq!(outcome(status, &headers, ""), never);
        }
    }

    #[test]
    fn a_receivers_error_is_logged_on_one_line_and_not_whole() {
        let body = |text: &str| Some(bytes::Bytes::copy_from_slice(text.as_bytes()));
        assert_eq!(
            said(body("out of order\nsample\n")),
            ": out of order sample"
        );
        assert_eq!(said(None), "");
        assert_eq!(said(body(&"x".repeat(5_000))).len(), 2 + MAX_SAID_CHARS);
    }

    #[test]
    fn what_waits_is_bounded_oldest_first_and_counted() {
        let write = write();
        let batch = |samples| Batch {
            body: bytes::Bytes::new(),
            samples,
        };
        let mut waiting = VecDeque::new();
        let all = (1..=MAX_WAITING as u64 + 2).map(batch).collect();
        write.wait(&mut waiting, all, true);
        assert_eq!(waiting.len(), MAX_WAITING);
        // The first is being posted: the second and the third made room.
        assert_eq!((waiting[0].samples, waiting[1].samples), (1, 4));
        assert_eq!(write.counts.given_up.get(), 5);
    }

    #[test]
    fn the_password_is_not_logged() {
        assert_eq!(shown(&write().url), "http://prometheus:9090/api/v1/write");
    }
}
