//! The engine: forecasts.

mod forecast;

use anyhow::Result;

use crate::report::Section;

/// Everything about the engine.
///
/// # Errors
/// When Python cannot be started or refuses.
pub fn measure() -> Result<Section> {
    let mut section = Section::default();
    forecast::measure(&mut section)?;
    Ok(section)
}
