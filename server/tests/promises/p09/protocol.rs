//! Every interleaving that shuttle finds: writers commit, a crash may be looked for at any moment, followers take a
//! snapshot and follow. A lost wake-up is a deadlock, which shuttle reports.

use shuttle::{
    check_random,
    sync::{Arc, Condvar, Mutex},
    thread,
};

use loadcast_server::commit::{Stages, commit};

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
