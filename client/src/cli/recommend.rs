//! `loadcast recommend`.

mod patch;

use std::io::Write;

use clap::ValueEnum;
use jiff::Timestamp;
use loadcast_client::{
    Clamps, Client, Policy, Recommendation, RecommendationQuery, ResourceRecommendation,
};
use serde_json::{Value, json};

use crate::cli::args::{WindowArg, instant, level};
use crate::cli::failure::Failure;
use crate::cli::json::provenance;
use crate::cli::recommend::patch::Target;
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;

/// What to size, and how to show the advice.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Series of the workload's CPU, in cores
    #[arg(
        long,
        env = "LOADCAST_CPU_SERIES",
        value_name = "SERIES",
        required_unless_present = "memory_series"
    )]
    cpu_series: Option<String>,

    /// Series of the workload's memory, in bytes
    #[arg(long, env = "LOADCAST_MEMORY_SERIES", value_name = "SERIES")]
    memory_series: Option<String>,

    /// A window of the calendar in the series' time zone
    #[arg(long, env = "LOADCAST_WINDOW", value_enum, default_value = "next-day")]
    window: WindowArg,

    /// How a forecast becomes a request and a limit
    #[arg(long, env = "LOADCAST_POLICY", value_enum, default_value = "quantile")]
    policy: PolicyArg,

    /// Quantile level of the request [default: 0.5]
    #[arg(long, env = "LOADCAST_REQUEST_LEVEL", value_name = "LEVEL", value_parser = level)]
    request_level: Option<f64>,

    /// Quantile level of the limit [default: 0.95]
    #[arg(long, env = "LOADCAST_LIMIT_LEVEL", value_name = "LEVEL", value_parser = level)]
    limit_level: Option<f64>,

    /// The series are totals of so many pods: advise for one of them. 0: for the total
    #[arg(long, env = "LOADCAST_REPLICAS", value_name = "N", default_value_t = 0)]
    replicas: u32,

    /// Answer as if it were this instant
    #[arg(long, env = "LOADCAST_AS_OF", value_name = "TIME", value_parser = instant)]
    as_of: Option<Timestamp>,

    /// No number of millicores is below
    #[arg(long, env = "LOADCAST_MIN_CPU", value_name = "MILLICORES")]
    min_cpu: Option<u32>,

    /// No number of millicores is above
    #[arg(long, env = "LOADCAST_MAX_CPU", value_name = "MILLICORES")]
    max_cpu: Option<u32>,

    /// No number of MiB is below
    #[arg(long, env = "LOADCAST_MIN_MEMORY", value_name = "MIB")]
    min_memory: Option<u32>,

    /// No number of MiB is above
    #[arg(long, env = "LOADCAST_MAX_MEMORY", value_name = "MIB")]
    max_memory: Option<u32>,

    #[command(flatten)]
    target: Target,

    /// How to show it
    #[arg(
        long,
        short,
        env = "LOADCAST_OUTPUT",
        value_enum,
        default_value = "table"
    )]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PolicyArg {
    /// The window's maximum of one quantile for the request, of a higher one for the limit
    Quantile,
    /// 80 % and 120 % (month: 70 % and 150 %) of the window's mean; no confidence
    Multiplier,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// One object
    Json,
    /// The patch for kubectl patch --patch-file; needs --replicas
    Yaml,
}

impl Args {
    fn query(&self) -> RecommendationQuery {
        let clamps = |min: Option<u32>, max: Option<u32>| {
            (min.is_some() || max.is_some()).then(|| Clamps {
                min: min.map(f64::from),
                max: max.map(f64::from),
            })
        };
        RecommendationQuery {
            cpu_series: self.cpu_series.clone(),
            memory_series: self.memory_series.clone(),
            policy: match self.policy {
                PolicyArg::Quantile => Policy::Quantile {
                    request: self.request_level,
                    limit: self.limit_level,
                },
                PolicyArg::Multiplier => Policy::Multiplier,
            },
            replicas: self.replicas,
            as_of: self.as_of,
            cpu_clamps: clamps(self.min_cpu, self.max_cpu),
            memory_clamps: clamps(self.min_memory, self.max_memory),
            ..RecommendationQuery::new(self.window.into())
        }
    }
}

/// Asks and prints.
pub(crate) async fn run(
    args: Args,
    client: &Client,
    terminal: &Terminal,
    out: &mut impl Write,
) -> Result<(), Failure> {
    if args.output == Output::Yaml && args.replicas == 0 {
        return Err(Failure::NoPatch {
            reason: "the series are totals of a workload, and a patch is of one pod".to_owned(),
            remedy: "say with --replicas how many pods share the total".to_owned(),
        });
    }
    let advice = client.recommend(&args.query()).await?;
    match args.output {
        Output::Table => table(&advice, terminal.columns.into(), out)?,
        Output::Json => {
            serde_json::to_writer_pretty(&mut *out, &view(&advice))?;
            writeln!(out)?;
        }
        Output::Yaml => {
            let mut labels = Vec::new();
            for series in args.cpu_series.iter().chain(&args.memory_series) {
                labels.push(client.model(series).await?.series.labels);
            }
            let place = args.target.place(&labels)?;
            patch::print(&place, &advice, out)?;
        }
    }
    Ok(())
}

/// As Kubernetes writes it.
fn quantity(value: i64, unit: &str) -> String {
    match unit {
        "millicores" => format!("{value}m"),
        "MiB" => format!("{value}Mi"),
        _ => format!("{value} {unit}"),
    }
}

fn resources(advice: &Recommendation) -> impl Iterator<Item = (&str, &ResourceRecommendation)> {
    let both = [("cpu", &advice.cpu), ("memory", &advice.memory)];
    both.into_iter()
        .filter_map(|(name, advice)| Some((name, advice.as_ref()?)))
}

fn table(advice: &Recommendation, columns: usize, out: &mut impl Write) -> Result<(), Failure> {
    let (start, end) = advice.window;
    let whose = match advice.replicas {
        0 => "the workload's total".to_owned(),
        replicas => format!("one of {replicas} pods"),
    };
    writeln!(out, "for {whose}, from {start} to {end}\n")?;
    let mut table = Table::new(["", "REQUEST", "LIMIT", "SERIES", "VERSION"]);
    for (name, of) in resources(advice) {
        table.push([
            name.to_owned(),
            quantity(of.request, &of.unit),
            quantity(of.limit, &of.unit),
            of.provenance.series.clone(),
            of.provenance.version.to_string(),
        ]);
    }
    table.print(out)?;
    for (name, of) in resources(advice) {
        writeln!(out)?;
        for note in &of.notes {
            for line in wrapped(&format!("{name}: {note}"), columns) {
                writeln!(out, "{line}")?;
            }
        }
    }
    Ok(())
}

/// Lines of at most so many columns where words allow it; all but the first indented.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("  {word}")),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

fn view(advice: &Recommendation) -> Value {
    let resource = |of: &ResourceRecommendation| {
        json!({
            "request": of.request.to_string(),
            "limit": of.limit.to_string(),
            "unit": of.unit,
            "provenance": provenance(&of.provenance),
            "notes": of.notes,
        })
    };
    json!({
        "cpu": advice.cpu.as_ref().map(resource),
        "memory": advice.memory.as_ref().map(resource),
        "window": {
            "start": advice.window.0.to_string(),
            "end": advice.window.1.to_string(),
        },
        "replicas": advice.replicas,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Alone {
        #[command(flatten)]
        args: Args,
    }

    fn query(flags: &[&str]) -> Result<RecommendationQuery, clap::Error> {
        let line = ["recommend"].iter().chain(flags);
        Alone::try_parse_from(line).map(|alone| alone.args.query())
    }

    #[test]
    fn one_series_is_needed_and_enough() {
        assert!(query(&[]).is_err());
        let query = query(&["--memory-series", "web.memory"]).unwrap();
        assert_eq!(query.cpu_series, None);
        assert_eq!(query.replicas, 0);
    }

    #[test]
    fn notes_break_between_words_and_a_long_word_stands_alone() {
        assert_eq!(
            wrapped("cpu: one two three", 12),
            ["cpu: one two", "  three"]
        );
        assert_eq!(wrapped("a bbbbbbbbbb c", 4), ["a", "  bbbbbbbbbb", "  c"]);
    }

    #[test]
    fn flags_become_the_question() {
        let query = query(&[
            "--cpu-series=web.cpu",
            "--window=next-month",
            "--policy=multiplier",
            "--replicas=3",
            "--max-cpu=4000",
        ])
        .unwrap();
        assert_eq!(query.policy, Policy::Multiplier);
        assert_eq!(query.replicas, 3);
        let clamps = query.cpu_clamps.unwrap();
        assert_eq!((clamps.min, clamps.max), (None, Some(4_000.0)));
        assert_eq!(query.memory_clamps, None);
    }
}
