//! The messages that both kinds of stream have in common, on their way out.

use std::time::Duration;

use loadcast_proto::v1 as pb;
use uuid::Uuid;

use crate::{error::Gap, feed::Position, grpc::convert::duration_out, token::Token};

/// The token of a stream of `epoch` that asked what `filter` tells apart.
pub(crate) fn token(epoch: Uuid, filter: u32, position: Position) -> String {
    Token {
        epoch,
        revision: position.revision,
        second: position.second,
        filter,
        complete: position.complete,
    }
    .encode()
}

pub(crate) fn snapshot_begin(revision: u64, gap: Option<&Gap>) -> pb::SnapshotBegin {
    pb::SnapshotBegin {
        revision,
        reason: gap.map_or_else(String::new, |gap| gap.code().to_owned()),
    }
}

pub(crate) fn lagged(skipped: u64, from: u64, to: u64) -> pb::Lagged {
    pb::Lagged {
        skipped,
        from_revision: from,
        to_revision: to,
    }
}

pub(crate) fn going_away(retry_after: Duration) -> pb::GoingAway {
    pb::GoingAway {
        retry_after: Some(duration_out(retry_after)),
    }
}
