//! The flags that say how rows become a grid: of `run`, and of the second stage alone.

use crate::error::Result;
use crate::source::columns;
use crate::source::table::Table;
use crate::stage::prepare_features::{GapPolicy, OutlierPolicy, Preparation};
use crate::time::read_length;

/// How the grid is made.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// The most recent history that is trained on; a catalog says its own
    #[arg(long, env = "LOADCAST_MAX_TRAIN", default_value = "28d", value_parser = read_length, value_name = "DURATION")]
    max_train: i64,
    /// What becomes of steps without a row
    #[arg(long, env = "LOADCAST_GAPS", value_enum, default_value_t)]
    gaps: GapPolicy,
    /// What becomes of values that the rule `outliers` found
    #[arg(long, env = "LOADCAST_OUTLIERS", value_enum, default_value_t)]
    outliers: OutlierPolicy,
    /// No forecast lies above, in the series' unit; with logistic growth, where it saturates
    #[arg(long, env = "LOADCAST_CAP", value_name = "VALUE")]
    cap: Option<f64>,
    /// No forecast lies below, in the series' unit
    #[arg(
        long,
        env = "LOADCAST_FLOOR",
        value_name = "VALUE",
        allow_negative_numbers = true
    )]
    floor: Option<f64>,
    /// Holidays and events, past and to come: a CSV file with the columns holiday, ds, and where they last longer than
    /// their day lower_window and upper_window
    #[arg(long, env = "LOADCAST_HOLIDAYS", value_name = "PATH|URL")]
    holidays: Option<String>,
}

impl Args {
    /// What the flags say.
    ///
    /// # Errors
    /// When the holidays cannot be read.
    pub(super) async fn preparation(&self) -> Result<Preparation> {
        let holidays = match &self.holidays {
            Some(place) => columns::holidays(&Table::open(place).await?)?,
            None => Vec::new(),
        };
        Ok(Preparation {
            max_train_seconds: self.max_train,
            gaps: self.gaps,
            outliers: self.outliers,
            cap: self.cap,
            floor: self.floor,
            holidays,
        })
    }
}
