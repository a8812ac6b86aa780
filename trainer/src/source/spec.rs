//! A spec from a file: Prophet's argument names as TOML.

use loadcast_model::spec::Spec;

use super::location;
use crate::error::{Error, Result};

/// Reads the spec at `place`, the file of `--spec`.
///
/// # Errors
/// Those of [`location::read`]; [`Error::Settings`] naming the line that is no argument of Prophet's.
pub async fn read(place: &str) -> Result<Spec> {
    let bytes = location::read(place).await?;
    let remedy = "write Prophet's argument names, one to a line: weekly_seasonality = true";
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Error::settings(format!("--spec {place} is no text"), remedy))?;
    toml::from_str(text).map_err(|error| {
        let what = error.message().trim().replace('\n', ", ");
        let line = error
            .span()
            .map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        Error::settings(format!("--spec {place}, line {line}: {what}"), remedy)
    })
}
