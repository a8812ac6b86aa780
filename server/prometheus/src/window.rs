//! Windows of time on a grid, and the chunks that they are asked for in.

/// Instants `from`, `from + step`, ... before `until`, in seconds since 1970. On the grid of the epoch, so that whoever asks
/// again asks for the same instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first instant; a multiple of the step.
    pub from: i64,
    /// The end, which is not in it; a multiple of the step.
    pub until: i64,
    /// Seconds from one instant to the next; at least 1.
    pub step: i64,
}

impl Window {
    /// The instants of the grid of `step` in `from..until`; none where there is none.
    #[must_use]
    pub fn new(from: i64, until: i64, step: i64) -> Self {
        let step = step.max(1);
        let up = |instant: i64| (instant + step - 1).div_euclid(step) * step;
        let (from, until) = (up(from), up(until));
        Self {
            from,
            until: until.max(from),
            step,
        }
    }

    /// How many instants there are.
    #[must_use]
    pub fn points(&self) -> usize {
        usize::try_from((self.until - self.from) / self.step).unwrap_or(0)
    }

    /// Whether there is no instant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points() == 0
    }

    /// The last instant.
    #[must_use]
    pub fn last(&self) -> i64 {
        self.until - self.step
    }

    /// The last instant alone.
    #[must_use]
    pub fn last_point(self) -> Self {
        Self {
            from: self.last().max(self.from),
            ..self
        }
    }

    /// The window in pieces of at most `points` instants, that end where a multiple of `points` steps since 1970 does: the
    /// pieces of a longer window are those of a shorter one, wherever they overlap.
    pub fn chunks(self, points: usize) -> impl Iterator<Item = Self> {
        let length = i64::try_from(points.max(1))
            .unwrap_or(i64::MAX)
            .saturating_mul(self.step);
        let mut from = self.from;
        std::iter::from_fn(move || {
            if from >= self.until {
                return None;
            }
            let end = from
                .div_euclid(length)
                .saturating_add(1)
                .saturating_mul(length);
            let chunk = Self {
                from,
                until: end.min(self.until),
                step: self.step,
            };
            from = chunk.until;
            Some(chunk)
        })
    }

    /// Both halves; `None` of a single instant.
    #[must_use]
    pub fn halves(self) -> Option<(Self, Self)> {
        let points = i64::try_from(self.points()).ok().filter(|n| *n > 1)?;
        let middle = self.from + points / 2 * self.step;
        Some((
            Self {
                until: middle,
                ..self
            },
            Self {
                from: middle,
                ..self
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_a_window_once_and_are_bounded() {
        for (from, until, step, points) in [
            (7, 100_003, 60, 11),
            (0, 86_400, 300, 10_000),
            (-500, 500, 7, 1),
            (5, 5, 60, 3),
        ] {
            let window = Window::new(from, until, step);
            let mut at = window.from;
            for chunk in window.chunks(points) {
                assert_eq!(chunk.from, at, "no hole and no overlap");
                assert!(!chunk.is_empty() && chunk.points() <= points);
                at = chunk.until;
            }
            assert_eq!(at, window.until);
        }
    }

    #[test]
    fn chunks_of_a_longer_window_are_those_of_a_shorter_one() {
        let all: Vec<Window> = Window::new(0, 100_000, 10).chunks(100).collect();
        let later: Vec<Window> = Window::new(4_321, 100_000, 10).chunks(100).collect();
        assert_eq!(all[all.len() - later.len() + 1..], later[1..]);
    }

    #[test]
    fn halves_are_the_whole_and_a_point_has_none() {
        let window = Window::new(0, 70, 10);
        let (first, second) = window.halves().unwrap();
        assert_eq!((first.from, first.until), (window.from, second.from));
        assert_eq!((second.until, first.points()), (window.until, 3));
        assert_eq!(Window::new(0, 10, 10).halves(), None);
        assert_eq!(window.last_point(), Window::new(60, 70, 10));
    }
}
