//! The flags that say what a model is held against: of `run`, and of the last stages alone.

use clap::builder::FalseyValueParser;

use crate::brake::Brake;
use crate::checks::{Checks, Override};
use crate::stage::validate_model::gate::Gate;

/// The gates of stage 4.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Gates {
    /// What follows when a gate of the model is not passed (warning, candidate, reject), and its limit, such as
    /// skill=candidate:0.1; repeat for more
    #[arg(
        long,
        env = "LOADCAST_GATE",
        value_delimiter = ',',
        value_name = "NAME=CONSEQUENCE[:LIMIT]",
        allow_hyphen_values = true
    )]
    gate: Vec<Override<Gate>>,
}

/// When promotions stop.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Brakes {
    /// Promotions stop when more than this share of the series of this run, or of this shard, 0 to 1, would move by more than --brake-change
    #[arg(long, env = "LOADCAST_BRAKE_SHARE", default_value_t = Brake::default().share, value_parser = share, value_name = "SHARE")]
    brake_share: f64,
    /// A move of the next day's mean or peak, relative to what is served: 0.5 is by half
    #[arg(long, env = "LOADCAST_BRAKE_CHANGE", default_value_t = Brake::default().change, value_parser = change, value_name = "CHANGE")]
    brake_change: f64,
    /// Promote whatever passes its gates, however many series move
    #[arg(long, env = "LOADCAST_NO_BRAKE", value_parser = FalseyValueParser::new())]
    no_brake: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok();
    let share = share.filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "not a share from 0 to 1; write 0.2 for a fifth".to_owned())
}

fn change(text: &str) -> Result<f64, String> {
    let change = text.parse().ok();
    let change = change.filter(|change: &f64| change.is_finite() && *change > 0.0);
    change.ok_or_else(|| "not a number above 0; write 0.5 for half".to_owned())
}

impl Gates {
    pub(super) fn checks(&self) -> Checks<Gate> {
        Checks::default().with(&self.gate)
    }
}

impl Brakes {
    pub(super) fn brake(&self) -> Option<Brake> {
        (!self.no_brake).then_some(Brake {
            share: self.brake_share,
            change: self.brake_change,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brake_that_would_never_stop_anything_is_refused() {
        assert_eq!(share("0.2"), Ok(0.2));
        assert_eq!(change("0.5"), Ok(0.5));
        for text in ["20", "nan", "-0.1", "a fifth"] {
            assert!(share(text).is_err(), "{text}");
        }
        for text in ["nan", "inf", "0", "-1"] {
            assert!(change(text).is_err(), "{text}");
        }
    }
}
