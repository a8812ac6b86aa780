//! What happens between two messages of a watch: open, read, lose, wait, open again.

use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::time::{Instant, sleep_until, timeout};

use crate::error::{Code, Error};
use crate::types::frame::{Body, Frame};
use crate::watch::{SILENCE_LIMIT, Step, Update, backoff};

/// A stream that lived this long was healthy: the next loss counts as the first.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// A server cannot keep its clients away for longer.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// The messages of one connection.
pub(crate) type Frames<M> = BoxStream<'static, Result<Frame<M>, Error>>;

/// Opens one connection.
pub(crate) type Open<M> =
    Box<dyn FnMut(Resume) -> BoxFuture<'static, Result<Frames<M>, Error>> + Send>;

/// Where a connection begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resume {
    /// Continue after this message.
    pub(crate) token: Option<String>,
    /// No message came yet, so what the caller knew at the beginning still holds.
    pub(crate) untouched: bool,
}

/// The state of a watch.
pub(crate) struct Engine<M> {
    addr: String,
    open: Open<M>,
    resume: Resume,
    phase: Phase<M>,
    /// Losses in a row.
    losses: u32,
    /// A loss was told and no message came since.
    cut_off: bool,
}

enum Phase<M> {
    Opening,
    Reading {
        frames: Frames<M>,
        since: Instant,
    },
    /// The message that proved a new connection, to be handed out after the news of it.
    Proven {
        frame: Frame<M>,
        frames: Frames<M>,
        since: Instant,
    },
    Leaving {
        retry_after: Duration,
    },
    Waiting {
        until: Instant,
    },
    Ended,
}

impl<M> Engine<M> {
    pub(crate) fn new(addr: &str, token: Option<String>, open: Open<M>) -> Self {
        Self {
            addr: addr.to_owned(),
            open,
            resume: Resume {
                token,
                untouched: true,
            },
            phase: Phase::Opening,
            losses: 0,
            cut_off: false,
        }
    }

    /// The next thing to hand out; `None` after a final error.
    pub(crate) async fn step(&mut self) -> Option<Step<M>> {
        loop {
            match std::mem::replace(&mut self.phase, Phase::Ended) {
                Phase::Ended => return None,
                Phase::Waiting { until } => {
                    sleep_until(until).await;
                    self.phase = Phase::Opening;
                }
                Phase::Opening => {
                    let opened = timeout(SILENCE_LIMIT, (self.open)(self.resume.clone())).await;
                    match opened {
                        Ok(Ok(frames)) => {
                            self.phase = Phase::Reading {
                                frames,
                                since: Instant::now(),
                            };
                        }
                        Ok(Err(error)) => return Some(self.lose(error, Duration::ZERO)),
                        Err(_) => return Some(self.lose(silence(), Duration::ZERO)),
                    }
                }
                Phase::Reading { mut frames, since } => {
                    let lost = match timeout(SILENCE_LIMIT, frames.next()).await {
                        Ok(Some(Ok(frame))) if self.cut_off => {
                            self.cut_off = false;
                            self.phase = Phase::Proven {
                                frame,
                                frames,
                                since,
                            };
                            return Some(self.hand_out(Update::Reconnected));
                        }
                        Ok(Some(Ok(frame))) => return Some(self.receive(frame, frames, since)),
                        Ok(Some(Err(error))) => error,
                        Ok(None) => Error::Unreachable {
                            addr: self.addr.clone(),
                            reason: "the stream ended".to_owned(),
                        },
                        Err(_) => silence(),
                    };
                    if since.elapsed() >= HEALTHY_AFTER {
                        self.losses = 0;
                    }
                    return Some(self.lose(lost, Duration::ZERO));
                }
                Phase::Proven {
                    frame,
                    frames,
                    since,
                } => return Some(self.receive(frame, frames, since)),
                Phase::Leaving { retry_after } => {
                    // It left in good order: that is no loss to back off from.
                    self.losses = 0;
                    return Some(self.lose(going_away(), retry_after));
                }
            }
        }
    }

    /// Takes a message in. After a going-away nothing more can come, so its stream is dropped at once.
    fn receive(&mut self, frame: Frame<M>, frames: Frames<M>, since: Instant) -> Step<M> {
        self.resume = Resume {
            token: Some(frame.token),
            untouched: false,
        };
        self.phase = match frame.body {
            Body::GoingAway { retry_after } => Phase::Leaving { retry_after },
            _ => Phase::Reading { frames, since },
        };
        self.hand_out(frame.body.into())
    }

    /// A connection is lost: for good, or to be opened again no sooner than the server asks.
    fn lose(&mut self, error: Error, at_least: Duration) -> Step<M> {
        if !error.is_transient() {
            self.phase = Phase::Ended;
            return Step {
                token: self.resume.token.clone(),
                update: Err(error),
            };
        }
        let asked = match &error {
            Error::Refused {
                retry_after: Some(asked),
                ..
            } => at_least.max(*asked),
            _ => at_least,
        };
        let retry_in =
            backoff::delay(self.losses, rand::random()).max(asked.min(LONGEST_RETRY_AFTER));
        self.losses = self.losses.saturating_add(1);
        self.cut_off = true;
        self.phase = Phase::Waiting {
            until: Instant::now() + retry_in,
        };
        self.hand_out(Update::Disconnected { error, retry_in })
    }

    fn hand_out(&self, update: Update<M>) -> Step<M> {
        Step {
            token: self.resume.token.clone(),
            update: Ok(update),
        }
    }
}

fn silence() -> Error {
    Error::Timeout {
        after: SILENCE_LIMIT,
    }
}

fn going_away() -> Error {
    Error::Refused {
        code: Code::Unavailable,
        reason: "GOING_AWAY".to_owned(),
        message: "the server is leaving".to_owned(),
        violations: Vec::new(),
        retry_after: None,
    }
}
