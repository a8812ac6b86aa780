//! Demands that were computed: the same question of the same version in the same buckets is computed once, however many
//! methods, streams and ScaledObjects ask it.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use jiff::Timestamp;
use loadcast_model::{
    error::Error as ModelError,
    trigger::{Demand, MAX_VALUE},
};
use lru::LruCache;

use crate::{
    answer::{Answer, answer_off_thread},
    error::Error,
    live::Seen,
    question::{Question, Range},
    scaler::{
        asked::{Asked, TriggerId},
        gate::Standing,
    },
    served::Served,
};

/// What is kept at once, some 300 bytes each: the present buckets of 20,000 triggers, and as many of the step before.
const MAX_COMPUTED: usize = 40_000;

/// What a demand is a function of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// What is asked.
    pub trigger: TriggerId,
    /// At which the version began to be served: no two versions of this server share it.
    pub revision: u64,
    /// The first and the last step of the window, in epoch seconds.
    pub window: (i64, i64),
    /// Of the observations that count.
    pub observations: u64,
}

/// The demand, or why there is none.
pub type Outcome = Result<Demand, Arc<Error>>;

/// Computed demands, those used longest ago forgotten first.
#[derive(Debug)]
pub struct Computed(Mutex<LruCache<Key, Shared<BoxFuture<'static, Outcome>>>>);

impl Default for Computed {
    fn default() -> Self {
        let most = NonZeroUsize::new(MAX_COMPUTED).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(LruCache::new(most)))
    }
}

impl Computed {
    /// The demand for `key`, which `compute` finds. However many ask, it is computed once.
    pub async fn get<F>(&self, key: Key, compute: impl FnOnce() -> F) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let computing = {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.get_or_insert(key, || compute().boxed().shared())
                .clone()
        };
        // Short ones are done at once. Long ones are driven to their end whoever leaves, so that none holds on to a version
        // that nobody asks for any more.
        match computing.clone().now_or_never() {
            Some(outcome) => outcome,
            None => {
                tokio::spawn(computing.clone());
                computing.await
            }
        }
    }
}

/// The answer of `served` for a window, by its first and last step.
pub(crate) async fn forecast(
    asked: &Asked,
    served: Arc<Served>,
    (first, last): (i64, i64),
    now: Timestamp,
    seen: Seen,
) -> Result<Answer, Error> {
    let step = served.loaded.metadata().series.step_seconds;
    let question = Question {
        range: Range::Between {
            start: first,
            end: last.saturating_add(step.into()),
        },
        ..Question::of_levels(asked.trigger.levels())
    };
    let answer = answer_off_thread(served, question, now, seen).await;
    answer.map_err(|error| match error {
        // What the question has of the trigger is its window.
        Error::Invalid { description, .. } => Error::invalid("leadTime", description),
        error => error,
    })
}

/// The demand of `asked` by `served` for a window, by its first and last step.
pub(crate) async fn demand(
    asked: Arc<Asked>,
    served: Arc<Served>,
    window: (i64, i64),
    Standing { observed, seen, .. }: Standing,
    now: Timestamp,
) -> Outcome {
    let answer = forecast(&asked, served, window, now, seen).await?;
    let demand = asked.trigger.demand(&answer.forecast, observed);
    checked(&asked, demand).map_err(Arc::new)
}

/// The demand, if it is a number that may go on the wire.
pub(crate) fn checked(asked: &Asked, demand: Result<Demand, ModelError>) -> Result<Demand, Error> {
    let gated = |why: String| Error::Gated {
        series: asked.trigger.series.clone(),
        reason: "NON_FINITE",
        why,
    };
    match demand {
        Ok(demand) if demand.value <= MAX_VALUE => Ok(demand),
        Ok(demand) => Err(gated(format!(
            "the demand is {:e}, more than KEDA can carry; set clampMax, or another unit by scale",
            demand.value
        ))),
        Err(error @ ModelError::NonFinite { .. }) => Err(gated(format!("{error}; train again"))),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    fn key(i: i64) -> Key {
        let metadata = [("series", "a"), ("target", "1")];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Key {
            trigger: Asked::read(&metadata.into()).unwrap().id,
            revision: 1,
            window: (i, i),
            observations: 0,
        }
    }

    fn told(value: f64) -> Outcome {
        Ok(Demand {
            value,
            active: true,
            clamped: false,
        })
    }

    #[tokio::test]
    async fn however_many_ask_it_is_computed_once_and_another_question_is_another() {
        let (computed, count) = (Computed::default(), Arc::new(AtomicUsize::new(0)));
        let ask = |i: i64| {
            let count = Arc::clone(&count);
            computed.get(key(i), move || async move {
                tokio::task::yield_now().await;
                count.fetch_add(1, Ordering::Relaxed);
                told(i as f64)
            })
        };
        let answers = futures::future::join_all((0..100).map(|i| ask(i % 2))).await;
        for (i, answer) in answers.iter().enumerate() {
            assert_eq!(answer.as_ref().unwrap().value, (i % 2) as f64);
        }
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_computed_to_its_end_and_lets_go() {
        let (computed, gate) = (Computed::default(), Arc::new(Semaphore::new(0)));
        let (held, waiting) = (Arc::new(()), Arc::clone(&gate));
        let holding = Arc::clone(&held);
        let asking = computed.get(key(1), move || async move {
            let _holding = holding;
            drop(waiting.acquire().await);
            told(1.0)
        });
        assert!(
            asking.now_or_never().is_none(),
            "it left before it was answered"
        );
        gate.add_permits(1);
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded() {
        let computed = Computed::default();
        for i in 0..=MAX_COMPUTED as i64 {
            computed.get(key(i), || async { told(0.0) }).await.unwrap();
        }
        assert_eq!(computed.0.lock().unwrap().len(), MAX_COMPUTED);
    }
}
