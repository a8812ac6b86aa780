//! The Horizontal Pod Autoscaler: what its metrics ask for, the largest of it, within bounds and behavior.

use super::behavior::{Behavior, Past};
use super::calculator::{external_replicas, usage_replicas};
use super::fleet::Fleet;

/// The autoscaler's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct HpaSettings {
    /// Seconds between two syncs; Kubernetes' default is 15.
    pub sync_period: i64,
    /// How far from the target nothing is done; Kubernetes' default is 0.1.
    pub tolerance: f64,
    /// `minReplicas`; at least 1.
    pub min: u32,
    /// `maxReplicas`.
    pub max: u32,
    /// Stabilisation and rates.
    pub behavior: Behavior,
}

impl HpaSettings {
    /// Kubernetes' defaults within these replicas.
    #[must_use]
    pub fn kubernetes(min: u32, max: u32) -> Self {
        Self {
            sync_period: 15,
            tolerance: 0.1,
            min,
            max,
            behavior: Behavior::default(),
        }
    }
}

/// The controller of one workload.
#[derive(Debug, Clone)]
pub struct Hpa {
    settings: HpaSettings,
    past: Past,
}

impl Hpa {
    /// One that has seen nothing.
    pub fn new(settings: HpaSettings) -> Self {
        Self {
            settings,
            past: Past::default(),
        }
    }

    /// What the pods' own usage asks for; `None` while no pod has a metric.
    pub fn by_usage(&self, fleet: &Fleet, now: i64, load: f64, target: f64) -> Option<u32> {
        let samples = fleet.samples(now, load);
        usage_replicas(fleet.size(), &samples, target, self.settings.tolerance)
    }

    /// What an external metric's total asks for.
    pub fn by_total(&self, current: u32, total: f64, target: f64) -> u32 {
        external_replicas(current, total, target, self.settings.tolerance)
    }

    /// The pods to have after the sync at `now`, where there are `current` and each metric asks for what `asked` holds;
    /// `None` is a metric that is not there. The largest counts; while a metric is missing nothing is scaled down.
    pub fn sync(&mut self, now: i64, current: u32, asked: &[Option<u32>]) -> u32 {
        let HpaSettings { min, max, .. } = self.settings;
        if current > max {
            return max;
        }
        if current < min {
            return min;
        }
        let Some(largest) = asked.iter().flatten().copied().max() else {
            return current;
        };
        if asked.contains(&None) && largest < current {
            return current;
        }
        let desired = self
            .settings
            .behavior
            .limit(&mut self.past, now, current, largest, min, max);
        desired.clamp(min, max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hpa() -> Hpa {
        Hpa::new(HpaSettings {
            sync_period: 15,
            tolerance: 0.1,
            min: 2,
            max: 20,
            behavior: Behavior::default(),
        })
    }

    #[test]
    fn the_largest_metric_counts_and_a_missing_one_holds_the_rest_up() {
        for (current, asked, expected) in [
            (5, vec![Some(6), Some(8)], 8),
            (5, vec![Some(8), None], 8),
            (5, vec![Some(3), None], 5),
            (5, vec![None, None], 5),
            (5, vec![Some(3), Some(4)], 4),
            (5, vec![Some(0)], 2),
            (15, vec![Some(90)], 20),
            (30, vec![Some(25)], 20),
            (1, vec![Some(9)], 2),
        ] {
            assert_eq!(
                hpa().sync(0, current, &asked),
                expected,
                "{current} {asked:?}"
            );
        }
    }
}
