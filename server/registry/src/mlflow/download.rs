//! A proxied file, whole: resumed by Range where a connection broke, begun anew where the file changed meanwhile.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use loadcast_model::artifact::MAX_ARTIFACT_BYTES;
use reqwest::{Response, StatusCode, header};
use tokio::time::Instant;

use super::client::{Client, Refusal, causes};
use crate::error::{Error, Result};

/// How often a download is begun or resumed.
const ATTEMPTS: u32 = 5;

/// How long to wait before the second attempt; doubled for each further one.
const PAUSE: Duration = Duration::from_millis(100);

/// What has arrived.
#[derive(Debug, Default)]
struct Partial {
    bytes: BytesMut,
    /// The strong entity tag of the file that `bytes` is the beginning of.
    tag: Option<String>,
    /// The length of that file, when the server says it.
    total: Option<u64>,
}

/// The proxied artifact at `path`; `None` where there is none. `expected`: how long it must be at least, for servers that
/// send no length, whose short bodies look whole.
///
/// # Errors
/// [`Error::Unreachable`] when it does not arrive whole, [`Error::Corrupt`] when it is too long for a model.
pub(super) async fn download(
    client: &Client,
    path: &str,
    expected: Option<u64>,
) -> Result<Option<Bytes>> {
    let deadline = Instant::now() + client.limits.transfer;
    let mut partial = Partial::default();
    let mut trouble = String::new();
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(PAUSE * 2u32.pow(attempt - 1)).await;
        }
        match tokio::time::timeout_at(deadline, partial.go_on(client, path)).await {
            Err(_) => {
                trouble = format!("not whole after {:?}", client.limits.transfer);
                break;
            }
            Ok(Err(Error::Unreachable { reason, .. })) => trouble = reason,
            Ok(Err(error)) => return Err(error),
            Ok(Ok(Err(refusal))) if refusal.status == StatusCode::NOT_FOUND => return Ok(None),
            Ok(Ok(Err(refusal))) => return Err(refusal.into_error()),
            Ok(Ok(Ok(()))) => {
                let wanted = partial.total.or(expected).unwrap_or(0);
                if partial.len() >= wanted {
                    return Ok(Some(partial.bytes.freeze()));
                }
                trouble = "the body ended early".to_owned();
            }
        }
    }
    let wanted = partial.total.or(expected);
    let of = wanted.map_or_else(String::new, |wanted| format!(" of {wanted}"));
    Err(Error::unreachable(format!(
        "{path}: {}{of} bytes arrived; {trouble}",
        partial.len()
    )))
}

impl Partial {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Asks for what is missing, or for everything when that cannot be joined to what is there.
    async fn go_on(
        &mut self,
        client: &Client,
        path: &str,
    ) -> Result<std::result::Result<(), Refusal>> {
        let tag = self.tag.clone().filter(|_| !self.bytes.is_empty());
        let range = tag.as_deref().map(|tag| (self.bytes.len(), tag));
        let mut response = match client.get_artifact(path, range).await? {
            Ok(response) => response,
            Err(refusal) if refusal.status == StatusCode::RANGE_NOT_SATISFIABLE => {
                *self = Self::default();
                return Err(Error::unreachable("the file changed while it was read"));
            }
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.begin(&response);
        loop {
            match response.chunk().await {
                Ok(None) => return Ok(Ok(())),
                Ok(Some(chunk)) => {
                    self.bytes.extend_from_slice(&chunk);
                    if self.bytes.len() > MAX_ARTIFACT_BYTES {
                        return Err(Error::Corrupt {
                            what: path.to_owned(),
                            reason: format!("it is longer than {MAX_ARTIFACT_BYTES} bytes"),
                        });
                    }
                }
                Err(error) => return Err(Error::unreachable(causes(&error))),
            }
        }
    }

    /// Keeps what is there when `response` continues it, and drops it otherwise.
    fn begin(&mut self, response: &Response) {
        let continued = (response.status() == StatusCode::PARTIAL_CONTENT)
            .then(|| content_range(response))
            .flatten()
            .filter(|(from, _)| *from == self.len());
        match continued {
            Some((_, total)) => self.total = total,
            None => {
                self.bytes.clear();
                self.tag = header_of(response, header::ETAG).filter(|tag| !tag.starts_with("W/"));
                self.total = response.content_length();
            }
        }
    }
}

/// First byte and length of the whole, of `Content-Range: bytes FIRST-LAST/LENGTH`.
fn content_range(response: &Response) -> Option<(u64, Option<u64>)> {
    let value = header_of(response, header::CONTENT_RANGE)?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, total.parse().ok()))
}

fn header_of(response: &Response, name: header::HeaderName) -> Option<String> {
    let value = response.headers().get(name)?;
    value.to_str().ok().map(str::to_owned)
}
