//! What was told to whom: the newest decision of each trigger.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use loadcast_model::series::SeriesName;
use lru::LruCache;

use crate::{
    error::Error,
    scaler::{
        asked::{Asked, TriggerId},
        decision::{Decision, Source},
    },
};

/// The most triggers that anything is remembered of; a KEDA operator has thousands at the most. Some 500 bytes each.
pub const MAX_TRIGGERS: usize = 20_000;

/// Of a namespace or a name as many bytes are kept as Kubernetes permits.
const MAX_NAME_BYTES: usize = 253;

/// Whether anything acts on what a trigger is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// KEDA does.
    Acting,
    /// Nothing does.
    Shadow,
}

/// Whose trigger it is. In the order of listings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Whose {
    /// Of the ScaledObject; empty of a shadow trigger.
    pub namespace: String,
    /// Of the ScaledObject, or of the shadow trigger.
    pub name: String,
    /// What it asks about.
    pub series: SeriesName,
    /// What it asks.
    pub trigger: TriggerId,
    /// Whether anything acts on it.
    pub mode: Mode,
}

impl Whose {
    /// The ScaledObject `namespace/name`, which asked `asked`.
    pub fn scaled_object(namespace: &str, name: &str, asked: &Asked) -> Self {
        Self {
            namespace: cut(namespace),
            name: cut(name),
            series: asked.trigger.series.clone(),
            trigger: asked.id,
            mode: Mode::Acting,
        }
    }

    /// The shadow trigger `name`, which asks `asked`.
    pub fn shadow(name: &str, asked: &Asked) -> Self {
        Self {
            namespace: String::new(),
            mode: Mode::Shadow,
            ..Self::scaled_object("", name, asked)
        }
    }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(MAX_NAME_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// What one trigger was told last.
#[derive(Debug, Clone)]
pub struct Record {
    /// What, by whom and why.
    pub decision: Decision,
    /// When it was told last.
    pub told_at: Timestamp,
    /// Since when it is what it is.
    pub since: Timestamp,
    /// How often it was told since then.
    pub times: u64,
}

impl Record {
    /// A first telling.
    pub fn first(decision: Decision, now: Timestamp) -> Self {
        Self {
            decision,
            told_at: now,
            since: now,
            times: 1,
        }
    }

    fn same(&self) -> (Option<u64>, u64, Stands) {
        let told = self.decision.told.as_ref().ok();
        let value = told.map(|demand| demand.value.to_bits());
        (value, self.decision.version, self.stands())
    }

    fn stands(&self) -> Stands {
        let told = self.decision.told.as_ref().ok();
        let active = told.map(|demand| demand.active);
        (active, self.decision.source, self.decision.reason())
    }
}

/// Whether it is active, who says so, and why the champion does not.
type Stands = (Option<bool>, Source, Option<&'static str>);

/// How a decision differs from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// There was none.
    First,
    /// Not at all.
    None,
    /// By the value or the version.
    Value,
    /// By whether it is active, by who answers, or by why the champion does not.
    Standing,
}

/// The newest decisions, at most [`MAX_TRIGGERS`]; those told longest ago are forgotten first.
#[derive(Debug)]
pub struct Records(Mutex<LruCache<Whose, Record>>);

impl Default for Records {
    fn default() -> Self {
        let most = NonZeroUsize::new(MAX_TRIGGERS).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(LruCache::new(most)))
    }
}

impl Records {
    /// Notes that `whose` trigger was told `decision` at `now`. Answers how that differs from what it was told before.
    pub fn note(&self, whose: Whose, decision: Decision, now: Timestamp) -> News {
        let mut record = Record::first(decision, now);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.get(&whose);
        let news = match before {
            Some(before) if before.same() == record.same() => News::None,
            Some(before) if before.stands() == record.stands() => News::Value,
            Some(_) => News::Standing,
            None => News::First,
        };
        if let (News::None, Some(before)) = (news, before) {
            record.since = before.since;
            record.times = before.times.saturating_add(1);
        }
        kept.put(whose, record);
        news
    }

    /// Those that `meant` picks, after `after`, in the order of [`Whose`], and whether there are more than `limit`.
    pub fn page(
        &self,
        after: Option<&Whose>,
        limit: usize,
        meant: impl Fn(&Whose) -> bool,
    ) -> (Vec<(Whose, Record)>, bool) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<(&Whose, &Record)> = kept
            .iter()
            .filter(|(whose, _)| after.is_none_or(|after| *whose > after) && meant(whose))
            .collect();
        all.sort_unstable_by_key(|(whose, _)| *whose);
        let page = all.iter().take(limit);
        let page = page.map(|(whose, record)| ((*whose).clone(), (*record).clone()));
        (page.collect(), all.len() > limit)
    }

    /// What `whose` trigger was told last.
    pub fn get(&self, whose: &Whose) -> Option<Record> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.peek(whose).cloned()
    }
}

impl Decision {
    /// Why the champion did not answer, as a code; `None` where it did.
    pub fn reason(&self) -> Option<&'static str> {
        self.refusal.as_deref().map(Error::code)
    }

    /// The error that is told, if one is.
    pub fn error(&self) -> Option<&Arc<Error>> {
        self.told.as_ref().err()
    }
}
