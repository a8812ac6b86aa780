//! `loadcast-trainer import`: a pickled Prophet to a version that can be served.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgGroup;
use clap::builder::FalseyValueParser;
use jiff::Timestamp;
use loadcast_model::series::{Series, SeriesName, Unit};

use super::run::read_zone;
use crate::console::Console;
use crate::error::{Error, Result};
use crate::mlflow;
use crate::model_folder;
use crate::push;
use crate::python::Python;
use crate::source::pickle::{self, Imported, Place};
use crate::stage::compare_with_python::{self, Faithful, compare_with_python};
use crate::time::read_length;

/// Turn a pickled Prophet, as mlflow.sklearn.log_model or joblib wrote it, into an MLflow version of the prophet flavor.
///
/// Servers read no pickles: a pickle is a program, and reading it runs whatever it holds. Here Python reads it, on this
/// machine and as you, and only with --trust-pickle. The model is taken when our forecast of a grid equals Python's
/// predict() within 1e-9; nothing is registered otherwise. Python needs prophet, and mlflow for what is in MLflow.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("result").required(true).multiple(true).args(["output", "register", "server"]))]
pub struct Args {
    /// The pickle: models:/NAME/3, models:/NAME@ALIAS, runs:/RUN_ID/PATH, a pickle file, or a folder that MLflow wrote
    #[arg(long, env = "LOADCAST_MODEL", value_name = "URI|PATH")]
    model: Place,
    /// The series, which is the name to register [default: the registered model's name]
    #[arg(long, env = "LOADCAST_SERIES", value_name = "NAME")]
    series: Option<SeriesName>,
    /// The unit of its values: cores, bytes, 1/s, percent or 1
    #[arg(long, env = "LOADCAST_UNIT", value_name = "UNIT")]
    unit: Option<Unit>,
    /// The time zone of the wall clock that it was fitted on
    #[arg(
        long,
        env = "LOADCAST_TIME_ZONE",
        default_value = "UTC",
        value_name = "IANA"
    )]
    time_zone: String,
    /// Read the pickle, which runs the code in it: you trust whoever wrote it
    #[arg(long, env = "LOADCAST_TRUST_PICKLE", value_parser = FalseyValueParser::new())]
    trust_pickle: bool,
    /// Where MLflow is, for models:/ and runs:/ and --register
    #[arg(long, env = "MLFLOW_TRACKING_URI", value_name = "URI")]
    tracking_uri: Option<String>,
    /// The Python that reads the pickle; with --make-venv the one that makes it
    #[arg(
        long,
        env = "LOADCAST_PYTHON",
        default_value = "python3",
        value_name = "PATH"
    )]
    python: PathBuf,
    /// Make a Python environment with prophet and mlflow in DIR, unless it is there, and use that (0.9 GB)
    #[arg(long, env = "LOADCAST_MAKE_VENV", value_name = "DIR")]
    make_venv: Option<PathBuf>,
    /// How long Python may take for one thing: the environment, the pickle, the registration
    #[arg(long, env = "LOADCAST_TIME_LIMIT", default_value = "10m", value_parser = read_length, value_name = "DURATION")]
    time_limit: i64,
    /// Write the MLflow model folder here
    #[arg(long, env = "LOADCAST_OUTPUT", value_name = "DIR")]
    output: Option<PathBuf>,
    /// Register it in MLflow, as a new version
    #[arg(long, env = "LOADCAST_REGISTER", value_parser = FalseyValueParser::new())]
    register: bool,
    /// Push it to this Loadcast server
    #[arg(long, env = "LOADCAST_SERVER", value_name = "URL")]
    server: Option<String>,
    /// The alias that --register and --server move to the new version; unset moves none
    #[arg(long, env = "LOADCAST_ALIAS", value_name = "NAME")]
    alias: Option<String>,
}

impl Args {
    pub(super) async fn run(self, now: Timestamp, out: &mut (dyn Write + Send)) -> Result<()> {
        let series = self.series()?;
        // What cannot be reached is said before anything is run.
        let client = self.server.as_deref().map(push::connect).transpose()?;
        let tracking_uri = self.registry()?;
        let mut console = Console::new(out);
        let python = self.interpreter().await?;
        console.begin(format!("{} as {}", self.model, series.name));
        let imported = pickle::read(
            &python,
            &self.model,
            self.tracking_uri.as_deref(),
            self.trust_pickle,
        )
        .await?;
        console.line(told(&imported));
        let faithful = console.stage(compare_with_python::STAGE, || {
            compare_with_python(imported, series, now)
        })?;
        self.write(&faithful, &mut console)?;
        if let Some(uri) = tracking_uri {
            let registered =
                mlflow::register(&faithful, &python, uri, self.alias.as_deref()).await?;
            console.line(&registered);
            if let Some(alias) = &self.alias {
                console.line(moved(alias, &registered));
            }
        }
        if let Some(client) = client {
            let alias = self.alias.as_deref();
            console.line(push::imported::push(&faithful, &client, alias).await?);
        }
        Ok(())
    }

    fn series(&self) -> Result<Series> {
        let name = self.series.clone().or_else(|| self.model.series());
        let name = name.ok_or_else(|| {
            Error::settings(
                format!("{} names no series", self.model),
                "give one with --series: letters, digits, dots, dashes and underscores",
            )
        })?;
        Ok(Series {
            unit: self.unit,
            zone: read_zone(&self.time_zone)?,
            ..Series::new(name)
        })
    }

    /// Where to register; `None` when that was not asked for.
    fn registry(&self) -> Result<Option<&str>> {
        if self.alias.is_some() && !self.register && self.server.is_none() {
            return Err(Error::settings(
                "--alias: a folder has none",
                "give --register or --server, or leave out --alias",
            ));
        }
        match &self.tracking_uri {
            _ if !self.register => Ok(None),
            Some(uri) => Ok(Some(uri)),
            None => Err(Error::settings(
                "--register: nobody said where MLflow is",
                "give --tracking-uri http://HOST:PORT, or set MLFLOW_TRACKING_URI",
            )),
        }
    }

    async fn interpreter(&self) -> Result<Python> {
        let python = Python {
            program: self.python.clone(),
            limit: Duration::from_secs(self.time_limit.unsigned_abs()),
        };
        match &self.make_venv {
            Some(folder) => python.with_venv(folder).await,
            None => Ok(python),
        }
    }

    fn write(&self, faithful: &Faithful, console: &mut Console<'_>) -> Result<()> {
        if let Some(folder) = &self.output {
            model_folder::write(folder, faithful.model_pr(), faithful.metadata())?;
            console.line(format!("  wrote {}", folder.display()));
        }
        Ok(())
    }
}

fn told(imported: &Imported) -> String {
    let pickle = &imported.pickle;
    format!(
        "  {:<18}{} of {} ({}), {} bytes, sha256 {}\n    {:<8}{} of {} rows, read by {}",
        "unpickled",
        pickle.name,
        imported.place,
        pickle.flavor,
        pickle.size_bytes,
        pickle.sha256,
        "ok",
        imported.holder,
        imported.rows,
        imported.python,
    )
}

fn moved(alias: &str, registered: &mlflow::Registered) -> String {
    let line = match registered.moved_from {
        Some(from) if from == registered.version => format!("{alias} is there already"),
        Some(from) => format!("{alias} moved from version {from}"),
        None => format!("{alias} is new"),
    };
    format!("    {:<8}{line}", "ok")
}
