//! A spec meets a history: every choice that was left open is made, by Prophet's own rules.

use crate::{
    changepoints,
    error::{Error, Result},
    features::{Features, Regressor, Seasonality},
    history::History,
    holiday,
    inputs::{Inputs, at},
    spec::{Auto, Growth, Scaling, SeasonalityChoice, Spec, format_wall_time, parse_wall_time},
};

const DAY: i64 = 86_400;

/// A spec with every choice made for one history.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// What the feature columns are; regressors know their `mu` and `std`.
    pub features: Features,
    /// The history's own columns, `cap` and `floor` completed by the spec's constants.
    pub inputs: Inputs,
    /// Ascending, in seconds of the wall clock.
    pub changepoints: Vec<i64>,
    /// What a person should know about these choices.
    pub warnings: Vec<String>,
}

impl Spec {
    /// Makes every choice for `history`, by Prophet's own rules.
    ///
    /// # Errors
    /// As [`Spec::validate`]; [`Error::MissingInput`] naming a column that the history lacks, and for a country's
    /// holidays without dates; [`Error::Invalid`] for given changepoints outside the history and a cap that is not
    /// above the floor.
    pub fn resolve(&self, history: &History) -> Result<Resolved> {
        self.validate()?;
        let inputs = self.complete(history.inputs());
        if self.growth == Growth::Logistic {
            let least = history.y().iter().copied().fold(f64::INFINITY, f64::min);
            let floor = match self.scaling {
                Scaling::Absmax => 0.0,
                Scaling::Minmax => least,
            };
            check_capacity(&inputs.cap, &inputs.floor, floor, history.len())?;
        }
        if let (Some(country), []) = (&self.country_holidays, self.holidays.as_slice()) {
            return Err(Error::missing(
                "holidays",
                format!(
                    "the dates of the holidays of {country} are known to Python's holidays package only; give them as rows of holidays"
                ),
            ));
        }
        let (columns, names) = holiday::columns(&self.holidays, self.holidays_prior_scale)?;
        let mut features = Features {
            seasonalities: self.resolve_seasonalities(history),
            holidays: columns,
            holiday_names: names,
            holidays_mode: self.holidays_mode.unwrap_or(self.seasonality_mode),
            regressors: self.unscaled_regressors(),
        };
        features.conditions(&inputs)?;
        let given = features.regressor_columns(&inputs)?;
        features.regressors = features
            .regressors
            .iter()
            .zip(given)
            .map(|(regressor, values)| regressor.clone().scaled_by(values))
            .collect();
        let mut warnings = Vec::new();
        let days = (history.last() - history.first()) / DAY;
        if days < 730 && features.seasonalities.iter().any(|s| s.name == "yearly") {
            warnings.push(format!(
                "yearly seasonality was forced on {days} days of history; below 730 days it is not identified and forecasts beyond the history are unreliable"
            ));
        }
        if self.country_holidays.is_some()
            && let Some(last) = self.holidays.iter().map(|row| row.ds).max()
        {
            warnings.push(format!(
                "no holiday is known after {last}, the last of those given"
            ));
        }
        Ok(Resolved {
            features,
            inputs,
            changepoints: self.resolve_changepoints(history)?,
            warnings,
        })
    }

    /// `inputs` with the spec's constant `cap` and `floor` where it has no such columns.
    pub fn complete(&self, inputs: &Inputs) -> Inputs {
        let mut inputs = inputs.clone();
        for (column, constant) in [(&mut inputs.cap, self.cap), (&mut inputs.floor, self.floor)] {
            if let (true, Some(constant)) = (column.is_empty(), constant) {
                column.push(constant);
            }
        }
        inputs
    }

    /// The user's own in their order, then Prophet's by the length and spacing of the history.
    fn resolve_seasonalities(&self, history: &History) -> Vec<Seasonality> {
        let span = history.last() - history.first();
        let gaps = history.ds().windows(2).map(|pair| pair[1] - pair[0]);
        let spacing = gaps.min().unwrap_or(span);
        let own = self.seasonalities.iter().map(|s| Seasonality {
            name: s.name.clone(),
            period: s.period,
            fourier_order: s.fourier_order,
            prior_scale: s.prior_scale.unwrap_or(self.seasonality_prior_scale),
            mode: s.mode.unwrap_or(self.seasonality_mode),
            condition_name: s.condition_name.clone(),
        });
        let mut seasonalities: Vec<Seasonality> = own.collect();
        let mut add = |name: &str, period, choice, auto: bool, default_order| {
            let place = seasonalities.iter().position(|s| s.name == name);
            let order = match choice {
                SeasonalityChoice::Auto(Auto::Auto) if auto && place.is_none() => default_order,
                SeasonalityChoice::Enabled(true) => default_order,
                SeasonalityChoice::Order(order) => order,
                SeasonalityChoice::Auto(Auto::Auto) | SeasonalityChoice::Enabled(false) => 0,
            };
            if order == 0 {
                return;
            }
            let built_in = Seasonality {
                name: name.to_owned(),
                period,
                fourier_order: order,
                prior_scale: self.seasonality_prior_scale,
                mode: self.seasonality_mode,
                condition_name: None,
            };
            match place {
                Some(place) => seasonalities[place] = built_in,
                None => seasonalities.push(built_in),
            }
        };
        let (yearly, weekly, daily) = (
            self.yearly_seasonality,
            self.weekly_seasonality,
            self.daily_seasonality,
        );
        add("yearly", 365.25, yearly, span >= 730 * DAY, 10);
        let auto = span >= 14 * DAY && spacing < 7 * DAY;
        add("weekly", 7.0, weekly, auto, 3);
        let auto = span >= 2 * DAY && spacing < DAY;
        add("daily", 1.0, daily, auto, 4);
        seasonalities
    }

    /// The regressors before they have seen their columns.
    fn unscaled_regressors(&self) -> Vec<Regressor> {
        let regressor = |r: &super::ExtraRegressor| Regressor {
            name: r.name.clone(),
            prior_scale: r.prior_scale.unwrap_or(self.holidays_prior_scale),
            standardize: r.standardize,
            mu: 0.0,
            std: 1.0,
            mode: r.mode.unwrap_or(self.seasonality_mode),
        };
        self.extra_regressors.iter().map(regressor).collect()
    }

    fn resolve_changepoints(&self, history: &History) -> Result<Vec<i64>> {
        let Some(given) = &self.changepoints else {
            let (n, range) = (self.n_changepoints, self.changepoint_range);
            return Ok(changepoints::place(history.ds(), n, range));
        };
        let times = given.iter().map(|text| parse_wall_time(text));
        let mut times = times.collect::<Result<Vec<_>>>()?;
        times.sort_unstable();
        times.dedup();
        let inside = history.first()..=history.last();
        match times.iter().find(|time| !inside.contains(*time)) {
            None => Ok(times),
            Some(outside) => Err(Error::invalid(
                "changepoints",
                format!(
                    "{} is outside the history, {} to {}; leave it out",
                    format_wall_time(*outside),
                    format_wall_time(history.first()),
                    format_wall_time(history.last())
                ),
            )),
        }
    }
}

/// Logistic growth needs a cap above the floor at each of `rows` times; where no floor is given it is `default_floor`.
///
/// # Errors
/// [`Error::MissingInput`] without a cap, [`Error::Invalid`] where it is not above the floor.
pub(crate) fn check_capacity(
    cap: &[f64],
    floor: &[f64],
    default_floor: f64,
    rows: usize,
) -> Result<()> {
    if cap.is_empty() {
        return Err(Error::missing(
            "cap",
            "growth is logistic; give the capacity where it saturates for each time, or one for all",
        ));
    }
    let is_low = |i: usize| {
        let floor = at(floor, i).unwrap_or(default_floor);
        at(cap, i).is_none_or(|cap| cap <= floor)
    };
    match (0..rows).find(|&i| is_low(i)) {
        None => Ok(()),
        Some(i) => Err(Error::invalid(
            "cap",
            format!("value {i} is not above the floor; give a higher cap or a lower floor"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(days: i64, step: i64) -> History {
        let ds: Vec<i64> = (0..)
            .map(|i| i * step)
            .take_while(|ds| *ds <= days * DAY)
            .collect();
        let y = vec![1.0; ds.len()];
        History::new(ds, y).unwrap()
    }

    fn names(days: i64, step: i64) -> Vec<String> {
        let resolved = Spec::default().resolve(&history(days, step)).unwrap();
        let seasonalities = resolved.features.seasonalities;
        seasonalities.into_iter().map(|s| s.name).collect()
    }

    #[test]
    fn auto_seasonalities_follow_prophets_rule() {
        assert_eq!(names(1, 300), [] as [&str; 0]);
        assert_eq!(names(2, 300), ["daily"]);
        assert_eq!(names(13, 3_600), ["daily"]);
        assert_eq!(names(14, 3_600), ["weekly", "daily"]);
        assert_eq!(names(729, DAY), ["weekly"]);
        assert_eq!(names(730, DAY), ["yearly", "weekly"]);
        assert_eq!(names(735, 7 * DAY), ["yearly"]);
    }

    #[test]
    fn yearly_forced_on_a_short_history_is_said() {
        let spec = Spec {
            yearly_seasonality: SeasonalityChoice::Enabled(true),
            ..Spec::default()
        };
        let warnings = spec.resolve(&history(28, 3_600)).unwrap().warnings;
        assert!(warnings[0].contains("28 days"), "{warnings:?}");
    }

    #[test]
    fn changepoints_may_come_unsorted_but_not_from_outside() {
        let with = |given: &[&str]| Spec {
            changepoints: Some(given.iter().map(|text| (*text).to_owned()).collect()),
            ..Spec::default()
        };
        let resolved = with(&["1970-01-03", "1970-01-02 12:00:00", "1970-01-03"])
            .resolve(&history(5, 3_600))
            .unwrap();
        assert_eq!(resolved.changepoints, [DAY + DAY / 2, 2 * DAY]);
        let error = with(&["1970-02-01"])
            .resolve(&history(5, 3_600))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("changepoints: 1970-02-01 00:00:00"),
            "{error}"
        );
    }
}
