//! Flags of what is served beside gRPC: the REST of the original, browsers, forecasts for Prometheus.

use loadcast_model::{series::SeriesName, zone::Zone};

use super::Config;
use crate::rest::Setting;

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
}

impl Config {
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
    let mut url: url::Url = address.parse().ok()?;
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
