//! `loadcast-trainer serve`: runs again and again.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::net::TcpListener;

use super::run;
use crate::error::{Error, Result};
use crate::fleet::drift::{Drifted, drifted};
use crate::fleet::spool::Spool;
use crate::report::RunReport;
use crate::service::{Service, next};
use crate::time::read_length;

/// Run again and again: at once, and then at intervals; sooner what has drifted. Tells of itself on the HTTP port: /livez, /readyz, /metrics.
///
/// With --journal it remembers across restarts: a run that was killed goes on where it was, and one that ended is not
/// repeated before its time. What a run finds is printed as `run` prints it; a run that fails is tried again at the next
/// interval, and stops nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// From the end of a run to the beginning of the next; up to a tenth of it is added, so that trainers drift apart
    #[arg(long, env = "LOADCAST_EVERY", default_value = "6h", value_parser = read_length, value_name = "DURATION")]
    every: i64,
    /// How often it is looked whether what is served still is as good as its backtest said, or `never`
    #[arg(long, env = "LOADCAST_DRIFT_EVERY", default_value = "30m", value_parser = read_interval, value_name = "DURATION")]
    drift_every: Interval,
    /// A series whose error of the latest day is more than so many times its backtest's is trained anew at once
    #[arg(long, env = "LOADCAST_DRIFT", default_value_t = 2.0, value_parser = factor, value_name = "FACTOR")]
    drift: f64,
    /// Where /livez, /readyz and /metrics are served. Port 0 takes a free one
    #[arg(
        long,
        env = "LOADCAST_HTTP_ADDR",
        default_value = "127.0.0.1:8081",
        value_name = "ADDR"
    )]
    http_addr: SocketAddr,
    #[command(flatten)]
    run: run::Args,
}

impl Args {
    pub(super) async fn run(self, out: &mut (dyn Write + Send)) -> Result<()> {
        let every = Duration::from_secs(self.every.unsigned_abs());
        let bound = TcpListener::bind(self.http_addr).await;
        let listener = bound.map_err(|error| {
            Error::settings(
                format!("--http-addr {}: {error}", self.http_addr),
                "give an address that is free",
            )
        })?;
        let service = Service::default();
        if let Ok(addr) = listener.local_addr() {
            let _ =
                writeln!(out, "loadcast-trainer listening http={addr}").and_then(|()| out.flush());
        }
        let router = service.router();
        let http = tokio::spawn(async move { axum::serve(listener, router).await });
        let stopped = tokio::select! {
            () = stopped() => Ok(()),
            ended = self.repeat(&service, every, out) => ended,
        };
        http.abort();
        stopped
    }

    /// Until it is dropped: what is under way then goes on after a restart, where there is a journal.
    async fn repeat(
        &self,
        service: &Service,
        every: Duration,
        out: &mut (dyn Write + Send),
    ) -> Result<()> {
        let plan = self.run.clone().plan(Timestamp::now()).await?;
        let mut last = Spool::last_end(&plan)?;
        loop {
            let due = next(last, every, rand::random(), Timestamp::now());
            service.wait(due);
            self.until(due, service, out).await;
            self.once(service, out).await;
            last = Some(Timestamp::now());
        }
    }

    /// Waits until the next run is due, and meanwhile trains what has drifted: each series once, for if that is not
    /// promoted, more of the same would not be either.
    async fn until(&self, due: Timestamp, service: &Service, out: &mut (dyn Write + Send)) {
        let mut tried = BTreeSet::new();
        loop {
            let left = Timestamp::now().duration_until(due);
            let left = Duration::try_from(left).unwrap_or_default();
            let pause = match self.drift_every {
                Interval::Every(pause) if pause < left => pause,
                _ => return tokio::time::sleep(left).await,
            };
            tokio::time::sleep(pause).await;
            match self.drifted().await {
                Ok(mut drifted) => {
                    drifted.series.retain(|series| !tried.contains(series));
                    if !drifted.series.is_empty() {
                        tried.extend(drifted.series.iter().cloned());
                        service.drifted(drifted.series.len());
                        self.train_anew(drifted, out).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, remedy = error.remedy(), "cannot look for drift");
                }
            }
        }
    }

    async fn drifted(&self) -> Result<Drifted> {
        let plan = self.run.clone().plan(Timestamp::now()).await?;
        match self.run.client()? {
            Some(client) => drifted(plan, &client, self.drift).await,
            None => Ok(Drifted::default()),
        }
    }

    /// Runs all series.
    async fn once(&self, service: &Service, out: &mut (dyn Write + Send)) {
        service.begin();
        let begun = Instant::now();
        let ended = async {
            let client = self.run.client()?;
            let plan = self.run.clone().plan(Timestamp::now()).await?;
            run::run(&plan, client.as_ref(), self.run.report(), out).await
        };
        let report = told(ended.await);
        service.end(report.as_ref(), begun.elapsed(), Timestamp::now());
    }

    /// Runs what has drifted: not the run that reports, journal and figures are about.
    async fn train_anew(&self, drifted: Drifted, out: &mut (dyn Write + Send)) {
        let ended = async {
            let client = self.run.client()?;
            let mut plan = self.run.clone().plan(Timestamp::now()).await?;
            (plan.only, plan.fleet) = (Some(drifted.series), drifted.fleet);
            (plan.journal, plan.report_html) = (None, None);
            run::run(&plan, client.as_ref(), None, out).await
        };
        told(ended.await);
    }
}

/// The report of a run that ended with one; what went wrong is in the log.
fn told(ended: Result<(RunReport, Vec<Error>)>) -> Option<RunReport> {
    match ended {
        Ok((report, failures)) => {
            for error in failures {
                tracing::warn!(%error, remedy = error.remedy(), "not pushed");
            }
            Some(report)
        }
        Err(error) => {
            tracing::error!(%error, remedy = error.remedy(), "a run failed");
            None
        }
    }
}

/// How often something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interval {
    Every(Duration),
    Never,
}

fn read_interval(text: &str) -> std::result::Result<Interval, String> {
    match text {
        "never" => Ok(Interval::Never),
        _ => read_length(text)
            .map(|seconds| Interval::Every(Duration::from_secs(seconds.unsigned_abs())))
            .map_err(|what| format!("{what}; or write never")),
    }
}

fn factor(text: &str) -> std::result::Result<f64, String> {
    let factor = text.parse().ok();
    let factor = factor.filter(|factor: &f64| factor.is_finite() && *factor >= 1.0);
    factor.ok_or_else(|| "not a number from 1 on; write 2 for twice the error".to_owned())
}

/// SIGTERM, as Kubernetes sends it, or Ctrl-C.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_looked_for_at_an_interval_or_never() {
        let half_an_hour = Interval::Every(Duration::from_secs(1_800));
        assert_eq!(read_interval("30m"), Ok(half_an_hour));
        assert_eq!(read_interval("never"), Ok(Interval::Never));
        assert!(read_interval("0s").unwrap_err().contains("or write never"));
    }
}
