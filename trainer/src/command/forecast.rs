//! `loadcast-trainer forecast`: what a model says, computed here, with no server.

use std::io::Write;
use std::path::Path;

use loadcast_model::artifact::{Metadata, decode_model_pr};
use loadcast_model::forecaster::{Forecast, Forecaster, Question};
use loadcast_model::zone::Zone;

use crate::answer::Answer;
use crate::error::{Error, Result};
use crate::source::location;
use crate::source::table::Table;
use crate::time::{self, Written};

/// Forecast offline from a model alone, at the times of a CSV file, as Prophet's predict() would.
///
/// The model is an MLflow folder, a model.pr, or plain JSON as Prophet's model_to_json writes it. Times without a zone
/// are the series' wall clock; times with one are converted to it (UTC where the model names no zone).
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An MLflow model folder, a model.pr, or a plain model JSON
    #[arg(long, env = "LOADCAST_MODEL", value_name = "PATH")]
    model: String,
    /// A CSV file with the column ds
    #[arg(long, env = "LOADCAST_TIMES", value_name = "FILE.csv")]
    times: String,
    /// Quantiles, each above 0 and below 1, such as 0.1,0.9
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
        let (forecaster, zone) = open(&self.model).await?;
        let ds = read_times(&self.times, &zone).await?;
        let question = Question::at(&ds)
            .with_components(self.components)
            .with_levels(&self.levels);
        let forecast = forecaster.forecast(&question).map_err(Error::of_model)?;
        let answer = answer(ds, forecast);
        let text = match self.output {
            Format::Csv => answer.to_csv()?,
            Format::Json => answer.to_json()?,
        };
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| Error::output(format!("standard output: {error}"), "keep it open"))
    }
}

/// The model at `place` and the zone of its wall clock.
async fn open(place: &str) -> Result<(Forecaster, Zone)> {
    let folder = Path::new(place);
    let (file, zone) = if folder.is_dir() {
        (
            folder.join("model.pr").display().to_string(),
            zone(folder).await?,
        )
    } else {
        (place.to_owned(), Zone::utc())
    };
    let bytes = location::read(&file).await?;
    let of_file = |error| Error::of_model(error).of_place(&file);
    let model = decode_model_pr(&bytes).map_err(of_file)?;
    Ok((Forecaster::new(model).map_err(of_file)?, zone))
}

/// As loadcast.json says; UTC in a folder that has none, such as one written by Python.
async fn zone(folder: &Path) -> Result<Zone> {
    let path = folder.join("loadcast.json");
    if !path.is_file() {
        return Ok(Zone::utc());
    }
    let place = path.display().to_string();
    let metadata = Metadata::decode(&location::read(&place).await?);
    let metadata = metadata.map_err(|error| Error::of_model(error).of_place(&place))?;
    Ok(metadata.series.zone)
}

async fn read_times(place: &str, zone: &Zone) -> Result<Vec<i64>> {
    let table = Table::open(place).await?;
    let rows = table.rows(
        &["ds"],
        "the header line: its column of times must be called ds",
    )?;
    let times = rows
        .column(0)
        .enumerate()
        .map(|(row, text)| match time::read_time(text) {
            Ok(Written::WallClock(time)) => Ok(time::wall_seconds(time)),
            Ok(Written::Instant(seconds)) => Ok(zone.to_wall(seconds)),
            Err(forms) => Err(Error::data(
                format!(
                    "{place}, line {}: column `ds` says `{text}`, which is no time",
                    rows.line(row)
                ),
                forms,
            )),
        });
    times.collect()
}

/// The columns of predict(), in the order that scripts rely on.
fn answer(ds: Vec<i64>, forecast: Forecast) -> Answer {
    let mut columns = vec![
        ("trend".to_owned(), forecast.trend),
        ("yhat".to_owned(), forecast.yhat),
    ];
    columns.extend(
        forecast
            .components
            .into_iter()
            .map(|component| (component.name, component.values)),
    );
    Answer { ds, columns }
}
