//! The wall clock, as a value that tests set.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::watch;

/// Tells the time and lets tasks wait for it. Cheap to clone; clones agree.
#[derive(Clone)]
pub struct Clock(Kind);

#[derive(Clone)]
enum Kind {
    System,
    Set(Arc<watch::Sender<Timestamp>>),
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::System => "Clock::system",
            Kind::Set(_) => "Clock::set",
        })
    }
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A clock that stands at `now` until [`ClockSetter::set`] moves it.
    pub fn set_at(now: Timestamp) -> (Self, ClockSetter) {
        let sender = Arc::new(watch::Sender::new(now));
        (Self(Kind::Set(Arc::clone(&sender))), ClockSetter(sender))
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::System => Timestamp::now(),
            Kind::Set(time) => *time.borrow(),
        }
    }

    /// Returns once the clock shows `instant` or later. A system clock that is set back or forward is noticed within
    /// 30 seconds.
    pub async fn wait_until(&self, instant: Timestamp) {
        match &self.0 {
            Kind::System => loop {
                let left = Duration::try_from(instant.duration_since(Timestamp::now()))
                    .unwrap_or(Duration::ZERO);
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(RECHECK)).await;
            },
            Kind::Set(time) => {
                let mut watch = time.subscribe();
                // The sender lives in self, so the channel cannot close while we wait.
                let _ = watch.wait_for(|now| *now >= instant).await;
            }
        }
    }
}

/// How long a wait trusts the monotonic clock before it looks at the wall clock again.
const RECHECK: Duration = Duration::from_secs(30);

/// Moves a clock made by [`Clock::set_at`].
#[derive(Debug)]
pub struct ClockSetter(Arc<watch::Sender<Timestamp>>);

impl ClockSetter {
    /// Sets the time for every clone of the clock.
    pub fn set(&self, now: Timestamp) {
        self.0.send_replace(now);
    }
}
