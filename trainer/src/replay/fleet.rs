//! The pods of a workload: created, ready after a while, gone at once.

use super::calculator::Sample;

/// Seconds of usage that a pod's metric is the mean of: metrics-server's resolution. Until one has passed since a pod
/// became ready, its metric is set aside.
const METRIC_WINDOW: i64 = 15;

/// The pods, oldest first, by the instants at which they are ready.
#[derive(Debug, Clone)]
pub struct Fleet {
    ready_at: Vec<i64>,
    pod_start: i64,
}

impl Fleet {
    /// So many pods that have been ready for long at `now`; later ones take `pod_start` seconds.
    pub fn new(pods: u32, now: i64, pod_start: i64) -> Self {
        Self {
            ready_at: vec![now - METRIC_WINDOW; pods as usize],
            pod_start,
        }
    }

    /// All pods, ready or not.
    pub fn size(&self) -> u32 {
        u32::try_from(self.ready_at.len()).unwrap_or(u32::MAX)
    }

    /// Those that take load at `now`.
    pub fn ready(&self, now: i64) -> u32 {
        let ready = self.ready_at.iter().filter(|at| **at <= now).count();
        u32::try_from(ready).unwrap_or(u32::MAX)
    }

    /// Creates pods, or takes away the youngest: a ReplicaSet prefers those that are not ready, then those that have been
    /// for the shortest time.
    pub fn scale(&mut self, to: u32, now: i64) {
        self.ready_at.resize(to as usize, now + self.pod_start);
    }

    /// What the autoscaler knows of each pod at `now`, when the ready ones share `load` evenly.
    pub fn samples(&self, now: i64, load: f64) -> Vec<Sample> {
        let usage = load / f64::from(self.ready(now).max(1));
        let sample = |ready_at: &i64| match *ready_at + METRIC_WINDOW <= now {
            true => Sample::Usage(usage),
            false => Sample::Unready,
        };
        self.ready_at.iter().map(sample).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_takes_load_when_it_is_ready_and_is_measured_a_window_later() {
        let mut fleet = Fleet::new(2, 0, 90);
        fleet.scale(3, 0);
        assert_eq!((fleet.size(), fleet.ready(89), fleet.ready(90)), (3, 2, 3));
        let usages = |now| {
            let samples = fleet.samples(now, 6.0).into_iter();
            samples
                .filter(|sample| *sample != Sample::Unready)
                .collect::<Vec<_>>()
        };
        assert_eq!(usages(89), [Sample::Usage(3.0); 2]);
        assert_eq!(usages(104), [Sample::Usage(2.0); 2]);
        assert_eq!(usages(105), [Sample::Usage(2.0); 3]);
    }

    #[test]
    fn the_youngest_go_first() {
        let mut fleet = Fleet::new(2, 0, 90);
        fleet.scale(4, 0);
        fleet.scale(2, 15);
        assert_eq!(fleet.ready(15), 2);
    }
}
