//! Flags of what is served beside gRPC: the REST of the original, browsers, forecasts for Prometheus.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use loadcast_model::{series::SeriesName, zone::Zone};
use url::Url;

use super::Config;
use crate::{
    browser::origin,
    exposition::{self, Ask, Lead},
    rest::Setting,
    selector::Selector,
};

/// The flags.
#[derive(Debug, Clone, clap::Args)]
pub struct Web {
    /// Series that answer for CPU under /next_day and its like; of several, with commas between, the first that is served.
    #[arg(
        long,
        env = "LOADCAST_REST_CPU_SERIES",
        value_delimiter = ',',
        default_value = "CPU_Prophet_Model,CPU_Prophet_Model_Pipeline"
    )]
    pub rest_cpu_series: Vec<SeriesName>,

    /// The same for memory.
    #[arg(
        long,
        env = "LOADCAST_REST_MEMORY_SERIES",
        value_delimiter = ',',
        default_value = "Memory_Prophet_Model,Memory_Prophet_Model_Pipeline"
    )]
    pub rest_memory_series: Vec<SeriesName>,

    /// The zone, by its IANA name, in which /next_day and its like count days and hours.
    #[arg(long, env = "LOADCAST_REST_TIME_ZONE", default_value = "UTC")]
    pub rest_time_zone: Zone,

    /// An origin whose pages may ask this server from a browser, over gRPC-web and HTTP: https://HOST[:PORT], or * for any;
    /// several with commas between, or the flag again. Without it, only pages of the same origin may.
    #[arg(
        long,
        env = "LOADCAST_CORS_ALLOW_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ',',
        value_parser = origin
    )]
    pub cors_allow_origin: Vec<HeaderValue>,

    /// How far ahead /metrics/forecasts and --remote-write tell forecasts, where a scrape does not ask by ?lead=.
    #[arg(
        long,
        env = "LOADCAST_FORECAST_LEADS",
        value_name = "LEADS",
        default_value = "0s,5m,1h",
        value_parser = forecast_leads
    )]
    pub forecast_leads: Leads,

    /// The quantile levels that they tell beside the point forecast, where a scrape does not ask by ?level=.
    #[arg(
        long,
        env = "LOADCAST_FORECAST_LEVELS",
        value_name = "LEVELS",
        default_value = "0.1,0.9",
        value_parser = forecast_levels
    )]
    pub forecast_levels: Levels,

    /// Where the same is written to by Prometheus's remote write, such as http://HOST:9090/api/v1/write. A user and a
    /// password may stand in the address.
    #[arg(long, env = "LOADCAST_REMOTE_WRITE", value_name = "URL", value_parser = write_address)]
    pub remote_write: Option<Url>,

    /// How often.
    #[arg(
        long,
        env = "LOADCAST_REMOTE_WRITE_INTERVAL",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = super::duration
    )]
    pub remote_write_interval: Duration,
}

/// A list behind one flag.
type Leads = Arc<[Lead]>;
type Levels = Arc<[f64]>;

fn forecast_leads(text: &str) -> Result<Leads, String> {
    let leads = exposition::leads(text).map_err(|error| error.to_string())?;
    Ok(leads.into())
}

fn forecast_levels(text: &str) -> Result<Levels, String> {
    let levels = exposition::levels(text).map_err(|error| error.to_string())?;
    Ok(levels.into())
}

fn write_address(text: &str) -> Result<Url, String> {
    let url: Option<Url> = text.parse().ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| "not an address; write it like http://HOST:9090/api/v1/write".to_owned())
}

impl Config {
    /// What /metrics/forecasts tells where a scrape asks for nothing else.
    pub(crate) fn exposition(&self) -> Ask {
        Ask {
            leads: self.web.forecast_leads.to_vec(),
            levels: self.web.forecast_levels.to_vec(),
            selector: Selector::all(),
        }
    }

    /// What the REST answers from.
    pub(crate) fn rest(&self) -> Setting {
        let first = self.registry.as_deref().unwrap_or_default();
        let first = first.split(',').next().unwrap_or_default();
        let mlflow = first.strip_prefix("mlflow+").and_then(without_credentials);
        Setting {
            cpu: self.web.rest_cpu_series.clone(),
            memory: self.web.rest_memory_series.clone(),
            zone: self.web.rest_time_zone.clone(),
            alias: self.alias.clone(),
            mlflow: mlflow.unwrap_or_default(),
        }
    }
}

fn without_credentials(address: &str) -> Option<String> {
    let mut url: Url = address.parse().ok()?;
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_query(None);
    Some(url.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn the_address_of_mlflow_is_told_without_its_password() {
        let config = Config::parse_from([
            "loadcast-server",
            "--registry=mlflow+https://me:secret@mlflow.example/,s3://copy/p",
        ]);
        assert_eq!(config.rest().mlflow, "https://mlflow.example/");
        let config = Config::parse_from(["loadcast-server", "--registry=memory:"]);
        assert_eq!(config.rest().mlflow, "");
    }

    #[test]
    fn the_originals_names_answer_unless_others_are_given() {
        let config = Config::parse_from(["loadcast-server", "--rest-memory-series=a,b"]);
        let names =
            |names: &[SeriesName]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let rest = config.rest();
        assert_eq!(
            names(&rest.cpu),
            ["CPU_Prophet_Model", "CPU_Prophet_Model_Pipeline"]
        );
        assert_eq!(names(&rest.memory), ["a", "b"]);
    }
}
