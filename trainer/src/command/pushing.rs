//! The flags that say where models go: of `run`, and of the last stage alone.

use loadcast_client::Client;

use crate::error::Result;
use crate::push;

/// A server, and the alias that a promotion moves there.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Where to push
    #[arg(
        long,
        env = "LOADCAST_SERVER",
        default_value = "http://127.0.0.1:50051",
        value_name = "URL"
    )]
    server: String,
    /// The alias that is to point at the new version; empty moves none
    #[arg(
        long,
        env = "LOADCAST_ALIAS",
        default_value = "champion",
        value_name = "NAME"
    )]
    alias: String,
}

impl Args {
    /// A client of the server; nobody is asked yet.
    ///
    /// # Errors
    /// For an address that is none.
    pub(super) fn connect(&self) -> Result<Client> {
        push::connect(&self.server)
    }

    /// The alias to move; `None` moves none.
    pub(super) fn alias(&self) -> Option<&str> {
        Some(self.alias.as_str()).filter(|alias| !alias.is_empty())
    }
}
