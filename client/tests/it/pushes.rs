//! A model on its way: order, bounds, sizes and digests.

use std::time::Duration;

use bytes::Bytes;
use loadcast_client::{
    Attachment, Client, Code, Error, Push, Scores, SeriesInfo, Verdict, ZeroMeans,
};
use loadcast_proto::v1 as pb;
use loadcast_proto::v1::push_model_request::Part;
use sha2::{Digest, Sha256};
use tonic::Status;

use crate::answers::{SERIES, digest};
use crate::server::Mock;

const CHUNK: usize = 256 * 1024;

fn bytes(size: usize) -> Bytes {
    (0..=u8::MAX).cycle().take(size).collect()
}

fn push(model_pr: Bytes, attachments: Vec<Attachment>) -> Push {
    Push {
        series: SeriesInfo {
            name: SERIES.into(),
            labels: [("namespace".to_owned(), "demo".to_owned())].into(),
            unit: Some("cores".into()),
            step: Duration::from_secs(300),
            time_zone: "Europe/Berlin".into(),
            zero_means: Some(ZeroMeans::Value),
            predecessor: None,
        },
        model_pr,
        idempotency_key: "key".into(),
        alias: Some("champion".into()),
        expected_version: Some(2),
        verdict: Verdict::Promote,
        scores: Some(Scores {
            mase: Some(0.7),
            ..Scores::default()
        }),
        cutoff: "2026-10-08T00:00:00Z".parse().unwrap(),
        trained_at: "2026-10-08T00:01:00Z".parse().unwrap(),
        rows: 8_064,
        trainer_version: "0.1.0".into(),
        data_sha256: digest(),
        spec_json: "{}".into(),
        clamps: None,
        activate_at: None,
        tags: [("team".to_owned(), "web".to_owned())].into(),
        band_calibration_json: None,
        correction_json: None,
        peak_json: None,
        attachments,
    }
}

fn accepted() -> pb::PushModelResponse {
    pb::PushModelResponse {
        version: 3,
        revision: 12,
        epoch: "e1".into(),
        artifact_sha256: digest(),
        already_registered: false,
        token: "t12".into(),
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[tokio::test]
async fn header_chunks_and_attachments_arrive_in_order_and_whole() {
    let mock = Mock::default();
    mock.state().push = Some(Ok(accepted()));
    let client = Client::new(&mock.serve().await).unwrap();
    let model_pr = bytes(3 * CHUNK + 17);
    let report = Attachment {
        name: "report.json".into(),
        media_type: "application/json".into(),
        bytes: bytes(CHUNK + 1),
    };
    let empty = Attachment {
        name: "empty.txt".into(),
        media_type: "text/plain".into(),
        bytes: Bytes::new(),
    };
    let pushed = client
        .push(push(model_pr.clone(), vec![report.clone(), empty]))
        .await
        .unwrap();
    assert_eq!((pushed.version, pushed.revision), (3, Some(12)));
    assert_eq!(pushed.token.as_deref(), Some("t12"));

    let mut state = mock.state();
    let mut parts = std::mem::take(&mut state.push_parts).into_iter();
    let Some(Part::Header(header)) = parts.next() else {
        panic!("the first part is not the header");
    };
    assert_eq!(header.size_bytes, u64::try_from(model_pr.len()).unwrap());
    assert_eq!(header.sha256, sha256(&model_pr));
    assert_eq!(header.alias, "champion");
    assert_eq!(header.expected_version, Some(2));
    assert_eq!(header.verdict, i32::from(pb::Verdict::Promote));
    let series = header.series.unwrap();
    assert_eq!(series.time_zone, "Europe/Berlin");
    assert_eq!(series.step.unwrap().seconds, 300);
    assert_eq!(series.zero_means, i32::from(pb::ZeroMeans::Value));

    let mut received = Vec::new();
    for size in [CHUNK, CHUNK, CHUNK, 17] {
        let Some(Part::ModelChunk(chunk)) = parts.next() else {
            panic!("not a chunk of the model");
        };
        assert_eq!(chunk.len(), size);
        received.extend_from_slice(&chunk);
    }
    assert_eq!(received, model_pr);

    let Some(Part::Attachment(head)) = parts.next() else {
        panic!("not an attachment");
    };
    assert_eq!(head.name, "report.json");
    assert_eq!(head.sha256, sha256(&report.bytes));
    assert_eq!(head.size_bytes, u64::try_from(report.bytes.len()).unwrap());
    for size in [CHUNK, 1] {
        assert!(matches!(parts.next(), Some(Part::AttachmentChunk(c)) if c.len() == size));
    }
    let Some(Part::Attachment(head)) = parts.next() else {
        panic!("not the second attachment");
    };
    assert_eq!((head.size_bytes, head.sha256), (0, sha256(b"")));
    assert_eq!(parts.next(), None);
}

#[tokio::test]
async fn the_wrong_expected_version_is_a_refusal() {
    let mock = Mock::default();
    mock.state().push = Some(Err(Status::aborted("champion points at 5, not 2")));
    let client = Client::new(&mock.serve().await).unwrap();
    let error = client.push(push(bytes(10), Vec::new())).await.unwrap_err();
    assert!(matches!(
        error,
        Error::Refused { code: Code::Aborted, message, .. } if message.contains("points at 5")
    ));
}

#[tokio::test]
async fn an_answer_without_a_version_is_no_answer() {
    let mock = Mock::default();
    mock.state().push = Some(Ok(pb::PushModelResponse {
        version: 0,
        ..accepted()
    }));
    let client = Client::new(&mock.serve().await).unwrap();
    let error = client.push(push(bytes(10), Vec::new())).await.unwrap_err();
    assert!(matches!(error, Error::Protocol { field, .. } if field == "version"));
}
