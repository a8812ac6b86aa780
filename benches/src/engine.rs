//! The engine: forecasts, fits and searches.

mod fit;
mod forecast;
mod search;

use anyhow::Result;

use crate::report::Section;

/// Everything about the engine.
///
/// # Errors
/// When Python cannot be started or refuses.
pub fn measure() -> Result<Section> {
    let mut section = Section::default();
    forecast::measure(&mut section)?;
    fit::measure(&mut section)?;
    search::measure(&mut section)?;
    Ok(section)
}
