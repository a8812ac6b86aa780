//! Updates of models: an event is encoded once for all who are told of it.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use loadcast_proto::{encoded::Encoded, v1 as pb};
use prost::Message as _;
use uuid::Uuid;

use crate::{
    cache::Cache,
    event::Event,
    feed::models::{Positioned, Update},
    grpc::convert::{frame, model as convert},
    memo::Memo,
};

/// The most bytes of encoded events that are kept for other subscribers.
pub(crate) const MAX_EVENT_BYTES: usize = 8 * 1024 * 1024;

/// Encoded events by revision, shared by all subscribers.
pub(crate) type Events = Memo<u64>;

/// Turns updates into messages.
#[derive(Debug, Clone)]
pub(crate) struct Renderer {
    cache: Arc<Cache>,
    events: Arc<Events>,
    epoch: Uuid,
    filter: u32,
}

impl Renderer {
    pub(crate) fn new(cache: Arc<Cache>, events: Arc<Events>, filter: u32) -> Self {
        Self {
            epoch: cache.state().epoch,
            cache,
            events,
            filter,
        }
    }

    pub(crate) async fn render(&self, positioned: Positioned) -> pb::WatchModelsResponse {
        use pb::watch_models_response::Message;
        let message = match positioned.update {
            Update::SnapshotBegin { revision, gap } => {
                Message::SnapshotBegin(frame::snapshot_begin(revision, gap.as_ref()))
            }
            Update::Entry(entry) => Message::Model(convert::model(
                &entry,
                None,
                &self.cache.state(),
                self.cache.clock().now(),
                BTreeMap::new(),
                &self.cache.live().seen(&entry.series),
            )),
            Update::SnapshotEnd { revision } => Message::SnapshotEnd(pb::SnapshotEnd { revision }),
            Update::Event(event) => Message::Event(Encoded::Bytes(self.event(&event).await)),
            Update::Bookmark { revision } => Message::Bookmark(pb::Bookmark { revision }),
            Update::Lagged { skipped, from, to } => {
                Message::Lagged(frame::lagged(skipped, from, to))
            }
            Update::GoingAway { retry_after } => Message::GoingAway(frame::going_away(retry_after)),
        };
        pb::WatchModelsResponse {
            token: frame::token(self.epoch, self.filter, positioned.position),
            message: Some(message),
        }
    }

    async fn event(&self, event: &Event) -> Bytes {
        let make = || async { convert::event(event).encode_to_vec().into() };
        self.events.get(event.revision, make).await
    }
}
