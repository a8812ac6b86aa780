//! A forecast as a table: the columns that Prophet's `predict()` has, in its order.

use crate::error::Result;
use crate::time::show_wall_clock;

/// Forecast columns over the wall-clock times that were asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub(crate) ds: Vec<i64>,
    pub(crate) columns: Vec<(String, Vec<f64>)>,
}

impl Answer {
    /// Wall-clock seconds since 1970-01-01 00:00:00, in the order of the question.
    #[must_use]
    pub fn ds(&self) -> &[i64] {
        &self.ds
    }

    /// Names and values beside `ds`: `trend`, `yhat`, then components and quantiles if asked for.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &[f64])> {
        self.columns
            .iter()
            .map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// The values of one column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&[f64]> {
        self.columns()
            .find_map(|(column, values)| (column == name).then_some(values))
    }

    /// CSV with a header line; floats read back as the same floats.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) for a time outside the calendar.
    pub fn to_csv(&self) -> Result<String> {
        let mut csv = String::from("ds");
        for (name, _) in &self.columns {
            csv.push(',');
            csv.push_str(&quoted(name));
        }
        csv.push('\n');
        for (row, ds) in self.ds.iter().enumerate() {
            csv.push_str(&show_wall_clock(*ds)?);
            for (_, values) in &self.columns {
                csv.push_str(&format!(",{:?}", values[row]));
            }
            csv.push('\n');
        }
        Ok(csv)
    }

    /// An array of row objects with the same keys in the same order, a row to a line.
    ///
    /// # Errors
    /// As [`to_csv`](Self::to_csv).
    pub fn to_json(&self) -> Result<String> {
        let mut json = String::from("[");
        for (row, ds) in self.ds.iter().enumerate() {
            json.push_str(if row == 0 { "\n" } else { ",\n" });
            json.push_str(&format!("{{\"ds\":\"{}\"", show_wall_clock(*ds)?));
            for (name, values) in &self.columns {
                let (key, value) = (
                    serde_json::Value::from(name.as_str()),
                    serde_json::Value::from(values[row]),
                );
                json.push_str(&format!(",{key}:{value}"));
            }
            json.push('}');
        }
        json.push_str("\n]\n");
        Ok(json)
    }
}

/// A CSV field, in quotes where it needs them.
fn quoted(name: &str) -> String {
    if name.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        Answer {
            ds: vec![1_392_388_200],
            columns: vec![
                ("trend".into(), vec![0.1 + 0.2]),
                ("yhat".into(), vec![2.0]),
                ("odd, name".into(), vec![-1e-300]),
            ],
        }
    }

    #[test]
    fn floats_read_back_as_the_same_floats() {
        let csv = answer().to_csv().unwrap();
        assert_eq!(
            csv,
            "ds,trend,yhat,\"odd, name\"\n2014-02-14 14:30:00,0.30000000000000004,2.0,-1e-300\n"
        );
        let rows: Vec<serde_json::Value> =
            serde_json::from_str(&answer().to_json().unwrap()).unwrap();
        assert_eq!(rows[0]["trend"].as_f64(), Some(0.1 + 0.2));
        assert_eq!(rows[0]["odd, name"].as_f64(), Some(-1e-300));
        assert_eq!(rows[0]["ds"], "2014-02-14 14:30:00");
    }
}
