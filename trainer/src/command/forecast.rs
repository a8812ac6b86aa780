//! `loadcast-trainer forecast`: what a model says, computed here, with no server.

use std::io::Write;

use loadcast_model::artifact::Clamps;
use loadcast_model::forecaster::{Forecast, Forecaster, Question};
use loadcast_model::zone::Zone;

use super::print;
use crate::answer::Answer;
use crate::error::{Error, Result};
use crate::source::columns;
use crate::source::model::{self, Opened};
use crate::source::table::Table;

/// Forecast offline from a model alone, at the times of a CSV file, as Prophet's predict() would.
///
/// What loadcast.json declares beside the model (clamps, bands from a backtest) is applied as the server applies it.
/// The model is an MLflow folder, a model.pr, or plain JSON as Prophet's model_to_json writes it. Times without a zone
/// are the series' wall clock; times with one are converted to it (UTC where the model names no zone).
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An MLflow model folder, a model.pr, or a plain model JSON
    #[arg(long, env = "LOADCAST_MODEL", value_name = "PATH")]
    model: String,
    /// A CSV file with the column ds, and what columns the model needs: cap, floor, regressors, conditions
    #[arg(long, env = "LOADCAST_TIMES", value_name = "FILE.csv")]
    times: String,
    /// Further holidays: a CSV file with the columns holiday and ds, and lower_window and upper_window where they have
    /// any. A model of a country's holidays needs it
    #[arg(long, env = "LOADCAST_HOLIDAYS", value_name = "FILE.csv")]
    holidays: Option<String>,
    /// Quantiles, each above 0 and below 1, such as 0.1,0.9; unset: the model's interval
    #[arg(
        long,
        env = "LOADCAST_LEVELS",
        value_delimiter = ',',
        value_name = "LEVEL,..."
    )]
    levels: Vec<f64>,
    /// Every component too, by Prophet's names
    #[arg(long, env = "LOADCAST_COMPONENTS", value_parser = clap::builder::FalseyValueParser::new())]
    components: bool,
    /// How the answer is written
    #[arg(long, env = "LOADCAST_OUTPUT", value_enum, default_value_t = Format::Csv)]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A header line, then a row for each time
    Csv,
    /// An array of row objects with the same keys
    Json,
}

impl Args {
    pub(super) async fn run(self, out: &mut (dyn Write + Send)) -> Result<()> {
        let Opened { model, metadata } = model::open(&self.model).await?;
        let forecaster =
            Forecaster::new(model).map_err(|error| Error::of_model(error).of_place(&self.model))?;
        let zone = metadata
            .as_ref()
            .map_or_else(Zone::utc, |m| m.series.zone.clone());
        let table = Table::open(&self.times).await?;
        let ds = columns::times(&table, "ds", &zone)?;
        let mut inputs = columns::inputs(&table, &forecaster.needs())?;
        if let Some(file) = &self.holidays {
            inputs.holidays = columns::holidays(&Table::open(file).await?)?;
        }
        // Constants that were fitted with stand in loadcast.json, as model.pr has no place for them.
        if let Some(spec) = metadata
            .as_ref()
            .and_then(|metadata| metadata.spec.as_ref())
        {
            inputs = spec.complete(&inputs);
        }
        let levels = if self.levels.is_empty() {
            forecaster.interval_levels()
        } else {
            self.levels
        };
        let question = Question::at(&ds)
            .with_inputs(&inputs)
            .with_components(self.components)
            .with_levels(&levels);
        let mut forecast = forecaster.forecast(&question).map_err(|error| {
            columns::missing_input(&error, &self.times).unwrap_or_else(|| Error::of_model(error))
        })?;
        if let Some(metadata) = &metadata {
            let cutoff = forecaster.model().ends.last.0;
            metadata.finish(&mut forecast, &ds, cutoff, Clamps::default());
        }
        let answer = answer(ds, forecast);
        let text = match self.output {
            Format::Csv => answer.to_csv()?,
            Format::Json => answer.to_json()?,
        };
        print(&text, out)
    }
}

/// The columns of predict(), in the order that scripts rely on: trend, yhat, components, quantiles.
fn answer(ds: Vec<i64>, forecast: Forecast) -> Answer {
    let mut columns = vec![
        ("trend".to_owned(), forecast.trend),
        ("yhat".to_owned(), forecast.yhat),
    ];
    let components = forecast.components.into_iter();
    columns.extend(components.map(|component| (component.name, component.values)));
    let quantiles = forecast.quantiles.into_iter();
    columns.extend(quantiles.map(|quantile| (format!("q{}", quantile.level), quantile.values)));
    Answer { ds, columns }
}
