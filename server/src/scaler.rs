//! What a KEDA trigger is told, and by which rung of the ladder: the champion, a version before it, the last good answer,
//! the number that the trigger gives, or an honest error. Everything comes from memory.
//!
//! An answer is a function of the trigger, the step buckets of now and of `now + leadTime`, the version and what was
//! observed: two calls, two methods and two replicas that agree on these agree on it. The service, its streams, the shadow
//! triggers and the explanation all ask [`Scaler::decide`].

pub mod activity;
pub mod asked;
pub mod computed;
pub mod decision;
pub mod explain;
pub mod gate;
mod ladder;
pub mod last_good;
pub mod record;
pub mod shadow;
pub mod spec;
pub mod tally;

use std::sync::Arc;

use jiff::Timestamp;
use loadcast_model::trigger::{Demand, OnUnavailable};
use tokio::time::Instant;

use crate::{
    aspired::Aspirations,
    cache::Cache,
    error::Error,
    question::floor_to_step,
    scaler::{
        asked::Asked,
        computed::{Computed, Key, demand},
        decision::{Decision, Source, fallback},
        gate::{Standing, gates},
        ladder::{may_descend, nothing_answers, rungs},
        last_good::LastGood,
        record::{News, Records, Whose},
        tally::Tally,
    },
    served::{Entry, Served},
};

/// A series of which nothing is served has no step; its bucket is a minute.
const STEP_OF_NOTHING: u32 = 60;

/// Decides what triggers are told. One of each server.
#[derive(Debug)]
pub struct Scaler {
    cache: Arc<Cache>,
    aspirations: Arc<Aspirations>,
    computed: Computed,
    last_good: LastGood,
    /// What was told to whom.
    pub records: Records,
    /// What is counted.
    pub tally: Tally,
}

/// One version on the ladder, and what becomes of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rung<'a> {
    pub(crate) served: &'a Arc<Served>,
    pub(crate) entry: &'a Entry,
    pub(crate) source: Source,
}

impl Scaler {
    /// A scaler that answers from `cache`; `aspirations` tells what is still on its way.
    pub fn new(cache: Arc<Cache>, aspirations: Arc<Aspirations>) -> Self {
        Self {
            cache,
            aspirations,
            computed: Computed::default(),
            last_good: LastGood::default(),
            records: Records::default(),
            tally: Tally::default(),
        }
    }

    /// The cache that it answers from.
    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// Decides what `whose` trigger is told by `method`, and notes, counts and logs that.
    pub async fn tell(
        &self,
        method: &'static str,
        whose: &Whose,
        asked: &Arc<Asked>,
        now: Timestamp,
    ) -> Decision {
        let begun = Instant::now();
        let decision = self.decide(asked, now).await;
        if let (Ok(demand), OnUnavailable::LastGood { .. }) =
            (&decision.told, asked.trigger.on_unavailable)
            && matches!(decision.source, Source::Champion | Source::Previous)
        {
            self.last_good
                .keep(asked.id, *demand, decision.version, now);
        }
        self.tally.told(method, &decision, begun.elapsed());
        let news = self.records.note(whose.clone(), decision.clone(), now);
        // A first answer is news where it is none.
        if news == News::Standing || (news == News::First && decision.refusal.is_some()) {
            log(method, whose, &decision);
        }
        decision
    }

    /// What a trigger is told at `now`. Changes nothing.
    pub async fn decide(&self, asked: &Arc<Asked>, now: Timestamp) -> Decision {
        let entry = self.cache.entry(&asked.trigger.series);
        let entry = entry.as_deref();
        let mut refusal = None;
        for rung in entry.into_iter().flat_map(rungs) {
            match self.ask(asked, rung, now).await {
                Ok(demand) => {
                    return Decision {
                        told: Ok(demand),
                        source: rung.source,
                        version: rung.served.version,
                        refusal,
                        changes_at: changes_at(asked, entry, now),
                    };
                }
                // What the champion lacks is the reason; what its predecessors lack besides is not.
                Err(error) => {
                    let descends = may_descend(&error);
                    refusal = refusal.or(Some(error));
                    if !descends {
                        break;
                    }
                }
            }
        }
        let refusal = refusal
            .unwrap_or_else(|| Arc::new(nothing_answers(&self.cache, &self.aspirations, asked)));
        let changes_at = changes_at(asked, entry, now);
        self.unavailable(asked, refusal, changes_at, now)
    }

    /// What `onUnavailable` says where `refusal` is why nothing answers.
    pub(crate) fn unavailable(
        &self,
        asked: &Asked,
        refusal: Arc<Error>,
        changes_at: i64,
        now: Timestamp,
    ) -> Decision {
        let good = self.last_good.of(asked.id);
        let (source, version, demand, expires_at) = fallback(&asked.trigger, good, now);
        Decision {
            told: demand.ok_or_else(|| Arc::clone(&refusal)),
            source,
            version,
            refusal: Some(refusal),
            changes_at: expires_at.map_or(changes_at, |expires_at| changes_at.min(expires_at)),
        }
    }

    /// The demand by one version: where its gates are open, what it computes for the window, once per bucket.
    async fn ask(
        &self,
        asked: &Arc<Asked>,
        Rung { served, entry, .. }: Rung<'_>,
        now: Timestamp,
    ) -> Result<Demand, Arc<Error>> {
        let standing = self.standing(served, entry, now);
        let gates = gates(&asked.trigger, &standing);
        if let Some(closed) = gates.iter().find(|gate| !gate.is_open()) {
            return Err(Arc::new(closed.refusal(&asked.trigger.series)));
        }
        let step = served.loaded.metadata().series.step_seconds;
        let key = Key {
            trigger: asked.id,
            revision: served.revision,
            window: asked.trigger.ends(now.as_second(), step),
            observations: standing.seen.generation(),
        };
        let compute = || {
            demand(
                Arc::clone(asked),
                Arc::clone(served),
                key.window,
                standing,
                now,
            )
        };
        self.computed.get(key, compute).await
    }

    /// What is known at `now` of a version of `entry` beside its forecast. Ages are those of the step bucket, so that a
    /// gate closes with a step and not within it.
    pub(crate) fn standing(&self, served: &Served, entry: &Entry, now: Timestamp) -> Standing {
        let seen = self.cache.live().seen(&entry.series);
        let step = served.loaded.metadata().series.step_seconds;
        Standing::of(served, entry, seen, floor_to_step(now.as_second(), step))
    }
}

/// Says what is news: every change of a trigger's standing, and neither values nor repetitions.
fn log(method: &str, whose: &Whose, decision: &Decision) {
    let (namespace, name, series) = (&whose.namespace, &whose.name, &whose.series);
    let (outcome, version) = (decision.source.as_str(), decision.version);
    let told = decision.told.as_ref().ok();
    let (value, active) = (told.map(|it| it.value), told.map(|it| it.active));
    let reason = decision.reason();
    let why = decision.refusal.as_deref().map(tracing::field::display);
    tracing::info!(method, namespace, name, %series, outcome, version, value, active, reason, why, "a trigger was told something new");
}

/// The epoch second at which time alone may change the answer: the next bucket of now or of the window's end.
fn changes_at(asked: &Asked, entry: Option<&Entry>, now: Timestamp) -> i64 {
    let steps = entry.into_iter().flat_map(Entry::versions);
    let step = steps
        .map(|served| served.loaded.metadata().series.step_seconds)
        .min()
        .unwrap_or(STEP_OF_NOTHING);
    let now = now.as_second();
    let lead = i64::from(asked.trigger.lead_seconds);
    let left = |at: i64| floor_to_step(at, step) + i64::from(step) - at;
    now + left(now).min(left(now + lead))
}
