//! The fleet brake: when much of a fleet would move at once, the cause is rarely the fleet.
//!
//! A unit that changed at the source, a metric that lost its labels, a step in the pipeline: each gives models that pass
//! their gates one by one, and together would scale everything. So before anything is promoted all moves are looked at; if
//! too many are too large, nothing is promoted and a human is asked.

use serde::Serialize;

use crate::stage::validate_model::Reason;

/// The code of what the brake holds back.
pub const BRAKED: &str = "FLEET_BRAKE";

/// When promotions stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Brake {
    /// More than this share of the series, 0 to 1,
    pub share: f64,
    /// would move by more than this, relative to what is served: 0.5 is by half.
    pub change: f64,
}

impl Default for Brake {
    fn default() -> Self {
        Self {
            share: 0.2,
            change: 0.5,
        }
    }
}

/// The series that would move too far, when they are too many.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stopped {
    /// Those that would move by more than the set change, the farthest first.
    pub moved: Vec<String>,
    /// Of how many whose move is known, or of the fleet they are of.
    pub compared: usize,
    /// `moved` in `compared`.
    pub share: f64,
}

/// The fewest series that are a fleet event: one that moves alone is its own gates' affair.
const LEAST_MOVED: usize = 2;

impl Brake {
    /// Whether promotions stop, given the series that would be promoted and by how much, relative to what is served, each
    /// would move; a move that is not known, as of a series that is new, counts neither way. They are a share of `fleet`
    /// series, where that is more than are compared.
    #[must_use]
    pub fn judge<'a>(
        &self,
        moves: impl IntoIterator<Item = (&'a str, Option<f64>)>,
        fleet: usize,
    ) -> Option<Stopped> {
        let known = moves.into_iter();
        let known = known.filter_map(|(series, by)| Some((series, by?)));
        let mut moves: Vec<(&str, f64)> = known.collect();
        let compared = moves.len().max(fleet);
        moves.retain(|(_, by)| *by > self.change);
        moves.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        let share = moves.len() as f64 / compared.max(1) as f64;
        (moves.len() >= LEAST_MOVED && share > self.share).then(|| Stopped {
            moved: moves
                .iter()
                .map(|(series, _)| (*series).to_owned())
                .collect(),
            compared,
            share,
        })
    }
}

/// The reason of a model that is held back, because of what the brake `said`.
#[must_use]
pub fn braked(said: String) -> Reason {
    Reason {
        code: BRAKED.into(),
        message: said,
    }
}

impl Stopped {
    /// What happened, in a sentence.
    #[must_use]
    pub fn message(&self, brake: &Brake) -> String {
        const NAMED: usize = 5;
        let named = &self.moved[..self.moved.len().min(NAMED)];
        let others = match self.moved.len() - named.len() {
            0 => String::new(),
            others => format!(" and {others} others"),
        };
        format!(
            "promotions stopped: {} of {} series ({:.0} %) would move by more than {:.0} %: {}{others}; more than {:.0} % must not",
            self.moved.len(),
            self.compared,
            100.0 * self.share,
            100.0 * brake.change,
            named.join(", "),
            100.0 * brake.share
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped(moves: &[Option<f64>], share: f64, change: f64) -> Option<usize> {
        let names: Vec<String> = (0..moves.len()).map(|i| format!("s{i}")).collect();
        let moves = names.iter().map(String::as_str).zip(moves.iter().copied());
        let stopped = Brake { share, change }.judge(moves, 0);
        stopped.map(|stopped| stopped.moved.len())
    }

    #[test]
    fn promotions_stop_when_more_than_the_share_moves_by_more_than_the_change() {
        let moves = [Some(0.6), Some(0.7), Some(0.1), Some(0.0), Some(0.5)];
        assert_eq!(stopped(&moves, 0.3, 0.5), Some(2));
        assert_eq!(stopped(&moves, 0.4, 0.5), None);
        assert_eq!(stopped(&moves, 0.3, 0.65), None);
        assert_eq!(stopped(&moves, 0.4, 0.4), Some(3));
        assert_eq!(stopped(&[], 0.0, 0.0), None);
    }

    #[test]
    fn one_series_alone_and_series_that_are_new_stop_nothing() {
        assert_eq!(stopped(&[Some(9.0)], 0.0, 0.5), None);
        assert_eq!(stopped(&[None, None, None], 0.0, 0.0), None);
        assert_eq!(
            stopped(&[Some(9.0), Some(9.0), None, None], 0.9, 0.5),
            Some(2)
        );
    }

    #[test]
    fn the_few_that_drifted_are_a_share_of_their_fleet() {
        let moves = || [("a", Some(0.9)), ("b", Some(0.9))];
        let brake = Brake::default();
        assert!(brake.judge(moves(), 0).is_some());
        assert!(brake.judge(moves(), 100).is_none());
        assert!(
            brake
                .judge(moves(), 5)
                .is_some_and(|stopped| stopped.share > 0.39)
        );
    }

    #[test]
    fn the_message_names_the_share_and_the_farthest() {
        let brake = Brake::default();
        let moves = (0..8).map(|i| (NAMES[i], Some(1.0 + i as f64)));
        let message = brake.judge(moves, 0).unwrap().message(&brake);
        assert!(message.contains("8 of 8 series (100 %)"), "{message}");
        assert!(
            message.contains("by more than 50 %: h, g, f, e, d and 3 others"),
            "{message}"
        );
    }

    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
}
