//! The chain of stages that a series went through.

use std::collections::BTreeMap;

use loadcast_model::artifact::sha256_hex;
use loadcast_model::backtest::{Backtest, Method};
use loadcast_model::catalog::Gates;
use loadcast_model::score::Scores;
use loadcast_model::series::SeriesName;
use loadcast_model::spec::Spec;
use serde::{Deserialize, Serialize};

use crate::checks::{Check, Checks, Override};
use crate::error::{Error, Result};
use crate::push::TRAINER_VERSION;
use crate::stage::validate_model::gate::Gate;
use crate::stage::validate_model::{Reason, Rejected};
use crate::verdict::Verdict;

/// The schema of what this build writes.
const SCHEMA: u32 = 1;

/// A stage that runs alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Rows are judged.
    ValidateData,
    /// They are put onto a grid.
    Prepare,
    /// A model is made.
    Train,
    /// It is judged.
    ValidateModel,
}

/// What a catalog says of a series. It comes before what flags say of all series, in `run` and in each stage alone; this is
/// the one place that decides it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The most recent history that is trained on.
    max_train_seconds: Option<i64>,
    /// Whether a search makes the model.
    search: Option<bool>,
    /// What is fitted.
    spec: Option<Spec>,
    /// Limits of gates by their names.
    gates: BTreeMap<String, f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    schema: u32,
    pub(super) series: SeriesName,
    pub(super) settings: Settings,
    /// The stages it went through, in order.
    pub(super) links: Vec<Link>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    pub(super) stage: Stage,
    trainer_version: String,
    /// SHA-256 of the manifest that it was given; `None` of the first.
    input: Option<String>,
    /// SHA-256 of the files that it wrote.
    files: BTreeMap<String, String>,
    pub(super) refused: Option<Refusal>,
    verdict: serde_json::Value,
}

/// Why a stage lets a series go no further.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// What was found.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
    /// The gates that were not passed, as a server shows them; empty where no model was judged.
    pub reasons: Vec<Reason>,
    /// Of the model that was refused.
    pub sha256: Option<String>,
    /// What its backtest found.
    pub scores: Option<Scores>,
}

impl Refusal {
    /// What `error` says.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        Self {
            what: error.to_string(),
            remedy: error.remedy().to_owned(),
            reasons: Vec::new(),
            sha256: None,
            scores: None,
        }
    }

    /// What stage 4 says of a model that it refused.
    #[must_use]
    pub fn rejected(rejected: &Rejected) -> Self {
        Self {
            reasons: rejected.reasons().to_vec(),
            sha256: Some(rejected.sha256().to_owned()),
            scores: rejected.skill().map(Backtest::scores),
            ..Self::of(&rejected.error())
        }
    }

    /// The refusal as an error.
    #[must_use]
    pub fn error(&self) -> Error {
        Error::model(self.what.clone(), self.remedy.clone())
    }
}

impl Stage {
    pub(super) const ALL: [Self; 4] = [
        Self::ValidateData,
        Self::Prepare,
        Self::Train,
        Self::ValidateModel,
    ];

    /// The command that runs it.
    #[must_use]
    pub fn command(self) -> &'static str {
        match self {
            Self::ValidateData => "validate-data",
            Self::Prepare => "prepare",
            Self::Train => "train",
            Self::ValidateModel => "validate-model",
        }
    }

    /// The stage that it takes over from; `None`: it takes rows.
    #[must_use]
    pub fn before(self) -> Option<Self> {
        let at = Self::ALL.iter().position(|stage| *stage == self)?;
        at.checked_sub(1).map(|before| Self::ALL[before])
    }
}

impl Settings {
    /// What is set of `method`.
    #[must_use]
    pub fn of(method: Option<&Method>, max_train_seconds: Option<i64>, gates: Gates) -> Self {
        let (search, spec) = match method {
            None => (None, None),
            Some(Method::Search) => (Some(true), None),
            Some(Method::Spec(spec)) => (None, Some((**spec).clone())),
        };
        Self {
            max_train_seconds,
            search,
            spec,
            gates: [
                (Gate::Skill, gates.min_skill),
                (Gate::Coverage, gates.min_coverage),
                (Gate::Censored, gates.max_censored_share),
            ]
            .into_iter()
            .filter_map(|(gate, limit)| Some((gate.name().to_owned(), limit?)))
            .collect(),
        }
    }

    /// The most recent history that is trained on, in seconds.
    #[must_use]
    pub fn max_train_seconds(&self, of_all: i64) -> i64 {
        self.max_train_seconds.unwrap_or(of_all)
    }

    /// What makes the model.
    #[must_use]
    pub fn method(&self, of_all: Method) -> Method {
        match (self.search, &self.spec) {
            (Some(true), _) => Method::Search,
            (_, Some(spec)) => Method::Spec(Box::new(spec.clone())),
            _ => of_all,
        }
    }

    /// What a model must pass: limits are the catalog's, what follows from them is the flags'.
    #[must_use]
    pub fn gates(&self, of_all: Checks<Gate>) -> Checks<Gate> {
        let set = Gate::ALL.iter().filter_map(|gate| {
            let limit = self.gates.get(gate.name())?;
            Some(Override::new(
                *gate,
                of_all.of(*gate).consequence,
                Some(*limit),
            ))
        });
        let set: Vec<Override<Gate>> = set.collect();
        of_all.with(&set)
    }
}

impl Link {
    pub(super) fn new(
        stage: Stage,
        input: Option<String>,
        files: BTreeMap<String, String>,
        refused: Option<Refusal>,
        verdict: &Verdict,
    ) -> Self {
        Self {
            stage,
            trainer_version: TRAINER_VERSION.to_owned(),
            input,
            files,
            refused,
            verdict: serde_json::to_value(verdict)
                .expect("verdicts have string keys and serialise without error"),
        }
    }
}

impl Manifest {
    pub(super) fn new(series: SeriesName, settings: Settings) -> Self {
        Self {
            schema: SCHEMA,
            series,
            settings,
            links: Vec::new(),
        }
    }

    /// The same manifest is the same bytes: digests of it rest on that.
    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self)
            .expect("plain structs with string keys serialise without error")
    }

    pub(super) fn decode(place: &str, bytes: &[u8]) -> Result<Self> {
        let foreign = |what: String| {
            Error::data(
                format!("{place} is no manifest of a stage: {what}"),
                "give the place that was the --output of the stage before",
            )
        };
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| foreign(error.to_string()))?;
        if manifest.schema > SCHEMA {
            return Err(foreign(format!(
                "schema {} is newer than {SCHEMA}",
                manifest.schema
            )));
        }
        Ok(manifest)
    }

    /// That the stages are in their order, and each was given what the one before it handed over.
    pub(super) fn check(&self, place: &str) -> Result<()> {
        let broken = |what: String| {
            Error::data(
                format!("{place}: its chain of stages is broken: {what}"),
                "run the stages again, each on the --output of the one before",
            )
        };
        for (at, link) in self.links.iter().enumerate() {
            if Stage::ALL.get(at) != Some(&link.stage) {
                return Err(broken(format!(
                    "{} stands at place {}",
                    link.stage.command(),
                    at + 1
                )));
            }
            let given = (at > 0).then(|| {
                let before = Self {
                    links: self.links[..at].to_vec(),
                    ..self.clone()
                };
                sha256_hex(&before.encode())
            });
            if link.input != given {
                return Err(broken(format!(
                    "{} was given something else than what is written before it",
                    link.stage.command()
                )));
            }
            if link.refused.is_some() && at + 1 < self.links.len() {
                return Err(broken(format!("{} refused it", link.stage.command())));
            }
        }
        Ok(())
    }

    /// The stage that comes next; `None` after the last, and of what was refused.
    pub(super) fn next(&self) -> Option<Stage> {
        if self.links.last().is_some_and(|link| link.refused.is_some()) {
            return None;
        }
        Stage::ALL.get(self.links.len()).copied()
    }

    /// The digest of a file, by the last stage that wrote it.
    pub(super) fn digest(&self, name: &str) -> Option<&str> {
        let mut links = self.links.iter().rev();
        links
            .find_map(|link| link.files.get(name))
            .map(String::as_str)
    }
}
