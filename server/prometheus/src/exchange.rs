//! One question and its answer: bounded, tried again where that helps, and told apart by what the caller can do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use rand::RngExt as _;
use reqwest::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use url::Url;

use crate::access::Access;
use crate::answer::{self, Flaw, Found};
use crate::client::Limits;
use crate::error::Error;
use crate::window::Window;

/// How much of what was answered in words is passed on.
const MAX_MESSAGE: usize = 400;

/// The most bytes of an error that are read.
const MAX_ERROR_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Exchange {
    http: reqwest::Client,
    base: Url,
    access: Access,
    limits: Limits,
    /// Some proxies let no POST through.
    by_get: AtomicBool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Half of it may be answered.
    TooMuch(Error),
    /// It will never be answered.
    Refused(Error),
    /// It was not answered, however often it was asked.
    Unavailable(Error),
}

/// Why one attempt brought no answer.
enum Attempt {
    /// Another one may.
    Again {
        what: String,
        after: Option<Duration>,
    },
    Over(Trouble),
}

impl Exchange {
    pub(crate) fn new(http: reqwest::Client, base: Url, access: Access, limits: Limits) -> Self {
        Self {
            http,
            base,
            access,
            limits,
            by_get: AtomicBool::new(false),
        }
    }

    pub(crate) fn shown(&self) -> &str {
        self.base.as_str()
    }

    /// The series of `expression` in `window`.
    pub(crate) async fn ask(
        &self,
        expression: &str,
        window: Window,
    ) -> std::result::Result<Vec<Found>, Trouble> {
        let mut pause = self.limits.backoff;
        let mut attempt = 1;
        loop {
            let (what, after) = match self.attempt(expression, window).await {
                Ok(found) => return Ok(found),
                Err(Attempt::Over(trouble)) => return Err(trouble),
                Err(Attempt::Again { what, after }) => (what, after),
            };
            if attempt >= self.limits.attempts {
                return Err(Trouble::Unavailable(Error::source(
                    format!(
                        "{} did not answer `{}` in {attempt} attempts: {what}",
                        self.base,
                        shorten(expression)
                    ),
                    "check that Prometheus runs there and is not overloaded; ask for fewer series, a longer step, or with a smaller --prometheus-parallel",
                )));
            }
            // Half of it by chance, so that many who were turned away together do not come back together.
            let backoff = pause.mul_f64(rand::rng().random_range(0.5..1.0));
            let wait = after.unwrap_or(backoff).min(self.limits.longest_pause);
            tracing::warn!(attempt, ?wait, %what, "Prometheus did not answer");
            tokio::time::sleep(wait).await;
            pause = (2 * pause).min(self.limits.longest_pause);
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        expression: &str,
        window: Window,
    ) -> std::result::Result<Vec<Found>, Attempt> {
        // Of this attempt: another one may have found out in the meantime.
        let by_get = self.by_get.load(Ordering::Relaxed);
        let response = self
            .send(expression, window, by_get)
            .await
            .map_err(|error| again(&error))?;
        let status = response.status();
        if status == StatusCode::METHOD_NOT_ALLOWED && !by_get {
            self.by_get.store(true, Ordering::Relaxed);
            return Err(Attempt::Again {
                what: "it takes no POST".to_owned(),
                after: Some(Duration::ZERO),
            });
        }
        if !status.is_success() {
            return Err(self.refusal(expression, response).await);
        }
        let bytes = match read(response, self.limits.body).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                return Err(Attempt::Over(Trouble::TooMuch(Error::source(
                    format!(
                        "the answer to `{}` has more than {} bytes at one instant",
                        shorten(expression),
                        self.limits.body
                    ),
                    "let the expression give fewer series",
                ))));
            }
            Err(error) => return Err(again(&error)),
        };
        let read = tokio::task::spawn_blocking(move || answer::read(&bytes, window)).await;
        let read = read.unwrap_or_else(|panic| Err(Flaw::Foreign(panic.to_string())));
        read.map_err(|flaw| self.flaw(expression, flaw))
    }

    async fn send(
        &self,
        expression: &str,
        window: Window,
        by_get: bool,
    ) -> reqwest::Result<Response> {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}/api/v1/query_range",
            self.base.path().trim_end_matches('/')
        ));
        let form = form(expression, window);
        let request = if by_get {
            let query = match url.query() {
                Some(query) => format!("{query}&{form}"),
                None => form,
            };
            url.set_query(Some(&query));
            self.http.get(url)
        } else {
            self.http
                .post(url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form)
        };
        let request = request
            .header(ACCEPT, "application/json")
            .timeout(self.limits.answer);
        self.access.apply(request).send().await
    }

    /// What an answer that is no success says.
    async fn refusal(&self, expression: &str, response: Response) -> Attempt {
        let (status, after) = (response.status(), retry_after(&response));
        let text = read(response, MAX_ERROR_BYTES).await.ok().flatten();
        let text = text.unwrap_or_default();
        let told = match answer::read(&text, Window::new(0, 0, 1)) {
            Err(Flaw::Told { kind, message }) => Some((kind, message)),
            _ => None,
        };
        let said = match &told {
            Some((_, message)) => shorten(message),
            None => shorten(&String::from_utf8_lossy(&text)),
        };
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Attempt::Over(Trouble::Refused(Error::source(
                    format!(
                        "{} refuses access ({status}), shown {}: {said}",
                        self.base, self.access
                    ),
                    "give LOADCAST_PROMETHEUS_TOKEN or --prometheus-token-file, or --prometheus-user with LOADCAST_PROMETHEUS_PASSWORD; --prometheus-tenant where tenants are told apart",
                )))
            }
            StatusCode::NOT_FOUND => Attempt::Over(Trouble::Refused(Error::source(
                format!(
                    "{} has no /api/v1/query_range ({status}): {said}",
                    self.base
                ),
                "give --prometheus-url up to what stands before /api/v1, such as https://mimir.example/prometheus",
            ))),
            StatusCode::PAYLOAD_TOO_LARGE => {
                Attempt::Over(Trouble::TooMuch(self.wrong(expression, &said)))
            }
            StatusCode::TOO_MANY_REQUESTS => Attempt::Again {
                what: format!("{status}: {said}"),
                after,
            },
            _ => match told {
                Some((kind, message)) => self.flaw(expression, Flaw::Told { kind, message }),
                None if status.is_server_error() => Attempt::Again {
                    what: format!("{status}: {said}"),
                    after,
                },
                None => Attempt::Over(Trouble::Refused(
                    self.wrong(expression, &format!("{status}: {said}")),
                )),
            },
        }
    }

    fn flaw(&self, expression: &str, flaw: Flaw) -> Attempt {
        match flaw {
            Flaw::Partial(warnings) => Attempt::Over(Trouble::Refused(Error::source(
                format!(
                    "{} answered `{}` in part: {}",
                    self.base,
                    shorten(expression),
                    shorten(&warnings)
                ),
                "a part is not trained on; bring back what it names, then run again",
            ))),
            Flaw::Foreign(what) => Attempt::Over(Trouble::Refused(Error::source(
                format!("{} did not answer as Prometheus does: {what}", self.base),
                "is --prometheus-url the root of a Prometheus, and does nothing in between answer for it?",
            ))),
            Flaw::Unusable(what) => Attempt::Over(Trouble::Refused(Error::data(
                format!("`{}` cannot be a series: {what}", shorten(expression)),
                "write an expression of plain numbers, such as histogram_quantile(0.9, ...)",
            ))),
            Flaw::Told { kind, message } => match kind.as_str() {
                "bad_data" => Attempt::Over(Trouble::Refused(self.wrong(expression, &message))),
                "timeout" => Attempt::Over(Trouble::TooMuch(self.wrong(expression, &message))),
                _ if ["too many", "limit", "exceed", "timed out"]
                    .iter()
                    .any(|word| message.contains(word)) =>
                {
                    Attempt::Over(Trouble::TooMuch(self.wrong(expression, &message)))
                }
                "execution" => Attempt::Over(Trouble::Refused(self.wrong(expression, &message))),
                _ => Attempt::Again {
                    what: shorten(&message),
                    after: None,
                },
            },
        }
    }

    fn wrong(&self, expression: &str, said: &str) -> Error {
        Error::source(
            format!(
                "{} refuses `{}`: {}",
                self.base,
                shorten(expression),
                shorten(said)
            ),
            "change the expression (promql in the catalog, or --promql); it can be tried in Prometheus' own page",
        )
    }
}

/// The parameters of a question.
fn form(expression: &str, window: Window) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("query", expression)
        .append_pair("start", &window.from.to_string())
        .append_pair("end", &window.last().to_string())
        .append_pair("step", &window.step.to_string())
        // Thanos and VictoriaMetrics would answer in part; others do not look at it.
        .append_pair("partial_response", "false")
        .append_pair("deny_partial_response", "1");
    form.finish()
}

fn again(error: &reqwest::Error) -> Attempt {
    Attempt::Again {
        what: causes(error),
        after: None,
    }
}

/// The whole body; `None` when it is longer than `limit`.
async fn read(mut response: Response, limit: usize) -> reqwest::Result<Option<Bytes>> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes.freeze()))
}

/// Retry-After in seconds or as a date.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    match value.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let until = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            Duration::try_from(until.duration_since(Timestamp::now())).ok()
        }
    }
}

fn shorten(text: &str) -> String {
    let text = text.trim();
    let mut short: String = text.chars().take(MAX_MESSAGE).collect();
    if short.len() < text.len() {
        short.push_str(" ...");
    }
    short.replace('\n', " ")
}

/// An error of reqwest with its causes, without the URL, which the caller names.
fn causes(error: &reqwest::Error) -> String {
    let mut text = match error {
        _ if error.is_timeout() => "no answer in time".to_owned(),
        _ if error.is_redirect() => "redirected too often or to where it must not".to_owned(),
        _ => "no whole answer".to_owned(),
    };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
