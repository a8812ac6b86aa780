//! Where what is no longer served waits until nobody reads it any more, so that it is freed by a sweep and never on
//! the thread of the request that happened to read it last.

use std::sync::{Arc, Mutex, PoisonError};

use crate::served::{Served, State};

/// Replaced states and evicted versions that may still be read.
#[derive(Debug, Default)]
pub struct Reclaimer(Mutex<Vec<Garbage>>);

/// One thing to free.
#[derive(Debug)]
pub enum Garbage {
    /// A state that was replaced.
    State(Arc<State>),
    /// A version that is no longer kept.
    Served(Arc<Served>),
}

impl Garbage {
    fn is_read(&self) -> bool {
        match self {
            Self::State(state) => Arc::strong_count(state) > 1,
            Self::Served(served) => Arc::strong_count(served) > 1,
        }
    }
}

impl Reclaimer {
    /// Takes what is to be freed once nobody reads it. Nothing new may begin to read it.
    pub fn take(&self, garbage: impl IntoIterator<Item = Garbage>) {
        self.lock().extend(garbage);
    }

    /// Frees what nobody reads any more, on this thread. States go first: versions are read through them.
    pub fn sweep(&self) {
        for is_wanted in [
            (|garbage| matches!(garbage, Garbage::State(_))) as fn(&Garbage) -> bool,
            |garbage| matches!(garbage, Garbage::Served(_)),
        ] {
            let free: Vec<Garbage> = self
                .lock()
                .extract_if(.., |garbage| is_wanted(garbage) && !garbage.is_read())
                .collect();
            // Outside the lock: freeing takes longer than finding.
            drop(free);
        }
    }

    /// How many things wait.
    pub fn waiting(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Garbage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_read_waits_and_is_freed_by_the_next_sweep_after_its_last_reader() {
        let reclaimer = Reclaimer::default();
        let (read, unread) = (
            Arc::new(State::empty(Uuid::nil())),
            Arc::new(State::empty(Uuid::nil())),
        );
        let freed = Arc::downgrade(&unread);
        reclaimer.take([Garbage::State(Arc::clone(&read)), Garbage::State(unread)]);
        reclaimer.sweep();
        assert_eq!((reclaimer.waiting(), freed.strong_count()), (1, 0));
        let last = Arc::downgrade(&read);
        drop(read);
        assert_eq!(last.strong_count(), 1, "the reader does not free it");
        reclaimer.sweep();
        assert_eq!((reclaimer.waiting(), last.strong_count()), (0, 0));
    }
}
