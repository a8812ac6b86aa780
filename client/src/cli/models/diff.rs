//! `loadcast models diff`: what two versions say of the same time.

use std::io::Write;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use loadcast_client::{Client, Forecast, ForecastQuery, Model, Range, Scores, Window};
use serde_json::{Value, json};

use crate::cli::args::{Output, Shown, WindowArg, duration, level};
use crate::cli::failure::Failure;
use crate::cli::local::{date_and_clock, formatted, range, zone};
use crate::cli::show::short;
use crate::cli::table::Table;
use crate::cli::units::Scale;

/// What to compare, and over which time.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the series
    series: String,

    /// A version, or an alias that has one: 3, champion, candidate
    #[arg(value_name = "FROM")]
    from: Side,

    /// The version or alias to compare it with
    #[arg(value_name = "TO")]
    to: Side,

    /// A window of the calendar in the series' time zone [default: next-day]
    #[arg(long, env = "LOADCAST_WINDOW", value_enum, conflicts_with = "horizon")]
    window: Option<WindowArg>,

    /// From now on for so long: 90s, 15m, 6h, 1d
    #[arg(long, env = "LOADCAST_HORIZON", value_name = "DURATION", value_parser = duration)]
    horizon: Option<Duration>,

    /// Quantile levels to compare
    #[arg(long, env = "LOADCAST_LEVELS", value_delimiter = ',', value_parser = level, default_value = "0.1,0.9")]
    levels: Vec<f64>,

    #[command(flatten)]
    shown: Shown,
}

/// A mean of this share of the largest difference is nothing.
const ROUNDING: f64 = 1e-9;

/// A version by its number or by an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Side {
    Version(u64),
    Alias(String),
}

impl std::str::FromStr for Side {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(0) => Err("versions count from 1".to_owned()),
            Ok(version) => Ok(Self::Version(version)),
            Err(_) if text.is_empty() => Err("give a version, or an alias".to_owned()),
            Err(_) => Ok(Self::Alias(text.to_owned())),
        }
    }
}

/// A column of both sides, compared.
#[derive(Debug, Clone, PartialEq)]
struct Difference {
    column: String,
    /// A factor on the trend, without the series' unit.
    is_factor: bool,
    /// Means of both sides.
    from: f64,
    to: f64,
    /// The largest difference, with its sign, and when.
    largest: f64,
    at: Timestamp,
}

/// Asks both, and prints.
pub(crate) async fn run(args: Args, client: &Client, out: &mut impl Write) -> Result<(), Failure> {
    let range = match args.horizon {
        Some(horizon) => Range::Horizon(horizon),
        None => Range::Window(args.window.map_or(Window::NextDay, Window::from)),
    };
    let query = ForecastQuery {
        levels: args.levels,
        components: true,
        ..ForecastQuery::new(args.series.clone(), range)
    };
    let from = client.forecast(&on(query.clone(), args.from)).await?;
    // Of the same now, whatever the clock does meanwhile.
    let query = ForecastQuery {
        as_of: Some(from.as_of),
        ..query
    };
    let to = client.forecast(&on(query, args.to)).await?;
    if from.start != to.start || from.step != to.step || from.len() != to.len() {
        return Err(Failure::Input(
            "the two versions are of different grids\ncompare versions of one step and time zone"
                .to_owned(),
        ));
    }
    let model = client.model(&args.series).await?;
    let differences = differences(&from, &to);
    match args.shown.output {
        Output::Json => {
            let view = view(&from, &to, &model, &differences);
            serde_json::to_writer_pretty(&mut *out, &view)?;
            writeln!(out)?;
        }
        Output::Text => print(&from, &to, &model, &differences, out)?,
    }
    Ok(())
}

fn on(query: ForecastQuery, side: Side) -> ForecastQuery {
    match side {
        Side::Version(version) => ForecastQuery {
            version: Some(version),
            ..query
        },
        Side::Alias(alias) => ForecastQuery {
            alias: Some(alias),
            ..query
        },
    }
}

/// Columns that both have, in the order of the answer; then those that one has alone, against zero.
fn differences(from: &Forecast, to: &Forecast) -> Vec<Difference> {
    let (mut ours, mut theirs) = (columns(from), columns(to));
    let mut found = Vec::new();
    for (column, is_factor, values) in ours.drain(..) {
        let other = theirs.iter().position(|(name, ..)| *name == column);
        let other = other.map(|i| theirs.remove(i).2);
        found.extend(difference(from, column, is_factor, Some(values), other));
    }
    for (column, is_factor, values) in theirs {
        found.extend(difference(from, column, is_factor, None, Some(values)));
    }
    found
}

fn columns(forecast: &Forecast) -> Vec<(String, bool, &[f64])> {
    let mut columns: Vec<(String, bool, &[f64])> = vec![
        ("yhat".to_owned(), false, &forecast.yhat),
        ("trend".to_owned(), false, &forecast.trend),
    ];
    for quantile in &forecast.quantiles {
        columns.push((format!("q{}", quantile.level), false, &quantile.values));
    }
    for component in &forecast.components {
        let name = component.name.clone();
        columns.push((name, component.multiplicative, &component.values));
    }
    columns
}

fn difference(
    forecast: &Forecast,
    column: String,
    is_factor: bool,
    from: Option<&[f64]>,
    to: Option<&[f64]>,
) -> Option<Difference> {
    let value = |side: Option<&[f64]>, i: usize| side.and_then(|side| side.get(i)).copied();
    let points = 0..forecast.len();
    let pairs = points.map(|i| {
        let of = |side| value(side, i).unwrap_or_default();
        (of(from), of(to), forecast.time(i))
    });
    let mut count = 0.0;
    let mut means = (0.0, 0.0);
    let mut largest: Option<(f64, Timestamp)> = None;
    for (ours, theirs, at) in pairs {
        count += 1.0;
        means.0 += ours / count - means.0 / count;
        means.1 += theirs / count - means.1 / count;
        if largest.is_none_or(|(largest, _)| (theirs - ours).abs() > largest.abs()) {
            largest = Some((theirs - ours, at));
        }
    }
    let (largest, at) = largest?;
    let nothing = means == (0.0, 0.0) && largest == 0.0;
    (!nothing).then_some(Difference {
        column,
        is_factor,
        from: means.0,
        to: means.1,
        largest,
        at,
    })
}

fn print(
    from: &Forecast,
    to: &Forecast,
    model: &Model,
    differences: &[Difference],
    out: &mut impl Write,
) -> Result<(), Failure> {
    let zone = zone(&from.time_zone);
    writeln!(
        out,
        "{} · {}",
        from.provenance.series,
        range(from.start, from.time(from.len()), &zone)
    )?;
    let mut facts = Table::new(["", "FROM", "TO"]);
    let both = |name: &str, of: &dyn Fn(&Forecast) -> String| [name.to_owned(), of(from), of(to)];
    let instant = |at: Timestamp| date_and_clock(at, &TimeZone::UTC);
    facts.push(both("version", &|side| side.provenance.version.to_string()));
    facts.push(both("sha256", &|side| {
        short(&side.provenance.artifact_sha256).to_owned()
    }));
    facts.push(both("cutoff", &|side| instant(side.provenance.cutoff)));
    facts.push(both("trained", &|side| instant(side.provenance.trained_at)));
    type Score = fn(&Scores) -> Option<f64>;
    let of_backtest: [(&str, Score); 3] = [
        ("skill", |scores| scores.skill),
        ("mase", |scores| scores.mase),
        ("coverage", |scores| scores.coverage),
    ];
    for (name, score) in of_backtest {
        facts.push(both(name, &|side| {
            let score = scores(side, model).and_then(score);
            score.map_or_else(|| "-".to_owned(), |score| format!("{score:.3}"))
        }));
    }
    facts.print(out)?;
    writeln!(out)?;
    if differences
        .iter()
        .all(|difference| difference.largest == 0.0)
    {
        writeln!(out, "both say the same, to the bit")?;
        return Ok(());
    }
    let mut table = Table::new(["", "MEAN", "THEN", "CHANGE", "LARGEST", "AT"]);
    for difference in differences {
        table.push(row(difference, from.unit.as_deref(), &zone));
    }
    table.print(out)?;
    Ok(())
}

fn row(difference: &Difference, unit: Option<&str>, zone: &TimeZone) -> [String; 6] {
    let Difference { largest, .. } = *difference;
    // A season that adds up to nothing has a mean of rounding errors.
    let clean = |mean: f64| {
        let is_rounding = mean.abs() < largest.abs() * ROUNDING;
        if is_rounding { 0.0 } else { mean }
    };
    let (ours, theirs) = (clean(difference.from), clean(difference.to));
    let unit = unit.filter(|_| !difference.is_factor);
    let scale = Scale::for_values(unit, &[ours, theirs, largest]);
    let change = (theirs - ours) / ours.abs() * 100.0;
    let change = change.is_finite().then(|| format!("{change:+.1} %"));
    let sign = if largest > 0.0 { "+" } else { "" };
    [
        difference.column.clone(),
        scale.with_unit(ours),
        scale.bare(theirs),
        change.unwrap_or_else(|| "-".to_owned()),
        format!("{sign}{}", scale.bare(largest)),
        formatted(difference.at, zone, "%m-%d %H:%M"),
    ]
}

/// The server tells the scores of what it serves, and of no other version.
fn scores<'a>(side: &Forecast, model: &'a Model) -> Option<&'a Scores> {
    let served = model.served.as_ref();
    let served = served.filter(|served| served.version == side.provenance.version);
    served.and_then(|served| served.scores.as_ref())
}

fn view(from: &Forecast, to: &Forecast, model: &Model, differences: &[Difference]) -> Value {
    let side = |side: &Forecast| {
        json!({
            "provenance": crate::cli::json::provenance(&side.provenance),
            "scores": scores(side, model).map(crate::cli::json::scores),
        })
    };
    json!({
        "series": from.provenance.series,
        "unit": from.unit,
        "start": from.start.to_string(),
        "step_seconds": from.step.as_secs_f64(),
        "points": from.len(),
        "from": side(from),
        "to": side(to),
        "columns": differences.iter().map(|difference| json!({
            "column": difference.column,
            "multiplicative": difference.is_factor,
            "mean_from": difference.from,
            "mean_to": difference.to,
            "largest_difference": difference.largest,
            "at": difference.at.to_string(),
        })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::show::tests::forecast;
    use loadcast_client::Component;

    #[test]
    fn a_column_that_one_side_lacks_is_compared_with_nothing() {
        let from = forecast(vec![1.0, 2.0, 3.0]);
        let mut to = forecast(vec![1.0, 2.0, 5.0]);
        to.components = vec![Component {
            name: "weekly".into(),
            multiplicative: true,
            values: vec![0.0, -0.5, 0.25],
        }];
        let found = differences(&from, &to);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].column.as_str(), found[0].largest), ("yhat", 2.0));
        assert_eq!(found[0].at, from.time(2));
        assert!((found[0].to - 8.0 / 3.0).abs() < 1e-12);
        assert_eq!(
            (found[1].column.as_str(), found[1].largest),
            ("weekly", -0.5)
        );
        assert!(found[1].is_factor);
        assert_eq!(found[1].from, 0.0);
    }

    #[test]
    fn sides_are_versions_or_aliases() {
        assert_eq!("3".parse(), Ok(Side::Version(3)));
        assert_eq!("candidate".parse(), Ok(Side::Alias("candidate".into())));
        assert!("0".parse::<Side>().is_err() && "".parse::<Side>().is_err());
    }
}
