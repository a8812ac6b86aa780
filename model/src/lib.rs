//! Prophet for Loadcast: [`spec`] and [`history`] go into [`fit`], a [`prophet::ProphetModel`] comes out; [`artifact`]
//! writes and reads it as MLflow's prophet flavor does; [`forecaster`] answers from its parameters alone; [`score`],
//! [`naive`] and [`backtest`] say how good it is. [`catalog`] declares which series there are.
//! [`live`] is a model in use, corrected by what is observed ([`correction`]); [`trigger`] is what an autoscaler asks of it.
//!
//! Pure: no network, no async, no disk, no clock. Times are seconds of the series' wall clock ([`zone`]); values are in
//! the series' own unit ([`series`]).
//!
//! Every choice that a spec leaves open is made as Python's Prophet makes it; the optimizer is our own. [`fit`] calls it
//! on features built for it, [`optimizer::MapOptimizer`] offers it to whoever fits through augurs-prophet.

pub mod artifact;
pub mod backtest;
pub mod band;
pub mod calibration;
pub mod catalog;
mod changepoints;
pub mod correction;
pub mod error;
pub mod features;
pub mod fit;
pub mod forecaster;
mod fourier;
pub mod grid;
pub mod history;
pub mod holiday;
pub mod inputs;
pub mod length;
pub mod live;
pub mod naive;
mod normal;
pub mod optimizer;
pub mod order;
pub mod peak;
pub mod prophet;
pub mod recipe;
pub mod score;
pub mod series;
pub mod spec;
pub mod trigger;
pub mod zone;
