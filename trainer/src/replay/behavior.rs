//! How fast the number of pods may move: stabilisation windows and rate policies, as `spec.behavior` has them.

use std::collections::VecDeque;

/// What one direction allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Direction {
    /// Seconds over which the least change of the past recommendations counts.
    pub stabilization: i64,
    /// The one that allows the largest change counts (`selectPolicy: Max`).
    pub policies: Vec<Rate>,
}

/// At most so much change within a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// So many pods.
    Pods(u32, Period),
    /// So many percent of the pods at the beginning of the period.
    Percent(u32, Period),
}

/// Seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(pub i64);

/// Both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behavior {
    /// Up.
    pub up: Direction,
    /// Down.
    pub down: Direction,
}

impl Default for Behavior {
    /// Kubernetes' own: up at once, by 100 % or 4 pods in 15 s, whichever is more; down after 300 s, by 100 % in 15 s.
    fn default() -> Self {
        let period = Period(15);
        Self {
            up: Direction {
                stabilization: 0,
                policies: vec![Rate::Percent(100, period), Rate::Pods(4, period)],
            },
            down: Direction {
                stabilization: 300,
                policies: vec![Rate::Percent(100, period)],
            },
        }
    }
}

/// What has been recommended and done.
#[derive(Debug, Clone, Default)]
pub struct Past {
    recommendations: VecDeque<(i64, u32)>,
    ups: VecDeque<(i64, u32)>,
    downs: VecDeque<(i64, u32)>,
}

impl Behavior {
    /// What a recommendation of `desired` pods at `now` comes to, where there are `current`; `past` learns of both.
    pub fn limit(
        &self,
        past: &mut Past,
        now: i64,
        current: u32,
        desired: u32,
        min: u32,
        max: u32,
    ) -> u32 {
        let stabilized = self.stabilize(past, now, current, desired);
        let limited = self.rate(past, now, current, stabilized, min, max);
        past.keep(now, current, limited);
        limited
    }

    /// Up to the least that was recommended within the window of going up, down to the most within that of going down.
    fn stabilize(&self, past: &mut Past, now: i64, current: u32, desired: u32) -> u32 {
        let since = |window: i64| {
            let recent = past.recommendations.iter();
            recent
                .filter(move |(at, _)| *at > now - window)
                .map(|(_, pods)| *pods)
        };
        let up = since(self.up.stabilization).fold(desired, u32::min);
        let down = since(self.down.stabilization).fold(desired, u32::max);
        let longest = self.up.stabilization.max(self.down.stabilization);
        past.recommendations.push_back((now, desired));
        past.recommendations.retain(|(at, _)| *at > now - longest);
        current.max(up).min(down)
    }

    fn rate(&self, past: &Past, now: i64, current: u32, desired: u32, min: u32, max: u32) -> u32 {
        if desired > current {
            let most = self.up.policies.iter().map(|rate| {
                let begun = past.at_period_start(now, current, rate.period());
                match rate {
                    Rate::Pods(pods, _) => begun.saturating_add(*pods),
                    Rate::Percent(percent, _) => {
                        (f64::from(begun) * (1.0 + f64::from(*percent) / 100.0)).ceil() as u32
                    }
                }
            });
            let most = most.max().unwrap_or(current).max(current);
            desired.min(most.min(max))
        } else if desired < current {
            let least = self.down.policies.iter().map(|rate| {
                let begun = past.at_period_start(now, current, rate.period());
                match rate {
                    Rate::Pods(pods, _) => begun.saturating_sub(*pods),
                    Rate::Percent(percent, _) => {
                        (f64::from(begun) * (1.0 - f64::from(*percent) / 100.0)).max(0.0) as u32
                    }
                }
            });
            let least = least.min().unwrap_or(current).min(current);
            desired.max(least.max(min))
        } else {
            desired
        }
    }
}

impl Rate {
    fn period(self) -> i64 {
        match self {
            Self::Pods(_, Period(seconds)) | Self::Percent(_, Period(seconds)) => seconds,
        }
    }
}

impl Past {
    /// The pods there were before the changes of the last `period` seconds.
    fn at_period_start(&self, now: i64, current: u32, period: i64) -> u32 {
        let within = |events: &VecDeque<(i64, u32)>| {
            let recent = events.iter().filter(|(at, _)| *at > now - period);
            recent.map(|(_, pods)| *pods).sum::<u32>()
        };
        (current + within(&self.downs)).saturating_sub(within(&self.ups))
    }

    fn keep(&mut self, now: i64, before: u32, after: u32) {
        /// The longest period that the API accepts.
        const LONGEST_PERIOD: i64 = 1_800;
        if after > before {
            self.ups.push_back((now, after - before));
        } else if after < before {
            self.downs.push_back((now, before - after));
        }
        for events in [&mut self.ups, &mut self.downs] {
            events.retain(|(at, _)| *at > now - LONGEST_PERIOD);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recommends in turn, each 15 s after the one before; what came of each.
    fn walk(behavior: &Behavior, mut current: u32, recommended: &[u32], max: u32) -> Vec<u32> {
        let mut past = Past::default();
        let mut steps = Vec::new();
        for (i, desired) in recommended.iter().enumerate() {
            let now = 1_000 + 15 * i as i64;
            current = behavior.limit(&mut past, now, current, *desired, 1, max);
            steps.push(current);
        }
        steps
    }

    #[test]
    fn up_goes_by_four_pods_or_doubles_every_period() {
        let up = walk(&Behavior::default(), 1, &[100; 6], 100);
        assert_eq!(up, [5, 10, 20, 40, 80, 100]);
        assert_eq!(walk(&Behavior::default(), 1, &[100; 3], 8), [5, 8, 8]);
    }

    #[test]
    fn down_waits_until_nothing_higher_was_recommended_for_five_minutes() {
        let mut recommended = vec![10, 9];
        recommended.extend([2; 22]);
        let down = walk(&Behavior::default(), 10, &recommended, 100);
        // The recommendation of 10 is at 0 s, that of 9 at 15 s: they count for 300 s.
        assert_eq!(down[19], 10);
        assert_eq!(down[20], 9);
        assert_eq!(down[21], 2);
    }

    #[test]
    fn a_dip_inside_the_window_is_ridden_out() {
        let mut recommended = vec![10; 4];
        recommended.extend([3; 10]);
        recommended.extend([10; 4]);
        assert!(
            walk(&Behavior::default(), 10, &recommended, 100)
                .iter()
                .all(|pods| *pods == 10)
        );
    }

    #[test]
    fn policies_of_the_documentation_s_example_limit_as_it_says() {
        // "scaleDown: 4 Pods in 60 s, 10 % in 60 s": of 80 pods 8 go in the first minute, 72 stay; below 40 pods it is 4.
        let behavior = Behavior {
            down: Direction {
                stabilization: 0,
                policies: vec![Rate::Pods(4, Period(60)), Rate::Percent(10, Period(60))],
            },
            ..Behavior::default()
        };
        let down = walk(&behavior, 80, &[10; 9], 100);
        assert_eq!(down, [72, 72, 72, 72, 64, 64, 64, 64, 57]);
        assert_eq!(walk(&behavior, 30, &[10; 5], 100), [26, 26, 26, 26, 22]);
    }

    #[test]
    fn a_window_of_going_up_takes_the_least_of_it() {
        let behavior = Behavior {
            up: Direction {
                stabilization: 60,
                ..Behavior::default().up
            },
            ..Behavior::default()
        };
        assert_eq!(
            walk(&behavior, 5, &[5, 9, 9, 9, 9, 9], 100),
            [5, 5, 5, 5, 9, 9]
        );
    }
}
