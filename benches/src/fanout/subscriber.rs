//! A subscriber that takes messages as bytes: what it costs to read them is not what is measured.

use std::time::Instant;

use anyhow::Result;
use bytes::{Buf as _, Bytes};
use loadcast_proto::v1::{self as pb, watch_forecasts_response::Message as Kind};
use prost::Message as _;
use tokio::sync::mpsc;
use tonic::{
    Status, Streaming,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use crate::fanout::{peer::Peer, server::SERIES};

/// An update has come.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) at: Instant,
}

/// Watches the next `points` days of [`SERIES`] over `peer`, reads the snapshot, and from then on tells of each update
/// as long as anybody listens. In steps of a day, so that no step passes while something is measured.
pub(super) async fn subscribe(
    peer: &Peer,
    points: i64,
    arrivals: mpsc::Sender<Arrival>,
) -> Result<()> {
    let mut stream = open(peer, points).await?;
    while let Some(message) = stream.message().await? {
        let message = pb::WatchForecastsResponse::decode(message)?;
        if matches!(message.message, Some(Kind::SnapshotEnd(_))) {
            break;
        }
    }
    tokio::spawn(async move {
        while let Ok(Some(message)) = stream.message().await {
            let at = Instant::now();
            // Bookmarks are shorter.
            if message.len() > SHORT && arrivals.try_send(Arrival { at }).is_err() {
                break;
            }
        }
        // Open until its connection is dropped, whether or not anybody asks.
        std::future::pending::<()>().await;
    });
    Ok(())
}

/// A message without an answer is shorter than this.
const SHORT: usize = 256;

async fn open(peer: &Peer, points: i64) -> Result<Streaming<Bytes>> {
    let request = pb::WatchForecastsRequest {
        selector: Some(pb::SeriesSelector {
            names: vec![SERIES.to_owned()],
            label_selector: String::new(),
        }),
        horizon: days(points),
        step: days(1),
        ..Default::default()
    };
    let mut grpc = Grpc::new(peer.channel.clone());
    grpc.ready().await?;
    let path = "/loadcast.v1.ForecastService/WatchForecasts".parse()?;
    let request = tonic::Request::new(request);
    Ok(grpc
        .server_streaming(request, path, BytesCodec)
        .await?
        .into_inner())
}

fn days(count: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration {
        seconds: count * 86_400,
        nanos: 0,
    })
}

/// Messages out, bytes in.
#[derive(Debug, Clone, Copy)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = pb::WatchForecastsRequest;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for BytesCodec {
    type Item = pb::WatchForecastsRequest;
    type Error = Status;

    fn encode(&mut self, item: Self::Item, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buf)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buf.copy_to_bytes(buf.remaining())))
    }
}
