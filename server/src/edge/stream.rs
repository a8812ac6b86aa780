//! One stream of an HTTP/2 connection, and whether its peer takes what it is sent. hyper runs each stream as a task of
//! its own, which asks the body for the next frame once the peer has taken the last; while it has not, nothing inside the
//! task is asked anything, a deadline neither. So the task is watched from outside: a stream whose peer is overdue is
//! dropped, which resets it and frees all that it holds.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::edge::metrics::PortMetrics;

tokio::task_local! {
    /// The stream that is being polled.
    static PROGRESS: Progress;
}

/// Where a stream stands with its peer.
#[derive(Debug, Default)]
struct Progress {
    /// The number of the frame that was handed out, while the next one was not asked for.
    untaken: Cell<Option<u64>>,
    frames: Cell<u64>,
    /// When the call has to have ended.
    deadline: Cell<Option<Instant>>,
}

/// The present call ends by `deadline`, whether or not its peer takes what it is sent.
pub(crate) fn ends_by(deadline: Instant) {
    let _ = PROGRESS.try_with(|progress| progress.deadline.set(Some(deadline)));
}

/// The peer has taken what it was sent so far: the next frame is asked for.
pub(super) fn taken() {
    let _ = PROGRESS.try_with(|progress| progress.untaken.set(None));
}

/// A frame is on its way to the peer.
pub(super) fn handed() {
    let _ = PROGRESS.try_with(|progress| {
        progress.frames.set(progress.frames.get() + 1);
        progress.untaken.set(Some(progress.frames.get()));
    });
}

/// Runs streams, and resets those whose peer is overdue.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    stall: Duration,
    metrics: PortMetrics,
}

impl Streams {
    pub(super) fn new(stall: Duration, metrics: PortMetrics) -> Self {
        Self { stall, metrics }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let watched = Watched {
            stream,
            streams: self.clone(),
            untaken: None,
            timer: None,
        };
        tokio::spawn(PROGRESS.scope(Progress::default(), watched));
    }
}

pin_project! {
    struct Watched<F> {
        #[pin]
        stream: F,
        streams: Streams,
        // Which frame is not taken, and since when.
        untaken: Option<(u64, Instant)>,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl Streams {
    /// Until when the peer may leave untaken what it was sent, and why no longer.
    fn due(&self, untaken: &mut Option<(u64, Instant)>) -> Option<(Instant, &'static str)> {
        let (frame, deadline) =
            PROGRESS.with(|progress| (progress.untaken.get(), progress.deadline.get()));
        let Some(frame) = frame else {
            *untaken = None;
            return None;
        };
        let since = match *untaken {
            Some((same, since)) if same == frame => since,
            _ => Instant::now(),
        };
        *untaken = Some((frame, since));
        let stalled = (since + self.stall, "stalled");
        Some(match deadline {
            Some(deadline) if deadline < stalled.0 => (deadline, "deadline"),
            _ => stalled,
        })
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let watched = self.project();
        if watched.stream.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some((due, reason)) = watched.streams.due(watched.untaken) else {
            *watched.timer = None;
            return Poll::Pending;
        };
        let timer = watched.timer;
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        watched.streams.metrics.reset(reason);
        tracing::debug!(reason, "a stream is reset");
        Poll::Ready(())
    }
}
