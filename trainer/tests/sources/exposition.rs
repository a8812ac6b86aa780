//! Metrics in OpenMetrics text, as promtool backfills them and Prometheus scrapes them.

use std::fmt::Write as _;
use std::path::Path;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

pub(crate) const DAY: i64 = 86_400;

/// Now, in seconds since 1970.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// What a workload uses at an instant: a day's shape, a week's, and noise that is the same every time.
pub(crate) fn load(workload: i64, instant: i64) -> f64 {
    let day = (instant as f64 / DAY as f64 * std::f64::consts::TAU).sin();
    let weekend = instant.div_euclid(DAY).rem_euclid(7) < 2;
    let week = if weekend { 0.8 } else { 1.0 };
    let level = (2.0 + workload as f64 % 7.0) * week * (1.0 + 0.5 * day);
    level * (1.0 + 0.2 * noise(workload, instant))
}

/// From -0.5 to 0.5, without a pattern: SplitMix64 of both numbers.
fn noise(workload: i64, instant: i64) -> f64 {
    let mut z = (instant as u64 ^ (workload as u64) << 40).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
}

/// One metric; series are given as labels and their samples.
pub(crate) struct Family {
    text: String,
    name: &'static str,
    /// What stands behind the name of a sample.
    suffix: &'static str,
}

impl Family {
    pub(crate) fn gauge(name: &'static str) -> Self {
        Self {
            text: format!("# TYPE {name} gauge\n"),
            name,
            suffix: "",
        }
    }

    /// `name` is without `_total`.
    pub(crate) fn counter(name: &'static str) -> Self {
        Self {
            text: format!("# TYPE {name} counter\n"),
            name,
            suffix: "_total",
        }
    }

    pub(crate) fn series(
        &mut self,
        labels: &str,
        samples: impl Iterator<Item = (i64, f64)>,
    ) -> &mut Self {
        for (instant, value) in samples {
            let (name, suffix) = (self.name, self.suffix);
            writeln!(self.text, "{name}{suffix}{{{labels}}} {value} {instant}").unwrap();
        }
        self
    }
}

/// Writes families to a file that promtool reads.
pub(crate) fn write(path: &Path, families: &[Family]) {
    let mut text: String = families.iter().map(|family| family.text.as_str()).collect();
    text.push_str("# EOF\n");
    std::fs::write(path, text).unwrap();
}

/// Serves `line` on /metrics until this process ends; HOST:PORT.
pub(crate) async fn serve(line: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let app = Router::new().route("/metrics", get(move || async move { line }));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}
