//! A scripted source for the tests of the watch: what each connection says, and what was asked of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;

use crate::error::{Code, Error};
use crate::types::frame::{Body, Frame};
use crate::watch::{Open, Resume, Watch};

/// One thing that a connection does.
pub(crate) enum Say {
    Frame(&'static str, Body<u32>),
    Fail(Error),
    Pause(Duration),
    /// Say nothing more and stay open.
    Hang,
}

/// One attempt to connect: refused, or what the stream says until it ends.
pub(crate) type Attempt = Result<Vec<Say>, Error>;

/// What the watch asked for, attempt by attempt.
#[derive(Clone, Default)]
pub(crate) struct Asked(Arc<Mutex<Vec<Resume>>>);

impl Asked {
    pub(crate) fn tokens(&self) -> Vec<Option<String>> {
        let asked = self.0.lock().expect("no test panicked");
        asked.iter().map(|resume| resume.token.clone()).collect()
    }

    pub(crate) fn untouched(&self) -> Vec<bool> {
        let asked = self.0.lock().expect("no test panicked");
        asked.iter().map(|resume| resume.untouched).collect()
    }
}

/// A watch over scripted connections. After the last one, connecting never ends.
pub(crate) fn watch(attempts: Vec<Attempt>) -> (Watch<u32>, Asked) {
    let asked = Asked::default();
    let mut attempts = VecDeque::from(attempts);
    let log = asked.clone();
    let open: Open<u32> = Box::new(move |resume| {
        log.0.lock().expect("no test panicked").push(resume);
        let attempt = attempts.pop_front();
        Box::pin(async move {
            match attempt {
                None => std::future::pending().await,
                Some(Err(error)) => Err(error),
                Some(Ok(says)) => Ok(futures::stream::iter(says).filter_map(perform).boxed()),
            }
        })
    });
    (Watch::new("http://script", None, open), asked)
}

async fn perform(say: Say) -> Option<Result<Frame<u32>, Error>> {
    match say {
        Say::Frame(token, body) => Some(Ok(Frame {
            token: token.to_owned(),
            body,
        })),
        Say::Fail(error) => Some(Err(error)),
        Say::Pause(pause) => {
            tokio::time::sleep(pause).await;
            None
        }
        Say::Hang => std::future::pending().await,
    }
}

pub(crate) fn message(token: &'static str, value: u32) -> Say {
    Say::Frame(token, Body::Message(value))
}

pub(crate) fn refused(code: Code) -> Error {
    Error::Refused {
        code,
        reason: String::new(),
        message: "scripted".to_owned(),
        violations: Vec::new(),
        retry_after: None,
    }
}
