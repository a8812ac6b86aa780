//! The original's arithmetic: what a model's number means, and what becomes of it.

use loadcast_model::series::{Series, Unit};
use serde::Serialize;

use crate::{
    answer::Answer,
    error::{Error, Result},
};

/// What a workload uses, never below zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    pub(super) cores: f64,
    /// 10^9 bytes, percent where that is asked for, or whatever a model without a unit counts in.
    pub(super) gigabytes: f64,
    /// Whether a model said less than nothing.
    pub(super) was_negative: bool,
    /// The lower of both models' skills against the seasonal naive; `None` where a backtest is missing.
    pub(super) skill: Option<f64>,
}

/// Shares of a prediction that become request and limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shares {
    request: f64,
    limit: f64,
}

impl Shares {
    /// Of a day and a week.
    pub(super) const DAY: Self = Self {
        request: 0.8,
        limit: 1.2,
    };
    /// Of a month.
    pub(super) const MONTH: Self = Self {
        request: 0.7,
        limit: 1.5,
    };
}

/// Requests and limits as Kubernetes writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Quantities {
    cpu: Quantity,
    memory: Quantity,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Quantity {
    request: String,
    limit: String,
}

impl Usage {
    /// What the two answers say of their first point; memory in one of the units `of_memory`.
    ///
    /// # Errors
    /// [`Error::Gated`] for a series that declares another unit: what it counts is neither CPU nor memory.
    pub(super) fn of(cpu: &Answer, memory: &Answer, of_memory: &[Unit]) -> Result<Self> {
        let first = |answer: &Answer| {
            let first = answer.forecast.yhat.first().copied();
            let first = first.filter(|value| value.is_finite());
            first.ok_or_else(|| Error::Internal("an answer without a number".to_owned()))
        };
        let (cores, gigabytes) = (first(cpu)?, first(memory)?);
        let skill = |answer: &Answer| answer.served.loaded.metadata().scores.as_ref()?.skill;
        let unit_of_cpu = unit(series(cpu), CPU, "a CPU series")?;
        let unit_of_memory = unit(series(memory), of_memory, "a memory series")?;
        Ok(Self {
            cores: self::cores(cores, unit_of_cpu).max(0.0),
            gigabytes: self::gigabytes(gigabytes, unit_of_memory).max(0.0),
            was_negative: cores < 0.0 || gigabytes < 0.0,
            skill: skill(cpu).zip(skill(memory)).map(|(a, b)| a.min(b)),
        })
    }

    /// Of one or more.
    pub(super) fn mean(all: &[Self]) -> Self {
        let count = all.len().max(1) as f64;
        let mean = |of: fn(&Self) -> f64| all.iter().map(of).sum::<f64>() / count;
        Self {
            cores: mean(|usage| usage.cores),
            gigabytes: mean(|usage| usage.gigabytes),
            was_negative: all.iter().any(|usage| usage.was_negative),
            skill: all.first().and_then(|usage| usage.skill),
        }
    }

    pub(super) fn quantities(self, shares: Shares) -> Quantities {
        let quantity = |of: f64, per_unit: f64, suffix: &str| Quantity {
            request: format!("{:.0}{suffix}", (of * shares.request * per_unit).trunc()),
            limit: format!("{:.0}{suffix}", (of * shares.limit * per_unit).trunc()),
        };
        Quantities {
            cpu: quantity(self.cores, 1_000.0, "m"),
            memory: quantity(self.gigabytes, 1_024.0, "Mi"),
        }
    }
}

/// What a CPU series may be in.
const CPU: &[Unit] = &[Unit::Cores, Unit::Percent];
/// What a memory series may be in.
pub(super) const BYTES: &[Unit] = &[Unit::Bytes];
/// And where `memory_percent` is told.
pub(super) const BYTES_OR_PERCENT: &[Unit] = &[Unit::Bytes, Unit::Percent];

fn series(answer: &Answer) -> &Series {
    &answer.served.loaded.metadata().series
}

/// The unit of `series`, if it declares none or one of `known`.
fn unit(series: &Series, known: &[Unit], what: &str) -> Result<Option<Unit>> {
    let Some(unit) = series.unit.filter(|unit| !known.contains(unit)) else {
        return Ok(series.unit);
    };
    let known: Vec<String> = known
        .iter()
        .map(|it| format!("{:?}", it.as_str()))
        .collect();
    Err(Error::Gated {
        series: series.name.clone(),
        reason: "UNIT",
        why: format!(
            "its unit is {:?}, and {what} is in {} here; train it in that, or configure another series",
            unit.as_str(),
            known.join(" or ")
        ),
    })
}

/// Cores. Without a unit the original's guess: above 1 it is percent.
fn cores(value: f64, unit: Option<Unit>) -> f64 {
    match unit {
        Some(Unit::Percent) => value / 100.0,
        Some(_) => value,
        None if value > 1.0 => value / 100.0,
        None => value,
    }
}

/// Gigabytes. Without a unit the original's guess: above a million it is bytes.
fn gigabytes(value: f64, unit: Option<Unit>) -> f64 {
    match unit {
        Some(Unit::Bytes) => value / 1e9,
        Some(_) => value,
        None if value > 1e6 => value / 1e9,
        None => value,
    }
}

/// To so many decimals, halves of the exact value to even, as Python's round() does.
pub(super) fn rounded(value: f64, decimals: usize) -> f64 {
    format!("{value:.decimals$}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(cores: f64, gigabytes: f64) -> Usage {
        Usage {
            cores,
            gigabytes,
            was_negative: false,
            skill: None,
        }
    }

    #[test]
    fn guesses_are_for_series_without_a_unit_only() {
        for (value, unit, expected) in [
            (45.0, None, 0.45),
            (0.45, None, 0.45),
            (45.0, Some(Unit::Percent), 0.45),
            (0.5, Some(Unit::Percent), 0.005),
            (45.0, Some(Unit::Cores), 45.0),
        ] {
            assert_eq!(cores(value, unit), expected, "{value} {unit:?}");
        }
        for (value, unit, expected) in [
            (2e9, None, 2.0),
            (2.5, None, 2.5),
            (5e5, Some(Unit::Bytes), 0.0005),
            (45.0, Some(Unit::Percent), 45.0),
        ] {
            assert_eq!(gigabytes(value, unit), expected, "{value} {unit:?}");
        }
    }

    #[test]
    fn a_unit_that_is_not_the_resources_is_refused_with_series_unit_and_remedy() {
        let mut series = Series::new("web.x".parse().unwrap());
        for (known, taken) in [
            (CPU, vec![Unit::Cores, Unit::Percent]),
            (BYTES, vec![Unit::Bytes]),
            (BYTES_OR_PERCENT, vec![Unit::Bytes, Unit::Percent]),
        ] {
            series.unit = None;
            assert_eq!(unit(&series, known, "it").unwrap(), None);
            for one in Unit::ALL {
                series.unit = Some(one);
                let read = unit(&series, known, "it");
                if taken.contains(&one) {
                    assert_eq!(read.unwrap(), Some(one));
                    continue;
                }
                let error = read.unwrap_err();
                assert_eq!(error.reason().1, "UNIT");
                let told = error.to_string();
                let named = format!("{:?}", one.as_str());
                assert!(
                    told.contains("web.x") && told.contains(&named) && told.contains("train it"),
                    "{told}"
                );
            }
        }
    }

    #[test]
    fn quantities_are_truncated_shares() {
        let day = usage(0.4321, 1.5).quantities(Shares::DAY);
        assert_eq!(
            (day.cpu.request.as_str(), day.cpu.limit.as_str()),
            ("345m", "518m")
        );
        assert_eq!(
            (day.memory.request.as_str(), day.memory.limit.as_str()),
            ("1228Mi", "1843Mi")
        );
        let month = usage(0.4321, 1.5).quantities(Shares::MONTH);
        assert_eq!(
            (month.cpu.request.as_str(), month.cpu.limit.as_str()),
            ("302m", "648m")
        );
    }

    #[test]
    fn rounding_is_pythons() {
        for (value, decimals, expected) in [
            (0.12345, 4, 0.1235),
            (2.675, 2, 2.67),
            (0.5, 0, 0.0),
            (1e300, 4, 1e300),
        ] {
            assert_eq!(rounded(value, decimals), expected, "{value}");
        }
    }
}
