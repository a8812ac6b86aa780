//! What stands beside the pods' usage: the metric of a season ago, or Loadcast's answer.

use loadcast_model::backtest::Method;
use loadcast_model::live::LiveModel;

use super::{Load, Plan};
use crate::error::{Error, Result};
use crate::time::{DAY, WEEK};

/// The same metric some seasons minus the lead time ago, as few seasons as are over then: the one-line PromQL `offset`.
#[derive(Debug)]
pub(super) struct SeasonalNaive<'a> {
    load: &'a Load,
    season: i64,
    lead: i64,
}

impl<'a> SeasonalNaive<'a> {
    /// Of whole weeks, where the history reaches so far back before `from`, else of whole days.
    pub(super) fn new(load: &'a Load, from: i64, lead: i64) -> Self {
        // The step that is looked up is over before anybody asks.
        let least = lead + load.step();
        let whole = |season: i64| season * ((least + season - 1) / season);
        let week = from - whole(WEEK) >= load.grid().start;
        let season = whole(if week { WEEK } else { DAY });
        Self { load, season, lead }
    }

    pub(super) fn value(&self, now: i64) -> Option<f64> {
        self.load.at(now - self.season + self.lead)
    }

    pub(super) fn season(&self) -> i64 {
        self.season
    }
}

/// A server that answers a trigger, and the trainer that gives it a new model every day.
#[derive(Debug)]
pub(super) struct Loadcast<'a> {
    load: &'a Load,
    plan: &'a Plan,
    model: Option<(i64, LiveModel)>,
    /// The next step that has not been told to the model.
    next: usize,
    /// The last window with its answer: it holds until the window moves.
    answered: Option<(Vec<i64>, f64)>,
    models: usize,
    corrected: usize,
}

impl<'a> Loadcast<'a> {
    pub(super) fn new(load: &'a Load, plan: &'a Plan) -> Self {
        Self {
            load,
            plan,
            model: None,
            next: 0,
            answered: None,
            models: 0,
            corrected: 0,
        }
    }

    /// The demand at `now`, from what was observed before.
    pub(super) fn value(&mut self, now: i64) -> Result<f64> {
        let grid = self.load.grid();
        let day = now.div_euclid(DAY);
        let trained_today = matches!(&self.model, Some((of, _)) if *of == day);
        let known = usize::try_from((now - grid.start).div_euclid(self.load.step())).unwrap_or(0);
        let known = known.min(grid.values.len());
        if !trained_today {
            let most =
                usize::try_from(self.plan.max_train / self.load.step()).unwrap_or(usize::MAX);
            let past = grid.part(known.saturating_sub(most)..known);
            let model = LiveModel::train(&Method::Search, &past).map_err(Error::of_model)?;
            self.models += 1;
            self.corrected += usize::from(model.correction().is_some());
            self.model = Some((day, model));
            self.next = known;
            self.answered = None;
        }
        let Some((_, model)) = &mut self.model else {
            return Err(Error::model(
                "no model was trained",
                "give a longer history",
            ));
        };
        let window = self.plan.trigger.window(now, grid.step_seconds);
        if let Some((of, value)) = &self.answered
            && *of == window
            && self.next == known
        {
            return Ok(*value);
        }
        for i in self.next..known {
            if let Some(value) = grid.values[i] {
                model
                    .observe(grid.time(i), value)
                    .map_err(Error::of_model)?;
            }
        }
        self.next = known;
        let forecast = model
            .forecast(now, &window, self.plan.trigger.levels())
            .map_err(Error::of_model)?;
        let observed = known.checked_sub(1).and_then(|last| grid.values[last]);
        let demand = self
            .plan
            .trigger
            .demand(&forecast, observed)
            .map_err(Error::of_model)?;
        self.answered = Some((window, demand.value));
        Ok(demand.value)
    }

    /// How many models were trained, and how many of them declare a correction.
    pub(super) fn models(&self) -> (usize, usize) {
        (self.models, self.corrected)
    }
}

#[cfg(test)]
mod tests {
    use loadcast_model::grid::Grid;

    use super::*;

    #[test]
    fn a_season_ago_is_never_later_than_the_last_step_that_is_over() {
        const STEP: i64 = 3_600;
        let load = |days: i64| {
            let values = (0..days * 24).map(|i| Some(i as f64)).collect();
            let step_seconds = 3_600;
            Load::new(Grid {
                start: 0,
                step_seconds,
                values,
            })
        };
        for (days, lead, season) in [
            (30, 300, WEEK),
            (30, WEEK - STEP, WEEK),
            (30, WEEK - STEP + 1, 2 * WEEK),
            (30, WEEK, 2 * WEEK),
            (6, 300, DAY),
            (6, DAY - STEP, DAY),
            (6, DAY, 2 * DAY),
            (6, 2 * DAY, 3 * DAY),
            // Two weeks are not there: as many days as it takes.
            (13, WEEK, 8 * DAY),
        ] {
            let load = load(days).unwrap();
            let now = days * DAY;
            let naive = SeasonalNaive::new(&load, now, lead);
            assert_eq!(naive.season(), season, "{days} {lead}");
            for now in [now, now - 1, now - STEP / 2] {
                let over = (now.div_euclid(STEP) - 1) as f64;
                let seen = naive.value(now);
                assert!(seen.is_none_or(|seen| seen <= over), "{days} {lead}");
            }
        }
    }
}
