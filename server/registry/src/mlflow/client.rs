//! Talking to MLflow: credentials, bounds, and what each kind of answer means.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::{Method, RequestBuilder, Response, StatusCode, header, redirect};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use url::Url;

use super::{access::Access, wire::Files};
use crate::error::{Error, Result};

/// The most redirects that are followed; each must stay as safe as the URL that was given.
const MAX_REDIRECTS: usize = 4;

/// The longest that MLflow is believed to want to be left alone.
const MAX_PAUSE: Duration = Duration::from_secs(600);

/// How much of what MLflow said of an error is passed on.
const MAX_MESSAGE: usize = 300;

/// Codes of what can never work; under others MLflow hides troubles of its database too.
const REFUSALS: [&str; 2] = ["INVALID_PARAMETER_VALUE", "INVALID_STATE"];

/// Bounds of every exchange.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a connection to be made.
    pub connect: Duration,
    /// For a call that is answered in JSON.
    pub call: Duration,
    /// For a file to be sent or to arrive, with every resumption.
    pub transfer: Duration,
    /// For the longest JSON answer, in bytes.
    pub json: usize,
    /// Models per page of a listing; MLflow takes at most 1,000.
    pub page: u32,
}

impl Default for Limits {
    /// A page of 200 models, each with four versions of 10 KB tags, fits the 16 MiB; a model of 64 MiB comes within two
    /// minutes at half a MiB a second.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            call: Duration::from_secs(30),
            transfer: Duration::from_secs(120),
            json: 16 * 1024 * 1024,
            page: 200,
        }
    }
}

/// A client of one MLflow server.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    access: Access,
    pub(super) limits: Limits,
}

/// An error that MLflow itself answered.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// For example `RESOURCE_DOES_NOT_EXIST`; empty when it was not MLflow's JSON.
    pub(super) code: String,
    message: String,
    call: String,
    retry_after: Option<Duration>,
}

/// The body of an error.
#[derive(Debug, Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error_code: String,
    #[serde(default)]
    message: String,
}

/// What a call sends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body<'a, T> {
    Query(&'a [(&'a str, &'a str)]),
    Json(&'a T),
}

impl Client {
    /// A client of the server at `base` (`http` or `https`), which talks to nobody yet.
    ///
    /// # Errors
    /// [`Error::InvalidUrl`] when the TLS set-up of this machine cannot be used.
    pub(super) fn new(base: Url, access: Access, limits: Limits) -> Result<Self> {
        let secure = base.scheme() == "https";
        let follow = redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("it redirects without end")
            } else if secure && attempt.url().scheme() != "https" {
                attempt.error("it redirects from https to http")
            } else {
                attempt.follow()
            }
        });
        let http = reqwest::Client::builder()
            .user_agent(concat!("loadcast/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.connect)
            .redirect(follow)
            .build()
            .map_err(|error| Error::InvalidUrl {
                url: base.to_string(),
                reason: error.to_string(),
            })?;
        Ok(Self {
            http,
            base,
            access,
            limits,
        })
    }

    /// The server's root.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// `GET` of `/api/2.0/mlflow/` and `path`.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T> {
        self.call::<(), T>(Method::GET, path, Body::Query(query))
            .await
    }

    /// `POST` of `body`, whose answer is not needed.
    pub(super) async fn post(&self, path: &str, body: &impl Serialize) -> Result<()> {
        let answered: serde_json::Value = self.call(Method::POST, path, Body::Json(body)).await?;
        drop(answered);
        Ok(())
    }

    /// `DELETE`, with a `body` as MLflow wants it, whose answer is not needed.
    pub(super) async fn delete(&self, path: &str, body: &impl Serialize) -> Result<()> {
        let answered: serde_json::Value = self.call(Method::DELETE, path, Body::Json(body)).await?;
        drop(answered);
        Ok(())
    }

    /// One call; an error that MLflow answers becomes ours.
    pub(super) async fn call<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Body<'_, B>,
    ) -> Result<T> {
        self.try_call(method, path, body)
            .await?
            .map_err(Refusal::into_error)
    }

    /// One call; an error that MLflow answers is left to the caller.
    pub(super) async fn try_call<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Body<'_, B>,
    ) -> Result<std::result::Result<T, Refusal>> {
        let segments = ["api", "2.0", "mlflow"].into_iter().chain(path.split('/'));
        let mut url = self.url(segments);
        let request = match body {
            Body::Query(query) => {
                if !query.is_empty() {
                    url.query_pairs_mut().extend_pairs(query);
                }
                self.http.request(method, url)
            }
            Body::Json(body) => {
                let text = serde_json::to_vec(body).map_err(Error::unreachable)?;
                self.http
                    .request(method, url)
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(text)
            }
        };
        self.exchange(path, request).await
    }

    /// The proxied artifacts directly under `path`; none where there is no such folder.
    pub(super) async fn list_artifacts(&self, path: &str) -> Result<Files> {
        let mut url = self.artifact_url("");
        url.query_pairs_mut().append_pair("path", path);
        self.exchange(path, self.http.get(url))
            .await?
            .map_err(Refusal::into_error)
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        call: &str,
        request: RequestBuilder,
    ) -> Result<std::result::Result<T, Refusal>> {
        let request = request
            .timeout(self.limits.call)
            .header(header::ACCEPT, "application/json");
        let response = self.send(call, request).await?;
        if !response.status().is_success() {
            return Ok(Err(self.refusal(call, response).await));
        }
        let kind = content_type(&response);
        let bytes = read(call, response, self.limits.json).await?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Ok(value)),
            Err(error) => Err(Error::unreachable(format!(
                "{call} answered {} bytes of {kind} that are not the JSON expected ({error}); is {} the root of an MLflow server, and does nothing in between answer for it?",
                bytes.len(),
                self.base
            ))),
        }
    }

    /// `GET` of the proxied artifact at `path`, from the byte `range` on as long as it is still the one with that tag.
    pub(super) async fn get_artifact(
        &self,
        path: &str,
        range: Option<(usize, &str)>,
    ) -> Result<std::result::Result<Response, Refusal>> {
        let mut request = self
            .http
            .get(self.artifact_url(path))
            .timeout(self.limits.transfer);
        if let Some((from, tag)) = range {
            request = request
                .header(header::RANGE, format!("bytes={from}-"))
                .header(header::IF_RANGE, tag);
        }
        let response = self.send(path, request).await?;
        if response.status().is_success() {
            Ok(Ok(response))
        } else {
            Ok(Err(self.refusal(path, response).await))
        }
    }

    /// `PUT` of `bytes` as the proxied artifact at `path`.
    pub(super) async fn put_artifact(&self, path: &str, bytes: Bytes) -> Result<()> {
        let request = self
            .http
            .put(self.artifact_url(path))
            .timeout(self.limits.transfer)
            .body(bytes);
        let response = self.send(path, request).await?;
        if response.status().is_success() {
            // To its end: an answer that breaks off is none.
            read(path, response, self.limits.json).await.map(drop)
        } else {
            Err(self.refusal(path, response).await.into_error())
        }
    }

    /// `DELETE` of everything at and below `path`.
    pub(super) async fn delete_artifacts(&self, path: &str) -> Result<()> {
        let request = self.http.delete(self.artifact_url(path));
        let deleted: std::result::Result<serde_json::Value, Refusal> =
            self.exchange(path, request).await?;
        match deleted {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.status == StatusCode::NOT_FOUND => Ok(()),
            Err(refusal) => Err(refusal.into_error()),
        }
    }

    fn artifact_url(&self, path: &str) -> Url {
        let route = ["api", "2.0", "mlflow-artifacts", "artifacts"];
        self.url(route.into_iter().chain(path.split('/')))
    }

    fn url<'a>(&self, segments: impl Iterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty()
                .extend(segments.filter(|segment| !segment.is_empty()));
        }
        url
    }

    async fn send(&self, call: &str, request: RequestBuilder) -> Result<Response> {
        let request = self.access.apply(request);
        // As it is: ranges, lengths and bounds are of what was stored.
        let request = request.header(header::ACCEPT_ENCODING, "identity");
        let response = request.send().await.map_err(|error| {
            Error::unreachable(format!("{call} at {}: {}", self.base, causes(&error)))
        })?;
        match response.headers().get(header::CONTENT_ENCODING) {
            Some(encoding) if encoding != "identity" => Err(Error::unreachable(format!(
                "{call}: it was answered in the encoding {encoding:?}, which was not asked for; what lies between us and {} must leave bodies as they are",
                self.base
            ))),
            _ => Ok(response),
        }
    }

    async fn refusal(&self, call: &str, response: Response) -> Refusal {
        let status = response.status();
        let retry_after = retry_after(&response);
        let bytes = read(call, response, self.limits.json)
            .await
            .unwrap_or_default();
        let body: ErrorBody = serde_json::from_slice(&bytes).unwrap_or_default();
        let message = if body.error_code.is_empty() {
            String::from_utf8_lossy(&bytes)
        } else {
            body.message.into()
        };
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                format!(" (shown: {})", self.access)
            }
            _ => String::new(),
        };
        Refusal {
            status,
            code: body.error_code,
            message: format!("{}{hint}", shorten(&message)),
            call: call.to_owned(),
            retry_after,
        }
    }
}

impl Refusal {
    pub(super) fn is(&self, code: &str) -> bool {
        self.code == code
    }

    /// MLflow 2 does not know the addresses that MLflow 3 brought.
    pub(super) fn is_no_such_address(&self) -> bool {
        self.code.is_empty()
            && matches!(
                self.status,
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
            )
    }

    pub(super) fn into_error(self) -> Error {
        let Self {
            status,
            code,
            message,
            call,
            retry_after,
        } = self;
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Denied {
                reason: format!("{call}: {}: {message}", status.as_u16()),
            },
            StatusCode::NOT_FOUND if code == "RESOURCE_DOES_NOT_EXIST" => Error::NotFound {
                what: format!("{call}: {message}: it"),
            },
            StatusCode::BAD_REQUEST if REFUSALS.contains(&code.as_str()) => Error::Refused {
                reason: format!("{call}: {code}: {message}"),
            },
            StatusCode::PAYLOAD_TOO_LARGE => Error::Refused {
                reason: format!("{call}: 413: {message}"),
            },
            _ => Error::Unreachable {
                reason: format!("{call}: {} {code}: {message}", status.as_u16()),
                retry_after,
            },
        }
    }
}

/// The whole body, as long as it is no longer than `limit`.
async fn read(call: &str, mut response: Response, limit: usize) -> Result<Bytes> {
    let too_long =
        || Error::unreachable(format!("{call}: the answer is longer than {limit} bytes"));
    if response
        .content_length()
        .is_some_and(|length| length > limit as u64)
    {
        return Err(too_long());
    }
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Error::unreachable(format!("{call}: {}", causes(&error))))?
    {
        if bytes.len() + chunk.len() > limit {
            return Err(too_long());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// Retry-After of an answer, in seconds or as a date, up to [`MAX_PAUSE`].
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    let pause = match value.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            Duration::try_from(until.duration_since(Timestamp::now())).ok()?
        }
    };
    Some(pause.min(MAX_PAUSE))
}

fn content_type(response: &Response) -> String {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.and_then(|kind| kind.to_str().ok())
        .unwrap_or("no content type")
        .to_owned()
}

fn shorten(text: &str) -> String {
    let mut short: String = text.trim().chars().take(MAX_MESSAGE).collect();
    if short.len() < text.trim().len() {
        short.push_str(" ...");
    }
    short
}

/// An error of reqwest with its causes, without the URL, which the caller names.
pub(super) fn causes(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_redirect() {
        "redirected too often or to where it must not".to_owned()
    } else {
        "no whole answer".to_owned()
    };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
