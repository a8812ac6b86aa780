//! The kinds of workload that can be made: their sizes and the shape of their days and weeks.

use crate::time::DAY;

/// A kind of workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Workload {
    /// People use it: busy afternoons and evenings, quiet nights, half the load at weekends.
    Web,
    /// Jobs by the clock: long peaks at night and a short one every six hours.
    Batch,
    /// Machines use it: hardly any shape, slow growth.
    Steady,
}

/// Whether the UTC day of `instant` is a Saturday or Sunday.
pub(super) fn is_weekend(instant: i64) -> bool {
    // 1970-01-01 was a Thursday, so day 2 was a Saturday.
    matches!(instant.div_euclid(DAY).rem_euclid(7), 2 | 3)
}

/// A hill of height one around `centre`, in hours of a day that wraps around.
fn hill(hour: f64, centre: f64, width: f64) -> f64 {
    let apart = (hour - centre + 12.0).rem_euclid(24.0) - 12.0;
    (-0.5 * (apart / width).powi(2)).exp()
}

impl Workload {
    /// Cores at a demand of one.
    pub(super) fn cores(self) -> f64 {
        match self {
            Self::Web => 6.0,
            Self::Batch => 12.0,
            Self::Steady => 3.0,
        }
    }

    /// Resident bytes of a fresh process.
    pub(super) fn bytes(self) -> f64 {
        const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
        match self {
            Self::Web => 4.0 * GIB,
            Self::Batch => 9.0 * GIB,
            Self::Steady => 1.5 * GIB,
        }
    }

    /// Growth of demand a day, as a share.
    pub(super) fn growth_per_day(self) -> f64 {
        match self {
            Self::Web => 0.005,
            Self::Batch => 0.002,
            Self::Steady => 0.001,
        }
    }

    /// Memory leaked a day, as a share of the fresh process.
    pub(super) fn leak_per_day(self) -> f64 {
        match self {
            Self::Web => 0.05,
            Self::Batch => 0.02,
            Self::Steady => 0.03,
        }
    }

    /// Demand at an instant, about one at the busiest time of a working day.
    pub(super) fn demand(self, instant: i64) -> f64 {
        let hour = instant.rem_euclid(DAY) as f64 / 3600.0;
        let weekend = is_weekend(instant);
        match self {
            Self::Web if weekend => {
                0.22 + 0.18 * hill(hour, 13.0, 3.5) + 0.25 * hill(hour, 20.0, 2.5)
            }
            Self::Web => {
                0.22 + 0.5 * hill(hour, 10.5, 2.2)
                    + 0.62 * hill(hour, 15.5, 2.4)
                    + 0.3 * hill(hour, 20.0, 2.0)
            }
            Self::Batch => {
                let night = hill(hour, 2.5, 1.2) * if weekend { 0.6 } else { 0.9 };
                let short = hill(hour.rem_euclid(6.0) + 9.0, 12.5, 0.3);
                0.12 + night + 0.25 * short
            }
            Self::Steady => 0.8 + 0.06 * hill(hour, 14.0, 4.0) - if weekend { 0.03 } else { 0.0 },
        }
    }
}
