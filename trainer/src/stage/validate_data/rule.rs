//! The rules of stage 1: what each looks at, what follows, and the limit it is held against.

use crate::checks::{Check, Checks, Override, Setting};
use crate::verdict::Level;

/// A rule. The limit's unit is that of the value it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Rows whose time or value cannot be read, or is infinite; as a warning they are left out. Share of rows.
    Schema,
    /// Rows that come after a later one; they are sorted. Count.
    Order,
    /// Rows that repeat another's time and value; they are left out. Count.
    Duplicates,
    /// Times with two different values; as a warning they are averaged. Count.
    Conflicts,
    /// Spacings that are neither the step nor a whole number of steps, by more than a quarter of one. Share of spacings.
    Cadence,
    /// Steps without a row between the first and the last. Share of steps.
    Gaps,
    /// Rows without a value; they are left out. Share of rows.
    Missing,
    /// So many rows without a value that what is left is no history. Share of rows.
    Sparse,
    /// Values below zero, where the unit has none. Count.
    Negative,
    /// All values the same. Share of values that equal the first.
    Constant,
    /// A counter that was not rated: it only rises, but for resets. Share of steps that rise or reset.
    Counter,
    /// Values that stand out by half the usual range or more, both from the values around them and from those of the
    /// same time on other days. Share of values.
    Outliers,
    /// The level of whole days moved and stayed. Relative change.
    LevelShift,
    /// The last row's age, or how far it is ahead of now. Days.
    Freshness,
    /// The length of the history, at least. Days.
    History,
    /// The rows with a value, at least. Count.
    Rows,
    /// Rows that the mask column calls censored: they are left out of the fit. Share of rows.
    Censored,
}

/// What follows when a rule is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It is told.
    Info,
    /// It is told; what can be repaired is.
    Warning,
    /// The series' run ends.
    Error,
}

impl Check for Rule {
    type Consequence = Severity;
    const KIND: &'static str = "rule";
    const ALL: &'static [Self] = &[
        Self::Schema,
        Self::Order,
        Self::Duplicates,
        Self::Conflicts,
        Self::Cadence,
        Self::Gaps,
        Self::Missing,
        Self::Sparse,
        Self::Negative,
        Self::Constant,
        Self::Counter,
        Self::Outliers,
        Self::LevelShift,
        Self::Freshness,
        Self::History,
        Self::Rows,
        Self::Censored,
    ];
    const CONSEQUENCES: &'static [(&'static str, Severity)] = &[
        ("info", Severity::Info),
        ("warning", Severity::Warning),
        ("error", Severity::Error),
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Order => "order",
            Self::Duplicates => "duplicates",
            Self::Conflicts => "conflicts",
            Self::Cadence => "cadence",
            Self::Gaps => "gaps",
            Self::Missing => "missing",
            Self::Sparse => "sparse",
            Self::Negative => "negative",
            Self::Constant => "constant",
            Self::Counter => "counter",
            Self::Outliers => "outliers",
            Self::LevelShift => "level-shift",
            Self::Freshness => "freshness",
            Self::History => "history",
            Self::Rows => "rows",
            Self::Censored => "censored",
        }
    }

    fn default_setting(self) -> Setting<Severity> {
        let (consequence, limit) = match self {
            Self::Schema | Self::Conflicts => (Severity::Error, 0.0),
            Self::Order | Self::Duplicates | Self::Gaps | Self::Missing | Self::Negative => {
                (Severity::Warning, 0.0)
            }
            Self::Cadence => (Severity::Warning, 0.1),
            Self::Sparse => (Severity::Error, 0.5),
            Self::Constant => (Severity::Warning, 0.999_999),
            // As cores or requests its forecast would scale a workload without end.
            Self::Counter => (Severity::Error, 0.99),
            Self::Outliers => (Severity::Warning, 0.0),
            Self::LevelShift => (Severity::Warning, 0.25),
            // The model is judged a day ahead: of older data, the next day lies further than that.
            Self::Freshness => (Severity::Warning, 1.0),
            // Below it no day is seen twice, so nothing of a day's shape can be learned.
            Self::History => (Severity::Error, 2.0),
            // Below it nothing can be fitted, whatever the spacing.
            Self::Rows => (Severity::Error, 24.0),
            // What a saturated workload used says little of what it would have used.
            Self::Censored => (Severity::Warning, 0.05),
        };
        Setting { consequence, limit }
    }
}

impl Severity {
    /// Whether it ends the series' run.
    #[must_use]
    pub fn refuses(self) -> bool {
        self == Self::Error
    }

    pub(super) fn level(self) -> Level {
        match self {
            Self::Info => Level::Ok,
            Self::Warning => Level::Warn,
            Self::Error => Level::Refused,
        }
    }
}

/// Settings that go together under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Profile {
    /// What each rule says by itself
    #[default]
    Default,
    /// What the pipeline of Kubeflow components asked for: 1000 rows, and no value missing
    Original,
}

impl Profile {
    /// The settings of all rules.
    #[must_use]
    pub fn rules(self) -> Checks<Rule> {
        let over: &[Override<Rule>] = match self {
            Self::Default => &[],
            Self::Original => &[
                Override::new(Rule::Missing, Severity::Error, Some(0.0)),
                Override::new(Rule::Rows, Severity::Error, Some(1000.0)),
            ],
        };
        Checks::default().with(over)
    }
}
