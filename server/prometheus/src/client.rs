//! Samples out of Prometheus, chunk by chunk.
//!
//! An expression is asked for in chunks of time ([`window`](crate::window)), each bounded in points per series (Prometheus answers at most
//! 11,000) and in samples; a chunk that is too much all the same is halved. So many are asked for at once, and come in the
//! order of time. What is transient is tried again, with backoff or after what Retry-After says. An answer with warnings
//! is partial, and fails: a forecast of half the pods scales a cluster to half.
//!
//! NaN, Prometheus' own marker of staleness among them, is no sample; where there is none, there is a hole.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use reqwest::redirect;
use url::Url;

use crate::access::Access;
pub use crate::answer::{Found, Sample};
use crate::error::{Error, Result};
use crate::exchange::{Exchange, Trouble};
use crate::window::Window;

/// The most redirects that are followed; each must stay as safe as the URL that was given.
const MAX_REDIRECTS: usize = 4;

/// Bounds of what is asked.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Points per series and question; Prometheus answers at most 11,000.
    pub points: usize,
    /// Samples per question, all its series together.
    pub samples: usize,
    /// Bytes of an answer: some 30 a sample.
    pub body: usize,
    /// Samples of one expression that are held in memory at once: 16 bytes each.
    pub held: usize,
    /// Questions that are asked at once.
    pub parallel: usize,
    /// How often one question is asked before it is given up.
    pub attempts: u32,
    /// The first pause before it is asked again; each further one is twice as long.
    pub backoff: Duration,
    /// The longest pause, whatever Retry-After says.
    pub longest_pause: Duration,
    /// For an answer to come whole; Prometheus itself ends a question after two minutes.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            points: 10_000,
            samples: 500_000,
            body: 48 * 1024 * 1024,
            held: 20_000_000,
            parallel: 4,
            attempts: 6,
            backoff: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
            answer: Duration::from_secs(150),
        }
    }
}

/// A client of one Prometheus, which talks to nobody before it is asked.
#[derive(Debug)]
pub struct Prometheus {
    exchange: Exchange,
    limits: Limits,
}

impl Prometheus {
    /// A client of the server at `url`; a path in it, as a proxy has one, is kept.
    ///
    /// # Errors
    /// [`Error::Settings`] for a URL that is none or has credentials in it, and for certificates that are none.
    pub fn new(url: &str, access: Access, limits: Limits) -> Result<Self> {
        let base = base(url)?;
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
        let builder = reqwest::Client::builder()
            .user_agent(concat!("loadcast/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .redirect(follow);
        let http = access.secure(builder)?.build().map_err(|error| {
            Error::settings(
                format!("TLS to {base} cannot be set up: {error}"),
                "check --prometheus-ca, --prometheus-cert and --prometheus-key",
            )
        })?;
        Ok(Self {
            exchange: Exchange::new(http, base, access, limits),
            limits,
        })
    }

    /// The root that is asked, for people.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.exchange.shown()
    }

    /// Every series of `expression` over `window`.
    ///
    /// # Errors
    /// [`Error::Source`] when Prometheus cannot be asked, refuses, or answers in part; [`Error::Data`] when it has nothing,
    /// or more than is held in memory.
    pub async fn range(&self, expression: &str, window: Window) -> Result<Vec<Found>> {
        let mut series: BTreeMap<BTreeMap<String, String>, Vec<Sample>> = BTreeMap::new();
        let mut held = 0_usize;
        let mut chunks = std::pin::pin!(self.chunks(expression, window).await?);
        while let Some((_, found)) = chunks.try_next().await? {
            for found in found {
                held += found.samples.len();
                series
                    .entry(found.labels)
                    .or_default()
                    .extend(found.samples);
            }
            if held > self.limits.held {
                return Err(Error::data(
                    format!(
                        "`{expression}` has more than {} samples, too many to hold at once",
                        self.limits.held
                    ),
                    "collect them into a dataset first (loadcast-trainer collect), and run --data DATASET, which reads one series at a time",
                ));
            }
        }
        let found = series.into_iter();
        let found = found.map(|(labels, samples)| Found { labels, samples });
        Ok(found.collect())
    }

    /// `expression` over `window`, chunk by chunk in the order of time; at most [`Limits::parallel`] are on their way.
    ///
    /// # Errors
    /// As [`range`](Self::range); of a chunk, as its item.
    pub async fn chunks(
        &self,
        expression: &str,
        window: Window,
    ) -> Result<impl Stream<Item = Result<(Window, Vec<Found>)>>> {
        let series = self.count(expression, window).await?;
        let points = (self.limits.samples / series.max(1)).clamp(1, self.limits.points);
        let expression = expression.to_owned();
        let chunks = stream::iter(window.chunks(points))
            .map(move |chunk| {
                let expression = expression.clone();
                async move { Ok((chunk, self.chunk(&expression, chunk).await?)) }
            })
            .buffered(self.limits.parallel.max(1));
        Ok(chunks)
    }

    /// How many series `expression` has at the end of `window`: an estimate for the length of chunks. What cannot be
    /// counted counts as one; the question itself then tells what is wrong with it.
    async fn count(&self, expression: &str, window: Window) -> Result<usize> {
        // On a line of its own, for the expression may end in a comment.
        let count = format!("count(\n{expression}\n)");
        match self.exchange.ask(&count, window.last_point()).await {
            Ok(found) => {
                let last = found.first().and_then(|found| found.samples.last());
                // A count is a small whole number; anything else is an estimate of nothing.
                Ok(last.map_or(1, |sample| sample.value.clamp(1.0, 1e7) as usize))
            }
            Err(Trouble::Refused(_) | Trouble::TooMuch(_)) => Ok(1),
            Err(Trouble::Unavailable(error)) => Err(error),
        }
    }

    async fn chunk(&self, expression: &str, window: Window) -> Result<Vec<Found>> {
        match self.exchange.ask(expression, window).await {
            Ok(found) => Ok(found),
            Err(Trouble::Refused(error) | Trouble::Unavailable(error)) => Err(error),
            Err(Trouble::TooMuch(error)) => {
                let Some((first, second)) = window.halves() else {
                    return Err(error);
                };
                tracing::info!(%error, from = window.from, until = window.until, "asked for too much at once: halved");
                let mut found = Box::pin(self.chunk(expression, first)).await?;
                found.extend(Box::pin(self.chunk(expression, second)).await?);
                Ok(found)
            }
        }
    }
}

fn base(url: &str) -> Result<Url> {
    const FORM: &str =
        "write http://HOST:PORT or https://HOST/PATH, up to what stands before /api/v1";
    let wrong = |what: String| Error::settings(format!("--prometheus-url: {what}"), FORM);
    let mut base = Url::parse(url).map_err(|error| wrong(format!("`{url}` is no URL: {error}")))?;
    if !base.username().is_empty() || base.password().is_some() {
        return Err(Error::settings(
            "--prometheus-url: it has credentials in it",
            "take them out, and give --prometheus-user with LOADCAST_PROMETHEUS_PASSWORD, or LOADCAST_PROMETHEUS_TOKEN",
        ));
    }
    if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none_or(str::is_empty) {
        return Err(wrong(format!("`{url}` is neither http nor https")));
    }
    let path = base.path().trim_end_matches('/');
    let path = path.strip_suffix("/api/v1").unwrap_or(path).to_owned();
    base.set_path(&path);
    base.set_fragment(None);
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_proxy_is_kept_and_credentials_in_a_url_are_refused_unrepeated() {
        for (url, shown) in [
            ("http://prom:9090", "http://prom:9090/"),
            ("https://grafana/proxy/7/", "https://grafana/proxy/7"),
            (
                "https://mimir/prometheus/api/v1",
                "https://mimir/prometheus",
            ),
        ] {
            assert_eq!(base(url).unwrap().as_str(), shown);
        }
        for url in ["prom:9090", "ftp://prom", "https://me:s3cret@prom"] {
            let error = base(url).unwrap_err();
            assert!(
                error.to_string().starts_with("--prometheus-url: "),
                "{error}"
            );
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
