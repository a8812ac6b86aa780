//! The server's configuration: data only. The environment is read here and nowhere else.

mod file;
mod web;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::{Parser, ValueEnum, builder::FalseyValueParser};

use crate::{cache::KEEP_VERSIONS, retention::KEEP_REGISTRY_VERSIONS, webhook::Secret};

/// Streaming resource forecasts for autoscalers.
#[derive(Debug, Clone, Parser)]
#[command(name = "loadcast-server", version)]
pub struct Config {
    /// A TOML file of these flags by their names, such as poll-interval = "10s". The command line and the environment count
    /// before it.
    #[arg(long, env = "LOADCAST_CONFIG", value_name = "FILE.toml")]
    pub config: Option<PathBuf>,

    /// Where gRPC is served (HTTP/2, and HTTP/1.1). Port 0 takes a free one.
    #[arg(long, env = "LOADCAST_GRPC_ADDR", default_value = "127.0.0.1:50051")]
    pub grpc_addr: SocketAddr,

    /// Where HTTP is served. Port 0 takes a free one.
    #[arg(long, env = "LOADCAST_HTTP_ADDR", default_value = "127.0.0.1:8080")]
    pub http_addr: SocketAddr,

    /// Where versions are durable: file:///FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX,
    /// mlflow+http://HOST:PORT, mlflow+https://HOST, or memory: (gone with the process). Two with a comma between, mlflow+http://HOST:PORT,s3://B/P:
    /// the second is a copy of the first, kept for a start while the first does not answer.
    /// Unset: a folder `registry` inside the state directory.
    #[arg(long, env = "LOADCAST_REGISTRY")]
    pub registry: Option<String>,

    /// Only follow the registry. Pushes, promotions, rollbacks and retirements are refused (FAILED_PRECONDITION).
    #[arg(long, env = "LOADCAST_READ_ONLY_REGISTRY", value_parser = FalseyValueParser::new())]
    pub read_only_registry: bool,

    /// How many versions of a series the registry keeps. After a push older ones are deleted there, but none that is served,
    /// kept in memory, named by an alias, in a stage, pinned, or logged by somebody else. 0 keeps all.
    #[arg(long, env = "LOADCAST_KEEP_REGISTRY_VERSIONS", default_value_t = KEEP_REGISTRY_VERSIONS)]
    pub keep_registry_versions: usize,

    /// What this server remembers across restarts; one server at a time.
    #[arg(long, env = "LOADCAST_STATE_DIR", default_value = ".loadcast/state")]
    pub state_dir: PathBuf,

    /// The alias whose versions are served.
    #[arg(long, env = "LOADCAST_ALIAS", default_value = "champion", value_parser = alias)]
    pub alias: String,

    /// The catalog: what series are declared, and the gates that live observations must pass. The file that the trainer
    /// reads; what neither reads of it is checked all the same.
    #[arg(long, env = "LOADCAST_CATALOG", value_name = "FILE.toml")]
    pub catalog: Option<PathBuf>,

    /// The Prometheus that the catalog's expressions are asked of, for what happened since the last observation.
    #[command(flatten)]
    pub prometheus: loadcast_prometheus::flags::Args,

    /// How often Prometheus is asked, for each entry of the catalog.
    #[arg(long, env = "LOADCAST_OBSERVE_EVERY", default_value = "1m", value_parser = duration)]
    pub observe_every: Duration,

    /// How often the registry is asked for moves. One that does not answer is asked less and less often, at least every
    /// 30 seconds unless it asks for longer.
    #[arg(long, env = "LOADCAST_POLL_INTERVAL", default_value = "5s", value_parser = duration)]
    pub poll_interval: Duration,

    /// A file with the secret that MLflow signs its webhooks with; POST /webhooks/mlflow on the HTTP port then causes a poll.
    /// Or the secret itself in LOADCAST_WEBHOOK_SECRET. Without either no webhook is taken.
    #[arg(long, env = "LOADCAST_WEBHOOK_SECRET_FILE")]
    pub webhook_secret_file: Option<PathBuf>,

    /// How many versions of a series stay in memory, the served one among them: for rollback in an instant, and for
    /// questions to a version by its number.
    #[arg(long, env = "LOADCAST_KEEP_VERSIONS", default_value_t = KEEP_VERSIONS, value_parser = keep_versions)]
    pub keep_versions: usize,

    /// How long a stop waits for streams and calls to end before it cuts them off.
    #[arg(long, env = "LOADCAST_DRAIN_DEADLINE", default_value = "10s", value_parser = duration)]
    pub drain_deadline: Duration,

    /// How logs look on stderr. What is logged: RUST_LOG (default info).
    #[arg(long, env = "LOADCAST_LOG_FORMAT", default_value = "human")]
    pub log_format: LogFormat,

    /// What is served beside gRPC.
    #[command(flatten)]
    pub web: web::Web,
}

impl Config {
    /// The secret of webhooks, from its file or the environment.
    ///
    /// # Errors
    /// When the file cannot be read or is empty; the message names the flag.
    pub fn webhook_secret(&self) -> anyhow::Result<Option<Secret>> {
        let Some(path) = &self.webhook_secret_file else {
            let secret = std::env::var_os("LOADCAST_WEBHOOK_SECRET");
            return Ok(secret.and_then(|secret| Secret::new(secret.as_encoded_bytes())));
        };
        let shown = path.display();
        let bytes = std::fs::read(path)
            .with_context(|| format!("--webhook-secret-file {shown}: cannot be read"))?;
        Secret::new(&bytes).map(Some).with_context(|| {
            format!("--webhook-secret-file {shown}: it is empty; write the secret into it")
        })
    }
}

/// Each version that is kept of each series takes some kilobytes.
const MAX_KEEP_VERSIONS: usize = 20;

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line an event.
    Human,
    /// One JSON object a line.
    Json,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "not a duration; write for example 500ms, 5s or 2m".to_owned())?;
    Duration::try_from(parsed)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "it must be longer than nothing".to_owned())
}

fn keep_versions(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| (1..=MAX_KEEP_VERSIONS).contains(count))
        .ok_or_else(|| format!("not a number from 1 to {MAX_KEEP_VERSIONS}"))
}

/// Alias names become object names and MLflow aliases: the same letters as a series.
fn alias(text: &str) -> Result<String, String> {
    text.parse::<loadcast_model::series::SeriesName>()
        .map(|name| name.to_string())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_listens_on_loopback_unless_told_otherwise() {
        let config = Config::parse_from(["loadcast-server"]);
        assert!(config.grpc_addr.ip().is_loopback());
        assert!(config.http_addr.ip().is_loopback());
    }

    #[test]
    fn durations_are_read_and_nonsense_is_refused_with_an_example() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert!(duration("soon").unwrap_err().contains("5s"));
        assert!(duration("0s").is_err());
        assert!(duration("-5s").is_err());
    }
}
