//! How a model travels: a header, then its bytes in chunks, then each attachment in the same way.

use bytes::Bytes;
use futures::stream::{self, Stream};
use loadcast_proto::v1 as pb;
use loadcast_proto::v1::push_model_request::Part;
use sha2::{Digest, Sha256};

use crate::types::push::Push;
use crate::types::time::timestamp_out;

/// Bytes in one message: small beside HTTP/2's windows, so that a slow server holds the sender back early,
/// and a quarter of what a server takes at most.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;
const _: () = assert!(CHUNK_BYTES <= loadcast_proto::MAX_CHUNK_BYTES);

/// A push with its sizes and digests.
pub(crate) async fn parcels(mut push: Push) -> Vec<Parcel> {
    let model = std::mem::take(&mut push.model_pr);
    let attachments = std::mem::take(&mut push.attachments);
    let mut parcels = Vec::with_capacity(1 + attachments.len());
    let sha256 = digest(model.clone()).await;
    parcels.push(Parcel {
        head: Part::Header(header(push, &model, sha256)),
        chunk: Part::ModelChunk,
        body: model,
    });
    for attachment in attachments {
        parcels.push(Parcel {
            head: Part::Attachment(pb::AttachmentHeader {
                size_bytes: size(&attachment.bytes),
                sha256: digest(attachment.bytes.clone()).await,
                name: attachment.name,
                media_type: attachment.media_type,
            }),
            chunk: Part::AttachmentChunk,
            body: attachment.bytes,
        });
    }
    parcels
}

/// One head and the bytes it announces.
#[derive(Debug)]
pub(crate) struct Parcel {
    head: Part,
    chunk: fn(Bytes) -> Part,
    body: Bytes,
}

/// The messages in order. Chunks are slices of the bytes given, made when the connection asks for the next one.
pub(crate) fn messages(parcels: Vec<Parcel>) -> impl Stream<Item = pb::PushModelRequest> {
    stream::iter(parcels.into_iter().flat_map(|parcel| {
        let Parcel { head, chunk, body } = parcel;
        std::iter::once(head)
            .chain(chunks(body).map(chunk))
            .map(|part| pb::PushModelRequest { part: Some(part) })
    }))
}

/// `body` in slices of at most [`CHUNK_BYTES`]; none when it is empty.
fn chunks(mut body: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        (!body.is_empty()).then(|| body.split_to(body.len().min(CHUNK_BYTES)))
    })
}

fn header(push: Push, model: &Bytes, sha256: String) -> pb::PushHeader {
    pb::PushHeader {
        series: Some(push.series.into()),
        size_bytes: size(model),
        sha256,
        idempotency_key: push.idempotency_key,
        alias: push.alias.unwrap_or_default(),
        expected_version: push.expected_version,
        verdict: pb::Verdict::from(push.verdict).into(),
        scores: push.scores.map(Into::into),
        cutoff: Some(timestamp_out(push.cutoff)),
        trained_at: Some(timestamp_out(push.trained_at)),
        rows: push.rows,
        trainer_version: push.trainer_version,
        data_sha256: push.data_sha256,
        spec_json: push.spec_json,
        clamps: push.clamps.map(Into::into),
        activate_at: push.activate_at.map(timestamp_out),
        tags: push.tags,
        band_calibration_json: push.band_calibration_json.unwrap_or_default(),
        correction_json: push.correction_json.unwrap_or_default(),
        peak_json: push.peak_json.unwrap_or_default(),
    }
}

fn size(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Lower-case hex. Gives the runtime its thread back after each chunk: megabytes take milliseconds.
async fn digest(bytes: Bytes) -> String {
    let mut hasher = Sha256::new();
    for chunk in chunks(bytes) {
        hasher.update(&chunk);
        tokio::task::yield_now().await;
    }
    hex::encode(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_bounded_and_lose_nothing() {
        for (size, count) in [(0, 0), (1, 1), (CHUNK_BYTES, 1), (CHUNK_BYTES + 1, 2)] {
            let body: Bytes = (0..=u8::MAX).cycle().take(size).collect();
            let pieces: Vec<Bytes> = chunks(body.clone()).collect();
            assert_eq!(pieces.len(), count);
            assert!(pieces.iter().all(|piece| piece.len() <= CHUNK_BYTES));
            assert_eq!(pieces.concat(), body);
        }
    }
}
