//! Updates of forecasts: an answer is computed and encoded once for all who ask the same.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use loadcast_proto::{encoded::Encoded, v1 as pb};
use prost::Message as _;
use uuid::Uuid;

use crate::{
    answer::{answer, answer_off_thread},
    error::Error,
    feed::forecasts::{Cause, Condition, Positioned, Update},
    grpc::convert::{answer as convert, frame, question::Movement},
    live::Seen,
    memo::Memo,
    question::{Question, Range, floor_to_step},
    served::Served,
};

/// The most bytes of encoded updates that are kept for other subscribers.
pub(crate) const MAX_UPDATE_BYTES: usize = 32 * 1024 * 1024;

/// Encoded updates, shared by all subscribers.
pub(crate) type Updates = Memo<UpdateKey>;

/// What tells encoded updates apart. A revision is of one version of one series; freshness follows from version,
/// bucket and what was seen of observations.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct UpdateKey {
    revision: u64,
    bucket: i64,
    generation: u64,
    cause: Cause,
    asked: Arc<[u8]>,
}

/// What is asked of each series, as bytes: subscribers who ask the same share the answers.
pub(crate) fn asked(request: &pb::WatchForecastsRequest) -> Arc<[u8]> {
    let asked = pb::WatchForecastsRequest {
        horizon: request.horizon,
        step: request.step,
        levels: request.levels.clone(),
        components: request.components,
        clamps: request.clamps,
        ..pb::WatchForecastsRequest::default()
    };
    asked.encode_to_vec().into()
}

/// A condition upon the value that the wire would show for one point at the lead.
pub(crate) fn condition(movement: Movement, question: &Question, epoch: Uuid) -> Condition {
    let Movement {
        level,
        lead,
        percent,
    } = movement;
    let question = Question {
        levels: level.into_iter().collect(),
        components: false,
        ..question.clone()
    };
    let value = move |served: &Arc<Served>, now: Timestamp, seen: &Seen| {
        let own_step = served.loaded.metadata().series.step_seconds;
        let step = question.step_seconds.unwrap_or(own_step);
        let start = floor_to_step(now.as_second(), step) + lead;
        let point = Question {
            range: Range::Between {
                start,
                end: start + 1,
            },
            ..question.clone()
        };
        let answer = answer(Arc::clone(served), &point, now, seen)?;
        let forecast = convert::forecast(answer, epoch, true);
        let column = match level {
            None => Some(&forecast.yhat),
            Some(level) => {
                let mut columns = forecast.quantiles.iter();
                columns
                    .find(|column| column.level == level)
                    .map(|column| &column.values)
            }
        };
        let value = column.and_then(|column| column.first()).copied();
        value.ok_or_else(|| Error::Internal("an answer without the level asked for".to_owned()))
    };
    Condition {
        moved_percent: percent,
        value: Box::new(value),
    }
}

/// Turns updates into messages. An answer is computed and encoded once for all who ask the same.
#[derive(Debug)]
pub(crate) struct Renderer {
    pub(crate) updates: Arc<Updates>,
    pub(crate) epoch: Uuid,
    pub(crate) asked: Arc<[u8]>,
    pub(crate) question: Question,
    pub(crate) filter: u32,
}

impl Renderer {
    pub(crate) async fn render(&self, positioned: Positioned) -> pb::WatchForecastsResponse {
        use pb::watch_forecasts_response::Message;
        let message = match positioned.update {
            Update::SnapshotBegin { revision, gap } => {
                Message::SnapshotBegin(frame::snapshot_begin(revision, gap.as_ref()))
            }
            Update::SnapshotEnd { revision } => Message::SnapshotEnd(pb::SnapshotEnd { revision }),
            Update::Forecast {
                cause,
                served,
                now,
                bucket,
                seen,
            } => Message::Update(Encoded::Bytes(
                self.forecast(cause, served, now, bucket, seen).await,
            )),
            Update::Failed {
                series,
                cause,
                error,
            } => Message::Update(convert::update(&series, cause, Err(error), self.epoch).into()),
            Update::Gone {
                series,
                revision,
                reason,
            } => Message::Gone(pb::SeriesGone {
                series: series.to_string(),
                revision,
                reason,
            }),
            Update::Bookmark { revision } => Message::Bookmark(pb::Bookmark { revision }),
            Update::Lagged { skipped, from, to } => {
                Message::Lagged(frame::lagged(skipped, from, to))
            }
            Update::GoingAway { retry_after } => Message::GoingAway(frame::going_away(retry_after)),
        };
        pb::WatchForecastsResponse {
            token: frame::token(self.epoch, self.filter, positioned.position),
            message: Some(message),
        }
    }

    async fn forecast(
        &self,
        cause: Cause,
        served: Arc<Served>,
        now: Timestamp,
        bucket: i64,
        seen: Seen,
    ) -> Bytes {
        let key = UpdateKey {
            revision: served.revision,
            bucket,
            generation: seen.generation(),
            cause,
            asked: Arc::clone(&self.asked),
        };
        let make = || async {
            let name = served.loaded.metadata().series.name.clone();
            let answer = answer_off_thread(served, self.question.clone(), now, seen).await;
            let update = convert::update(&name, cause, answer, self.epoch);
            Bytes::from(update.encode_to_vec())
        };
        self.updates.get(key, make).await
    }
}
