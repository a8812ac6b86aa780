//! Prophet behind FastAPI, under the same load.

use std::{
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    task::JoinSet,
};

use crate::{
    python,
    unary::{
        CONNECTIONS,
        load::{Answered, Run, Span, connect_plain},
    },
};

/// It answers a few requests in a second: it is asked for longer.
const PROPHETS_RUN: Duration = Duration::from_secs(5);

/// `benches/python/serve_prophet.py`, killed when dropped.
#[derive(Debug)]
pub(super) struct Prophet {
    _child: Child,
    addr: SocketAddr,
}

impl Prophet {
    /// Serves `model_pr`.
    ///
    /// # Errors
    /// When there is no Python with Prophet: run `.ci/tools.sh`.
    pub(super) async fn start(model_pr: &Path) -> Result<Self> {
        let mut child = Command::new(python::interpreter())
            .arg(python::script("serve_prophet.py"))
            .arg(model_pr)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("no Python with Prophet under .tools; run .ci/tools.sh")?;
        let stdout = child.stdout.take().context("its standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await?;
        let said: serde_json::Value =
            serde_json::from_str(&line).with_context(|| format!("Python said {line:?}"))?;
        let url = said["url"].as_str().context("no url")?;
        let addr = url.trim_start_matches("http://").parse()?;
        Ok(Self {
            _child: child,
            addr,
        })
    }

    /// One request under way on each connection: more is not possible with HTTP/1.1.
    pub(super) async fn load(&self) -> Result<Run> {
        let span = Span::now(PROPHETS_RUN);
        let mut tasks = JoinSet::new();
        for connection in 0..CONNECTIONS {
            tasks.spawn(ask_on(self.addr, connection as u64, span));
        }
        let mut answered = Vec::new();
        while let Some(task) = tasks.join_next().await {
            answered.push(task??);
        }
        Ok(Run::of(PROPHETS_RUN, f64::NAN, answered))
    }
}

async fn ask_on(addr: SocketAddr, connection: u64, span: Span) -> Result<Answered> {
    let mut sender = connect_plain(addr).await?;
    let mut answered = Answered::default();
    let mut at = 1_800_000_000 + connection;
    loop {
        at += CONNECTIONS as u64;
        let begun = Instant::now();
        if begun >= span.end {
            return Ok(answered);
        }
        let request = Request::get(format!("/forecast?at={at}"))
            .header("host", "bench")
            .body(Empty::<Bytes>::new())?;
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        ensure!(response.status().is_success(), "{}", response.status());
        response.into_body().collect().await?;
        let ended = Instant::now();
        if ended >= span.begin && ended < span.end {
            answered.count(ended - begun);
        }
    }
}
