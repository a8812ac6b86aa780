//! The release server as a process, and pushes to it.

use std::{net::SocketAddr, path::PathBuf, process::Stdio};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use loadcast_client::{Client, Push};
use loadcast_model::{fit::fit, history::History, spec::Spec};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::pushed::pushed;

/// The series that everybody watches.
pub(super) const SERIES: &str = "fan.out";

/// A server that is killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    addr: SocketAddr,
    _folder: TempDir,
}

impl Server {
    /// Starts the binary that lies beside this one, on port 0.
    pub(crate) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let binary = binary()?;
        let mut child = Command::new(&binary)
            .args(["--grpc-addr=127.0.0.1:0", "--http-addr=127.0.0.1:0"])
            .arg("--registry=memory:")
            .arg(format!(
                "--state-dir={}",
                folder.path().join("state").display()
            ))
            // It logs as it does by itself.
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| {
                format!(
                    "{}: cargo build --release -p loadcast-server",
                    binary.display()
                )
            })?;
        let stdout = child.stdout.take().context("its standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await?;
        let addr = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("grpc="))
            .with_context(|| format!("no address in {line:?}"))?
            .parse()?;
        Ok(Self {
            child,
            addr,
            _folder: folder,
        })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Bytes of it that are in memory.
    pub(super) fn resident_bytes(&self) -> Result<u64> {
        let id = self.child.id().context("the server is gone")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(kib.context("VmRSS")?.parse::<u64>()? * 1024)
    }

    pub(super) fn pusher(&self) -> Pusher {
        Pusher {
            addr: self.addr,
            pushed: 0,
            client: None,
        }
    }
}

fn binary() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.with_file_name("loadcast-server"))
}

/// Pushes one version after the other.
#[derive(Debug)]
pub(super) struct Pusher {
    addr: SocketAddr,
    pushed: u32,
    client: Option<Client>,
}

impl Pusher {
    /// Pushes the next version, and returns once it is served.
    pub(super) async fn push(&mut self) -> Result<()> {
        if self.client.is_none() {
            self.client = Some(Client::new(&format!("http://{}", self.addr))?);
        }
        let client = self.client.clone().context("made above")?;
        self.pushed += 1;
        client.push(push(self.pushed)?).await?;
        Ok(())
    }
}

/// A model of two days of a constant, the `version`th.
fn push(version: u32) -> Result<Push> {
    let now = Timestamp::now();
    let end = now.as_second();
    let ds: Vec<i64> = (0..600).map(|i| end - (600 - i) * 300).collect();
    let history = History::new(ds, vec![f64::from(version); 600])?;
    let model = fit(&Spec::default(), &history)?.model;
    pushed(SERIES, &model, now, version)
}
