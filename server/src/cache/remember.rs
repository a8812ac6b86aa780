//! What is committed while the state directory cannot be written, and its writing down when that is possible again.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Cache, lock, records::records_after};
use crate::{
    error::Result,
    served::Outage,
    state::{Remembers, StateDir},
};

impl Cache {
    /// Since when the state directory cannot be written, so that a restart begins a new epoch with what was served before;
    /// `None` while it can. Wakes when that changes.
    pub fn forgetful(&self) -> watch::Receiver<Option<Outage>> {
        self.forgetful.subscribe()
    }

    /// Writes down what could not be written when it was committed, if there is such and it can be written now.
    pub async fn remember(self: &Arc<Self>) {
        if self.forgetful.borrow().is_none() {
            return;
        }
        let cache = Arc::clone(self);
        let remembering = tokio::task::spawn_blocking(move || cache.remember_blocking());
        match remembering.await {
            Ok(Ok(())) => tracing::info!("the state directory is written again; its epoch goes on"),
            Ok(Err(error)) => tracing::warn!(%error, "the state directory cannot be written yet"),
            Err(error) => tracing::error!(%error, "writing the state directory died"),
        }
    }

    fn remember_blocking(&self) -> Result<()> {
        self.catch_up(&mut lock(&self.writer))?;
        self.forgetful.send_replace(None);
        Ok(())
    }

    /// Makes the directory again where it was taken away, and writes down what it does not remember of the present state.
    pub(super) fn catch_up(&self, writer: &mut StateDir) -> Result<()> {
        if writer.is_gone() {
            writer.renew()?;
        }
        let remembers = writer.remembers();
        if remembers == Remembers::Everything {
            return Ok(());
        }
        let state = self.state();
        let models = records_after(&state, remembers);
        writer.rejoin(state.epoch, &self.log.retained(), models)
    }
}
