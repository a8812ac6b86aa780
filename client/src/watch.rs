//! A stream that outlives its connections.

mod backoff;
mod engine;
#[cfg(test)]
mod script;
#[cfg(test)]
mod tests;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{BoxStream, Stream};

use crate::error::Error;
use crate::types::frame::Body;

pub(crate) use engine::{Frames, Open, Resume};

/// A server sends a bookmark on an idle stream this often.
pub const BOOKMARK_INTERVAL: Duration = Duration::from_secs(10);

/// A stream that was silent for three bookmarks is dead, whatever its connection says.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// What a [`Watch`] hands out.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Update<M> {
    /// A snapshot follows: forget what is not in it (save what was declared as known).
    SnapshotBegin {
        /// The server's revision.
        revision: u64,
        /// Why a snapshot came instead of a continuation: REVISION_COMPACTED or EPOCH_CHANGED; `None` when none was
        /// asked for.
        reason: Option<String>,
    },
    /// The snapshot is complete.
    SnapshotEnd {
        /// The revision that the caller's state now equals.
        revision: u64,
    },
    /// What is watched for.
    Message(M),
    /// Everything up to this revision that matches was handed out.
    Bookmark {
        /// The revision.
        revision: u64,
    },
    /// Messages were skipped because this reader was slow.
    Lagged {
        /// How many.
        skipped: u64,
        /// The last revision before the gap.
        from_revision: u64,
        /// The last in it; equal to the other when only time moved on.
        to_revision: u64,
    },
    /// The server is leaving. A disconnection follows.
    GoingAway {
        /// How long it asks to stay away.
        retry_after: Duration,
    },
    /// The connection is gone; the watch will try again by itself. Nothing is lost yet.
    Disconnected {
        /// Why.
        error: Error,
        /// From now until the next attempt.
        retry_in: Duration,
    },
    /// The first message after a disconnection has come, and follows.
    Reconnected,
}

impl<M> Update<M> {
    /// The same update with another message.
    pub fn map<N>(self, message: impl FnOnce(M) -> N) -> Update<N> {
        match self {
            Self::Message(m) => Update::Message(message(m)),
            Self::SnapshotBegin { revision, reason } => Update::SnapshotBegin { revision, reason },
            Self::SnapshotEnd { revision } => Update::SnapshotEnd { revision },
            Self::Bookmark { revision } => Update::Bookmark { revision },
            Self::Lagged {
                skipped,
                from_revision,
                to_revision,
            } => Update::Lagged {
                skipped,
                from_revision,
                to_revision,
            },
            Self::GoingAway { retry_after } => Update::GoingAway { retry_after },
            Self::Disconnected { error, retry_in } => Update::Disconnected { error, retry_in },
            Self::Reconnected => Update::Reconnected,
        }
    }
}

/// A reconnecting subscription: a stream of updates that ends only after an error that trying again cannot mend.
///
/// It continues after the last message it handed out, by that message's token. Where the server no longer can, a
/// snapshot comes instead. Nothing runs between polls and nothing is buffered beyond one message: a reader that does
/// not poll holds the server's stream back. Dropping it cancels the call.
pub struct Watch<M> {
    steps: BoxStream<'static, Step<M>>,
    token: Option<String>,
}

/// What to hand out, and the token from then on.
pub(crate) struct Step<M> {
    pub(crate) token: Option<String>,
    pub(crate) update: Result<Update<M>, Error>,
}

impl<M: Send + 'static> Watch<M> {
    pub(crate) fn new(addr: &str, resume: Option<String>, open: Open<M>) -> Self {
        let engine = engine::Engine::new(addr, resume.clone(), open);
        let steps = futures::stream::unfold(engine, |mut engine| async move {
            engine.step().await.map(|step| (step, engine))
        });
        Self {
            steps: steps.fuse().boxed(),
            token: resume,
        }
    }
}

impl<M> Watch<M> {
    /// The token of the last message handed out: a later watch continues after it. `None` before the first message
    /// of a watch that began without one.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}

impl<M> Stream for Watch<M> {
    type Item = Result<Update<M>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.steps.poll_next_unpin(cx).map(|step| {
            step.map(|step| {
                self.token = step.token;
                step.update
            })
        })
    }
}

impl<M> fmt::Debug for Watch<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl<M> From<Body<M>> for Update<M> {
    fn from(body: Body<M>) -> Self {
        match body {
            Body::SnapshotBegin { revision, reason } => Self::SnapshotBegin { revision, reason },
            Body::SnapshotEnd { revision } => Self::SnapshotEnd { revision },
            Body::Message(message) => Self::Message(message),
            Body::Bookmark { revision } => Self::Bookmark { revision },
            Body::Lagged {
                skipped,
                from_revision,
                to_revision,
            } => Self::Lagged {
                skipped,
                from_revision,
                to_revision,
            },
            Body::GoingAway { retry_after } => Self::GoingAway { retry_after },
        }
    }
}
