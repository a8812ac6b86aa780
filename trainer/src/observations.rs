//! Timed values and the plain questions asked of them: order, repeats, cadence, gaps.

use crate::time::DAY;

/// Steps that exporters use. A measured cadence within a twentieth of one is taken to be it.
const USUAL_STEPS: [i64; 24] = [
    1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800,
    14_400, 21_600, 28_800, 43_200, DAY,
];

/// One row: where it stands in the file, when it was observed, and what; `None` is missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Observation {
    pub(crate) line: u32,
    pub(crate) instant: i64,
    pub(crate) value: Option<f64>,
}

/// Two rows of one time with different values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Conflict {
    pub(crate) first: Observation,
    pub(crate) second: Observation,
}

/// A stretch of time without observations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The last observation before it.
    pub(crate) after: i64,
    /// What is missing: from one step after that to the next observation.
    pub(crate) seconds: i64,
}

/// Puts rows in the order of their times; returns how many were later than one that follows them.
pub(crate) fn sort(rows: &mut [Observation]) -> usize {
    let late = rows
        .windows(2)
        .filter(|pair| pair[0].instant > pair[1].instant)
        .count();
    rows.sort_by_key(|row| row.instant);
    late
}

/// Keeps one row of each time, given rows in order; returns how many were left out. A value wins
/// over a missing one; two different values are a conflict that nobody here can settle.
pub(crate) fn deduplicate(rows: &mut Vec<Observation>) -> Result<usize, Conflict> {
    let before = rows.len();
    let mut kept: Vec<Observation> = Vec::with_capacity(before);
    for &row in rows.iter() {
        match kept.last_mut() {
            Some(last) if last.instant == row.instant => match (last.value, row.value) {
                (Some(a), Some(b)) if a != b => {
                    return Err(Conflict {
                        first: *last,
                        second: row,
                    });
                }
                (None, Some(_)) => *last = row,
                _ => {}
            },
            _ => kept.push(row),
        }
    }
    *rows = kept;
    Ok(before - rows.len())
}

/// The median spacing of ordered, distinct times, or the usual step it is all but equal to.
/// `None` when there are fewer than two.
pub(crate) fn cadence(instants: &[i64]) -> Option<i64> {
    let mut spacings: Vec<i64> = instants.windows(2).map(|pair| pair[1] - pair[0]).collect();
    spacings.sort_unstable();
    let median = *spacings.get(spacings.len() / 2)?;
    let near = |step: &&i64| (median - **step).abs() * 20 <= **step;
    let usual = USUAL_STEPS
        .iter()
        .min_by_key(|step| (median - **step).abs());
    Some(usual.filter(near).copied().unwrap_or(median))
}

/// The stretches of ordered times in which at least one whole step has no observation.
pub(crate) fn gaps(instants: &[i64], step: i64) -> Vec<Gap> {
    let gap = |pair: &[i64]| Gap {
        after: pair[0],
        seconds: pair[1] - pair[0] - step,
    };
    // Half a step of tolerance: scrapes jitter.
    let pairs = instants
        .windows(2)
        .filter(|pair| 2 * (pair[1] - pair[0]) > 3 * step);
    pairs.map(gap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: u32, instant: i64, value: Option<f64>) -> Observation {
        Observation {
            line,
            instant,
            value,
        }
    }

    #[test]
    fn repeats_go_and_conflicts_stay_to_be_told() {
        let mut rows = vec![
            row(2, 0, Some(1.0)),
            row(3, 0, Some(1.0)),
            row(4, 5, None),
            row(5, 5, Some(2.0)),
        ];
        assert_eq!(deduplicate(&mut rows), Ok(2));
        assert_eq!(rows, [row(2, 0, Some(1.0)), row(5, 5, Some(2.0))]);
        let mut rows = vec![row(2, 0, Some(1.0)), row(3, 0, Some(2.0))];
        let conflict = deduplicate(&mut rows).unwrap_err();
        assert_eq!((conflict.first.line, conflict.second.line), (2, 3));
    }

    #[test]
    fn cadence_is_the_median_and_forgives_jitter() {
        assert_eq!(cadence(&[0, 299, 601, 900, 4000]), Some(300));
        assert_eq!(cadence(&[0, 420, 840]), Some(420));
        assert_eq!(cadence(&[7]), None);
    }

    #[test]
    fn a_gap_is_a_whole_missing_step() {
        assert_eq!(
            gaps(&[0, 60, 130, 180, 300], 60),
            [Gap {
                after: 180,
                seconds: 60
            }]
        );
    }
}
