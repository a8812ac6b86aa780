//! The gates of stage 4: what each measures, what follows when it is not passed, and the limit.

use crate::checks::{Check, Setting};

/// A gate. The limit's unit is that of the value it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gate {
    /// Forecasts of the next 31 days that are no finite number. Count.
    Finite,
    /// How far the next day's forecast lies outside of what was ever observed. Ranges of the history.
    Range,
    /// The same of the 30 days after: a trend that explodes. Ranges of the history.
    Growth,
    /// One day ahead against "the same as yesterday", at least: 1 - error / its error.
    Skill,
    /// One day ahead against the worse of "the same as yesterday" and "the average of before", at least: below, a model is
    /// of no use even as a candidate.
    SkillFloor,
    /// 30 days ahead against "the same as last week", at least, where the history is long enough.
    MonthSkill,
    /// The share of observations inside the 80 % band, at least.
    Coverage,
    /// The error on the latest days relative to that of what is served now, less 1.
    Champion,
    /// Rows that were censored. Share of rows.
    Censored,
}

/// What follows when a gate is not passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consequence {
    /// It is told.
    Warning,
    /// The model is registered as a candidate; what is served stays.
    Candidate,
    /// The model is not registered.
    Reject,
}

impl Check for Gate {
    type Consequence = Consequence;
    const KIND: &'static str = "gate";
    const ALL: &'static [Self] = &[
        Self::Finite,
        Self::Range,
        Self::Growth,
        Self::Skill,
        Self::SkillFloor,
        Self::MonthSkill,
        Self::Coverage,
        Self::Champion,
        Self::Censored,
    ];
    const CONSEQUENCES: &'static [(&'static str, Consequence)] = &[
        ("warning", Consequence::Warning),
        ("candidate", Consequence::Candidate),
        ("reject", Consequence::Reject),
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Finite => "finite",
            Self::Range => "range",
            Self::Growth => "growth",
            Self::Skill => "skill",
            Self::SkillFloor => "skill-floor",
            Self::MonthSkill => "month-skill",
            Self::Coverage => "coverage",
            Self::Champion => "champion",
            Self::Censored => "censored",
        }
    }

    fn default_setting(self) -> Setting<Consequence> {
        let (consequence, limit) = match self {
            Self::Finite => (Consequence::Reject, 0.0),
            Self::Range => (Consequence::Reject, 1.0),
            // Steady growth doubles a history of a month in the next one: one range of it.
            Self::Growth => (Consequence::Reject, 3.0),
            Self::Skill => (Consequence::Candidate, 0.0),
            // Twice as wrong as either.
            Self::SkillFloor => (Consequence::Reject, -1.0),
            // One origin is little evidence: only what is clearly worse counts.
            Self::MonthSkill => (Consequence::Candidate, -0.5),
            // A band of 80 % that holds less than half is none to act on.
            Self::Coverage => (Consequence::Candidate, 0.5),
            // Of two equals the newer one: less would keep an old champion for noise.
            Self::Champion => (Consequence::Candidate, 0.05),
            Self::Censored => (Consequence::Candidate, 0.05),
        };
        Setting { consequence, limit }
    }
}

impl Gate {
    /// The code of a reason, as the server shows it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Finite => "NON_FINITE",
            Self::Range => "IMPLAUSIBLE_RANGE",
            Self::Growth => "EXPLOSION",
            Self::Skill | Self::SkillFloor => "SKILL",
            Self::MonthSkill => "MONTH_SKILL",
            Self::Coverage => "COVERAGE",
            Self::Champion => "WORSE_THAN_CHAMPION",
            Self::Censored => "CENSORED",
        }
    }

    /// What a person can do when this gate refuses.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Finite => {
                "look for extreme values in the data, or leave out seasonalities with --spec"
            }
            Self::Range | Self::Growth => {
                "give --search, growth = \"flat\" in --spec, or --floor and --cap"
            }
            Self::Skill | Self::SkillFloor | Self::MonthSkill | Self::Coverage => {
                "wait for more history, or give another --spec or --search; `loadcast-trainer backtest` shows what each would have forecast"
            }
            Self::Champion => "keep what is served, or see what the report says of both",
            Self::Censored => {
                "raise the limit that saturated the workload, and forecast demand instead of usage"
            }
        }
    }
}
