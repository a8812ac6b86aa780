//! How many pods a metric asks for, as the Kubernetes documentation describes it ("Algorithm details" of Horizontal Pod
//! Autoscaling) and the controller's replica calculator does it.

/// What the autoscaler knows of a pod.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sample {
    /// Ready, and its usage is known.
    Usage(f64),
    /// Not ready yet, or no whole metric window has passed since it became so: its usage is set aside.
    Unready,
    /// Ready, but its metric is missing.
    Missing,
}

/// Values are whole numbers of so many to a target, as Kubernetes counts in whole thousandths: ten pods' worth must not
/// become a hair more than ten.
const UNITS: u64 = 1_000_000;

/// The pods that a resource metric with a target per pod (AverageValue) asks for: `ceil(ready * usage / target)`, where
/// usage is the mean over the ready pods.
///
/// Within `tolerance` of the target nothing changes. Scaling up, pods that are not ready count as using nothing, missing
/// ones too; scaling down, missing ones count as using the target. When that turns the direction around, or brings the
/// ratio within the tolerance, nothing changes either. `None` where no pod has a usage.
pub fn usage_replicas(current: u32, pods: &[Sample], target: f64, tolerance: f64) -> Option<u32> {
    let count = |sample: Sample| pods.iter().filter(|pod| **pod == sample).count() as u64;
    let usages: Vec<u64> = pods
        .iter()
        .filter_map(|pod| match pod {
            Sample::Usage(usage) => Some(units(*usage, target)),
            _ => None,
        })
        .collect();
    if usages.is_empty() {
        return None;
    }
    let (total, measured) = (usages.iter().sum::<u64>(), usages.len() as u64);
    let mean = total / measured;
    let (unready, missing) = (count(Sample::Unready), count(Sample::Missing));
    let unready = if mean > UNITS { unready } else { 0 };
    if unready == 0 && missing == 0 {
        return Some(match within(mean, 1, tolerance) {
            true => current,
            false => pods_for(mean * measured),
        });
    }
    let assumed = if mean < UNITS { missing * UNITS } else { 0 };
    let pods = measured + unready + missing;
    let again = (total + assumed) / pods;
    let turned = (mean < UNITS && again > UNITS) || (mean > UNITS && again < UNITS);
    if within(again, 1, tolerance) || turned {
        return Some(current);
    }
    let asked = pods_for(again * pods);
    let against = (again < UNITS && asked > current) || (again > UNITS && asked < current);
    Some(if against { current } else { asked })
}

/// The pods that an external metric with a target per pod (AverageValue) asks for: `ceil(total / target)`, unless what
/// there is carries it within `tolerance`. Readiness plays no part.
pub fn external_replicas(current: u32, total: f64, target: f64, tolerance: f64) -> u32 {
    let total = units(total, target);
    match within(total, u64::from(current), tolerance) {
        true => current,
        false => pods_for(total),
    }
}

/// Whether `used` by so many pods is near enough to their target.
fn within(used: u64, pods: u64, tolerance: f64) -> bool {
    let ratio = used as f64 / (UNITS * pods) as f64;
    pods > 0 && (1.0 - tolerance..=1.0 + tolerance).contains(&ratio)
}

fn units(value: f64, target: f64) -> u64 {
    // Saturates: what is negative or no number is 0.
    (value / target * UNITS as f64).round() as u64
}

fn pods_for(used: u64) -> u32 {
    u32::try_from(used.div_ceil(UNITS)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::Sample::{Missing, Unready, Usage};
    use super::*;

    fn pods(usage: f64, ready: usize, unready: usize, missing: usize) -> Vec<Sample> {
        let mut pods = vec![Usage(usage); ready];
        pods.extend(vec![Unready; unready]);
        pods.extend(vec![Missing; missing]);
        pods
    }

    #[test]
    fn usage_asks_for_what_the_documentation_says() {
        // current, usage of each ready pod, ready, not ready, missing, target, asked
        let cases = [
            // "if the current metric value is 200m, and the desired value is 100m, the number of replicas will be doubled"
            (3, 0.2, 3, 0, 0, 0.1, 6),
            // "if the current value is instead 50m, you'll halve the number of replicas"
            (4, 0.05, 4, 0, 0, 0.1, 2),
            // The ratio is rounded up.
            (3, 0.05, 3, 0, 0, 0.1, 2),
            // "skips any scaling action if the ratio is sufficiently close to 1.0", within 0.1.
            (10, 0.11, 10, 0, 0, 0.1, 10),
            (10, 0.1101, 10, 0, 0, 0.1, 12),
            (10, 0.09, 10, 0, 0, 0.1, 10),
            (10, 0.0899, 10, 0, 0, 0.1, 9),
            // Up: "not-yet-ready pods are consuming 0%": 4 * 2 of 6 pods is a ratio of 1.33, 8 pods.
            (6, 0.2, 4, 2, 0, 0.1, 8),
            // That dampens into the tolerance: 11 of 10 pods.
            (10, 0.11 * 10.0 / 8.0, 8, 2, 0, 0.1, 10),
            // That would turn the direction: 5 of 10 pods, and not less.
            (10, 0.125, 4, 6, 0, 0.1, 10),
            // Down: not-yet-ready pods are set aside.
            (6, 0.05, 4, 2, 0, 0.1, 2),
            // Up: missing metrics are 0 %: 8 of 6 pods.
            (6, 0.2, 4, 0, 2, 0.1, 8),
            // Down: missing metrics are 100 % of the target: 2 + 2 of 6 pods.
            (6, 0.05, 4, 0, 2, 0.1, 4),
            // Both.
            (8, 0.3, 4, 2, 2, 0.1, 12),
        ];
        for case @ (current, usage, ready, unready, missing, target, asked) in cases {
            let pods = pods(usage, ready, unready, missing);
            assert_eq!(
                usage_replicas(current, &pods, target, 0.1),
                Some(asked),
                "{case:?}"
            );
        }
        assert_eq!(usage_replicas(3, &pods(0.0, 0, 2, 1), 0.1, 0.1), None);
    }

    #[test]
    fn a_total_asks_for_its_share_per_pod() {
        for (current, total, target, asked) in [
            (4, 10.0, 1.0, 10),
            (4, 10.1, 1.0, 11),
            (10, 11.0, 1.0, 10),
            (10, 11.1, 1.0, 12),
            (10, 9.0, 1.0, 10),
            (10, 8.9, 1.0, 9),
            (0, 0.5, 1.0, 1),
            (0, 0.0, 1.0, 0),
            (5, 0.0, 1.0, 0),
        ] {
            assert_eq!(
                external_replicas(current, total, target, 0.1),
                asked,
                "{current} {total}"
            );
        }
    }
}
