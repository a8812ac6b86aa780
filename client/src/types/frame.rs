//! One message of a stream as it arrives: its token, and what both kinds of watch have in common.

use std::time::Duration;

use loadcast_proto::v1 as pb;

use crate::error::Error;
use crate::types::event::{ForecastUpdate, ModelUpdate};
use crate::types::text::{non_empty, required};
use crate::types::time::optional_duration;

/// One message of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame<M> {
    /// Continue after this message with it.
    pub(crate) token: String,
    /// The message.
    pub(crate) body: Body<M>,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body<M> {
    SnapshotBegin {
        revision: u64,
        reason: Option<String>,
    },
    SnapshotEnd {
        revision: u64,
    },
    Message(M),
    Bookmark {
        revision: u64,
    },
    Lagged {
        skipped: u64,
        from_revision: u64,
        to_revision: u64,
    },
    GoingAway {
        retry_after: Duration,
    },
}

impl<M> From<pb::SnapshotBegin> for Body<M> {
    fn from(wire: pb::SnapshotBegin) -> Self {
        Self::SnapshotBegin {
            revision: wire.revision,
            reason: non_empty(wire.reason),
        }
    }
}

impl<M> From<pb::SnapshotEnd> for Body<M> {
    fn from(wire: pb::SnapshotEnd) -> Self {
        Self::SnapshotEnd {
            revision: wire.revision,
        }
    }
}

impl<M> From<pb::Bookmark> for Body<M> {
    fn from(wire: pb::Bookmark) -> Self {
        Self::Bookmark {
            revision: wire.revision,
        }
    }
}

impl<M> From<pb::Lagged> for Body<M> {
    fn from(wire: pb::Lagged) -> Self {
        Self::Lagged {
            skipped: wire.skipped,
            from_revision: wire.from_revision,
            to_revision: wire.to_revision,
        }
    }
}

impl<M> TryFrom<pb::GoingAway> for Body<M> {
    type Error = Error;

    fn try_from(wire: pb::GoingAway) -> Result<Self, Error> {
        Ok(Self::GoingAway {
            retry_after: optional_duration("retry_after", wire.retry_after)?.unwrap_or_default(),
        })
    }
}

impl TryFrom<pb::WatchModelsResponse> for Frame<ModelUpdate> {
    type Error = Error;

    fn try_from(wire: pb::WatchModelsResponse) -> Result<Self, Error> {
        use pb::watch_models_response::Message;
        let token = required("token", wire.token)?;
        let body = match wire.message {
            Some(Message::SnapshotBegin(begin)) => begin.into(),
            Some(Message::Model(model)) => Body::Message(ModelUpdate::Model(Box::new(
                model.try_into().map_err(|e: Error| e.within("model"))?,
            ))),
            Some(Message::SnapshotEnd(end)) => end.into(),
            Some(Message::Event(event)) => Body::Message(ModelUpdate::Event(Box::new(
                event
                    .into_message()
                    .map_err(undecodable)?
                    .try_into()
                    .map_err(|e: Error| e.within("event"))?,
            ))),
            Some(Message::Bookmark(bookmark)) => bookmark.into(),
            Some(Message::Lagged(lagged)) => lagged.into(),
            Some(Message::GoingAway(going)) => going
                .try_into()
                .map_err(|e: Error| e.within("going_away"))?,
            None => return Err(Error::protocol("message", "missing or of an unknown kind")),
        };
        Ok(Self { token, body })
    }
}

impl TryFrom<pb::WatchForecastsResponse> for Frame<ForecastUpdate> {
    type Error = Error;

    fn try_from(wire: pb::WatchForecastsResponse) -> Result<Self, Error> {
        use pb::watch_forecasts_response::Message;
        let token = required("token", wire.token)?;
        let body = match wire.message {
            Some(Message::SnapshotBegin(begin)) => begin.into(),
            Some(Message::SnapshotEnd(end)) => end.into(),
            Some(Message::Update(update)) => {
                let update = update.into_message().map_err(undecodable)?;
                Body::Message(update.try_into().map_err(|e: Error| e.within("update"))?)
            }
            Some(Message::Gone(gone)) => {
                Body::Message(gone.try_into().map_err(|e: Error| e.within("gone"))?)
            }
            Some(Message::Bookmark(bookmark)) => bookmark.into(),
            Some(Message::Lagged(lagged)) => lagged.into(),
            Some(Message::GoingAway(going)) => going
                .try_into()
                .map_err(|e: Error| e.within("going_away"))?,
            None => return Err(Error::protocol("message", "missing or of an unknown kind")),
        };
        Ok(Self { token, body })
    }
}

/// What was received is decoded already, so this does not happen.
fn undecodable(error: impl std::fmt::Display) -> Error {
    Error::protocol("message", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_a_token_and_a_kind() {
        use pb::watch_models_response::Message;
        let wire = pb::WatchModelsResponse {
            token: "t".into(),
            message: Some(Message::Bookmark(pb::Bookmark { revision: 9 })),
        };
        assert_eq!(
            Frame::try_from(wire.clone()),
            Ok(Frame {
                token: "t".into(),
                body: Body::Bookmark { revision: 9 }
            })
        );
        let tokenless = pb::WatchModelsResponse {
            token: String::new(),
            ..wire.clone()
        };
        let kindless = pb::WatchModelsResponse {
            message: None,
            ..wire
        };
        for (field, bad) in [("token", tokenless), ("message", kindless)] {
            let error = Frame::<ModelUpdate>::try_from(bad).unwrap_err();
            assert!(matches!(error, Error::Protocol { field: f, .. } if f == field));
        }
    }

    #[test]
    fn a_bad_event_is_named_by_its_path() {
        use pb::watch_models_response::Message;
        let wire = pb::WatchModelsResponse {
            token: "t".into(),
            message: Some(Message::Event(pb::ModelEvent::default().into())),
        };
        let error = Frame::<ModelUpdate>::try_from(wire).unwrap_err();
        assert!(matches!(error, Error::Protocol { field, .. } if field == "event.at"));
    }
}
