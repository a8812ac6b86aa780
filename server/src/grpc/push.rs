//! A push on its way in: header, chunks, attachments; bounded before it is believed.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use loadcast_model::artifact::{MAX_ARTIFACT_BYTES, sha256_hex};
use loadcast_proto::{
    MAX_CHUNK_BYTES,
    v1::{self as pb, push_model_request::Part},
};
use loadcast_registry::registry::Attachment;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use tonic::{Status, Streaming};

use crate::{
    error::Error,
    grpc::{
        Services,
        convert::header::{self, Header},
    },
    publish::Push,
};

/// How long the next message of a push, or of a stream of observations, may take to come.
pub(super) const NEXT_MESSAGE: Duration = Duration::from_secs(30);

/// The most attachments of one push, and the most bytes of all of them together.
const MAX_ATTACHMENTS: usize = 16;
const MAX_ATTACHMENT_BYTES: u64 = 32 * 1024 * 1024;

/// Pushes that are received at once: each is held until it is whole, up to 96 MiB.
const MAX_RECEIVED: usize = 16;

static RECEIVING: Semaphore = Semaphore::const_new(MAX_RECEIVED);

/// Receives a whole push. Nothing of it is kept when it ends early or goes wrong.
pub(crate) async fn receive(
    mut stream: Streaming<pb::PushModelRequest>,
    traceparent: String,
    services: &Services,
) -> Result<Push, Status> {
    let Some(Part::Header(wire)) = next(&mut stream).await? else {
        return Err(Error::invalid("header", "the first message of a push is its header").into());
    };
    let mut parts = Parts::new(header::header(wire)?)?;
    let place = place(&RECEIVING).await;
    let _place = place.map_err(|error| services.counted(error))?;
    while let Some(part) = next(&mut stream).await? {
        parts.add(part)?;
    }
    // hyper takes the reset of a client that died for the end of its stream, and drops this call when it next waits. So
    // wait once: a push is whole only when its client lives to say so, or attachments still to come would be missing.
    tokio::task::yield_now().await;
    Ok(parts.finish(traceparent)?)
}

/// A place to be received in. The trainers of many series end together, so one is waited for as long as for a message;
/// meanwhile no more comes in than the window of the stream.
async fn place(places: &Semaphore) -> Result<SemaphorePermit<'_>, Error> {
    let waiting = timeout(NEXT_MESSAGE, places.acquire());
    match waiting.await {
        Ok(place) => place.map_err(|error| Error::Internal(error.to_string())),
        Err(_) => Err(Error::Exhausted {
            subject: "pushes",
            description: format!(
                "{MAX_RECEIVED} pushes are coming in, as many as this server holds; send this one again in a moment, whole"
            ),
        }),
    }
}

async fn next(stream: &mut Streaming<pb::PushModelRequest>) -> Result<Option<Part>, Status> {
    let message = timeout(NEXT_MESSAGE, stream.next())
        .await
        .map_err(|_| {
            Status::deadline_exceeded(format!(
                "no message for {} s; send the push again, whole",
                NEXT_MESSAGE.as_secs()
            ))
        })?
        .transpose()?;
    match message {
        None => Ok(None),
        Some(pb::PushModelRequest { part: Some(part) }) => Ok(Some(part)),
        Some(pb::PushModelRequest { part: None }) => {
            Err(Error::invalid("part", "a message of a push without a part").into())
        }
    }
}

/// A push that is still coming.
struct Parts {
    header: Header,
    model_pr: BytesMut,
    attachments: Vec<Attachment>,
    open: Option<(pb::AttachmentHeader, BytesMut)>,
    announced: u64,
}

impl Parts {
    fn new(header: Header) -> Result<Self, Error> {
        let size = header.metadata.size_bytes;
        if size == 0 || size > MAX_ARTIFACT_BYTES as u64 {
            return Err(Error::invalid(
                "header.size_bytes",
                format!("{size}; a model.pr has 1 to {MAX_ARTIFACT_BYTES} bytes"),
            ));
        }
        Ok(Self {
            header,
            model_pr: BytesMut::new(),
            attachments: Vec::new(),
            open: None,
            announced: 0,
        })
    }

    fn add(&mut self, part: Part) -> Result<(), Error> {
        match part {
            Part::Header(_) => Err(Error::invalid("header", "a push has one header, first")),
            Part::ModelChunk(chunk) => {
                if self.open.is_some() || !self.attachments.is_empty() {
                    return Err(Error::invalid(
                        "model_chunk",
                        "it comes after an attachment; send the model first",
                    ));
                }
                append(
                    "model_chunk",
                    &mut self.model_pr,
                    &chunk,
                    self.header.metadata.size_bytes,
                )
            }
            Part::Attachment(wire) => {
                self.close()?;
                header::attachment(&wire)?;
                self.announced = self.announced.saturating_add(wire.size_bytes);
                if self.attachments.len() == MAX_ATTACHMENTS
                    || self.announced > MAX_ATTACHMENT_BYTES
                {
                    return Err(Error::invalid(
                        "attachment",
                        format!(
                            "at most {MAX_ATTACHMENTS} attachments of {MAX_ATTACHMENT_BYTES} bytes together"
                        ),
                    ));
                }
                self.open = Some((wire, BytesMut::new()));
                Ok(())
            }
            Part::AttachmentChunk(chunk) => {
                let Some((wire, bytes)) = &mut self.open else {
                    return Err(Error::invalid(
                        "attachment_chunk",
                        "it comes before its attachment's header",
                    ));
                };
                append("attachment_chunk", bytes, &chunk, wire.size_bytes)
            }
        }
    }

    /// Checks the attachment that was coming and keeps it.
    fn close(&mut self) -> Result<(), Error> {
        let Some((wire, bytes)) = self.open.take() else {
            return Ok(());
        };
        let bytes = bytes.freeze();
        if bytes.len() as u64 != wire.size_bytes || sha256_hex(&bytes) != wire.sha256 {
            return Err(Error::invalid(
                "attachment.sha256",
                format!(
                    "{} did not arrive as announced; send the push again",
                    wire.name
                ),
            ));
        }
        self.attachments.push(Attachment {
            name: wire.name,
            media_type: wire.media_type,
            bytes,
        });
        Ok(())
    }

    fn finish(mut self, traceparent: String) -> Result<Push, Error> {
        self.close()?;
        let Header {
            metadata,
            key,
            alias,
            expected_version,
            activate_at,
        } = self.header;
        let arrived = self.model_pr.len() as u64;
        if arrived < metadata.size_bytes {
            return Err(Error::invalid(
                "header.size_bytes",
                format!(
                    "the push ended after {arrived} of {} bytes; send it again, whole",
                    metadata.size_bytes
                ),
            ));
        }
        Ok(Push {
            metadata,
            key,
            alias,
            expected_version,
            activate_at,
            model_pr: self.model_pr.freeze(),
            attachments: self.attachments,
            traceparent,
        })
    }
}

fn append(field: &str, to: &mut BytesMut, chunk: &Bytes, announced: u64) -> Result<(), Error> {
    if chunk.len() > MAX_CHUNK_BYTES {
        return Err(Error::invalid(
            field,
            format!(
                "{} bytes; at most {MAX_CHUNK_BYTES} in one message",
                chunk.len()
            ),
        ));
    }
    if to.len() as u64 + chunk.len() as u64 > announced {
        return Err(Error::invalid(
            field,
            format!("more than the {announced} bytes that were announced"),
        ));
    }
    to.extend_from_slice(chunk);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_push_too_many_at_once_waits_and_is_then_told_to_come_again() {
        let places = Semaphore::new(MAX_RECEIVED);
        let mut held = Vec::new();
        for _ in 0..MAX_RECEIVED {
            held.push(place(&places).await.unwrap());
        }
        let refused = place(&places).await.unwrap_err();
        assert!(
            matches!(&refused, Error::Exhausted { subject: "pushes", description }
                if description.contains("again in a moment")),
            "{refused}"
        );
        let (waiting, ()) = tokio::join!(place(&places), async { drop(held.pop()) });
        assert!(waiting.is_ok());
    }
}
