//! The flags that say what is fitted: of `run`, and of the third stage alone.

use clap::builder::FalseyValueParser;
use loadcast_model::backtest::Method;

use crate::error::Result;
use crate::source::spec;

/// A spec, or a search.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// What to fit: Prophet's arguments as TOML [default: --search; with holidays, Prophet's own defaults]; a catalog says
    /// its own
    #[arg(long, env = "LOADCAST_SPEC", value_name = "FILE.toml")]
    spec: Option<String>,
    /// Search the best forecast instead of fitting a spec: candidates combined, anchored, and distilled into one model
    #[arg(long, env = "LOADCAST_SEARCH", value_parser = FalseyValueParser::new(), conflicts_with = "spec")]
    search: bool,
}

/// What the flags ask for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    method: Option<Method>,
}

impl Args {
    /// What the flags ask for.
    ///
    /// # Errors
    /// When the spec cannot be read.
    pub(super) async fn asked(&self) -> Result<Asked> {
        let method = read(self.search, self.spec.as_deref()).await?;
        Ok(Asked { method })
    }
}

/// What `--search` and `--spec` ask for; `None` where neither does.
///
/// # Errors
/// When the spec cannot be read.
pub(super) async fn read(search: bool, spec: Option<&str>) -> Result<Option<Method>> {
    match spec {
        _ if search => Ok(Some(Method::Search)),
        Some(place) => Ok(Some(Method::Spec(Box::new(spec::read(place).await?)))),
        None => Ok(None),
    }
}

impl Asked {
    /// The method for a series, where one `has_holidays`. Unasked, it is a search: Prophet's defaults lose to "the same as
    /// yesterday" more often than not, and would not pass the gates. A search knows no holidays.
    pub(super) fn method(&self, has_holidays: bool) -> Method {
        let unasked = || match has_holidays {
            true => Method::Spec(Box::default()),
            false => Method::Search,
        };
        self.method.clone().unwrap_or_else(unasked)
    }
}
