//! HTTP/2 frame by frame, for peers that no library would be.

// Shared by two test binaries, each of which uses a part.
#![allow(dead_code)]

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const ACK: u8 = 1;

/// SETTINGS_INITIAL_WINDOW_SIZE.
pub(crate) const INITIAL_WINDOW: u16 = 4;

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![len[1], len[2], len[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The first words of a client whose streams have windows of `window` bytes.
pub(crate) fn hello(window: u32) -> Vec<u8> {
    let mut setting = INITIAL_WINDOW.to_be_bytes().to_vec();
    setting.extend(window.to_be_bytes());
    [PREFACE, &frame(SETTINGS, 0, 0, &setting)].concat()
}

/// The headers of a gRPC call, with `more` of them.
pub(crate) fn headers(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let fixed = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "loadcast"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let mut block = Vec::new();
    for (name, value) in fixed.iter().chain(more) {
        block.push(0); // A literal that is not indexed, with a new name.
        for text in [name, value] {
            assert!(text.len() < 127, "longer lengths take more bytes");
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A gRPC message in its envelope.
pub(crate) fn envelope(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    bytes.extend(message);
    bytes
}

/// A call of `path` with one `message`, as stream `id`.
pub(crate) fn call(id: u32, path: &str, message: &[u8]) -> Vec<u8> {
    [
        frame(HEADERS, END_HEADERS, id, &headers(path, &[])),
        frame(DATA, END_STREAM, id, &envelope(message)),
    ]
    .concat()
}

/// A frame that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// The next frame; `None` at the end of the connection.
pub(crate) async fn next(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Came>> {
    let mut head = [0; 9];
    if let Err(error) = io.read_exact(&mut head).await {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Ok(None),
            _ => Err(error),
        };
    }
    let [a, b, c, kind, flags, stream @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    io.read_exact(&mut payload).await?;
    Ok(Some(Came {
        kind,
        flags,
        stream: u32::from_be_bytes(stream),
        payload,
    }))
}
