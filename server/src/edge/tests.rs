//! The loop under peers that say little, and under a system that has run out.

use std::convert::Infallible;

use futures::stream;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    sync::mpsc,
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::edge::metrics::EdgeMetrics;

const HOUR: Duration = Duration::from_secs(3_600);

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n\r\n";

fn edge(connections: usize, stop: &CancellationToken) -> Edge {
    let limits = Limits {
        connections,
        connections_per_address: connections,
        age: HOUR,
        stall: HOUR,
        drain: Duration::from_secs(10),
    };
    Edge::new(limits, EdgeMetrics::default().port("grpc"), stop.clone())
}

/// More than a pipe holds here, and no more than is gathered for a peer.
const LARGE_BYTES: usize = 20_000;

/// Says hello, or what is asked for as `/large`.
async fn hello(request: Request<Incoming>) -> Result<Response<Full<bytes::Bytes>>, Infallible> {
    Ok(Response::new(match request.uri().path() {
        "/large" => Full::from(vec![b'l'; LARGE_BYTES]),
        _ => Full::from("hello"),
    }))
}

/// Where connections to a port come in.
type Port = mpsc::Sender<io::Result<Arrival<DuplexStream>>>;

/// A port that serves what it is sent.
fn port(connections: usize) -> Port {
    served(edge(connections, &CancellationToken::new()))
}

fn served(edge: Edge) -> Port {
    let (sender, arrivals) = mpsc::channel(1);
    let arrivals = ReceiverStream::new(arrivals);
    tokio::spawn(edge.serve(arrivals, tower::service_fn(hello)));
    sender
}

async fn connect(port: &Port) -> DuplexStream {
    connect_from(port, None).await
}

async fn connect_from(port: &Port, address: Option<IpAddr>) -> DuplexStream {
    let (ours, io) = tokio::io::duplex(1_024);
    port.send(Ok(Arrival { io, address })).await.unwrap();
    ours
}

/// Everything that comes until the end.
async fn rest(mut io: DuplexStream) -> String {
    let mut bytes = Vec::new();
    let _ = io.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_half_a_preface_or_a_byte_a_second_is_closed_in_ten_seconds() {
    let port = port(10);
    let begun = Instant::now();
    let silent = connect(&port).await;
    let mut half = connect(&port).await;
    half.write_all(b"PRI * HTTP/2").await.unwrap();
    let mut slow = connect(&port).await;
    let dripping = async {
        for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
            if slow.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("it was let in");
    };
    tokio::join!(rest(silent), rest(half), dripping);
    let took = begun.elapsed();
    assert!((10..=12).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_and_an_idle_connection_are_closed() {
    let port = port(10);
    let begun = Instant::now();
    let mut slow = connect(&port).await;
    slow.write_all(b"GET / HTTP/1.1\r\nhost: edge\r\na: ")
        .await
        .unwrap();
    rest(slow).await;
    let took = begun.elapsed();
    assert!((29..=31).contains(&took.as_secs()), "{took:?}");
    let mut idle = connect(&port).await;
    idle.write_all(b"GET / HTTP/1.1\r\nhost: edge\r\n\r\n")
        .await
        .unwrap();
    assert!(rest(idle).await.ends_with("hello"));
}

#[tokio::test(start_paused = true)]
async fn who_reads_an_answer_late_gets_it_whole() {
    let port = port(10);
    let mut slow = connect(&port).await;
    slow.write_all(b"GET /large HTTP/1.1\r\nhost: edge\r\n\r\n")
        .await
        .unwrap();
    // Longer than the next request of this connection may take.
    tokio::time::sleep(HEAD_TIMEOUT + Duration::from_secs(10)).await;
    let whole = rest(slow).await;
    let (head, body) = whole.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-length: 20000"), "{head}");
    assert_eq!(body.len(), LARGE_BYTES);
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_known_for_one_and_its_address_waits() {
    const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0ping!!!!";
    let edge = edge(10, &CancellationToken::new());
    let metrics = edge.metrics.clone();
    let port = served(edge);
    let address = Some(IpAddr::from([192, 0, 2, 1]));
    let (mut heard, mut said) = tokio::io::split(connect_from(&port, address).await);
    let flooding = async {
        said.write_all(GREETING).await?;
        said.write_all(&PING.repeat(30_000)).await
    };
    let mut answers = Vec::new();
    let (flooded, _) = tokio::join!(flooding, heard.read_to_end(&mut answers));
    flooded.unwrap_err();
    // Its task has seen it, and the next one is refused.
    assert_eq!(rest(connect_from(&port, address).await).await, "");
    assert_eq!(metrics.cut_and_refused("flood"), [1, 0]);
    assert_eq!(metrics.cut_and_refused("shunned"), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_system_without_descriptors_is_asked_again_and_what_comes_then_is_served() {
    let stop = CancellationToken::new();
    let (ours, io) = tokio::io::duplex(1_024);
    let arrival = Arrival { io, address: None };
    // EMFILE, as the accept of Linux says it.
    let without = (0..20).map(|_| Err(io::Error::from_raw_os_error(24)));
    let gone = [Err(io::ErrorKind::ConnectionAborted.into())];
    let arrivals = without.chain(gone).chain([Ok(arrival)]);
    let begun = Instant::now();
    let edge = edge(10, &stop);
    let served = tokio::spawn(edge.serve(stream::iter(arrivals), tower::service_fn(hello)));
    let mut ours = ours;
    ours.write_all(GET).await.unwrap();
    assert!(rest(ours).await.ends_with("hello"));
    assert_eq!(begun.elapsed(), 20 * ACCEPT_AGAIN);
    stop.cancel();
    served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_connection_too_many_is_closed_and_the_next_has_its_place() {
    let port = port(1);
    let first = connect(&port).await;
    assert_eq!(rest(connect(&port).await).await, "");
    drop(first);
    // The place is free once its task has seen that.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut next = connect(&port).await;
    next.write_all(GET).await.unwrap();
    assert!(rest(next).await.ends_with("hello"));
}
