//! The mark: tonic as it comes, which reads the same questions and returns bytes that it holds ready.

use std::{io::Write as _, net::SocketAddr, pin::Pin, process::Stdio};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::Stream;
use loadcast_proto::{
    encoded::Encoded,
    v1::{
        self as pb,
        forecast_service_server::{ForecastService, ForecastServiceServer},
    },
};
use prost::Message as _;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};
use tonic::{Request, Response, Status, transport::server::TcpIncoming};

/// An echo server that is killed when dropped.
#[derive(Debug)]
pub(super) struct Echo {
    child: Child,
    addr: SocketAddr,
    _message: tempfile::NamedTempFile,
}

impl Echo {
    /// Starts this program again, to answer everything with `message`.
    pub(super) async fn start(message: &[u8]) -> Result<Self> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(message)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("echo")
            .arg(file.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("its standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await?;
        let addr = line.trim().parse()?;
        Ok(Self {
            child,
            addr,
            _message: file,
        })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }
}

/// Answers every GetForecast with the message in the file at `path`, until it is killed.
///
/// # Errors
/// When the file cannot be read or no port be had.
pub fn serve(path: &str) -> Result<()> {
    let message = pb::GetForecastResponse::decode(std::fs::read(path)?.as_slice())?;
    let forecast = message.forecast.context("no forecast")?.into_message()?;
    let echo = Answer(forecast.encode_to_vec().into());
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)
            .map_err(|error| anyhow::anyhow!("{error}"))?
            .with_nodelay(Some(true));
        println!("{}", incoming.local_addr()?);
        std::io::stdout().flush()?;
        tonic::transport::Server::builder()
            .add_service(ForecastServiceServer::new(echo))
            .serve_with_incoming(incoming)
            .await?;
        Ok(())
    })
}

struct Answer(Bytes);

type Nothing<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn absent<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("only GetForecast"))
}

#[tonic::async_trait]
impl ForecastService for Answer {
    type BatchGetForecastsStream = Nothing<pb::BatchGetForecastsResponse>;
    type WatchForecastsStream = Nothing<pb::WatchForecastsResponse>;

    async fn get_forecast(
        &self,
        _: Request<pb::GetForecastRequest>,
    ) -> Result<Response<pb::GetForecastResponse>, Status> {
        let forecast = Some(Encoded::Bytes(self.0.clone()));
        Ok(Response::new(pb::GetForecastResponse { forecast }))
    }

    async fn batch_get_forecasts(
        &self,
        _: Request<pb::BatchGetForecastsRequest>,
    ) -> Result<Response<Self::BatchGetForecastsStream>, Status> {
        absent()
    }

    async fn watch_forecasts(
        &self,
        _: Request<pb::WatchForecastsRequest>,
    ) -> Result<Response<Self::WatchForecastsStream>, Status> {
        absent()
    }

    async fn get_recommendation(
        &self,
        _: Request<pb::GetRecommendationRequest>,
    ) -> Result<Response<pb::GetRecommendationResponse>, Status> {
        absent()
    }
}
