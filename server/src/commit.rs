//! The order in which a change comes to be, apart from what it is made of, so that it can be model-checked.
//!
//! Durable, then visible, then logged, then woken. Whoever reads the state sees only what survives a crash; whoever
//! reads the log sees only what the state shows; whoever is woken finds the event in the log. A follower that takes its
//! position in the log from a state, and only then waits, misses nothing and sees nothing twice.

/// The steps of one commit, as the cache takes them.
pub trait Stages {
    /// Changes that are committed together.
    type Batch;
    /// Why a batch cannot be made durable.
    type Error;

    /// Puts the batch where it survives a crash.
    ///
    /// # Errors
    /// When it cannot; nobody has then seen anything of it.
    fn make_durable(&mut self, batch: &Self::Batch) -> Result<(), Self::Error>;

    /// Every later lookup sees the batch.
    fn make_visible(&mut self, batch: &Self::Batch);

    /// Followers that read the log find the batch.
    fn log(&mut self, batch: &Self::Batch);

    /// Followers that wait are woken.
    fn wake(&mut self, batch: &Self::Batch);
}

/// Commits `batch`. The caller holds the one lock of writers meanwhile.
///
/// # Errors
/// That of [`Stages::make_durable`]; the batch then never was.
pub fn commit<S: Stages>(stages: &mut S, batch: &S::Batch) -> Result<(), S::Error> {
    stages.make_durable(batch)?;
    stages.make_visible(batch);
    stages.log(batch);
    stages.wake(batch);
    Ok(())
}

#[cfg(test)]
mod tests {
    //! Every interleaving that shuttle finds: writers commit, a crash may be looked for at any moment, followers take a
    //! snapshot and follow. A lost wake-up is a deadlock, which shuttle reports.

    use shuttle::{
        check_random,
        sync::{Arc, Condvar, Mutex},
        thread,
    };

    use super::*;

    const WRITERS: u64 = 2;
    const CHANGES: u64 = 2;
    const LAST: u64 = WRITERS * CHANGES;
    const SCHEDULES: usize = 1_000;

    /// A server of numbers: its state is the newest revision, each revision one event.
    #[derive(Default)]
    struct Model {
        durable: Mutex<u64>,
        state: Mutex<u64>,
        log: Mutex<Vec<u64>>,
        changed: Mutex<u64>,
        waiting: Condvar,
        writer: Mutex<()>,
    }

    impl Stages for &Model {
        type Batch = u64;
        type Error = ();

        fn make_durable(&mut self, revision: &u64) -> Result<(), ()> {
            *self.durable.lock().unwrap() = *revision;
            Ok(())
        }

        fn make_visible(&mut self, revision: &u64) {
            *self.state.lock().unwrap() = *revision;
        }

        fn log(&mut self, revision: &u64) {
            self.log.lock().unwrap().push(*revision);
        }

        fn wake(&mut self, revision: &u64) {
            *self.changed.lock().unwrap() = *revision;
            self.waiting.notify_all();
        }
    }

    impl Model {
        fn write(&self) {
            let _only_one = self.writer.lock().unwrap();
            let next = *self.state.lock().unwrap() + 1;
            commit(&mut &*self, &next).unwrap();
            // Whoever is answered now must be answered from what was committed.
            assert!(*self.state.lock().unwrap() >= next);
        }

        /// A crash right after a lookup must not take back what the lookup saw.
        fn look_up(&self) {
            let seen = *self.state.lock().unwrap();
            assert!(seen <= *self.durable.lock().unwrap());
        }

        /// Snapshot and tail: every revision after the snapshot, once, in order, and none before it is served.
        fn follow(&self) {
            let mut at = *self.state.lock().unwrap();
            while at < LAST {
                let mut newest = self.changed.lock().unwrap();
                while *newest <= at {
                    newest = self.waiting.wait(newest).unwrap();
                }
                let upto = *newest;
                drop(newest);
                let events: Vec<u64> = {
                    let log = self.log.lock().unwrap();
                    let wanted = |revision: &&u64| **revision > at && **revision <= upto;
                    log.iter().filter(wanted).copied().collect()
                };
                assert_eq!(events, (at + 1..=upto).collect::<Vec<_>>());
                assert!(*self.state.lock().unwrap() >= upto);
                at = upto;
            }
        }
    }

    #[test]
    fn p09_no_interleaving_of_commits_lookups_and_followers_breaks_the_order() {
        let run = || {
            let model = Arc::new(Model::default());
            let each = |work: fn(&Model), times: u64| {
                let model = Arc::clone(&model);
                thread::spawn(move || (0..times).for_each(|_| work(&model)))
            };
            let threads: Vec<_> = (0..WRITERS)
                .map(|_| each(Model::write, CHANGES))
                .chain([
                    each(Model::look_up, 3),
                    each(Model::follow, 1),
                    each(Model::follow, 1),
                ])
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
        };
        check_random(run, SCHEDULES);
    }
}
