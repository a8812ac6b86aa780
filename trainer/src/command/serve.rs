//! `loadcast-trainer serve`: runs again and again.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::net::TcpListener;

use super::run;
use crate::error::{Error, Result};
use crate::fleet::spool::Spool;
use crate::service::{Service, next};
use crate::time::read_length;

/// Run again and again: at once, and then at intervals. Tells of itself on the HTTP port: /livez, /readyz, /metrics.
///
/// With --journal it remembers across restarts: a run that was killed goes on where it was, and one that ended is not
/// repeated before its time. What a run finds is printed as `run` prints it; a run that fails is tried again at the next
/// interval, and stops nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// From the end of a run to the beginning of the next; up to a tenth of it is added, so that trainers drift apart
    #[arg(long, env = "LOADCAST_EVERY", default_value = "6h", value_parser = read_length, value_name = "DURATION")]
    every: i64,
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
            let wait = Timestamp::now().duration_until(due);
            tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).await;
            service.begin();
            let begun = Instant::now();
            let ended = self.once(out).await;
            let now = Timestamp::now();
            match &ended {
                Ok((report, failures)) => {
                    service.end(Some(report), begun.elapsed(), now);
                    for error in failures {
                        tracing::warn!(%error, remedy = error.remedy(), "not pushed");
                    }
                }
                Err(error) => {
                    service.end(None, begun.elapsed(), now);
                    tracing::error!(%error, remedy = error.remedy(), "a run failed");
                }
            }
            last = Some(now);
        }
    }

    async fn once(
        &self,
        out: &mut (dyn Write + Send),
    ) -> Result<(crate::report::RunReport, Vec<Error>)> {
        let client = self.run.client()?;
        let plan = self.run.clone().plan(Timestamp::now()).await?;
        run::run(&plan, client.as_ref(), self.run.report(), out).await
    }
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
