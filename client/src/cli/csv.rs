//! A forecast as CSV: `ds,yhat[,trend][,component...][,q0.1...]`, times in RFC 3339, numbers that round-trip.

use std::io::{self, Write};

use loadcast_client::Forecast;

/// Writes header and rows.
pub(crate) fn print(forecast: &Forecast, out: &mut impl Write) -> io::Result<()> {
    let mut columns: Vec<(String, &[f64])> = vec![("yhat".to_owned(), &forecast.yhat)];
    if !forecast.trend.is_empty() {
        columns.push(("trend".to_owned(), &forecast.trend));
    }
    for component in &forecast.components {
        columns.push((quoted(&component.name), &component.values));
    }
    for quantile in &forecast.quantiles {
        columns.push((format!("q{}", quantile.level), &quantile.values));
    }
    write!(out, "ds")?;
    for (name, _) in &columns {
        write!(out, ",{name}")?;
    }
    writeln!(out)?;
    for (row, time) in forecast.times().enumerate() {
        write!(out, "{time}")?;
        for (_, values) in &columns {
            write!(out, ",{}", values[row])?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// A holiday may be named with a comma.
fn quoted(name: &str) -> String {
    if name.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use loadcast_client::{Component, Quantile};

    use super::*;
    use crate::cli::show::tests::forecast;

    fn printed(forecast: &Forecast) -> String {
        let mut out = Vec::new();
        print(forecast, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_column_has_its_name_and_every_number_round_trips() {
        let mut forecast = forecast(vec![0.1 + 0.2, 1e-17]);
        forecast.quantiles = vec![Quantile {
            level: 0.9,
            values: vec![1.0, 2.0],
        }];
        assert_eq!(
            printed(&forecast),
            "ds,yhat,q0.9\n\
             2026-10-08T00:00:00Z,0.30000000000000004,1\n\
             2026-10-08T00:05:00Z,0.00000000000000001,2\n"
        );
    }

    #[test]
    fn components_stand_between_trend_and_quantiles_and_are_quoted() {
        let mut forecast = forecast(vec![1.0]);
        forecast.trend = vec![0.5];
        forecast.components = vec![Component {
            name: "New Year, observed".into(),
            multiplicative: false,
            values: vec![0.25],
        }];
        assert_eq!(
            printed(&forecast).lines().next(),
            Some("ds,yhat,trend,\"New Year, observed\"")
        );
    }
}
