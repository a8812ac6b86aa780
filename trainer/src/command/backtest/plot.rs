//! The pictures of `--plot`: one for each origin.

use std::path::Path;

use loadcast_model::backtest::{Method, Origin};
use loadcast_model::grid::Grid;

use crate::error::Result;
use crate::output;
use crate::plot::origin::picture;

/// Days of history before the origin.
const DAYS_BEFORE: i64 = 3;

/// Writes `COLUMN-K.svg` for each origin `K` into `folder`.
///
/// # Errors
/// [`Error::Output`](crate::error::Error::Output) when the folder cannot be written.
pub(super) fn write(
    folder: &Path,
    column: &str,
    method: &Method,
    grid: &Grid,
    origins: &[Origin],
) -> Result<()> {
    for (origin, k) in origins.iter().zip(1..) {
        let title = match method {
            Method::Search => format!("{column}, origin {k}: search"),
            Method::Spec(_) => format!("{column}, origin {k}: the spec's model"),
        };
        let file: String = column
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        let path = folder.join(format!("{file}-{k}.svg"));
        let svg = picture(&title, "same as yesterday", grid, origin, DAYS_BEFORE, None);
        output::write(&path, svg.as_bytes())?;
    }
    Ok(())
}
