//! Peers that take their time, or all there is.

use std::{io, time::Duration};

use loadcast_proto::v1 as pb;
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    attack::{Tally, Target},
    frames::{self, call, frame, hello},
};

/// Streams on one connection.
pub(crate) const STREAMS: usize = 100;

/// The largest window that HTTP/2 allows.
const HUGE: u32 = (1 << 31) - 1;

const SECOND: Duration = Duration::from_secs(1);

/// Waits until the server closes the connection, and counts that.
async fn until_closed(target: &Target, stream: &mut TcpStream) {
    let mut bytes = [0; 1_024];
    while !matches!(stream.read(&mut bytes).await, Ok(0) | Err(_)) {}
    Tally::count(&target.tally.closed);
}

/// Says `words` and no more.
pub(crate) async fn say(target: &Target, words: &[u8]) -> io::Result<()> {
    let mut stream = target.connect().await?;
    stream.write_all(words).await?;
    until_closed(target, &mut stream).await;
    Ok(())
}

/// Greets at the pace of a byte a second.
pub(crate) async fn byte_by_byte(target: &Target) -> io::Result<()> {
    let mut stream = target.connect().await?;
    for byte in hello(65_535) {
        if stream.write_all(&[byte]).await.is_err() {
            break;
        }
        Tally::count(&target.tally.sent);
        tokio::time::sleep(SECOND).await;
    }
    until_closed(target, &mut stream).await;
    Ok(())
}

/// Greets well, and sits there.
pub(crate) async fn sit(target: &Target) -> io::Result<()> {
    let mut stream = target.connect().await?;
    // Where it is refused this fails, or what follows does.
    let _ = stream.write_all(&hello(65_535)).await;
    until_closed(target, &mut stream).await;
    Ok(())
}

fn watch() -> Vec<u8> {
    let watch = pb::WatchForecastsRequest {
        selector: Some(pb::SeriesSelector {
            names: vec![crate::healthy::SERIES.to_owned()],
            label_selector: String::new(),
        }),
        horizon: Some(prost_types::Duration {
            seconds: 86_400,
            nanos: 0,
        }),
        levels: vec![0.1, 0.9],
        ..Default::default()
    };
    watch.encode_to_vec()
}

/// Greets with huge windows and subscribes over and over.
async fn subscribed(target: &Target) -> io::Result<TcpStream> {
    let mut stream = target.connect().await?;
    let mut words = hello(HUGE);
    let more = (HUGE - 65_535).to_be_bytes();
    words.extend(frame(frames::WINDOW_UPDATE, 0, 0, &more));
    let path = "/loadcast.v1.ForecastService/WatchForecasts";
    let watch = watch();
    for i in 0..STREAMS {
        words.extend(call(1 + 2 * i as u32, path, &watch));
        Tally::count(&target.tally.sent);
    }
    stream.write_all(&words).await?;
    Ok(stream)
}

/// Subscribes behind huge windows, and never reads what comes.
pub(crate) async fn never_read(target: &Target) -> io::Result<()> {
    let stream = subscribed(target).await?;
    // Whether it is closed would only be seen by reading: it is held for good.
    std::future::pending::<()>().await;
    drop(stream);
    Ok(())
}

/// Subscribes, reads, and comes back at once whenever the server is gone.
pub(crate) async fn subscribe(target: &Target) -> io::Result<()> {
    loop {
        let Ok(mut stream) = subscribed(target).await else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        while let Ok(Some(came)) = frames::next(&mut stream).await {
            if came.kind == frames::HEADERS {
                Tally::count(&target.tally.answered);
            }
        }
        Tally::count(&target.tally.closed);
    }
}
