//! The order in which a change comes to be, apart from what it is made of, so that it can be model-checked
//! (`tests/promises/p09/protocol.rs`).
//!
//! Durable, then visible, then logged, then woken. Whoever reads the state sees only what survives a crash; whoever
//! reads the log sees only what the state shows; whoever is woken finds the event in the log. A follower that takes its
//! position in the log from a state, and only then waits, misses nothing and sees nothing twice.

/// The steps of one commit, as the cache takes them.
pub trait Stages {
    /// Changes that are committed together.
    type Batch;
    /// Why a batch cannot be made durable.
    type Error;

    /// Puts the batch where it survives a crash.
    ///
    /// # Errors
    /// When it cannot; nobody has then seen anything of it.
    fn make_durable(&mut self, batch: &Self::Batch) -> Result<(), Self::Error>;

    /// Every later lookup sees the batch.
    fn make_visible(&mut self, batch: &Self::Batch);

    /// Followers that read the log find the batch.
    fn log(&mut self, batch: &Self::Batch);

    /// Followers that wait are woken.
    fn wake(&mut self, batch: &Self::Batch);
}

/// Commits `batch`. The caller holds the one lock of writers meanwhile.
///
/// # Errors
/// That of [`Stages::make_durable`]; the batch then never was.
pub fn commit<S: Stages>(stages: &mut S, batch: &S::Batch) -> Result<(), S::Error> {
    stages.make_durable(batch)?;
    stages.make_visible(batch);
    stages.log(batch);
    stages.wake(batch);
    Ok(())
}
