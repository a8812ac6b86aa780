//! What a policy cost and what it missed.

use serde::Serialize;

/// A scale event that undoes the direction of the one before within so many seconds is an oscillation.
const OSCILLATION_WITHIN: i64 = 900;

/// A policy's figures over the whole replay.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Minutes in which the load was more than the ready pods can carry.
    pub under_provisioned_minutes: f64,
    /// The share of all load that was more than the ready pods can carry.
    pub unserved_share: f64,
    /// Hours of pods, ready or starting.
    pub pod_hours: f64,
    /// Changes of the number of pods.
    pub scale_events: u32,
    /// Of these, the ones that undo the direction of the one before within 15 minutes.
    pub oscillations: u32,
    /// The most pods at once.
    pub most_pods: u32,
}

/// Adds up syncs.
#[derive(Debug)]
pub(super) struct Counter {
    figures: Figures,
    sync: i64,
    capacity: f64,
    load: f64,
    unserved: f64,
    last: Option<(i64, bool)>,
}

impl Counter {
    pub(super) fn new(sync: i64, capacity: f64) -> Self {
        Self {
            figures: Figures::default(),
            sync,
            capacity,
            load: 0.0,
            unserved: 0.0,
            last: None,
        }
    }

    /// One sync: what holds until the next, after `before` pods.
    pub(super) fn count(&mut self, now: i64, load: f64, ready: u32, pods: u32, before: u32) {
        let carried = f64::from(ready) * self.capacity;
        if load > carried {
            self.figures.under_provisioned_minutes += self.sync as f64 / 60.0;
            self.unserved += load - carried;
        }
        self.load += load;
        self.figures.pod_hours += f64::from(pods) * self.sync as f64 / 3_600.0;
        self.figures.most_pods = self.figures.most_pods.max(pods);
        if pods != before {
            let up = pods > before;
            self.figures.scale_events += 1;
            let undone = self
                .last
                .is_some_and(|(at, was_up)| was_up != up && now - at <= OSCILLATION_WITHIN);
            self.figures.oscillations += u32::from(undone);
            self.last = Some((now, up));
        }
    }

    pub(super) fn figures(self) -> Figures {
        Figures {
            unserved_share: if self.load > 0.0 {
                self.unserved / self.load
            } else {
                0.0
            },
            ..self.figures
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_hours_and_reversals_by_hand() {
        let mut counter = Counter::new(15, 2.0);
        // now, load, ready, pods, before
        counter.count(0, 4.0, 2, 2, 2);
        counter.count(15, 5.0, 2, 3, 2);
        counter.count(30, 6.0, 3, 2, 3);
        counter.count(1_000, 5.0, 2, 3, 2);
        let figures = counter.figures();
        assert_eq!(figures.under_provisioned_minutes, 0.5);
        assert!((figures.pod_hours - 10.0 * 15.0 / 3_600.0).abs() < 1e-12);
        assert_eq!(figures.unserved_share, 2.0 / 20.0);
        assert_eq!((figures.scale_events, figures.oscillations), (3, 1));
        assert_eq!(figures.most_pods, 3);
    }
}
