//! The memory of GetForecast: the same question to the same version within the same step is computed and encoded once,
//! and sent to all who ask it.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use prometheus_client::{metrics::counter::Counter, registry::Registry};

use crate::{error::Result, freshness::Freshness, memo::Memo, question::Question, served::Served};

/// The most bytes of encoded answers that are kept, keys and all.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Memories that do not wait for each other.
const SHARDS: usize = 16;

/// Longer questions, as with inputs for every point, are not remembered: a key would cost as much as its answer.
const MAX_ASKED_BYTES: usize = 512;

/// Longer answers are not remembered: a few of them would take the place of thousands.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// Questions that are known to have been asked once, by their hashes; a later one takes the place of an earlier one.
const ASKED_ONCE: usize = 16 * 1024;

/// The trend and as many components as few models have.
const MOST_PARTS: usize = 32;

/// All that an answer depends on. Whatever else an answer comes to tell has to come in here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The whole request, encoded.
    asked: Bytes,
    version: u64,
    sha256: String,
    /// When the version began to be served; told in the answer.
    revision: u64,
    /// The instant that counts as now, floored to the step.
    as_of: i64,
    freshness: Freshness,
    /// Of what was observed: see [`View::generation`](crate::live::View::generation).
    generation: u64,
}

impl Key {
    /// The key of what `asked` is answered by `served`; none when it is not to be remembered.
    pub(crate) fn of(
        asked: Bytes,
        served: &Served,
        as_of: i64,
        freshness: Freshness,
        generation: u64,
    ) -> Option<Self> {
        (asked.len() <= MAX_ASKED_BYTES).then(|| Self {
            asked,
            version: served.version,
            sha256: served.loaded.metadata().sha256.clone(),
            revision: served.revision,
            as_of,
            freshness,
            generation,
        })
    }
}

/// Whether the answer to `question`, of so many points, is short enough to be kept.
pub(crate) fn is_kept(points: u32, question: &Question) -> bool {
    let parts = if question.components { MOST_PARTS } else { 0 };
    let columns = 1 + question.levels.len() + parts;
    points as usize * columns * size_of::<f64>() <= MAX_ANSWER_BYTES
}

/// Encoded answers.
#[derive(Debug)]
pub(crate) struct Answers {
    shards: [Memo<Key>; SHARDS],
    /// What is asked once is not worth a place: a client that never asks the same again pushes nobody out.
    asked_once: Box<[AtomicU64]>,
    hasher: RandomState,
    asked: Counter,
    computed: Counter,
}

impl Default for Answers {
    fn default() -> Self {
        let memo = |_| Memo::new(MAX_BYTES / SHARDS, MAX_ASKED_BYTES);
        Self {
            shards: std::array::from_fn(memo),
            asked_once: (0..ASKED_ONCE).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            asked: Counter::default(),
            computed: Counter::default(),
        }
    }
}

impl Answers {
    /// Enters its counts into `registry`.
    pub(crate) fn enter(&self, registry: &mut Registry) {
        registry.register(
            "forecast_questions",
            "Questions of GetForecast to a version that is in memory.",
            self.asked.clone(),
        );
        registry.register(
            "forecast_answers_computed",
            "Those whose answer was not in memory.",
            self.computed.clone(),
        );
    }

    /// What is kept under `key`, or what `make` makes; that is kept from the second time on. Without a key nothing is.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) async fn get<F>(&self, key: Option<Key>, make: impl FnOnce() -> F) -> Result<Bytes>
    where
        F: Future<Output = Result<Bytes>>,
    {
        self.asked.inc();
        let make = || {
            self.computed.inc();
            make()
        };
        let Some(key) = key else {
            return make().await;
        };
        let hash = self.hasher.hash_one(&key);
        let place = hash as usize;
        let last = &self.asked_once[place % ASKED_ONCE];
        if last.load(Ordering::Relaxed) != hash {
            last.store(hash, Ordering::Relaxed);
            return make().await;
        }
        self.shards[place % SHARDS].try_get(key, make).await
    }
}
